//! A contract becomes something else: another plan, other quantities.

use billing_core::contract::Contract;
use billing_tests::{Organisation, World};
use serde_json::{Value, json};

/// What a contract has: the plan, and how many of what.
pub(crate) fn told(contract: &Contract) -> Vec<String> {
    let taken = contract.standing.configuration.taken();
    taken
        .map(|chosen| format!("{} × {}", chosen.quantity, chosen.product.name))
        .collect()
}

/// An amendment of a starter contract to so many seats.
pub(crate) fn seats(acme: &Organisation<'_>, contract: &str, quantity: u64) -> Value {
    json!({
        "contract_id": contract,
        "product_overrides": [{ "product_id": acme.product("starter", "Starter seat"), "quantity": quantity }],
    })
}

/// A contract of the starter plan, on the eleventh of thirty days.
pub(crate) async fn ten_days_later<'w>(world: &'w World) -> (Organisation<'w>, String) {
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("10d").await;
    (acme, contract)
}

/// Two thirds of April are left: 3 × 10.00 come back as 20.00, 6 × 10.00 cost 40.00.
#[tokio::test]
async fn more_seats_are_prorated_to_the_second() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    let offered = acme.opens(&seats(&acme, &contract, 6)).await;
    assert_eq!(offered.status, 201, "{offered}");
    assert_eq!(offered.body["type"], "quantity_update");
    assert_eq!(offered.body["contract_id"], json!(contract));
    assert_eq!(offered.body["effective_at"], "2026-04-11T00:00:00Z");
    let invoice = &offered.body["estimates"]["current_invoice"];
    assert_eq!(invoice["total"], 2000);
    let amounts: Vec<_> = invoice["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["amount"])
        .collect();
    assert_eq!(amounts, [-2000, 4000]);
    assert_eq!(offered.body["estimates"]["next_invoice"]["total"], 6500);
    // An hour later it is the same offer still.
    world.advance("1h").await;
    let confirmed = acme
        .confirms(offered.body["id"].as_str().unwrap(), &Value::Null)
        .await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    assert_eq!(confirmed.body["contract_id"], json!(contract));
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 2000]);
    let stored = acme.contract(&contract).await;
    assert_eq!(told(&stored.contract), ["6 × Starter seat", "1 × Call archive"]);
    assert_eq!(stored.history.len(), 2);
    world.advance("21d").await;
    assert_eq!(world.stripe.charges().await, [3500, 2000, 6500]);
}

/// Two hours of April are left: −8.33 and +11.11 cents. Stripe charges nothing below half a dollar: the bill is paid as it is, and the two cents are
/// due with May's. Until then another amendment would bring them along, which nobody was told; and says so.
#[tokio::test]
async fn what_is_too_little_to_be_charged_is_due_with_the_next_bill() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("29d").await;
    world.advance("22h").await;
    let offered = acme.opens(&seats(&acme, &contract, 4)).await;
    assert_eq!(
        offered.body["estimates"]["current_invoice"]["amount_due"], 2,
        "{offered}"
    );
    let id = offered.body["id"].as_str().unwrap();
    let confirmed = acme.confirms(id, &Value::Null).await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    assert!(told(&acme.contract(&contract).await.contract).contains(&"4 × Starter seat".to_owned()));

    let more = acme.session(&seats(&acme, &contract, 100)).await;
    assert_eq!(
        acme.confirms(&more, &Value::Null).await,
        r#"409 {"error":"the customer owes the payment provider something from before, which would be charged too; nothing was charged"}"#
    );
    world.advance("4h").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 0, 4500 + 2]);
    let confirmed = acme
        .confirms(&acme.session(&seats(&acme, &contract, 5)).await, &Value::Null)
        .await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
}

/// Up to 25 seats cost the same: there is nothing to give back and to charge anew, so that not even a rounded cent is told which Stripe,
/// having nothing to change, would not bill.
#[tokio::test]
async fn another_quantity_of_the_same_band_costs_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("business")).await;
    world.advance("7s").await;
    let seat = acme.product("business", "Business seats");
    let offered = acme
        .opens(&json!({ "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": 22 }] }))
        .await;
    let invoice = &offered.body["estimates"]["current_invoice"];
    assert_eq!(
        (&invoice["total"], &invoice["lines"]),
        (&json!(0), &json!([])),
        "{offered}"
    );
    let id = offered.body["id"].as_str().unwrap();
    assert_eq!(
        acme.confirms(id, &Value::Null).await.body["checkout_status"],
        "contract_created"
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await.len(), 1);
    assert!(told(&acme.contract(&contract).await.contract).contains(&"22 × Business seats".to_owned()));
}

/// Stripe keeps a failure under the key by which the payment method is given to the customer, or to the contract's subscription: it is
/// given under the next, and what it pays for is charged once.
#[tokio::test]
async fn a_payment_method_that_cannot_be_given_under_its_key_is_given_under_the_next() {
    for step in ["POST /v1/payment_methods/", "POST /v1/subscriptions/sub_"] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, contract) = ten_days_later(&world).await;
        let id = acme.session(&seats(&acme, &contract, 6)).await;
        let machine = world.machine().await;
        let replayed = ("idempotent-replayed", "true");
        machine.network.answers(step, 500, replayed);
        let visa = json!({ "payment_method_id": "pm_card_visa" });
        let confirmed = acme.confirms_on(&machine, &id, &visa).await.unwrap();
        assert_eq!(
            confirmed.body["checkout_status"], "contract_created",
            "{step}: {confirmed}"
        );
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.charges().await, [3500, 2000], "{step}");
    }
}

/// A flat fee is one of its price at Stripe, whatever the quantity: another quantity is neither credited nor charged, and the seats
/// that come with it are. 3 × 10.00 to 4 × 10.00 seven seconds into April: of 2592000 s 2591993 are left, −30.00 and 39.99.
#[tokio::test]
async fn another_quantity_of_a_flat_fee_costs_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("7s").await;
    let archive = json!({ "product_id": acme.product("starter", "Call archive"), "quantity": 7 });
    let seats = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
    let offered = acme
        .opens(&json!({ "contract_id": contract, "product_overrides": [archive, seats] }))
        .await;
    let invoice = &offered.body["estimates"]["current_invoice"];
    assert_eq!(invoice["total"], 3999 - 3000, "{offered}");
    assert_eq!(invoice["lines"].as_array().unwrap().len(), 2, "{offered}");
    let id = offered.body["id"].as_str().unwrap();
    let confirmed = acme.confirms(id, &Value::Null).await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 999]);
    assert!(told(&acme.contract(&contract).await.contract).contains(&"7 × Call archive".to_owned()));
    // What was billed for it is still what comes back when it goes.
    let drop = json!([{ "product_id": acme.product("starter", "Call archive"), "is_enabled": false }]);
    let dropped = acme
        .previews(&json!({ "contract_id": contract, "product_overrides": drop }))
        .await;
    assert_eq!(
        dropped.body["estimates"]["current_invoice"]["total"], -500,
        "{dropped}"
    );
}

/// The archive goes: 20 of 30 days of 5.00 come back on the next bill, rounded in the customer's favour.
#[tokio::test]
async fn an_optional_product_is_dropped_with_credit_and_a_required_one_is_not() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    let drop = |product: &str| {
        json!({
            "contract_id": contract,
            "product_overrides": [{ "product_id": acme.product("starter", product), "is_enabled": false }],
        })
    };
    let refused = acme.opens(&drop("Starter seat")).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.to_string().contains("is required and cannot be dropped"),
        "{refused}"
    );
    let offered = acme.opens(&drop("Call archive")).await;
    assert_eq!(offered.body["estimates"]["current_invoice"]["total"], -334);
    assert_eq!(offered.body["estimates"]["current_invoice"]["amount_due"], 0);
    let confirmed = acme
        .confirms(offered.body["id"].as_str().unwrap(), &Value::Null)
        .await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    let stored = acme.contract(&contract).await;
    assert_eq!(told(&stored.contract), ["3 × Starter seat"]);
    world.advance("21d").await;
    assert_eq!(world.stripe.charges().await, [3500, 0, 3000 - 334]);
}

/// From a plan of seats that cost nothing to one that is paid for: there is nothing to give back, and a whole period begins. The next is due when
/// that is over.
#[tokio::test]
async fn what_cost_nothing_is_paid_for_from_the_day_that_it_costs_something() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let seat = |amount: u32| {
        format!("max = 100\npricing = {{ pricing_type = \"per_unit\", unit_amount = {amount} }}")
    };
    acme.changes_its_catalog(&seat(1000), &seat(0)).await;
    let archive = acme.product("starter", "Call archive");
    let mut order = acme.order("starter");
    order["product_overrides"] = json!([{ "product_id": archive, "is_enabled": false }]);
    let contract = acme.sells(&order).await;
    assert_eq!(world.stripe.charges().await, [0]);
    world.advance("10d").await;
    let offered = acme
        .opens(&json!({ "contract_id": contract, "plan_id": acme.plan("team") }))
        .await;
    let estimates = &offered.body["estimates"];
    let (now, next) = (&estimates["current_invoice"], &estimates["next_invoice"]);
    assert_eq!(now["period_end"], "2026-05-11T00:00:00Z", "{offered}");
    assert_eq!(now["total"], next["total"], "{offered}");
    let confirmed = acme
        .confirms(offered.body["id"].as_str().unwrap(), &Value::Null)
        .await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.stand_in().settle().await;
    let paid = now["total"].as_i64().unwrap();
    assert_eq!(world.stripe.charges().await, [0, paid]);
    assert_eq!(acme.covered_until(&contract).await, "2026-05-11T00:00:00Z");
    world.advance("29d").await;
    assert_eq!(world.stripe.charges().await, [0, paid]);
    world.advance("2d").await;
    assert_eq!(world.stripe.charges().await, [0, paid, paid]);
}

/// From 35.00 a month to 5 × 150.00 a year, at once: what is left of April comes back.
#[tokio::test]
async fn an_upgrade_takes_effect_at_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    let wish = json!({ "contract_id": contract, "plan_id": acme.plan("team-annual") });
    let offered = acme.opens(&wish).await;
    assert_eq!(offered.body["type"], "plan_change", "{offered}");
    assert_eq!(offered.body["effective_at"], "2026-04-11T00:00:00Z");
    let total = offered.body["estimates"]["current_invoice"]["total"]
        .as_i64()
        .unwrap();
    assert_eq!(total, 75000 - 2000 - 334);
    let confirmed = acme
        .confirms(offered.body["id"].as_str().unwrap(), &Value::Null)
        .await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, total]);
    assert_eq!(acme.covered_until(&contract).await, "2027-04-11T00:00:00Z");
    assert_eq!(
        told(&acme.contract(&contract).await.contract),
        ["5 × Annual team seat"]
    );
}

/// From a year of seats to months of them: nothing is charged or credited now, and the year is used up first.
#[tokio::test]
async fn a_downgrade_takes_effect_by_the_clock() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    world.advance("10d").await;
    let wish = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let offered = acme.opens(&wish).await;
    assert_eq!(offered.body["effective_at"], "2027-04-01T00:00:00Z", "{offered}");
    assert_eq!(offered.body["estimates"]["current_invoice"]["total"], 0);
    assert_eq!(offered.body["estimates"]["next_invoice"]["total"], 3500);
    let id = offered.body["id"].as_str().unwrap();
    let confirmed = acme.confirms(id, &Value::Null).await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [75000]);
    assert_eq!(
        told(&acme.contract(&contract).await.contract),
        ["5 × Annual team seat"]
    );
    // Until then nothing else can be changed.
    let other = json!({ "contract_id": contract, "plan_id": acme.plan("team") });
    assert_eq!(acme.opens(&other).await.status, 409);
    world.advance("354d").await;
    assert_eq!(
        told(&acme.contract(&contract).await.contract),
        ["5 × Annual team seat"]
    );
    world.advance("2d").await;
    let stored = acme.contract(&contract).await;
    assert_eq!(told(&stored.contract), ["3 × Starter seat", "1 × Call archive"]);
    assert_eq!(stored.contract.scheduled, None);
    assert_eq!(world.stripe.charges().await, [75000, 3500]);
    assert_eq!(acme.covered_until(&contract).await, "2027-05-01T00:00:00Z");
    // Nothing is left of the schedule: the contract can be amended at once.
    let more = seats(&acme, &contract, 4);
    assert_eq!(acme.opens(&more).await.status, 201);
    world.advance("31d").await;
    assert_eq!(world.stripe.charges().await, [75000, 3500, 3500]);
}

#[tokio::test]
async fn an_amendment_that_changes_nothing_is_refused() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    let same = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let refused = acme.opens(&same).await;
    assert_eq!(
        (
            refused.status,
            refused.to_string().contains("is the plan that the contract has")
        ),
        (400, true)
    );
    assert_eq!(acme.opens(&seats(&acme, &contract, 3)).await.status, 400);
    assert_eq!(acme.opens(&seats(&acme, &contract, 101)).await.status, 400);
    assert_eq!(
        acme.opens(&seats(&acme, "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e", 4))
            .await
            .status,
        400
    );
}

/// The same 20.00 as in the session that sells it, and nothing is kept of the question.
#[tokio::test]
async fn a_preview_of_an_amendment_is_what_it_comes_to() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    let stored = acme.contract(&contract).await.contract;
    let preview = acme.previews(&seats(&acme, &contract, 6)).await;
    assert_eq!(preview.status, 200, "{preview}");
    let offered = acme.opens(&seats(&acme, &contract, 6)).await;
    assert_eq!(preview.body["estimates"], offered.body["estimates"]);
    assert_eq!(preview.body["estimates"]["current_invoice"]["total"], 2000);
    assert_eq!(acme.contract(&contract).await.contract, stored);
}

/// The card declines: the change waits for its payment, is nothing until then, and takes effect when it is paid on the bill's page.
#[tokio::test]
async fn an_amendment_that_is_not_paid_waits() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    let id = acme.session(&seats(&acme, &contract, 6)).await;
    let pending = acme
        .confirms(&id, &json!({ "payment_method_id": "pm_card_chargeCustomerFail" }))
        .await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    assert_ne!(pending.body["url"], Value::Null);
    assert_eq!(
        told(&acme.contract(&contract).await.contract),
        ["3 × Starter seat", "1 × Call archive"]
    );
    world.stripe.pays_latest_invoice().await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "contract_created");
    assert_eq!(
        told(&acme.contract(&contract).await.contract),
        ["6 × Starter seat", "1 × Call archive"]
    );
    assert_eq!(world.stripe.charges().await, [3500, 2000]);
}

/// The month has gone by: what was quoted was a share of it.
#[tokio::test]
async fn an_offer_of_a_period_that_is_over_has_moved() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("719h").await;
    let id = acme.session(&seats(&acme, &contract, 6)).await;
    world.advance("3h").await;
    let moved = acme.confirms(&id, &Value::Null).await;
    assert_eq!(moved.status, 409, "{moved}");
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
}

/// The month has gone by, and the news of the next has not arrived: whoever asks is told to come back, and under the same key is answered then.
/// A confirmation reads for itself what Stripe bills by now.
#[tokio::test]
async fn between_a_periods_end_and_the_news_of_the_next_nothing_is_priced() {
    for confirms in [false, true] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let contract = acme.sells(&acme.order("starter")).await;
        world.advance("719h").await;
        let id = acme.session(&seats(&acme, &contract, 6)).await;
        world.stripe.holds_events(true).await;
        world.advance("3h").await;
        let wishes = [
            seats(&acme, &contract, 4),
            json!({ "contract_id": contract, "plan_id": acme.plan("team-annual") }),
        ];
        let opening = |wish: &Value| {
            let mut request = acme.request("POST", "/checkouts", wish);
            let key = wish.to_string().replace('"', "");
            request
                .headers_mut()
                .insert("idempotency-key", key.parse().unwrap());
            request
        };
        for wish in &wishes {
            let told = [acme.previews(wish).await, acme.sends(opening(wish)).await];
            for told in told {
                assert_eq!(
                    told,
                    r#"503 {"error":"temporarily unavailable, please try again"}"#
                );
                assert_eq!(told.header("retry-after"), "2");
            }
        }
        if confirms {
            let moved = acme.confirms(&id, &Value::Null).await;
            assert_eq!(
                (moved.status, &moved.body["version"]),
                (409, &json!(2)),
                "{moved}"
            );
            let stored = acme.contract(&contract).await.contract;
            assert_eq!(stored.standing.period.start.to_string(), "2026-05-01T00:00:00Z");
        } else {
            world.stripe.holds_events(false).await;
            world.stripe.stand_in().settle().await;
        }
        for wish in &wishes {
            let opened = acme.sends(opening(wish)).await;
            assert_eq!(opened.status, 201, "{opened}");
        }
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.charges().await, [3500, 3500]);
    }
}

/// Two sessions of one contract: the second was priced on what the contract is no longer.
#[tokio::test]
async fn an_offer_on_a_contract_that_was_amended_since_has_moved() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    let first = acme.session(&seats(&acme, &contract, 6)).await;
    let second = acme.session(&seats(&acme, &contract, 4)).await;
    assert_eq!(acme.confirms(&first, &Value::Null).await.status, 200);
    let moved = acme.confirms(&second, &Value::Null).await;
    assert_eq!(moved.status, 409, "{moved}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 2000]);
}

/// Five of a flat fee cost what one does, so that Stripe has nothing to change: no invoice is held against the quote, and what is named is
/// neither used nor looked at.
#[tokio::test]
async fn an_amendment_of_nothing_that_is_billed_asks_stripe_for_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let archive = acme.product("starter", "Call archive");
    let five = json!([{ "product_id": archive, "quantity": 5 }]);
    let wish = json!({ "contract_id": contract, "product_overrides": five });
    let id = acme.session(&wish).await;
    let machine = world.machine().await;
    let bank = json!({ "payment_method_id": "pm_usBankAccount" });
    let answer = acme.confirms_on(&machine, &id, &bank).await.unwrap();
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
    assert_eq!(machine.metric("QuoteMismatches"), 0);
    let asked = machine.network.steps();
    let asked: Vec<_> = asked
        .iter()
        .filter(|step| step.starts_with("POST /v1/"))
        .collect();
    assert!(asked.is_empty(), "{asked:?}");
    assert_eq!(world.stripe.charges().await, [3500]);
    assert_eq!(acme.contract(&contract).await.history.len(), 2);
}

/// Two products at 6.00 beside three seats at 10.00, which are taken or dropped one right after the other: for the two thirds of April that are left each
/// is 4.00, to be paid or credited. The bill of the first says nothing about the second, although it is of as much, and a moment old.
#[tokio::test]
async fn two_amendments_of_as_much_are_both_made() {
    for (is_taken, total) in [(true, 400), (false, -400)] {
        for is_heard_of in [true, false] {
            let context = format!("taken: {is_taken}, heard of: {is_heard_of}");
            let world = World::at("2026-04-01T00:00:00Z").await;
            let mut acme = world.organisation("acme").await;
            let priced =
                |cents| format!("pricing = {{ pricing_type = \"flat_fee\", unit_amount = {cents} }}");
            let another = format!(
                "{0}\n[plans.starter.products.recording]\nname = \"Recording\"\n{0}",
                priced(600)
            );
            acme.changes_its_catalog(&priced(500), &another).await;
            let both = ["Call archive", "Recording"].map(|name| acme.product("starter", name));
            let chosen = |product, is_taken| json!({ "product_id": product, "is_enabled": is_taken });
            let mut order = acme.order("starter");
            order["product_overrides"] = both.each_ref().map(|product| chosen(product, !is_taken)).into();
            let contract = acme.sells(&order).await;
            world.advance("10d").await;
            world.stripe.holds_events(!is_heard_of).await;
            for product in &both {
                let wish =
                    json!({ "contract_id": contract, "product_overrides": [chosen(product, is_taken)] });
                let offered = acme.opens(&wish).await;
                let quoted = &offered.body["estimates"]["current_invoice"]["total"];
                assert_eq!(*quoted, total, "{context}");
                let id = offered.body["id"].as_str().unwrap();
                let sold = acme.confirms(id, &Value::Null).await;
                assert_eq!(
                    sold.body["checkout_status"], "contract_created",
                    "{context}: {sold}"
                );
            }
            world.stripe.holds_events(false).await;
            let subscription = world.stripe.all_subscriptions().await.remove(0);
            let items = subscription["items"]["data"].as_array().unwrap().len();
            let charges = world.stripe.charges().await;
            if is_taken {
                assert_eq!((items, charges), (3, vec![3000, 400, 400]), "{context}");
            } else {
                assert_eq!((items, charges), (1, vec![4200, 0, 0]), "{context}");
            }
            assert_eq!(acme.contract(&contract).await.history.len(), 3, "{context}");
        }
    }
}
