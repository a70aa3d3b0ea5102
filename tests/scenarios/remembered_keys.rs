//! A process that has admitted a key before reads what a request begins with beside it, not after it: an account, a connected account, a
//! checkout session, what a wish is priced on. It knows no more by that: the key is read each time, and what was read beside it may be old by
//! the time it is used.

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

/// Whoever has a key of an agency or an organisation is told nothing from when it is revoked, whatever was read beside it.
#[tokio::test]
async fn what_was_read_beside_a_revoked_key_is_told_to_nobody() {
    let world = World::at(NOW).await;
    let (acme, north) = (world.organisation("acme").await, world.agency().await);
    let id = acme.session(&acme.order("starter")).await;
    let read = acme.request("GET", &format!("/checkouts/{id}"), &Value::Null);
    let preview = acme.request("POST", "/checkouts/preview", &acme.order("starter"));
    let open = acme.request("POST", "/checkouts", &acme.order("starter"));
    let confirm = acme.confirmation(&id, &Value::Null);
    let list = north.request("GET", "", &Value::Null);
    let mut machines = Vec::new();
    for (request, status) in [
        (read, 200),
        (preview, 200),
        (open, 201),
        (confirm, 200),
        (list, 200),
    ] {
        machines.push((acquainted(&world, request.clone(), status).await, request));
    }
    world.revokes_key(&acme.key).await;
    world.revokes_key(&north.key).await;
    for (machine, request) in machines {
        let path = request.uri().to_string();
        let told = machine.call(request).await.unwrap();
        assert_eq!(told.status, 401, "{path}: {told}");
        assert!(told.headers.contains_key("www-authenticate"), "{path}");
    }
}

/// What somebody names beside a good key is theirs or is not there, however well the key is known.
#[tokio::test]
async fn a_key_that_is_remembered_opens_nothing_of_anybody_elses() {
    let world = World::at(NOW).await;
    let (acme, globex) = (
        world.organisation("acme").await,
        world.organisation("globex").await,
    );
    let theirs = globex.session(&globex.order("starter")).await;
    let own = acme.session(&acme.order("starter")).await;
    let path = format!("/checkouts/{own}");
    let read = acme.request("GET", &path, &Value::Null);
    let machine = acquainted(&world, read.clone(), 200).await;
    let other = acme.request("GET", &format!("/checkouts/{theirs}"), &Value::Null);
    assert_eq!(machine.call(other).await.unwrap().status, 404);
    let mut as_another = read;
    let named = globex.id.to_string().parse().unwrap();
    as_another.headers_mut().insert("organisation", named);
    assert_eq!(machine.call(as_another).await.unwrap().status, 401);

    let (north, south) = (world.agency().await, world.agency().await);
    let list = north.request("GET", "", &Value::Null);
    let machine = acquainted(&world, list, 200).await;
    let other = north.request_to(&south.account, "GET", "", &Value::Null);
    assert_eq!(machine.call(other).await.unwrap().status, 404);
}

/// What its wish is priced on, and that there is no session of it, is from before somebody else's.
#[tokio::test]
async fn a_wish_on_facts_that_have_grown_old_comes_to_the_one_session() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let opens = acme.request("POST", "/checkouts", &acme.order("starter"));
    let machine = acquainted(&world, acme.request("POST", "/checkouts", &json!({})), 400).await;
    let asks = machine.call(opens);
    let (late, early) = overtaken(&machine, asks, acme.opens(&acme.order("starter"))).await;
    assert_eq!((late.status, early.status), (201, 201));
    assert_eq!(late.body["id"], early.body["id"]);
}

/// The session is from before somebody else's confirmation.
#[tokio::test]
async fn a_confirmation_of_a_session_that_has_grown_old_is_charged_once() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    let machine = acquainted(&world, acme.confirmation(&id, &json!([])), 400).await;
    let asks = acme.confirms_on(&machine, &id, &visa);
    let (late, early) = overtaken(&machine, asks, acme.confirms(&id, &visa)).await;
    for told in [&early, &late] {
        assert_eq!(
            (told.status, &told.body["checkout_status"]),
            (200, &json!("contract_created")),
            "{told}"
        );
    }
    assert_eq!(world.stripe.charges().await, [3500]);
}
