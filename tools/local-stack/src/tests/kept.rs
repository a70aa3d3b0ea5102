//! `--data`: what one start leaves to the next, whatever became of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use stripe_stand_in::conformance::{Judge, Requests};
use stripe_stand_in::{Fault, FaultKind, Payment};

use super::{ask, ask_as, judged, outside_database, subscribe};
use crate::catalog::Prices;
use crate::http_client::HttpClient;
use crate::settings::OutsideStripe;
use crate::{Settings, Stack};

const CHECKOUT: &str = "/api/v1/billing/checkout/subscription";

/// A directory for `--data` that is gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("local-stack-{name}-{}", std::process::id())))
    }

    fn settings(&self, judge: &Judge) -> Settings {
        Settings {
            data: Some(self.0.clone()),
            ..judged(judge)
        }
    }

    fn state(&self) -> PathBuf {
        self.0.join("stack.json")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// The key of another account with a phone number.
async fn account(stack: &Stack) -> String {
    let wanted = json!({ "phoneNumbers": 1 });
    let account = ask(stack, "POST", "/_local/accounts", &wanted).await.1;
    account["key"].as_str().unwrap().to_owned()
}

/// Until when the account of a key is covered.
async fn covered(stack: &Stack, key: &str) -> String {
    let billing = ask_as(stack, key, "GET", "/api/v1/billing", &Value::Null).await.1;
    let until = billing["coveredUntil"].as_str();
    until.unwrap_or_else(|| panic!("{billing}")).to_owned()
}

/// Where the demo organisation's customer can pay for a plan.
async fn order(stack: &Stack) -> String {
    let organisation = stack.directory.demo.organisation.as_ref().unwrap();
    let checkouts = async |path: &str, body: &Value| {
        let request = Request::post(format!("{}/checkouts{path}", stack.directory.api))
            .header("content-type", "application/json")
            .header("x-api-key", &organisation.key)
            .header("organisation", organisation.id.as_str())
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let answer = HttpClient::default().send(request).await.unwrap();
        serde_json::from_slice::<Value>(answer.body()).unwrap()
    };
    let wanted = json!({ "plan_id": organisation.plans["starter"], "customer_id": organisation.customer_id });
    let offered = checkouts("", &wanted).await;
    let id = offered["id"].as_str().unwrap_or_else(|| panic!("{offered}"));
    let pending = checkouts(&format!("/{id}/confirm"), &json!({})).await;
    let url = pending["url"].as_str();
    url.unwrap_or_else(|| panic!("{pending}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_another_stripe_leaves_the_stand_in_to_the_next() {
    let judge = Judge::new(Requests::All);
    let directory = Directory::new("another-stripe");
    let stack = Stack::start(directory.settings(&judge)).await.unwrap();
    let key = account(&stack).await;
    subscribe(&stack, &key).await;
    let until = covered(&stack, &key).await;
    stack.stop().await.unwrap();

    let other = Stack::start(judged(&judge)).await.unwrap();
    let variable = |name: &str| other.variables[name].clone();
    let with_other = Settings {
        stripe: Some(OutsideStripe {
            url: other.directory.stripe.clone(),
            key: other.directory.stripe_key.clone(),
            webhook_secrets: variable("STRIPE_WEBHOOK_SECRETS"),
            prices: Prices {
                monthly: variable("PRICE_MONTHLY"),
                annual: variable("PRICE_ANNUAL"),
            },
        }),
        ..directory.settings(&judge)
    };
    let stack = Stack::start(with_other).await.unwrap();
    assert!(stack.stand_in.is_none());
    stack.stop().await.unwrap();
    other.stop().await.unwrap();

    let stack = Stack::start(directory.settings(&judge)).await.unwrap();
    ask(&stack, "POST", "/_local/clock", &json!({ "advance": "40d" })).await;
    assert!(covered(&stack, &key).await > until, "nobody renewed it");
    let newcomer = account(&stack).await;
    subscribe(&stack, &newcomer).await;
    covered(&stack, &newcomer).await;
    stack.stop().await.unwrap();
}

/// As the builds left it that forgot the stand-in at a start with another Stripe, and as the first such start leaves it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_that_is_new_beside_a_dynamodb_that_is_not_makes_no_id_again() {
    let judge = Judge::new(Requests::All);
    let directory = Directory::new("no-stand-in");
    let stack = Stack::start(directory.settings(&judge)).await.unwrap();
    let key = account(&stack).await;
    subscribe(&stack, &key).await;
    stack.stop().await.unwrap();
    let mut state: Value = serde_json::from_slice(&fs::read(directory.state()).unwrap()).unwrap();
    state["stand_in"] = Value::Null;
    fs::write(directory.state(), state.to_string()).unwrap();

    let stack = Stack::start(directory.settings(&judge)).await.unwrap();
    let newcomer = account(&stack).await;
    subscribe(&stack, &newcomer).await;
    covered(&stack, &newcomer).await;
    // What the demo organisation sells is part of what a reset goes back to.
    stack.stand_in.as_ref().unwrap().reset();
    order(&stack).await;
    stack.stop().await.unwrap();
}

/// A crash takes what the stand-in has come to know since the last save, and nothing of a DynamoDB that is outside.
#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_that_goes_back_beside_a_dynamodb_that_does_not_makes_no_id_again() {
    let judge = Judge::new(Requests::All);
    let url = outside_database().await;
    let directory = Directory::new("outside");
    let settings = || Settings {
        dynamodb_url: Some(url.clone()),
        ..directory.settings(&judge)
    };
    Stack::start(settings()).await.unwrap().stop().await.unwrap();
    let saved = fs::read(directory.state()).unwrap();
    let stack = Stack::start(settings()).await.unwrap();
    subscribe(&stack, &account(&stack).await).await;
    stack.stop().await.unwrap();
    fs::write(directory.state(), saved).unwrap();

    let stack = Stack::start(settings()).await.unwrap();
    let newcomer = account(&stack).await;
    subscribe(&stack, &newcomer).await;
    covered(&stack, &newcomer).await;
    stack.stop().await.unwrap();
}

/// A checkout is in the middle of its work while everything is written: DynamoDB and the stand-in both know it then.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_under_traffic_belongs_together() {
    let judge = Judge::new(Requests::All);
    let (directory, copy) = (Directory::new("traffic"), Directory::new("traffic-copy"));
    let stack = Stack::start(directory.settings(&judge)).await.unwrap();
    let key = account(&stack).await;
    let stand_in = stack.stand_in.clone().unwrap();
    stand_in.add_fault(Fault {
        kind: FaultKind::Latency { millis: 500 },
        method: Some("POST".to_owned()),
        path: Some("/v1/checkout/sessions".to_owned()),
        event: None,
        nth: 1,
        times: 1,
        seen: 0,
    });
    // Else it returns to the stack that was asked, and another one makes another checkout.
    let wanted = json!({ "interval": "monthly", "returnUrl": "http://127.0.0.1/paid" });
    let checkout = ask_as(&stack, &key, "POST", CHECKOUT, &wanted);
    let save = async {
        while stand_in.faults()[0].seen == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let keeper = stack.keeper.as_ref().unwrap();
        keeper.save_in_quiet(&stack.time).await.unwrap();
        fs::create_dir_all(&copy.0).unwrap();
        for file in ["stack.json", "dynamodb.sqlite"] {
            fs::copy(directory.0.join(file), copy.0.join(file)).unwrap();
        }
    };
    let ((status, told), ()) = tokio::join!(checkout, save);
    assert_eq!(status, 200, "{told}");
    let secret = told["clientSecret"].as_str().unwrap();
    let session = secret.split("_secret_").next().unwrap();
    let state = fs::read_to_string(copy.state()).unwrap();
    assert!(state.contains(session), "it was still on its way");
    stack.stop().await.unwrap();

    let stack = Stack::start(copy.settings(&judge)).await.unwrap();
    let again = ask_as(&stack, &key, "POST", CHECKOUT, &wanted).await.1;
    assert_eq!(again["clientSecret"], told["clientSecret"], "it is the same one");
    let stand_in = stack.stand_in.as_ref().unwrap();
    stand_in.pay_session(session, Payment::Succeed).await.unwrap();
    covered(&stack, &key).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_for_one_stack_at_a_time() {
    let judge = Judge::new(Requests::All);
    let directory = Directory::new("alone");
    let stack = Stack::start(directory.settings(&judge)).await.unwrap();
    let Err(told) = Stack::start(directory.settings(&judge)).await else {
        panic!("both started");
    };
    let expected = format!(
        "cannot use {} to keep data: it is in use by another local stack",
        directory.0.display()
    );
    assert_eq!(told.to_string(), expected);
    stack.stop().await.unwrap();
    let next = Stack::start(directory.settings(&judge)).await.unwrap();
    next.stop().await.unwrap();
}
