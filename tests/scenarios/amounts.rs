//! The most that Stripe charges at once: 999,999.99 in dollars. Whatever comes to more is told as a fault of the quantity, and nothing
//! is stored, changed or left half-way.

use billing_tests::{Account, World};
use serde_json::{Value, json};

use crate::changes::nothing_changed;

const NOW: &str = "2026-04-01T00:00:00Z";
const TOLD: &str = "comes to more than can be charged at once";

/// 400, with that one member at fault.
fn faults(member: &str) -> String {
    format!(r#"400 {{"error":{{"fieldErrors":{{"{member}":["{TOLD}"]}},"formErrors":[]}}}}"#)
}

/// An account that is billed for that many by an operator's doing, from the next period on.
async fn billed_for(world: &World, quantity: u64) -> Account<'_> {
    let ada = world.account(1).await;
    ada.subscribes("monthly").await;
    let subscription = world.stripe.subscription(&ada).await;
    let form = format!(
        "items[0][id]={}&items[0][quantity]={quantity}&proration_behavior=none",
        subscription["items"]["data"][0]["id"].as_str().unwrap()
    );
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    world.stripe.operator("POST", &path, &form).await;
    world.stripe.stand_in().settle().await;
    ada
}

async fn quotes_of(world: &World, ada: &Account<'_>, answer: &Value) -> usize {
    let date = billing_core::Timestamp::from_second(answer.as_i64().unwrap()).unwrap();
    let store = world.stack().app.store();
    store
        .quotes(&ada.id.parse().unwrap(), date, world.now())
        .await
        .unwrap()
        .len()
}

/// 99,999 × 10.00 and 10,416 × 96.00 can be charged, one more of either cannot. A refused preview is no quote.
#[tokio::test]
async fn a_preview_of_too_many_is_a_fault_of_the_quantity() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    ada.subscribes("monthly").await;
    let date = json!(world.now().as_second());
    for (interval, most) in [("monthly", 99_999), ("annual", 10_416)] {
        for quantity in [most + 1, u32::MAX] {
            let answer = ada
                .previews(&json!({ "interval": interval, "quantity": quantity }))
                .await;
            assert_eq!(answer, faults("quantity").as_str(), "{interval} {quantity}");
        }
    }
    assert_eq!(quotes_of(&world, &ada, &date).await, 0);
    for (interval, most) in [("monthly", 99_999), ("annual", 10_416)] {
        let answer = ada
            .previews(&json!({ "interval": interval, "quantity": most }))
            .await;
        assert_eq!(answer.status, 200, "{interval} {most}: {answer}");
    }
    assert_eq!(quotes_of(&world, &ada, &date).await, 2);
    nothing_changed(&world, &ada, &[1000]).await;
}

/// A code of a half does not make too many chargeable, and is not what is wrong.
#[tokio::test]
async fn a_code_is_not_at_fault_for_too_many() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    ada.subscribes("monthly").await;
    world
        .stripe
        .makes_code("percent_off=50&duration=once", "code=HALF")
        .await;
    let wish = json!({ "interval": "annual", "quantity": 10_417, "promotionCode": "HALF" });
    assert_eq!(ada.previews(&wish).await, faults("quantity").as_str());
}

/// 10,417 at 10.00 a month are 104,170.00, and 1,000,032.00 a year: refused with and without a second that was named, as often as it
/// is asked for, and the subscription, its end and the account are as they were.
#[tokio::test]
async fn a_change_that_comes_to_too_much_changes_nothing() {
    let world = World::at(NOW).await;
    let ada = billed_for(&world, 10_417).await;
    ada.cancels().await;
    let wish = json!({ "interval": "annual" });
    let dated = json!({ "interval": "annual", "prorationDate": world.now().as_second() });
    assert_eq!(ada.previews(&wish).await, faults("quantity").as_str());
    for wish in [&wish, &dated, &wish] {
        assert_eq!(ada.changes(wish).await, faults("quantity").as_str(), "{wish}");
        nothing_changed(&world, &ada, &[1000]).await;
    }
    let mut request = ada.change_request(&wish);
    request
        .headers_mut()
        .insert("idempotency-key", "once".parse().unwrap());
    assert_eq!(ada.sends(request).await, faults("quantity").as_str());
    let billing = ada.billing().await;
    assert_eq!(
        billing.body["subscription"],
        json!({ "periodStart": NOW, "periodEnd": "2026-05-01T00:00:00Z", "quantity": 10_417, "interval": "monthly",
                "cancelAtPeriodEnd": true })
    );
}

/// It was quoted at 10,416, and one more came since: the fresh preview is refused, and nothing is charged.
#[tokio::test]
async fn a_quote_that_grew_beyond_what_can_be_charged_charges_nothing() {
    let world = World::at(NOW).await;
    let ada = billed_for(&world, 10_416).await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    assert_eq!(preview.body["amountDueCents"], 99_993_600 - 1000, "{preview}");
    let subscription = world.stripe.subscription(&ada).await;
    let form = format!(
        "items[0][id]={}&items[0][quantity]=10417&proration_behavior=none",
        subscription["items"]["data"][0]["id"].as_str().unwrap()
    );
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    world.stripe.operator("POST", &path, &form).await;
    let quoted = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    assert_eq!(ada.changes(&quoted).await, faults("quantity").as_str());
    nothing_changed(&world, &ada, &[1000]).await;
}

/// Two numbers at 500,000.00 a year. No session and no reservation is left, nobody has to wait, and what can be charged is sold next.
#[tokio::test]
async fn a_checkout_that_comes_to_too_much_leaves_nothing_behind() {
    let world = World::at(NOW).await;
    let price = "product_data[name]=Number&currency=usd&unit_amount=50000000&recurring[interval]=year";
    let price = world.stripe.operator("POST", "/v1/prices", price).await;
    let machine = world
        .machine_told(&[("PRICE_ANNUAL", price["id"].as_str().unwrap())])
        .await;
    let ada = world.account(2).await;
    let account = ada.id.parse().unwrap();
    for _ in 0..2 {
        let answer = ada.starts_checkout_on(&machine, "annual").await.unwrap();
        assert_eq!(answer, faults("quantity").as_str());
        assert!(world.stripe.sessions(&ada).await.is_empty());
        let reservation = world.stack().app.store().reservation(&account).await;
        assert_eq!(reservation.unwrap(), None);
    }
    ada.subscribes("annual").await;
    assert_eq!(world.stripe.payments(&ada).await, [19_200]);
}

/// The machine dies over it at any step: whoever asks next is told the same, and nothing is left.
#[tokio::test]
async fn a_checkout_that_comes_to_too_much_converges_after_a_crash_at_any_step() {
    let world = World::at(NOW).await;
    let price = "product_data[name]=Number&currency=usd&unit_amount=50000000&recurring[interval]=year";
    let price = world.stripe.operator("POST", "/v1/prices", price).await;
    let variables = [("PRICE_ANNUAL", price["id"].as_str().unwrap())];
    let other = world.machine_told(&variables).await;
    let mut finished = false;
    for step in 1..40 {
        let ada = world.account(2).await;
        let account = ada.id.parse().unwrap();
        let machine = world.machine_told(&variables).await;
        machine.network.stops(billing_tests::Moment::After, step);
        tokio::select! {
            answer = ada.starts_checkout_on(&machine, "annual") => {
                assert_eq!(answer.unwrap().status, 400);
                finished = true;
            }
            () = machine.network.reached() => {}
        }
        machine.dies();
        let answer = ada.starts_checkout_on(&other, "annual").await.unwrap();
        assert_eq!(answer, faults("quantity").as_str(), "died after step {step}");
        let reservation = world.stack().app.store().reservation(&account).await;
        assert_eq!(reservation.unwrap(), None, "died after step {step}");
        if finished {
            break;
        }
    }
    assert!(finished);
}

/// 100,000 × 10.00: neither a preview nor a session is made of it, nor of an amendment to as many.
#[tokio::test]
async fn a_plan_of_too_many_is_no_offer() {
    let world = World::at(NOW).await;
    let mut acme = world.organisation("acme").await;
    acme.changes_its_catalog("max = 100\n", "max = 1000000\n").await;
    let seats = acme.product("starter", "Starter seat");
    let mut order = acme.order("starter");
    order["product_overrides"] = json!([{ "product_id": seats, "quantity": 100_000 }]);
    for answer in [acme.previews(&order).await, acme.opens(&order).await] {
        assert_eq!(answer, faults("product_overrides").as_str());
    }
    assert!(
        world.stripe.all_customers().await.is_empty(),
        "Stripe was asked nothing"
    );

    let contract = acme.sells(&acme.order("starter")).await;
    let amended = json!({
        "contract_id": contract, "product_overrides": [{ "product_id": seats, "quantity": 100_000 }],
    });
    assert_eq!(acme.opens(&amended).await, faults("product_overrides").as_str());
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// Stripe may charge less at once than we know of (a payment method has limits of its own): told alike, the session is open still, and
/// sold when Stripe takes it.
#[tokio::test]
async fn what_stripe_alone_finds_too_much_is_told_alike_and_sold_later() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    for call in ["POST /v1/invoices/create_preview", "POST /v1/subscriptions"] {
        let machine = world.machine().await;
        machine.network.tells(
            call,
            400,
            r#"{"error":{"type":"invalid_request_error","code":"amount_too_large","message":"Amount must be no more than $10.00."}}"#,
        );
        let answer = acme.confirms_on(&machine, &id, &visa).await.unwrap();
        assert_eq!(answer, faults("product_overrides").as_str(), "{call}");
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "open", "{call}");
    }
    assert!(world.stripe.charges().await.is_empty());
    assert_eq!(
        acme.confirms(&id, &visa).await.body["checkout_status"],
        "contract_created"
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500]);
}
