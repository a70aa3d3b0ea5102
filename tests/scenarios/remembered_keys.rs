//! A process that has admitted a key before reads its account beside it, not after it. It knows no more by that: the key is read each
//! time, and what was read of the account may be old by the time it is used.

use std::future::Future;

use billing_tests::{Account, Answer, Machine, World};
use http::Request;
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const CHECKOUT: &str = "/api/v1/billing/checkout/subscription";
const CHANGE: &str = "/api/v1/billing/subscription/change";
const NO_TABLE: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}"#;

/// A machine whose function for this request remembers the key. Each is a process of its own: what another one remembers is nothing to it.
async fn acquainted(world: &World, request: Request<bytes::Bytes>, status: u16) -> Machine {
    let machine = world.machine().await;
    assert_eq!(machine.call(request).await.unwrap().status, status);
    machine
}

/// The same of one that sells: its key is admitted, and what it wishes for is nothing.
async fn acquainted_with(world: &World, account: &Account<'_>, path: &str) -> Machine {
    let nothing = account.request("POST", path, &json!({}));
    acquainted(world, nothing, 400).await
}

/// What the machine answers when its key comes back late, after something else has happened; and what came of that.
async fn overtaken<T>(
    machine: &Machine,
    asks: impl Future<Output = Option<Answer>>,
    other: impl Future<Output = T>,
) -> (Answer, T) {
    machine.network.holds("DynamoDB GetItem");
    let (late, other) = tokio::join!(asks, async {
        machine.network.reached().await;
        let other = other.await;
        machine.network.lets_go();
        other
    });
    (late.unwrap(), other)
}

fn billing(account: &Account<'_>) -> Request<bytes::Bytes> {
    account.request("GET", "/api/v1/billing", &Value::Null)
}

#[tokio::test]
async fn a_key_that_is_remembered_is_read_each_time_and_so_is_its_account() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let machine = acquainted(&world, billing(&ada), 200).await;
    ada.adds_number("+15550000999").await;
    let told = machine.call(billing(&ada)).await.unwrap();
    assert_eq!(told.body["numbers"].as_array().unwrap().len(), 2);
    ada.revokes_its_key().await;
    for _ in 0..2 {
        let told = machine.call(billing(&ada)).await.unwrap();
        assert_eq!(told.status, 401);
    }
}

#[tokio::test]
async fn an_account_that_could_not_be_read_beside_its_key_is_read_again() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let machine = acquainted(&world, billing(&ada), 200).await;
    machine.network.tells("DynamoDB Query", 400, NO_TABLE);
    let told = machine.call(billing(&ada)).await.unwrap();
    assert_eq!(told.status, 200);
    assert_eq!(told.body["numbers"].as_array().unwrap().len(), 1);
}

/// Its facts are from before somebody else's checkout.
#[tokio::test]
async fn a_checkout_on_facts_that_have_grown_old_comes_to_the_one_session() {
    let world = World::at(NOW).await;
    let ada = world.account(2).await;
    let machine = acquainted_with(&world, &ada, CHECKOUT).await;
    let asks = ada.starts_checkout_on(&machine, "monthly");
    let (late, early) = overtaken(&machine, asks, ada.starts_checkout("monthly")).await;
    assert_eq!(late.client_secret(), early.client_secret());
    assert_eq!(world.stripe.sessions(&ada).await.len(), 1);
}

/// Likewise, from before somebody else's change.
#[tokio::test]
async fn a_change_on_facts_that_have_grown_old_is_charged_once() {
    let world = World::at(NOW).await;
    let ada = world.subscriber(2, "monthly").await;
    world.advance("1d").await;
    let machine = acquainted_with(&world, &ada, CHANGE).await;
    let annual = json!({ "interval": "annual" });
    let asks = ada.changes_on(&machine, &annual);
    let (late, early) = overtaken(&machine, asks, ada.changes(&annual)).await;
    assert_eq!(early.status, 200);
    assert_eq!(early.body["changed"], true);
    assert_eq!(late.status, 200);
    let charged = world.stripe.payments(&ada).await;
    assert_eq!(charged.len(), 2, "the first period and the change: {charged:?}");
}

/// Its profile is from before somebody else's write, with which it can write nothing: the next attempt reads it anew.
#[tokio::test]
async fn an_account_that_was_read_beside_its_key_is_used_once() {
    let world = World::at(NOW).await;
    let ada = world.subscriber(2, "monthly").await;
    world.advance("1d").await;
    let machine = acquainted_with(&world, &ada, CHANGE).await;
    let annual = json!({ "interval": "annual" });
    let asks = ada.changes_on(&machine, &annual);
    let (late, early) = overtaken(&machine, asks, ada.cancels()).await;
    assert_eq!(early.status, 200);
    assert_eq!((late.status, &late.body["changed"]), (200, &json!(true)));
}
