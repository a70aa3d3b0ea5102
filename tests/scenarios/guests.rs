//! A guest types an address, which may be a customer's: whatever that customer has at Stripe pays nothing of what the guest buys, now or later.

use billing_tests::{Answer, Organisation, World, path_of};
use serde_json::{Value, json};

use crate::checkout_sessions::{gives_a_default, guest, with_a_card_of_its_own};

const BAKERY: &str = "bob@bakery.example";
const DECLINING: &str = "pm_card_chargeCustomerFail";
const NOTHING_PAYS: &str = r#"409 {"error":"the subscription has no payment method: it takes one first"}"#;

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

fn made(answer: &Answer) {
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
}

/// The team plan, 112.00 on the first of each month, for a guest who begins at this moment.
fn team(world: &World, acme: &Organisation<'_>, email: &str) -> Value {
    let mut order = guest(acme, email);
    order["plan_id"] = json!(acme.plan("team"));
    order["start_date"] = json!(world.now().to_string());
    order
}

/// Nothing was sold: the session is open, the customer has the one subscription that it bought, and was charged for nothing else.
async fn nothing_sold(world: &World, acme: &Organisation<'_>, id: &str, customer: &str) {
    world.stripe.stand_in().settle().await;
    assert_eq!(acme.reads(id).await.body["checkout_status"], "open");
    assert_eq!(world.stripe.all_subscriptions().await.len(), 1);
    assert!(world.stripe.open_pages().await.is_empty());
    assert_eq!(world.stripe.charges_of(customer).await, [3500]);
}

/// An hour and ten seconds before the first of the month a share comes to 0.14 and to nothing, which Stripe calls paid. Nothing is sold to a
/// guest who names nothing to pay May by.
#[tokio::test]
async fn a_share_that_is_not_charged_takes_a_payment_method_for_what_comes_next() {
    for now in ["2026-04-30T23:00:00Z", "2026-04-30T23:59:50Z"] {
        let world = World::at(now).await;
        let acme = world.organisation("acme").await;
        let customer = with_a_card_of_its_own(&world, &acme, "pm_card_visa").await;
        let id = acme.session(&team(&world, &acme, BAKERY)).await;
        let refused = acme.confirms(&id, &Value::Null).await;
        assert_eq!(
            refused,
            r#"400 {"error":{"fieldErrors":{"payment_method_id":["is needed: nothing is paid now, and what is billed later has to be paid by a guest's own payment method"]},"formErrors":[]}}"#,
            "{now}"
        );
        nothing_sold(&world, &acme, &id, &customer).await;
        // The bakery itself pays by its own.
        let own = json!({
            "plan_id": acme.plan("team"), "customer_id": acme.customer("bakery"), "start_date": now,
        });
        made(&acme.confirms(&acme.session(&own).await, &Value::Null).await);
    }
}

/// 0.14 would be charged along with whatever of the bakery's is billed next, by the bakery's card. Of somebody who has nothing else it is the
/// guest's own next bill; and a share of nothing leaves nothing behind.
#[tokio::test]
async fn what_is_too_small_for_a_bill_of_its_own_is_left_to_no_bill_of_the_customers() {
    let world = World::at("2026-04-30T23:00:00Z").await;
    let acme = world.organisation("acme").await;
    let customer = with_a_card_of_its_own(&world, &acme, DECLINING).await;
    let id = acme.session(&team(&world, &acme, BAKERY)).await;
    assert_eq!(
        acme.confirms(&id, &visa()).await,
        r#"409 {"error":"the first bill is too small to be charged, and would be charged with another bill of the customer who has the guest's address; nothing was charged"}"#
    );
    nothing_sold(&world, &acme, &id, &customer).await;

    let id = acme.session(&team(&world, &acme, "eve@example.com")).await;
    made(&acme.confirms(&id, &visa()).await);
    world.advance("3590s").await;
    let nothing = acme.session(&team(&world, &acme, BAKERY)).await;
    made(&acme.confirms(&nothing, &visa()).await);
    world.advance("1d").await;
    for id in [&id, &nothing] {
        let contract = acme.reads(id).await.body["contract_id"].clone();
        let until = acme.covered_until(contract.as_str().unwrap()).await;
        assert_eq!(until, "2026-06-01T00:00:00Z");
    }
    let mut charges = world.stripe.charges().await;
    charges.sort_unstable();
    assert_eq!(charges, [0, 0, 3500, 11_200, 11_214]);
}

/// The bakery has 50.00 on account, which pays for what the bakery buys, and for nothing that is bought in its name: with a card, on a page,
/// or on the page of a bill.
#[tokio::test]
async fn a_guest_does_not_use_up_what_the_customer_has_on_account() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let customer = with_a_card_of_its_own(&world, &acme, "pm_card_visa").await;
    let path = format!("/v1/customers/{customer}");
    world.stripe.operator("POST", &path, "balance=-5000").await;
    for order in [guest(&acme, BAKERY), team(&world, &acme, BAKERY)] {
        let id = acme.session(&order).await;
        for body in [Value::Null, visa()] {
            assert_eq!(
                acme.confirms(&id, &body).await,
                r#"409 {"error":"the customer who has the guest's address has something on account, which would be used up; nothing was charged"}"#
            );
        }
        nothing_sold(&world, &acme, &id, &customer).await;
        assert_eq!(world.stripe.all_customers().await[0]["balance"], -5000);
    }
    made(
        &acme
            .confirms(&acme.session(&acme.order("starter")).await, &Value::Null)
            .await,
    );
    assert_eq!(world.stripe.all_customers().await[0]["balance"], -1500);
}

/// A plan that is free for good is sold to a guest who names nothing. When it is to cost something, that takes a payment method of its own;
/// then what is bought later is paid by that.
#[tokio::test]
async fn what_was_free_is_not_made_to_cost_something_at_the_customers_expense() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    acme.changes_its_catalog("unit_amount = 15000 }", "unit_amount = 0 }")
        .await;
    let customer = with_a_card_of_its_own(&world, &acme, "pm_card_visa").await;
    let mut order = guest(&acme, BAKERY);
    order["plan_id"] = json!(acme.plan("team-annual"));
    let id = acme.session(&order).await;
    made(&acme.confirms(&id, &Value::Null).await);
    let contract = acme.reads(&id).await.body["contract_id"].clone();
    // When the year is over: what is named is not used.
    let later = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let later = acme.session(&later).await;
    for body in [Value::Null, visa()] {
        assert_eq!(acme.confirms(&later, &body).await, NOTHING_PAYS);
    }
    world.advance("370d").await;
    let charges = world.stripe.charges_of(&customer).await;
    assert!(
        charges.iter().all(|charge| [0, 3500].contains(charge)),
        "{charges:?}"
    );
    assert_eq!(charges.iter().filter(|charge| **charge == 3500).count(), 13);
}

/// The same at once: to 112.00 a month, and then to a sixth seat.
#[tokio::test]
async fn a_guests_amendment_is_charged_to_what_its_contract_has_of_its_own() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let seat = |amount: u32| {
        format!("max = 100\npricing = {{ pricing_type = \"per_unit\", unit_amount = {amount} }}")
    };
    let mut acme = world.organisation("acme").await;
    acme.changes_its_catalog(&seat(1000), &seat(0)).await;
    let archive = acme.product("starter", "Call archive");
    let free = json!([{ "product_id": archive, "is_enabled": false }]);
    acme.sells(&acme.order("starter")).await;
    let customer = gives_a_default(&world, DECLINING).await;

    let mut order = guest(&acme, BAKERY);
    order["product_overrides"] = free.clone();
    let id = acme.session(&order).await;
    made(&acme.confirms(&id, &Value::Null).await);
    let contract = acme.reads(&id).await.body["contract_id"].clone();
    let before = world.stripe.charges_of(&customer).await;
    let paid = json!({ "contract_id": contract, "plan_id": acme.plan("team") });
    let paid = acme.session(&paid).await;
    assert_eq!(acme.confirms(&paid, &Value::Null).await, NOTHING_PAYS);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges_of(&customer).await, before);
    made(&acme.confirms(&paid, &visa()).await);
    let seat = json!({ "product_id": acme.product("team", "Team seat"), "quantity": 6 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    made(&acme.confirms(&acme.session(&more).await, &Value::Null).await);

    // What the bakery bought itself is charged to its own, which declines.
    let mut order = acme.order("starter");
    order["product_overrides"] = free;
    let id = acme.session(&order).await;
    made(&acme.confirms(&id, &Value::Null).await);
    let contract = acme.reads(&id).await.body["contract_id"].clone();
    let paid = json!({ "contract_id": contract, "plan_id": acme.plan("team") });
    let answer = acme.confirms(&acme.session(&paid).await, &Value::Null).await;
    assert_eq!(answer.body["checkout_status"], "pending", "{answer}");
}

/// The card of a guest's contract was taken away: less can be bought for later all the same, and not more at once.
#[tokio::test]
async fn a_guests_contract_without_a_payment_method_can_come_to_cost_less() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&team(&world, &acme, BAKERY)).await;
    made(&acme.confirms(&id, &visa()).await);
    let contract = acme.reads(&id).await.body["contract_id"].clone();
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&subscription);
    world
        .stripe
        .operator("POST", &path, "default_payment_method=")
        .await;
    let seat = json!({ "product_id": acme.product("team", "Team seat"), "quantity": 6 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    let more = acme.session(&more).await;
    assert_eq!(acme.confirms(&more, &Value::Null).await, NOTHING_PAYS);
    let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    made(&acme.confirms(&acme.session(&less).await, &Value::Null).await);
}
