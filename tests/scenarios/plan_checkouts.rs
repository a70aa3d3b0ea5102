//! A plan is sold: from the offer to the paid invoice.

use billing_tests::World;
use serde_json::{Value, json};
use stripe_stand_in::{Fault, FaultKind};

/// A card that pays.
const INVALID_SUCCESS: &str = r#"{"error":{"type":"invalid_request_error","code":"url_invalid","param":"success_url","message":"Not a valid URL"}}"#;
const INVALID_CANCEL: &str = r#"{"error":{"type":"invalid_request_error","code":"url_invalid","param":"cancel_url","message":"Not a valid URL"}}"#;

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

/// Three seats at 10.00 and the archive at 5.00: 35.00, now and every month.
#[tokio::test]
async fn a_plan_is_offered_confirmed_and_paid_for() {
    let world = World::at("2026-04-01T09:30:00Z").await;
    let acme = world.organisation("acme").await;
    let offered = acme.opens(&acme.order("starter")).await;
    assert_eq!(offered.status, 201, "{offered}");
    assert_eq!(offered.body["type"], "plan_based");
    assert_eq!(offered.body["checkout_status"], "open");
    assert_eq!(offered.body["contract_id"], Value::Null);
    assert_eq!(offered.body["start_date"], "2026-04-01");
    assert_eq!(offered.body["estimates"]["current_invoice"]["total"], 3500);
    assert_eq!(offered.body["estimates"]["next_invoice"]["total"], 3500);
    let id = offered.body["id"].as_str().unwrap();

    let confirmed = acme.confirms(id, &visa()).await;
    assert_eq!(confirmed.status, 200, "{confirmed}");
    assert_eq!(confirmed.body["checkout_status"], "contract_created");
    let contract = confirmed.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.covered_until(contract).await, "");

    world.stripe.stand_in().settle().await;
    assert_eq!(acme.covered_until(contract).await, "2026-05-01T09:30:00Z");
    assert_eq!(world.stripe.charges().await, [3500]);

    world.advance("32d").await;
    assert_eq!(acme.covered_until(contract).await, "2026-06-01T09:30:00Z");
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    assert_eq!(acme.contract(contract).await.history.len(), 1);
}

/// The second half of April: 15 of 30 days of 5 × 20.00 and 3 × 4.00.
#[tokio::test]
async fn a_plan_that_is_billed_on_the_first_begins_with_a_share() {
    let world = World::at("2026-04-16T09:30:00Z").await;
    let acme = world.organisation("acme").await;
    let offered = acme.opens(&acme.order("team")).await;
    assert_eq!(offered.body["estimates"]["current_invoice"]["total"], 5600);
    assert_eq!(offered.body["estimates"]["next_invoice"]["total"], 11200);
    let id = offered.body["id"].as_str().unwrap();
    // The quote stands, an hour later as well.
    world.advance("1h").await;
    let confirmed = acme.confirms(id, &visa()).await;
    assert_eq!(confirmed.status, 200, "{confirmed}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [5600]);
    let contract = confirmed.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.covered_until(contract).await, "2026-05-01T00:00:00Z");
    world.advance("16d").await;
    assert_eq!(world.stripe.charges().await, [5600, 11200]);
    assert_eq!(acme.covered_until(contract).await, "2026-06-01T00:00:00Z");
}

/// A step of 900.00, 4000 minutes at 0.02, a tenth of it all: what Stripe cannot express reaches it as an amount.
#[tokio::test]
async fn what_stripe_cannot_express_is_billed_as_an_amount() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("business");
    order["product_overrides"] = json!([{ "product_id": acme.product("business", "Server"), "quantity": 2 }]);
    let offered = acme.opens(&order).await;
    let total = offered.body["estimates"]["current_invoice"]["total"]
        .as_i64()
        .unwrap();
    // 90000 + 8000 + 2 × 3000 less a tenth, and a tenth of all that.
    assert_eq!(total, 90000 + 8000 + 5400 + 10340, "{offered}");
    acme.confirms(offered.body["id"].as_str().unwrap(), &visa()).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [total]);
}

#[tokio::test]
async fn confirming_again_answers_the_same() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let first = acme.confirms(&id, &visa()).await;
    let again = acme.confirms(&id, &visa()).await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    world.advance("48h").await;
    assert_eq!(acme.confirms(&id, &visa()).await.body, first.body);
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// Without a payment method the payer goes to Stripe's page, and returns from it.
#[tokio::test]
async fn a_payer_without_a_payment_method_pays_on_a_page() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["success_url"] = json!("https://app.example.com/done?session={CHECKOUT_SESSION_ID}");
    order["cancel_url"] = json!("https://app.example.com/cart");
    let id = acme.session(&order).await;
    let pending = acme.confirms(&id, &json!({})).await;
    assert_eq!(pending.status, 200, "{pending}");
    assert_eq!(pending.body["checkout_status"], "pending");
    let url = pending.body["url"].as_str().unwrap().to_owned();
    assert_eq!(acme.reads(&id).await.body["url"], json!(url));
    assert_eq!(acme.confirms(&id, &Value::Null).await.body, pending.body);
    let page = world.stripe.latest_page().await;
    assert_eq!(page["success_url"], order["success_url"]);
    assert_eq!(page["cancel_url"], order["cancel_url"]);
    assert_eq!(page["amount_total"], 3500);

    world.stripe.pays_page(&page).await;
    let done = acme.reads(&id).await;
    assert_eq!(done.body["checkout_status"], "contract_created", "{done}");
    let contract = done.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.covered_until(contract).await, "2026-05-01T00:00:00Z");
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// A card that has to be confirmed by its owner leads to the page as well; a declined one leaves everything as it was.
#[tokio::test]
async fn a_card_that_does_not_pay_at_once_charges_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let declined = acme
        .confirms(&id, &json!({ "payment_method_id": "pm_card_chargeCustomerFail" }))
        .await;
    assert_eq!(declined.status, 402, "{declined}");
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    let pending = acme
        .confirms(
            &id,
            &json!({ "payment_method_id": "pm_card_authenticationRequired" }),
        )
        .await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    assert_ne!(pending.body["url"], Value::Null);
    // Another card instead of the page.
    let paid = acme.confirms(&id, &visa()).await;
    assert_eq!(paid.body["checkout_status"], "contract_created", "{paid}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500]);
    assert_eq!(world.stripe.latest_page().await["status"], "expired");
}

/// Stripe reads addresses more strictly than browsers do: which one it does not take is told, and the session stays open. The deployment's own
/// is nobody's fault who calls.
#[tokio::test]
async fn an_address_that_stripe_does_not_take_is_a_fault_of_the_request() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["cancel_url"] = json!("https://app.example.com/cart");
    let without = acme.session(&order).await;
    order["success_url"] = json!("https://app.example.com/done");
    let id = acme.session(&order).await;
    for (param, session, told) in [
        ("success_url", &id, 400),
        ("cancel_url", &id, 400),
        ("success_url", &without, 502),
    ] {
        let machine = world.machine().await;
        let body = match param {
            "success_url" => INVALID_SUCCESS,
            _ => INVALID_CANCEL,
        };
        machine.network.tells("POST /v1/checkout/sessions", 400, body);
        let refused = acme.confirms_on(&machine, session, &Value::Null).await.unwrap();
        assert_eq!(refused.status, told, "{refused}");
        if told == 400 {
            let faults = refused.body["error"]["fieldErrors"].as_object().unwrap();
            assert_eq!(faults.keys().collect::<Vec<_>>(), [param], "{refused}");
        }
        assert_eq!(acme.reads(session).await.body["checkout_status"], "open");
    }
}

/// Stripe keeps a failure under the key of a price: the next number asks for it under another.
#[tokio::test]
async fn a_price_that_cannot_be_made_under_its_key_is_made_under_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("business")).await;
    let machine = world.machine().await;
    let kept = ("idempotent-replayed", "true");
    machine.network.answers("POST /v1/prices", 500, kept);
    let sold = acme.confirms_on(&machine, &id, &visa()).await.unwrap();
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    assert_eq!(world.stripe.charges().await.len(), 1);
}

/// Stripe opens a page and keeps a failure under the key: nobody has seen its address, and another is opened under the next number.
#[tokio::test]
async fn a_page_that_was_told_as_a_failure_is_opened_under_the_next_number() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let kept = Fault::new(FaultKind::StatusAfter { status: 500 });
    let opening = kept.on("POST", "/v1/checkout/sessions");
    world.stripe.stand_in().add_fault(opening);
    let pending = acme.confirms(&id, &Value::Null).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    assert_eq!(acme.confirms(&id, &Value::Null).await.body, pending.body);
    let page = world.stripe.latest_page().await;
    assert_eq!(page["url"], pending.body["url"]);
    world.stripe.pays_page(&page).await;
    assert_eq!(world.stripe.charges().await, [3500]);
    let sold = acme.reads(&id).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
}

/// From the 1st to the 15th of March are 14 of the 31 days that Stripe takes the share of: of 100.00 and of 12.00. A seat more on the 8th is a share of the
/// same, and the next period is a whole one.
#[tokio::test]
async fn a_short_first_period_is_the_share_that_stripe_takes() {
    let world = World::at("2026-03-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    acme.changes_its_catalog("anchor = { day_of_month = 1 }", "anchor = { day_of_month = 15 }")
        .await;
    let contract = acme.sells(&acme.order("team")).await;
    assert_eq!(world.stripe.charges().await, [4516 + 541]);
    assert_eq!(acme.covered_until(&contract).await, "2026-03-15T00:00:00Z");
    world.advance("7d").await;
    let seat = json!({ "product_id": acme.product("team", "Team seat"), "quantity": 6 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    // 7 of 31 days: 100.00 back, and 6 × 15.00 to pay.
    let id = acme.session(&more).await;
    let sold = acme.confirms(&id, &serde_json::Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    let bill = world.stripe.latest_invoice().await;
    assert_eq!(bill["total"], 2032 - 2259);
    world.advance("7d").await;
    world.advance("2h").await;
    assert_eq!(acme.covered_until(&contract).await, "2026-04-15T00:00:00Z");
    assert_eq!(world.stripe.latest_invoice().await["total"], 9000 + 1200);
}

/// In Chile the 29th, 30th and 31st of January begin at three by UTC, and a day of winter at four. From there to the 28th of February is a whole
/// month, which ends at three, as Stripe counts it; so do all that follow.
#[tokio::test]
async fn a_month_to_the_last_of_february_is_sold_where_summer_ends() {
    for day in [29, 30, 31] {
        let world = World::at(&format!("2027-01-{day}T15:00:00Z")).await;
        let mut acme = world.organisation("acme").await;
        acme.changes_its_catalog(
            "time_zone = \"Pacific/Auckland\"\n",
            r#"time_zone = "America/Santiago"

[plans.viento]
name = "Viento"
currency = "clp"
cadence = "P1M"
anchor = { day_of_month = 28 }

[plans.viento.products.line]
name = "Line"
required = true
default_quantity = 1
pricing = { pricing_type = "flat_fee", unit_amount = 10000 }
"#,
        )
        .await;
        let mut order = acme.guest_order("eve@example.com");
        order["plan_id"] = json!(acme.plan("viento"));
        order["business_entity_id"] = json!(acme.entity("auckland"));
        let offered = acme.opens(&order).await;
        let first = &offered.body["estimates"]["current_invoice"];
        assert_eq!(
            (&first["total"], &first["period_end"]),
            (&json!(10_000), &json!("2027-02-28T03:00:00Z")),
            "{offered}"
        );
        let contract = acme.sells(&order).await;
        assert_eq!(world.stripe.charges().await, [10_000]);
        assert_eq!(acme.covered_until(&contract).await, "2027-02-28T03:00:00Z");
        world.advance("30d").await;
        assert_eq!(acme.covered_until(&contract).await, "2027-03-28T03:00:00Z");
        assert_eq!(world.stripe.charges().await, [10_000, 10_000]);
        // In winter.
        world.advance("92d").await;
        assert_eq!(acme.covered_until(&contract).await, "2027-06-28T03:00:00Z");
    }
}

/// 5 × 99.5 cents and one of 49.5 are 547: Stripe rounds each tier, which comes to 548, so what is sold is the amount.
#[tokio::test]
async fn tiers_of_fractions_are_sold_at_what_is_quoted() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    acme.changes_its_catalog(
        r#"pricing_type = "volume"
tiers = [
    { up_to = 5, unit_amount = 2000 },
    { unit_amount = 1500 },
]"#,
        r#"pricing_type = "tiered"
tiers = [
    { up_to = 5, unit_amount = "99.5" },
    { unit_amount = "49.5" },
]"#,
    )
    .await;
    let mut order = acme.order("team");
    order["product_overrides"] = json!([{ "product_id": acme.product("team", "Team seat"), "quantity": 6 }]);
    acme.sells(&order).await;
    assert_eq!(world.stripe.charges().await, [547 + 1200]);
}
