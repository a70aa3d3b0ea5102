//! `Idempotency-Key` on every request that writes: the four races of each of them. What is special about one of them stands in its own file.

use std::collections::BTreeSet;

use billing_tests::{Account, Agency, Answer, Machine, Organisation, World};
use bytes::Bytes;
use http::Request;
use local_stack::template::Template;
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
/// How the keys of these tests begin, which no log may have.
const KEY: &str = "intent-of-mine";

/// Every function that writes and is asked to by a caller.
const WRITES: [&str; 9] = [
    "cancel-connect-subscription",
    "cancel-subscription",
    "change-subscription-interval",
    "confirm-checkout-session",
    "create-checkout-session",
    "create-connect-subscription",
    "create-subscription-checkout",
    "resume-subscription",
    "update-connect-subscription",
];

/// Somebody who is about to write.
struct Writer<'w> {
    world: &'w World,
    who: Who<'w>,
    /// What is written to.
    to: String,
}

enum Who<'w> {
    Account(Account<'w>),
    Agency(Agency<'w>),
    Organisation(Organisation<'w>),
}

impl<'w> Writer<'w> {
    /// Everything that the function needs is there.
    async fn of(world: &'w World, function: &str, name: &str) -> Self {
        let mut to = String::new();
        let who = match function {
            "create-subscription-checkout" => Who::Account(world.account(1).await),
            "change-subscription-interval" | "cancel-subscription" | "resume-subscription" => {
                let ada = world.subscriber(1, "monthly").await;
                if function == "resume-subscription" {
                    ada.cancels().await;
                }
                Who::Account(ada)
            }
            "create-checkout-session" | "confirm-checkout-session" => {
                let acme = world.organisation(name).await;
                if function == "confirm-checkout-session" {
                    to = acme.session(&acme.order("starter")).await;
                }
                Who::Organisation(acme)
            }
            _ => {
                let north = world.agency().await;
                if function != "create-connect-subscription" {
                    let sold = north.sells(&north.order("2026-05-01T00:00:00Z")).await;
                    sold.body["id"].as_str().unwrap().clone_into(&mut to);
                }
                Who::Agency(north)
            }
        };
        Self { world, who, to }
    }

    /// The request, or another one of the same function, under that key.
    fn asks(&self, function: &str, other: bool, key: &str) -> Request<Bytes> {
        let to = &self.to;
        let interval = json!({ "interval": if other { "monthly" } else { "annual" } });
        let nothing = if other {
            json!({ "other": true })
        } else {
            Value::Null
        };
        let mut request = match (&self.who, function) {
            (Who::Account(ada), "create-subscription-checkout") => ada.checkout_request(&interval),
            (Who::Account(ada), "change-subscription-interval") => ada.change_request(&interval),
            (Who::Account(ada), function) => {
                let verb = function.split('-').next().unwrap_or_default();
                let path = format!("/api/v1/billing/subscription/{verb}");
                ada.request("POST", &path, &nothing)
            }
            (Who::Organisation(acme), "create-checkout-session") => {
                let plan = if other { "team-annual" } else { "starter" };
                acme.request("POST", "/checkouts", &acme.order(plan))
            }
            (Who::Organisation(acme), _) => {
                let card = if other {
                    "pm_card_mastercard"
                } else {
                    "pm_card_visa"
                };
                acme.confirmation(to, &json!({ "payment_method_id": card }))
            }
            (Who::Agency(north), "create-connect-subscription") => {
                let month = if other { "2026-06" } else { "2026-05" };
                north.request("POST", "", &north.order(&format!("{month}-01T00:00:00Z")))
            }
            (Who::Agency(north), "update-connect-subscription") => {
                north.update_request(to, &json!({ "cancelAtPeriodEnd": !other }))
            }
            (Who::Agency(north), _) => north.request("DELETE", &format!("/{to}"), &nothing),
        };
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    }

    async fn sends(&self, request: Request<Bytes>) -> Answer {
        match &self.who {
            Who::Account(ada) => ada.sends(request).await,
            Who::Agency(north) => north.sends(request).await,
            Who::Organisation(acme) => acme.sends(request).await,
        }
    }

    /// The machine, held in the answer of the step that comes after the key was claimed.
    async fn machine(&self, claim: usize) -> Machine {
        let machine = self.world.machine().await;
        machine.network.holds_step(claim + 1);
        machine
    }
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == "true"
}

fn is_good(answer: &Answer) -> bool {
    matches!(answer.status, 200..=299)
}

/// Which step of the function claims the key: the first that writes.
async fn claim(world: &World, function: &str) -> usize {
    let writer = Writer::of(world, function, "claims").await;
    let machine = world.machine().await;
    let answer = machine.call(writer.asks(function, false, KEY)).await.unwrap();
    assert!(is_good(&answer), "{function}: {answer}");
    let steps = machine.network.steps();
    let write = steps.iter().position(|step| step == "DynamoDB UpdateItem");
    write.unwrap_or_else(|| panic!("{function} claims no key: {steps:?}")) + 1
}

/// A new route that writes has to be added here.
#[test]
fn every_route_that_writes_is_here() {
    let functions = Template::project().unwrap().functions;
    let writes = functions.iter().filter(|function| {
        let writing = |method: &str| matches!(method, "POST" | "PUT" | "PATCH" | "DELETE");
        function.routes.iter().any(|route| writing(&route.method))
    });
    // Previews write nothing, and Stripe's events have ids of their own.
    let but = |name: &&str| !name.starts_with("preview-") && *name != "stripe-webhook";
    let names: BTreeSet<&str> = writes
        .map(|function| function.name.as_str())
        .filter(but)
        .collect();
    assert_eq!(names, BTreeSet::from(WRITES));
}

/// The same twice at once: the second is told to wait, another body that it is another request; when the first is done, both are told the
/// same, for a day. Then the key is anybody's.
#[tokio::test]
async fn two_at_once_are_one_and_the_key_is_its_own_for_a_day() {
    for function in WRITES {
        let world = World::unjudged_at(NOW).await;
        let claim = claim(&world, function).await;
        let writer = Writer::of(&world, function, "writes").await;
        let machine = writer.machine(claim).await;
        let first = machine.call(writer.asks(function, false, KEY));
        let meanwhile = async {
            machine.network.reached().await;
            let same = writer.sends(writer.asks(function, false, KEY)).await;
            assert_eq!(
                same, r#"409 {"error":"a request with this idempotency key is in progress"}"#,
                "{function}"
            );
            assert_ne!(same.header("retry-after"), "", "{function}");
            let other = writer.sends(writer.asks(function, true, KEY)).await;
            assert_eq!(other.status, 422, "{function}: {other}");
            machine.network.lets_go();
        };
        let (first, ()) = tokio::join!(first, meanwhile);
        let first = first.unwrap();
        assert!(is_good(&first) && !replayed(&first), "{function}: {first}");

        for wait in ["0s", "86399s"] {
            world.advance(wait).await;
            let again = writer.sends(writer.asks(function, false, KEY)).await;
            assert!(replayed(&again), "{function} after {wait}: {again}");
            assert_eq!(again.to_string(), first.to_string(), "{function} after {wait}");
            let other = writer.sends(writer.asks(function, true, KEY)).await;
            assert_eq!(
                other, r#"422 {"error":"this idempotency key was used for another request"}"#,
                "{function} after {wait}"
            );
        }
        world.advance("2s").await;
        let anew = writer.sends(writer.asks(function, true, KEY)).await;
        assert!(!replayed(&anew) && anew.status != 422, "{function}: {anew}");
    }
}

/// The first dies after it claimed the key: nobody knows until its lease is over. Then the same request takes over and another one does not.
#[tokio::test]
async fn one_that_died_half_way_is_taken_over_by_the_same_request() {
    for function in WRITES {
        let world = World::unjudged_at(NOW).await;
        let claim = claim(&world, function).await;
        let writer = Writer::of(&world, function, "writes").await;
        let machine = writer.machine(claim).await;
        machine
            .dies_over(machine.call(writer.asks(function, false, KEY)))
            .await;
        let waits = writer.sends(writer.asks(function, false, KEY)).await;
        assert_eq!(waits.status, 409, "{function}: {waits}");
        world.advance("5m").await;
        let other = writer.sends(writer.asks(function, true, KEY)).await;
        assert_eq!(other.status, 422, "{function}: {other}");
        let done = writer.sends(writer.asks(function, false, KEY)).await;
        assert!(is_good(&done) && !replayed(&done), "{function}: {done}");
        let again = writer.sends(writer.asks(function, false, KEY)).await;
        assert!(replayed(&again), "{function}: {again}");
        assert_eq!(again.to_string(), done.to_string(), "{function}");
    }
}

/// A key is its caller's and its function's: what one did under it is nobody else's answer.
#[tokio::test]
async fn a_key_is_of_one_caller_and_one_function() {
    let world = World::unjudged_at(NOW).await;
    let first = Writer::of(&world, "cancel-subscription", "").await;
    let second = Writer::of(&world, "cancel-subscription", "").await;
    for (writer, function) in [
        (&first, "cancel-subscription"),
        (&second, "cancel-subscription"),
        (&first, "resume-subscription"),
    ] {
        let answer = writer.sends(writer.asks(function, false, KEY)).await;
        assert!(is_good(&answer) && !replayed(&answer), "{function}: {answer}");
    }
}
