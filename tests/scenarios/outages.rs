//! DynamoDB and Stripe go down at any single step: refused, mute, torn, throttling, contending, failing, hanging. Always a documented error,
//! nothing half-visible, and the next attempt converges.

use std::time::Duration;

use billing_tests::{Account, Answer, Machine, Outage, World, project};
use serde_json::json;

/// More steps than anything takes.
const MOST_STEPS: usize = 60;
/// The time of an invocation that hangs: what the function needs to write down what happened is 0.7 s of it.
const SHORT: Duration = Duration::from_millis(1300);

/// A documented status; and where it is a failure, one that says to try again.
fn is_documented(function: &str, answer: &Answer, context: &str) {
    assert!(
        project::statuses(function).contains(&answer.status),
        "{context}: {answer}"
    );
    if answer.status >= 500 {
        assert_eq!(answer.status, 503, "{context}: {answer}");
    }
}

/// Runs `attempt` in a world in which everything goes down at each of its steps in turn, in every way, and then `converge`.
async fn at_every_step(
    outages: &[Outage],
    prepare: impl AsyncFn(&World) -> Account<'_>,
    attempt: impl AsyncFn(&World, &Account<'_>, &Machine, &str),
    converge: impl AsyncFn(&World, &Account<'_>, &str),
) {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for outage in outages {
        for step in 1..MOST_STEPS {
            let account = prepare(&world).await;
            let machine = world.machine().await;
            machine.network.goes_down(step, *outage);
            let context = format!("{outage:?} from step {step}");
            attempt(&world, &account, &machine, &context).await;
            let finished = machine.network.steps().len() < step;
            machine.network.comes_back();
            converge(&world, &account, &context).await;
            if finished {
                break;
            }
            assert!(step + 1 < MOST_STEPS, "{outage:?}: it never finished");
        }
    }
}

async fn converges(world: &World, ada: &Account<'_>, context: &str) {
    let secret = ada.starts_checkout("monthly").await.client_secret();
    let payable = world.stripe.payable_sessions(ada).await;
    assert_eq!(payable.len(), 1, "{context}");
    assert_eq!(payable[0]["client_secret"], json!(secret), "{context}");
    assert_eq!(world.stripe.customers(ada).await.len(), 1, "{context}");
}

#[tokio::test]
async fn a_checkout_survives_every_outage() {
    at_every_step(
        &Outage::QUICK,
        async |world| world.account(1).await,
        async |_, ada, machine, context| {
            let answer = ada.starts_checkout_on(machine, "monthly").await.unwrap();
            is_documented("create-subscription-checkout", &answer, context);
        },
        converges,
    )
    .await;
}

/// Nobody answers: the function ends by itself, or Lambda ends it; both is 503.
#[tokio::test]
async fn a_checkout_that_runs_out_of_time_converges() {
    at_every_step(
        &[Outage::Hangs],
        async |world| world.account(1).await,
        async |_, ada, machine, context| {
            let request = ada.checkout_request(&json!({ "interval": "monthly" }));
            let answer = machine.call_within(request, SHORT).await.unwrap();
            is_documented("create-subscription-checkout", &answer, context);
        },
        converges,
    )
    .await;
}

/// 1 × 1000 a month; to a year for 9600 less what is left of April. It is charged once, whatever happened.
#[tokio::test]
async fn a_change_survives_every_outage() {
    at_every_step(
        &Outage::QUICK,
        async |world| {
            let ada = world.account(1).await;
            ada.subscribes("monthly").await;
            ada
        },
        async |_, ada, machine, context| {
            let answer = ada.changes_on(machine, &json!({ "interval": "annual" })).await;
            is_documented("change-subscription-interval", &answer.unwrap(), context);
        },
        async |world, ada, context| {
            let answer = ada.changes(&json!({ "interval": "annual" })).await;
            assert_eq!(answer.status, 200, "{context}: {answer}");
            world.stripe.stand_in().settle().await;
            assert_eq!(world.stripe.payments(ada).await.len(), 2, "{context}");
            assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z", "{context}");
        },
    )
    .await;
}

/// A payment is heard of while everything goes down: it lands with a later delivery, once.
#[tokio::test]
async fn a_payment_survives_every_outage() {
    at_every_step(
        &Outage::QUICK,
        async |world| {
            world.stripe.holds_events(true).await;
            let ada = world.account(1).await;
            let secret = ada.starts_checkout("monthly").await.client_secret();
            world.stripe.checks_out(&secret, "succeed").await;
            ada
        },
        async |world, _, machine, context| {
            let paid = world.stripe.events("invoice.paid").pop().unwrap();
            let answer = machine.call(world.stripe.signed_event(&paid)).await.unwrap();
            is_documented("stripe-webhook", &answer, context);
        },
        async |world, ada, context| {
            // What could not be marked as failed waits for its lease.
            world.advance("1m").await;
            let paid = world.stripe.events("invoice.paid").pop().unwrap();
            assert_eq!(world.stripe.delivers(&paid).await, 200, "{context}");
            assert_eq!(ada.ledger().await.len(), 1, "{context}");
            world.stripe.holds_events(false).await;
            assert_eq!(ada.ledger().await.len(), 1, "{context}");
        },
    )
    .await;
}

/// The end of a subscription is scheduled while everything goes down: it is, once it is asked for again, and can be taken back.
#[tokio::test]
async fn a_cancellation_survives_an_outage() {
    at_every_step(
        &Outage::KINDS,
        async |world| {
            let ada = world.account(1).await;
            ada.subscribes("monthly").await;
            ada
        },
        async |_, ada, machine, context| {
            let answer = ada.ends_on(machine, "cancel").await.unwrap();
            is_documented("cancel-subscription", &answer, context);
        },
        async |world, ada, context| {
            assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true, "{context}");
            assert_eq!(ada.resumes().await.body["cancelAtPeriodEnd"], false, "{context}");
            let subscription = world.stripe.subscription(ada).await;
            assert_eq!(subscription["cancel_at_period_end"], false, "{context}");
        },
    )
    .await;
}

/// Reading fails as a whole or not at all, and changes nothing.
#[tokio::test]
async fn what_only_reads_survives_an_outage() {
    at_every_step(
        &Outage::KINDS,
        async |world| {
            let ada = world.account(1).await;
            ada.subscribes("monthly").await;
            ada
        },
        async |_, ada, machine, context| {
            let request = ada.request("GET", "/api/v1/billing", &serde_json::Value::Null);
            let answer = machine.call(request).await.unwrap();
            is_documented("get-billing", &answer, context);
            let answer = ada
                .previews_on(machine, &json!({ "interval": "annual" }))
                .await
                .unwrap();
            is_documented("preview-subscription-change", &answer, context);
        },
        async |world, ada, context| {
            assert_eq!(
                ada.previews(&json!({ "interval": "annual" })).await.status,
                200,
                "{context}"
            );
            assert_eq!(world.stripe.payments(ada).await, [1000], "{context}");
        },
    )
    .await;
}

/// A reservation is settled while everything goes down: its record is told as failed, and settled when it comes again.
#[tokio::test]
async fn an_expiry_survives_every_outage() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for outage in Outage::QUICK {
        for step in 1..MOST_STEPS {
            let ada = world.account(1).await;
            ada.starts_checkout("monthly").await.client_secret();
            let record = world.expired_reservation(&ada).await;
            let machine = world.machine().await;
            machine.network.goes_down(step, outage);
            let told = machine.hands("expire-checkouts", &record).await.unwrap();
            let failures = told.unwrap()["batchItemFailures"].as_array().unwrap().len();
            if machine.network.steps().len() < step {
                assert_eq!(failures, 0);
                break;
            }
            machine.network.comes_back();
            let again = world.hands("expire-checkouts", &record).await;
            assert_eq!(
                again["batchItemFailures"],
                json!([]),
                "{outage:?} from step {step}"
            );
            assert!(world.stripe.payable_sessions(&ada).await.is_empty());
            assert_eq!(ada.stored().await.profile.open_session, None);
        }
    }
}
