//! Every function of `template.yaml` boots as a real process, polls a real Lambda Runtime API, and answers its event.
//!
//! The scenarios enter the handlers in process; this is the proof that what is deployed starts at all: the binary, its environment,
//! its permissions, the protocol. What the answers mean is the scenarios' business and deliberately not repeated here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod documents;
mod emulator;
mod operations;
mod parameters;
mod process;
mod project;
mod secrets;
mod world;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stripe_stand_in::Payment;

use crate::world::World;
use billing_bench::runtime_api::Outcome;

/// A function is several things in several places; forgetting one of them fails here.
#[test]
fn a_function_has_a_folder_a_route_a_contract_an_entry_in_the_binary_and_an_event() {
    let functions = project::functions();
    let names: BTreeSet<_> = functions.keys().cloned().collect();
    let in_the_binary: BTreeSet<_> = billing_bundle::ALL.iter().map(|it| it.name.to_owned()).collect();
    let with_events: BTreeSet<_> = project::events()
        .into_iter()
        .map(|(function, _)| function)
        .collect();

    assert_eq!(names, project::folders(), "template.yaml and functions/");
    assert_eq!(names, in_the_binary, "template.yaml and bundle/src/lib.rs");
    assert_eq!(names, with_events, "template.yaml and events/");
    let routed = functions
        .into_iter()
        .filter(|(_, routes)| !routes.is_empty())
        .collect();
    assert_eq!(
        project::operations(),
        routed,
        "docs/openapi.yaml and template.yaml"
    );
}

#[test]
fn an_event_is_of_its_functions_route() {
    let functions = project::functions();
    for (function, file) in project::events() {
        if functions[&function].is_empty() {
            continue;
        }
        let event = project::event(&file);
        let http = &event["requestContext"]["http"];
        // What stands in the place of a parameter is told beside the path.
        let mut route = format!(
            "{} {}",
            http["method"].as_str().unwrap(),
            event["rawPath"].as_str().unwrap()
        );
        for (name, value) in event["pathParameters"].as_object().into_iter().flatten() {
            route = route.replace(value.as_str().unwrap(), &format!("{{{name}}}"));
        }
        assert_eq!(event["version"], "2.0", "{file}");
        assert_eq!(event["routeKey"], event["requestContext"]["routeKey"], "{file}");
        assert_eq!(event["rawPath"], http["path"], "{file}");
        assert!(
            functions[&function].contains(event["routeKey"].as_str().unwrap()),
            "{file}"
        );
        assert_eq!(event["routeKey"], route.as_str(), "{file}");
    }
}

/// Whatever is kept under an `Idempotency-Key` is told again with a header, so the contract has the header wherever an answer may be kept: all
/// but those that are given before the key is looked at, those that pass by themselves, and failures.
#[test]
fn an_answer_that_is_kept_is_replayed_by_the_contract_too() {
    let contract = project::contract();
    let paths = contract["paths"].as_object().unwrap().values();
    let operations: Vec<_> = paths
        .flat_map(|methods| methods.as_object().unwrap().values())
        .filter(|operation| operation["parameters"].to_string().contains("/IdempotencyKey"))
        .collect();
    assert!(!operations.is_empty());
    for operation in operations {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let is_kept =
                !status.starts_with('5') && !["401", "403", "413", "422", "429"].contains(&status.as_str());
            let answer = contract::resolve(&contract, answer);
            let is_told = answer["headers"]["Idempotent-Replayed"].is_object();
            assert_eq!(is_told, is_kept, "{} {status}", operation["operationId"]);
        }
    }
}

/// Whatever a file in `events/` says, the function takes it, does not fail, and answers within its contract.
#[tokio::test]
async fn every_event_gets_an_answer_that_is_in_the_contract() {
    let world = World::start().await;
    let functions = project::functions();
    for (function, file) in project::events() {
        let process = world.start_function(&function).await;
        if functions[&function].is_empty() {
            // For Lambda, not for a caller: an outcome that is no error is all that is promised to everybody.
            process.answer(&project::event(&file)).await;
            continue;
        }
        let answer = process.answer(&project::event(&file)).await;
        assert!(answer["statusCode"].as_u64().unwrap() < 500, "{file}: {answer}");
        assert_eq!(
            contract::faults(&function, &answer),
            Vec::<String>::new(),
            "{file}: {answer}"
        );
        assert_eq!(
            answer["headers"]["x-request-id"], "Zx1abhW0FiAEJ9A=",
            "{file}: {answer}"
        );
    }
}

/// API Gateway hands on what it was sent, decoded where it is of the path.
#[tokio::test]
async fn a_path_and_a_query_that_are_none_are_answered() {
    let world = World::start().await;
    let function = "get-billing";
    let process = world.start_function(function).await;
    for query in [
        "x=<y>",
        "x=\"y\"",
        "x=a b#c",
        "\u{1}=ü",
        "x=%zz",
        "&&==",
        "x=|^`{}[]\\",
    ] {
        let mut event = project::event(&format!("{function}.json"));
        event["rawQueryString"] = json!(query);
        let answer = process.answer(&event).await;
        assert_eq!(answer["statusCode"], 200, "{query}: {answer}");
    }
    let function = "get-checkout-session";
    let process = world.start_function(function).await;
    for id in ["a b", "<x>", "?x=1", "#", "%zz", "ü|^`{}[]\\\u{1}\u{7f}", "../.."] {
        let mut event = project::event(&format!("{function}.json"));
        let path = format!("/checkouts/{id}");
        event["rawPath"] = json!(path);
        event["requestContext"]["http"]["path"] = json!(path);
        event["pathParameters"]["checkoutId"] = json!(id);
        let answer = process.answer(&event).await;
        let status = answer["statusCode"].as_u64().unwrap();
        assert!((400..500).contains(&status), "{id}: {answer}");
        assert_eq!(
            contract::faults(function, &answer),
            Vec::<String>::new(),
            "{id}: {answer}"
        );
    }
}

/// Likewise the headers and the domain of which the adapter would make an address.
#[tokio::test]
async fn a_host_and_a_scheme_that_are_none_are_answered() {
    let world = World::start().await;
    let function = "get-billing";
    let process = world.start_function(function).await;
    for (header, value) in [
        ("x-forwarded-proto", "https,http"),
        ("x-forwarded-proto", ""),
        ("host", "a.example, b.example"),
        ("host", "<host>"),
        ("host", ""),
    ] {
        let mut event = project::event(&format!("{function}.json"));
        event["headers"][header] = json!(value);
        let answer = process.answer(&event).await;
        assert_eq!(answer["statusCode"], 200, "{header}: {value}: {answer}");
    }
    let mut event = project::event(&format!("{function}.json"));
    event["headers"].as_object_mut().unwrap().remove("host");
    event["requestContext"]["domainName"] = json!("a b");
    assert_eq!(process.answer(&event).await["statusCode"], 200);
}

/// Stripe's event is not refused as forged while there is nothing to tell a forgery by: Stripe delivers it again.
#[tokio::test]
async fn a_list_of_signing_secrets_that_is_empty_refuses_nothing() {
    let world = World::start().await;
    let function = "stripe-webhook";
    let mut environment = world.environment(function).await;
    environment.insert(
        "STRIPE_WEBHOOK_SECRETS_ARN".to_owned(),
        world::NO_SECRETS.to_owned(),
    );
    let process = process::Process::start(function, &environment).await;
    let delivery = world.delivery(&json!({ "id": "evt_1" }));
    let answer = process.answer(&delivery).await;
    assert_eq!(answer["statusCode"], 503, "{answer}");
}

/// It is the deployment that is wrong, and not Stripe: the key is not sent there.
#[tokio::test]
async fn a_key_that_is_none_for_servers_is_an_error_of_ours() {
    let world = World::start().await;
    let function = "create-subscription-checkout";
    let mut environment = world.environment(function).await;
    environment.insert(
        "STRIPE_SECRET_KEY_ARN".to_owned(),
        world::PUBLISHABLE_KEY.to_owned(),
    );
    let process = process::Process::start(function, &environment).await;
    let answer = process.answer(&project::event(&format!("{function}.json"))).await;
    assert_eq!(answer["statusCode"], 500, "{answer}");
}

#[tokio::test]
async fn a_checkout_is_started_once_and_refused_with_every_fault() {
    let world = World::start().await;
    let function = "create-subscription-checkout";
    let process = world.start_function(function).await;
    let answer = async |case: &str| {
        process
            .answer(&project::event(&format!("{function}{case}.json")))
            .await
    };

    let first = answer("").await;
    assert_eq!(first["statusCode"], 200, "{first}");
    assert_eq!(answer("").await["body"], first["body"]);
    assert_ne!(answer(".annual").await["body"], first["body"]);
    let refused = answer(".invalid").await;
    assert_eq!(refused["statusCode"], 400);
    assert_eq!(
        refused["body"],
        r#"{"error":{"fieldErrors":{"interval":["must be \"monthly\" or \"annual\""],"returnUrl":["must be an https URL"]},"formErrors":[]}}"#
    );
    let unauthorized = answer(".unauthorized").await;
    assert_eq!(unauthorized["statusCode"], 401);
    assert_eq!(unauthorized["headers"]["www-authenticate"], "Bearer");
}

/// From the order to the cancellation, and Stripe's event of it, within the permissions of each function.
#[tokio::test]
async fn an_agency_sells_lists_looks_changes_and_cancels() {
    let world = World::start().await;
    let agency = world.agency().await;
    let answer = async |function: &str, schedule: &str| {
        let process = world.start_function(function).await;
        let answer = process.answer(&agency.event(function, schedule)).await;
        assert_eq!(answer["statusCode"], 200, "{function}: {answer}");
        let faults = contract::faults(function, &answer);
        assert_eq!(faults, Vec::<String>::new(), "{function}: {answer}");
        serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap()
    };
    let sold = answer("create-connect-subscription", "").await;
    let schedule = sold["id"].as_str().unwrap();
    let listed = answer("list-connect-subscription", "").await;
    assert_eq!(listed["subscriptions"][0]["id"], schedule);
    assert_eq!(
        answer("get-connect-subscription", schedule).await["totalUsage"],
        0
    );
    let changed = answer("update-connect-subscription", schedule).await;
    assert_eq!(changed["cancel_at_period_end"], true);
    let webhook = world.start_function("stripe-webhook").await;
    for kind in ["subscription_schedule.created", "subscription_schedule.updated"] {
        let events = world.stripe.events();
        let event = events.iter().find(|event| event["type"] == kind).unwrap();
        let taken = webhook.answer(&world.delivery(event)).await;
        assert_eq!(taken["statusCode"], 200, "{kind}: {taken}");
    }
    let canceled = answer("cancel-connect-subscription", schedule).await;
    assert_eq!(canceled["canceled"], true);
}

#[tokio::test]
async fn an_event_of_stripe_is_taken_when_its_signature_is_fresh() {
    let world = World::start().await;
    let process = world.start_function("stripe-webhook").await;
    for (file, signed, status) in [
        ("stripe-webhook.json", true, 200),
        ("stripe-webhook.base64.json", true, 200),
        ("stripe-webhook.json", false, 400),
        ("stripe-webhook.base64.json", false, 400),
        ("stripe-webhook.unsigned.json", false, 400),
    ] {
        let mut event = project::event(file);
        if signed {
            event["headers"]["stripe-signature"] = json!(world.signature(&event));
        }
        let answer = process.answer(&event).await;
        assert_eq!(answer["statusCode"], status, "{file}, signed: {signed}: {answer}");
    }
}

/// From the checkout to coverage, a change and its end, through all binaries, each with the permissions of its own.
#[tokio::test]
async fn what_is_deployed_sells_and_changes_a_subscription() {
    let world = World::start().await;
    let checkout = world.start_function("create-subscription-checkout").await;
    assert_eq!(
        checkout
            .answer(&project::event("create-subscription-checkout.json"))
            .await["statusCode"],
        200
    );

    let customer = world.stripe.customers_with("account", "ada")[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = world.stripe.sessions_of(&customer)[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    world
        .stripe
        .pay_session(&session, Payment::Succeed)
        .await
        .unwrap();

    let webhook = world.start_function("stripe-webhook").await;
    let deliver_all = async || {
        for event in world.stripe.events() {
            let answer = webhook.answer(&world.delivery(&event)).await;
            assert_eq!(answer["statusCode"], 200, "{}", event["type"]);
        }
    };
    deliver_all().await;

    let billing = world.start_function("get-billing").await;
    let answer = billing.answer(&project::event("get-billing.json")).await;
    let billing: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        billing["coveredUntil"], billing["subscription"]["periodEnd"],
        "{billing}"
    );
    assert_eq!(billing["subscription"]["quantity"], 2, "{billing}");
    assert_eq!(billing["numbers"][1]["mode"], "FIXED", "{billing}");

    let told = async |function: &str| {
        let process = world.start_function(function).await;
        let mut event = project::event(&format!("{function}.json"));
        event["headers"]["idempotency-key"] = json!(function);
        let answer = process.answer(&event).await;
        assert_eq!(answer["statusCode"], 200, "{function}: {answer}");
        assert_eq!(
            contract::faults(function, &answer),
            Vec::<String>::new(),
            "{answer}"
        );
        serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap()
    };
    assert_eq!(told("cancel-subscription").await["cancelAtPeriodEnd"], true);
    assert_eq!(told("resume-subscription").await["cancelAtPeriodEnd"], false);
    let preview = told("preview-subscription-change").await;
    assert!(preview["amountDueCents"].as_i64().unwrap() > 0, "{preview}");
    assert_eq!(told("change-subscription-interval").await["changed"], true);
    deliver_all().await;
}

/// One record cannot be read: it alone is to be delivered again. What Stripe has erased in test mode is settled.
#[tokio::test]
async fn an_expired_item_that_cannot_be_settled_is_told_by_its_number() {
    let world = World::start().await;
    let process = world.start_function("expire-checkouts").await;
    let mut batch = project::event("expire-checkouts.json");
    let unreadable = project::event("expire-checkouts.unreadable.json");
    let records = batch["Records"].as_array_mut().unwrap();
    records.insert(0, unreadable["Records"][0].clone());
    assert_eq!(
        process.answer(&batch).await,
        json!({ "batchItemFailures": [{ "itemIdentifier": "111000000000000000000002" }] })
    );
}

/// Nothing was delivered: the events are found in Stripe's list, with the permissions that the template gives. A second run finds
/// nothing more.
#[tokio::test]
async fn what_is_deployed_finds_what_was_never_delivered() {
    let world = World::start_behind().await;
    let checkout = world.start_function("create-subscription-checkout").await;
    checkout
        .answer(&project::event("create-subscription-checkout.json"))
        .await;
    let customer = &world.stripe.customers_with("account", "ada")[0]["id"];
    let session = &world.stripe.sessions_of(customer.as_str().unwrap())[0]["id"];
    world
        .stripe
        .pay_session(session.as_str().unwrap(), Payment::Succeed)
        .await
        .unwrap();

    let process = world.start_function("reconcile").await;
    let first = process.answer(&project::event("reconcile.json")).await;
    assert!(first["healed"].as_u64().unwrap() >= 3, "{first}");
    assert_eq!((&first["failed"], &first["complete"]), (&json!(0), &json!(true)));
    let second = process.answer(&project::event("reconcile.json")).await;
    assert_eq!(second["healed"], 0, "{second}");

    let billing = world.start_function("get-billing").await;
    let answer = billing.answer(&project::event("get-billing.json")).await;
    assert!(answer["body"].as_str().unwrap().contains("FIXED"), "{answer}");
}

/// The same on a connected account.
#[tokio::test]
async fn what_is_deployed_finds_what_was_never_delivered_of_a_connected_account() {
    let world = World::start_behind().await;
    let agency = world.agency().await;
    let create = world.start_function("create-connect-subscription").await;
    let sold = create
        .answer(&agency.event("create-connect-subscription", ""))
        .await;
    assert_eq!(sold["statusCode"], 200, "{sold}");
    let process = world.start_function("reconcile").await;
    let first = process.answer(&project::event("reconcile.json")).await;
    assert_eq!(
        (&first["accounts"], &first["healed"], &first["failed"]),
        (&json!(1), &json!(1), &json!(0)),
        "{first}"
    );
    let second = process.answer(&project::event("reconcile.json")).await;
    assert_eq!((&second["accounts"], &second["healed"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn what_is_no_request_is_an_error_and_the_next_request_is_answered() {
    let world = World::start().await;
    let process = world.start_function("get-billing").await;
    assert!(matches!(
        process.invoke(&json!({ "detail": "scheduled" })).await,
        Outcome::Error(_)
    ));
    assert_eq!(
        process
            .answer(&project::event("get-billing.unauthorized.json"))
            .await["statusCode"],
        401
    );
}

/// Every variable of the template, missing and wrong: the function ends before its first poll and says which one it was.
#[tokio::test]
async fn a_function_that_is_told_something_wrong_does_not_start_and_names_it() {
    let world = World::start().await;
    for function in billing_bundle::ALL.iter().map(|it| it.name) {
        let good = world.environment(function).await;
        for variable in project::variables(function) {
            let mut environment = good.clone();
            environment.insert(variable.clone(), world::wrong(&variable).to_owned());
            let said = process::refusal(function, &environment).await;
            assert!(
                said.contains(&variable),
                "{function} was told a wrong {variable} and said: {said}"
            );
        }
        for variable in [
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "STRIPE_SECRET_KEY_ARN",
            "ACCOUNTS_TABLE",
        ] {
            let mut environment = good.clone();
            environment.remove(variable);
            let said = process::refusal(function, &environment).await;
            assert!(
                said.contains(variable),
                "{function} was not told {variable} and said: {said}"
            );
        }
    }
}
