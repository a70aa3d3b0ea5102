//! The life of a checkout session: an offer that stands for a while, and not a second longer.

use billing_core::access::Scope;
use billing_tests::{Organisation, World, path_of};
use serde_json::{Value, json};

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

pub(crate) fn guest(organisation: &Organisation<'_>, email: &str) -> Value {
    json!({
        "plan_id": organisation.plan("starter"), "business_entity_id": organisation.entity("headquarters"),
        "guest_checkout": true,
        "customer_data": { "name": "Eve", "email": email, "address": { "line1": "1 Main St", "country": "US" } },
    })
}

/// Opened at one, for half an hour: it can be confirmed until a second before half past.
#[tokio::test]
async fn a_session_expires_to_the_second() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["expires_at"] = json!("2026-04-01T01:30:00Z");
    let late = acme.session(&order).await;
    order["product_overrides"] =
        json!([{ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 }]);
    let timely = acme.session(&order).await;
    world.advance("1799s").await;
    assert_eq!(acme.reads(&late).await.body["checkout_status"], "open");
    assert_eq!(acme.confirms(&timely, &visa()).await.status, 200);
    world.advance("1s").await;
    assert_eq!(acme.reads(&late).await.body["checkout_status"], "expired");
    let gone = acme.confirms(&late, &visa()).await;
    assert_eq!(gone, r#"410 {"error":"the checkout session has expired"}"#);
    // DynamoDB deletes, days later; that says nothing.
    world.advance("72h").await;
    assert_eq!(acme.reads(&late).await.body["checkout_status"], "expired");
    assert_eq!(acme.confirms(&late, &visa()).await.status, 410);
    assert_eq!(
        acme.reads(&timely).await.body["checkout_status"],
        "contract_created"
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [4500]);
}

/// A clock knows more than seconds. What is stored may tell when to the nanosecond, as it always did; nobody is told that.
#[tokio::test]
async fn times_are_told_to_the_second() {
    let world = World::at("2026-04-01T01:00:00.123456789Z").await;
    let acme = world.organisation("acme").await;
    let opened = acme.opens(&acme.order("starter")).await;
    let id = opened.body["id"].as_str().unwrap();
    assert_eq!(acme.stored(id).await.created_at, world.now());
    world.advance("1m").await;
    let confirmed = acme.confirms(id, &visa()).await;
    for (told, updated_at) in [
        (&opened, "2026-04-01T01:00:00Z"),
        (&confirmed, "2026-04-01T01:01:00Z"),
        (&acme.reads(id).await, "2026-04-01T01:01:00Z"),
    ] {
        assert_eq!(told.body["created_at"], "2026-04-01T01:00:00Z", "{told}");
        assert_eq!(told.body["updated_at"], updated_at, "{told}");
    }
    for instant in ["effective_at", "expires_at"] {
        assert!(!opened.body[instant].as_str().unwrap().contains('.'), "{opened}");
    }
}

/// 23:59 on 14 June in Auckland is 11:59 in UTC. The session keeps its day, though it is confirmed on the 15th.
#[tokio::test]
async fn a_session_that_is_opened_before_midnight_keeps_its_day() {
    let world = World::at("2026-06-14T11:59:00Z").await;
    let acme = world.organisation("acme").await;
    let order = json!({ "plan_id": acme.plan("team"), "customer_id": acme.customer("brewery") });
    let offered = acme.opens(&order).await;
    assert_eq!(offered.body["start_date"], "2026-06-14");
    // From midnight there to the first of July, there and in UTC: 17 and a half days of June's 30.
    let invoice = &offered.body["estimates"]["current_invoice"];
    assert_eq!(invoice["period_start"], "2026-06-13T12:00:00Z");
    assert_eq!(invoice["period_end"], "2026-07-01T00:00:00Z");
    let total = invoice["total"].as_i64().unwrap();
    world.advance("2m").await;
    // Whoever asks now is offered the 15th.
    let next = acme.opens(&order).await;
    assert_eq!(next.body["start_date"], "2026-06-15");
    assert_ne!(next.body["id"], offered.body["id"]);
    let id = offered.body["id"].as_str().unwrap();
    let confirmed = acme.confirms(id, &visa()).await;
    assert_eq!(confirmed.status, 200, "{confirmed}");
    assert_eq!(acme.reads(id).await.body["start_date"], "2026-06-14");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [total]);
}

/// A double click, or a call that was repeated because its answer was lost.
#[tokio::test]
async fn the_same_intent_is_the_same_session_while_it_lives() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let order = acme.order("starter");
    let first = acme.opens(&order).await;
    world.advance("1h").await;
    assert_eq!(acme.opens(&order).await.body, first.body);
    let mut other = order.clone();
    other["success_url"] = json!("https://app.example.com/done");
    assert_ne!(acme.opens(&other).await.body["id"], first.body["id"]);
    // At another price it is another offer.
    acme.changes_its_catalog("unit_amount = 500", "unit_amount = 600")
        .await;
    let dearer = acme.opens(&order).await;
    assert_ne!(dearer.body["id"], first.body["id"]);
    assert_eq!(dearer.body["estimates"]["current_invoice"]["total"], 3600);
    // What was bought is over.
    acme.confirms(dearer.body["id"].as_str().unwrap(), &visa()).await;
    assert_ne!(acme.opens(&order).await.body["id"], dearer.body["id"]);
}

/// A session that is to end at an instant is asked for again when less than half an hour is left of it; when it is over, no other is made that
/// would be over as well.
#[tokio::test]
async fn the_same_intent_with_an_end_is_the_same_session_while_it_lives() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["expires_at"] = json!("2026-04-01T01:30:00Z");
    let first = acme.opens(&order).await;
    world.advance("29m").await;
    let again = acme.opens(&order).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    world.advance("1m").await;
    let told = r#"400 {"error":{"fieldErrors":{"expires_at":["must be from 30 minutes to 24 hours from now"]},"formErrors":[]}}"#;
    assert_eq!(acme.opens(&order).await, told);
    assert_eq!(acme.previews(&order).await, told);
}

/// The archive costs a dollar more than was offered: nothing is charged, and the new offer has to be agreed to by its version.
#[tokio::test]
async fn an_offer_that_has_moved_is_told_and_not_charged() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    acme.changes_its_catalog("unit_amount = 500", "unit_amount = 600")
        .await;
    let moved = acme.confirms(&id, &visa()).await;
    assert_eq!(moved.status, 409, "{moved}");
    assert_eq!(moved.body["estimates"]["current_invoice"]["total"], 3600);
    assert_eq!(moved.body["version"], 2);
    assert_eq!(world.stripe.all_subscriptions().await.len(), 0);
    // Whoever just tries again has agreed to nothing.
    assert_eq!(acme.confirms(&id, &visa()).await.status, 409);
    let mut agreed = visa();
    agreed["version"] = json!(1);
    assert_eq!(acme.confirms(&id, &agreed).await.status, 409);
    agreed["version"] = json!(2);
    let confirmed = acme.confirms(&id, &agreed).await;
    assert_eq!(confirmed.status, 200, "{confirmed}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3600]);
}

/// Stripe bills a customer in one currency: another one is a fault of the plan, by card and on a page, and the session stays open.
#[tokio::test]
async fn a_customer_pays_in_one_currency() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    acme.changes_its_catalog(
        "name = \"Team, annual\"\ncurrency = \"usd\"",
        "name = \"Team, annual\"\ncurrency = \"eur\"",
    )
    .await;
    acme.sells(&acme.order("starter")).await;
    let id = acme.session(&acme.order("team-annual")).await;
    for payer in [visa(), Value::Null] {
        assert_eq!(
            acme.confirms(&id, &payer).await,
            r#"400 {"error":{"fieldErrors":{"plan_id":["is in another currency than the customer pays in"]},"formErrors":[]}}"#
        );
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    }
    let mut guest = acme.guest_order("eve@example.com");
    guest["plan_id"] = json!(acme.plan("team-annual"));
    acme.sells(&guest).await;
    assert_eq!(world.stripe.charges().await, [3500, 75_000]);
}

#[tokio::test]
async fn a_plan_that_is_withdrawn_is_not_sold() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let order = acme.order("starter");
    let id = acme.session(&order).await;
    acme.changes_its_catalog("[plans.starter", "[plans.basic").await;
    assert_eq!(acme.confirms(&id, &visa()).await.status, 400);
    assert_eq!(acme.opens(&order).await.status, 400);
    assert_eq!(world.stripe.all_subscriptions().await.len(), 0);
}

/// The bakery owes twenty dollars from elsewhere, which Stripe would add to the bill: that is not what was estimated.
#[tokio::test]
async fn a_charge_that_would_not_be_the_estimate_is_not_made() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let acme = world.organisation("acme").await;
    acme.sells(&acme.order("starter")).await;
    let id = acme.session(&acme.order("starter")).await;
    let customer = world.stripe.all_customers().await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/customers/{customer}");
    world.stripe.operator("POST", &path, "balance=2000").await;
    let refused = acme.confirms(&id, &visa()).await;
    assert_eq!(refused.status, 409, "{refused}");
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    assert_eq!(world.stripe.charges().await, [3500]);
    // What the bakery has on account is taken off, as always.
    world.stripe.operator("POST", &path, "balance=-500").await;
    assert_eq!(acme.confirms(&id, &visa()).await.status, 200);
    assert_eq!(world.stripe.charges().await, [3500, 3000]);
}

/// The same of who names no payment method, and of a guest: no page is opened that would charge 55.00.
#[tokio::test]
async fn a_page_does_not_charge_what_is_owed_from_before() {
    for is_guest in [false, true] {
        let world = World::at("2026-04-01T01:00:00Z").await;
        let acme = world.organisation("acme").await;
        let order = if is_guest {
            acme.guest_order("eve@example.com")
        } else {
            acme.order("starter")
        };
        acme.sells(&order).await;
        let customers = world.stripe.all_customers().await;
        let path = path_of(&customers[0]);
        world.stripe.operator("POST", &path, "balance=2000").await;
        let id = acme.session(&order).await;
        let refused = acme.confirms(&id, &json!({})).await;
        assert_eq!(
            refused,
            r#"409 {"error":"the customer owes the payment provider something from before, which would be charged too; nothing was charged"}"#
        );
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
        assert_eq!(world.stripe.open_pages().await.len(), 0);
        // What is on account is taken off; of a guest, who does not use it up, there is none.
        let (balance, paid) = if is_guest { (0, 3500) } else { (-500, 3000) };
        let form = format!("balance={balance}");
        world.stripe.operator("POST", &path, &form).await;
        let pending = acme.confirms(&id, &json!({})).await;
        assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
        world.stripe.pays_page(&world.stripe.latest_page().await).await;
        assert_eq!(world.stripe.charges().await, [3500, paid]);
    }
}

#[tokio::test]
async fn a_preview_stores_nothing_and_asks_stripe_nothing() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let acme = world.organisation("acme").await;
    let machine = world.machine().await;
    let previewed = acme.previews_on(&machine, &acme.order("starter")).await.unwrap();
    assert_eq!(previewed.status, 200);
    assert_eq!(previewed.body.as_object().unwrap().len(), 1);
    assert_eq!(previewed.body["estimates"]["current_invoice"]["total"], 3500);
    for step in machine.network.steps() {
        assert!(
            matches!(step.as_str(), "DynamoDB GetItem" | "DynamoDB Query"),
            "{step}"
        );
    }
    assert_eq!(acme.previews(&json!({})).await.status, 400);
}

#[tokio::test]
async fn another_organisations_session_is_not_there() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let (acme, zenith) = (
        world.organisation("acme").await,
        world.organisation("zenith").await,
    );
    let id = acme.session(&acme.order("starter")).await;
    let unknown = r#"404 {"error":"no such checkout session"}"#;
    assert_eq!(zenith.reads(&id).await, unknown);
    assert_eq!(zenith.confirms(&id, &visa()).await, unknown);
    for id in ["0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e", "x", "%2e%2e"] {
        assert_eq!(acme.reads(id).await, unknown);
        assert_eq!(acme.confirms(id, &visa()).await, unknown);
    }
    // Nor are its plans and customers.
    let mut order = acme.order("starter");
    order["customer_id"] = json!(zenith.customer("bakery"));
    assert_eq!(acme.opens(&order).await.status, 400);
}

/// A key that may only read, and support staff, look and do not buy.
#[tokio::test]
async fn whoever_may_only_read_opens_and_confirms_nothing() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let order = acme.order("starter");
    let id = acme.session(&order).await;
    for (scopes, impersonator) in [
        (vec![Scope::BillingRead], None),
        (Scope::ALL.to_vec(), Some("sam.support")),
    ] {
        acme.key = acme.issues_a_key(scopes, impersonator).await;
        assert_eq!(acme.reads(&id).await.status, 200);
        assert_eq!(acme.previews(&order).await.status, 200);
        assert_eq!(acme.opens(&order).await.status, 403);
        assert_eq!(acme.confirms(&id, &visa()).await.status, 403);
    }
    acme.key = "sk_test_".to_owned();
    assert_eq!(acme.reads(&id).await.status, 401);
    assert_eq!(acme.opens(&order).await.status, 401);
}

/// The customer is made when the guest confirms, and not before; whoever comes again with the same address is the same one.
#[tokio::test]
async fn a_guest_becomes_a_customer_once() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let acme = world.organisation("acme").await;
    let order = guest(&acme, "Eve@example.com");
    let offered = acme.opens(&order).await;
    assert_eq!(offered.body["customer_id"], Value::Null);
    assert_eq!(offered.body["guest_checkout"], true);
    assert_eq!(offered.body["customer_data"], order["customer_data"]);
    assert_eq!(world.stripe.all_customers().await.len(), 0);
    let id = offered.body["id"].as_str().unwrap();
    assert_eq!(acme.confirms(id, &visa()).await.status, 200);
    let customer = acme.reads(id).await.body["customer_id"].clone();
    let at_stripe = world.stripe.all_customers().await;
    assert_eq!(at_stripe.len(), 1);
    assert_eq!(at_stripe[0]["email"], "Eve@example.com");
    assert_eq!(at_stripe[0]["address"]["line1"], "1 Main St");

    let again = acme.session(&guest(&acme, "eve@EXAMPLE.com")).await;
    assert_eq!(acme.confirms(&again, &visa()).await.status, 200);
    assert_eq!(acme.reads(&again).await.body["customer_id"], customer);
    assert_eq!(world.stripe.all_customers().await.len(), 1);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
}

/// The bakery of the catalog comes as a guest.
#[tokio::test]
async fn a_guest_with_a_known_address_is_who_has_it() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&guest(&acme, "bob@bakery.example")).await;
    assert_eq!(acme.confirms(&id, &visa()).await.status, 200);
    assert_eq!(
        acme.reads(&id).await.body["customer_id"],
        json!(acme.customer("bakery"))
    );
}

/// The bakery has a card of its own at Stripe, by which it pays unless it names another. Answers the customer.
pub(crate) async fn with_a_card_of_its_own(world: &World, acme: &Organisation<'_>, card: &str) -> String {
    acme.sells(&acme.order("starter")).await;
    gives_a_default(world, card).await
}

/// Gives the customer that was made last a card by which it pays unless it names another. Answers the customer.
pub(crate) async fn gives_a_default(world: &World, card: &str) -> String {
    let customer = world.stripe.all_customers().await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let form = format!("customer={customer}");
    let card = world
        .stripe
        .operator("POST", &format!("/v1/payment_methods/{card}/attach"), &form)
        .await;
    let form = format!(
        "invoice_settings[default_payment_method]={}",
        card["id"].as_str().unwrap()
    );
    let path = format!("/v1/customers/{customer}");
    world.stripe.operator("POST", &path, &form).await;
    customer
}

/// Somebody types the bakery's address: the bakery's card is not charged for it, and the page asks for one. Named by its id, the bakery
/// pays by its own.
#[tokio::test]
async fn a_guest_does_not_pay_by_the_card_of_who_has_the_address() {
    let world = World::at("2026-04-01T01:00:00Z").await;
    let acme = world.organisation("acme").await;
    let customer = with_a_card_of_its_own(&world, &acme, "pm_card_visa").await;

    let id = acme.session(&guest(&acme, "bob@bakery.example")).await;
    let answer = acme.confirms(&id, &Value::Null).await;
    assert_eq!(answer.body["checkout_status"], "pending", "{answer}");
    assert!(answer.body["url"].is_string(), "{answer}");
    assert_eq!(world.stripe.charges_of(&customer).await, [3500]);

    let id = acme.session(&acme.order("starter")).await;
    let answer = acme.confirms(&id, &Value::Null).await;
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
    assert_eq!(world.stripe.charges_of(&customer).await, [3500, 3500]);
}

/// Somebody types the bakery's address for a plan that begins with half a month, and pays that on the page of its bill: the next month is
/// charged to the same card, and not to the bakery's, which would not pay it.
#[tokio::test]
async fn a_guests_renewals_are_not_charged_to_the_card_of_who_has_the_address() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let customer = with_a_card_of_its_own(&world, &acme, "pm_card_chargeCustomerFail").await;
    let mut order = guest(&acme, "bob@bakery.example");
    order["plan_id"] = json!(acme.plan("team"));
    let id = acme.session(&order).await;
    let answer = acme.confirms(&id, &Value::Null).await;
    assert_eq!(answer.body["checkout_status"], "pending", "{answer}");
    let bill = world.stripe.latest_invoice().await;
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    let contract = acme.reads(&id).await.body["contract_id"].clone();
    world.advance("16d").await;
    let contract = contract.as_str().unwrap();
    assert_eq!(acme.covered_until(contract).await, "2026-06-01T00:00:00Z");
    // The bakery's own, half a month, and a month.
    let charges = world.stripe.charges_of(&customer).await;
    assert_eq!(charges.len(), 3, "{charges:?}");
}

/// A contract of a year, in months: eleven renewals, and then it is over.
#[tokio::test]
async fn a_contract_ends_when_it_was_to_end() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["end_date"] = json!("2026-06-01");
    let offered = acme.opens(&order).await;
    assert_eq!(offered.body["end_date"], "2026-06-01");
    let contract = acme.sells(&order).await;
    assert_eq!(
        acme.contract(&contract).await.contract.status,
        billing_core::contract::Status::Active
    );
    world.advance("70d").await;
    assert_eq!(
        acme.contract(&contract).await.contract.status,
        billing_core::contract::Status::Ended
    );
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    assert_eq!(acme.covered_until(&contract).await, "");

    order["end_date"] = json!("2026-07-01");
    let last = acme.opens(&order).await;
    assert_eq!(last.body["estimates"]["next_invoice"], Value::Null, "{last}");
}

/// Between the payment and the contract its end is set at Stripe: whoever reads the session meanwhile is told that it is paid.
#[tokio::test]
async fn a_session_that_is_paid_says_so_before_its_contract_is_written() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["end_date"] = json!("2026-06-01");
    let id = acme.session(&order).await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscriptions/");
    let visa = visa();
    let (confirmed, ()) = tokio::join!(acme.confirms_on(&machine, &id, &visa), async {
        machine.network.reached().await;
        let paid = acme.reads(&id).await;
        assert_eq!(paid.body["checkout_status"], "payment_succeeded", "{paid}");
        assert_eq!(paid.body["contract_id"], Value::Null, "{paid}");
        machine.network.lets_go();
    });
    let confirmed = confirmed.unwrap();
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.charges().await, [3500]);
}
