//! Time that nobody has paid for is not given back: Stripe would credit what was billed, paid or not, and call the subscription active while a
//! renewal is a draft, and once an operator has given it up or made it void.

use billing_tests::{Account, Moment, Organisation, World, path_of};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

const TOLD: &str = "the subscription's current period is not paid: its invoice has to be paid first";

const GIVEN_BACK: &str = "the subscription's current period was paid back in part: a change would give back more than is left of it";

/// What an operator does about a bill that nobody pays.
const WAYS: [&str; 2] = ["write_off", "void"];

fn to(interval: &str) -> Value {
    json!({ "interval": interval })
}

/// An operator does that to the bill that was made last; the events arrive.
async fn operator(world: &World, way: &str) -> Value {
    let bill = world.stripe.latest_invoice().await;
    let id = bill["id"].as_str().unwrap();
    if way == "void" {
        let path = format!("/v1/invoices/{id}/void");
        world.stripe.operator("POST", &path, "").await;
    } else {
        world.stripe.stand_in().write_off_invoice(id).await.unwrap();
    }
    world.stripe.stand_in().settle().await;
    bill
}

/// The change is refused, and the preview tells what it would cost all the same.
async fn is_refused(ada: &Account<'_>, interval: &str, context: &str) {
    let refused = ada.changes(&to(interval)).await;
    let told = json!({ "error": TOLD });
    assert_eq!((refused.status, &refused.body), (409, &told), "{context}");
    let previewed = ada.previews(&to(interval)).await;
    assert_eq!(previewed.status, 200, "{context}: {previewed}");
}

/// Nothing was paid besides, nothing waits, and nothing is on account.
async fn nothing_moved(world: &World, ada: &Account<'_>, paid: &[i64], context: &str) {
    let standing = world.stripe.subscription(ada).await;
    assert_eq!(standing["pending_update"], Value::Null, "{context}");
    assert_eq!(world.stripe.payments(ada).await, paid, "{context}");
    assert_eq!(
        world.stripe.customers(ada).await[0]["balance"],
        json!(0),
        "{context}"
    );
    assert_eq!(ada.stored().await.profile.change, None, "{context}");
}

/// An account whose year was not paid again: its card was declined two hours ago.
async fn declined(world: &World) -> Account<'_> {
    let ada = world.subscriber(1, "annual").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("365d").await;
    world.advance("2h").await;
    assert_eq!(world.stripe.subscription(&ada).await["status"], "past_due");
    ada
}

/// A year was paid, and an operator gave it all back. A change would have it credited once more, and pay eight months with it.
#[tokio::test]
async fn a_year_that_was_given_back_is_not_given_back_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "annual").await;
    let charge = world.stripe.latest_charge(&ada).await;
    world.stripe.refunds(&charge, 9599).await;
    world.advance("1d").await;
    world.stripe.refunds(&charge, 1).await;
    assert_eq!(ada.covered_until().await, "");
    is_refused(&ada, "monthly", "the year is back").await;
    nothing_moved(&world, &ada, &[9600], "the year is back").await;
    world.advance("365d").await;
    world.advance("2h").await;
    assert_eq!(ada.changes(&to("monthly")).await.status, 200, "the next is paid");
}

/// 96.00 that nobody paid would be credited, 10.00 charged, and the rest would pay eight months more. A bill that was given up can be paid; then
/// the change is made.
#[tokio::test]
async fn a_year_that_was_given_up_is_not_given_back() {
    for given_up_time_is_credited in [true, false] {
        for way in WAYS {
            let world = World::at("2026-04-01T00:00:00Z").await;
            world.stripe.is(Settings {
                given_up_time_is_credited,
                ..Settings::default()
            });
            let ada = declined(&world).await;
            let bill = operator(&world, way).await;
            assert_eq!(world.stripe.subscription(&ada).await["status"], "active", "{way}");
            is_refused(&ada, "monthly", way).await;
            nothing_moved(&world, &ada, &[9600], way).await;
            assert_eq!(ada.covered_until().await, "", "{way}");
            assert_eq!(
                ada.cancels().await.body["cancelAtPeriodEnd"],
                true,
                "it can be ended: {way}"
            );
            if way == "write_off" {
                world.stripe.pays_invoice(&bill, "pm_card_visa").await;
                assert_eq!(ada.covered_until().await, "2028-04-01T00:00:00Z");
                assert_eq!(ada.changes(&to("monthly")).await.body["changed"], true);
            }
        }
    }
}

/// In the hour in which the renewal is a draft, with and without a quote from before. An hour later it is paid, and the change is made: 96.00 less
/// what is left of the second month.
#[tokio::test]
async fn a_renewal_that_is_a_draft_is_waited_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("30d").await;
    assert_eq!(world.stripe.latest_invoice().await["status"], "draft");
    is_refused(&ada, "annual", "without a quote").await;
    let quote = ada.previews(&to("annual")).await.body;
    let mut quoted = to("annual");
    quoted["prorationDate"] = quote["prorationDate"].clone();
    let refused = ada.changes(&quoted).await;
    assert_eq!((refused.status, &refused.body), (409, &json!({ "error": TOLD })));
    nothing_moved(&world, &ada, &[1000], "a draft").await;
    world.advance("1h").await;
    assert_eq!(
        ada.changes(&quoted).await.body["changed"],
        true,
        "the quote stands"
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(&ada).await, [1000, 1000, 8600]);
    assert_eq!(quote["amountDueCents"], 8600);
}

/// A machine writes the change down in the last seconds of a month and dies before it asks Stripe. In the next month, which is not paid, it may still be on its
/// way for a minute, and is not begun anew after that.
#[tokio::test]
async fn a_change_that_was_begun_in_a_paid_month_is_not_made_in_an_unpaid_one() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("29d").await;
    world.advance("23h").await;
    world.advance("59m").await;
    world.advance("45s").await;
    let (machine, annual) = (world.machine().await, to("annual"));
    machine
        .network
        .stops_named(Moment::Before, "POST /v1/subscriptions/");
    machine.dies_over(ada.changes_on(&machine, &annual)).await;
    world.advance("20s").await;
    let busy = r#"409 {"error":"another change of the subscription is being made"}"#;
    assert_eq!(ada.changes(&annual).await, busy);
    world.advance("1m").await;
    is_refused(&ada, "annual", "begun anew").await;
    world.advance("2h").await;
    assert_eq!(ada.changes(&to("annual")).await.body["changed"], true);
    world.stripe.stand_in().settle().await;
    let payments = world.stripe.payments(&ada).await;
    assert_eq!(payments[..2], [1000, 1000], "{payments:?}");
}

/// The renewal is not the latest bill: an operator adds a number while it is a draft, and that is paid at once.
#[tokio::test]
async fn a_later_bill_that_is_paid_does_not_hide_the_renewal() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("30d").await;
    world.advance("30m").await;
    let standing = world.stripe.subscription(&ada).await;
    let path = path_of(&standing);
    let item = standing["items"]["data"][0]["id"].as_str().unwrap();
    let form = format!("items[0][id]={item}&items[0][quantity]=2&proration_behavior=always_invoice");
    world.stripe.operator("POST", &path, &form).await;
    world.stripe.stand_in().settle().await;
    let latest = world.stripe.latest_invoice().await;
    assert_eq!(
        (&latest["status"], &latest["billing_reason"]),
        (&json!("paid"), &json!("subscription_update"))
    );
    is_refused(&ada, "annual", "behind a later bill").await;
    world.advance("1h").await;
    assert_eq!(ada.changes(&to("annual")).await.body["changed"], true);
}

/// A change whose payment nobody made leaves a bill that is void, which is not the month's.
#[tokio::test]
async fn a_change_that_was_dropped_is_not_in_the_way_of_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("1d").await;
    world
        .stripe
        .gives_card(&ada, "pm_card_authenticationRequired")
        .await;
    assert_eq!(
        ada.changes(&to("annual")).await.body["payment"]["status"],
        "requires_action"
    );
    world.advance("24h").await;
    assert_eq!(world.stripe.latest_invoice().await["status"], "void");
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    assert_eq!(
        ada.changes(&to("annual")).await,
        r#"200 {"changed":true,"interval":"annual"}"#
    );
}

/// What costs nothing, what the customer had on account, and what is too little to be charged needs nobody to pay it.
#[tokio::test]
async fn a_month_that_took_no_payment_is_no_obstacle() {
    for how in ["a coupon", "a balance", "too little"] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(1, "monthly").await;
        let standing = world.stripe.subscription(&ada).await;
        let subscription = path_of(&standing);
        let customer = format!("/v1/customers/{}", standing["customer"].as_str().unwrap());
        let off = async |form: &str| {
            let coupon = world.stripe.operator("POST", "/v1/coupons", form).await;
            let form = format!("discounts[0][coupon]={}", coupon["id"].as_str().unwrap());
            world.stripe.operator("POST", &subscription, &form).await;
        };
        match how {
            "a coupon" => off("percent_off=100&duration=once").await,
            "too little" => off("amount_off=970&currency=usd&duration=once").await,
            _ => {
                world.stripe.operator("POST", &customer, "balance=-1000").await;
            }
        }
        world.advance("30d").await;
        world.advance("2h").await;
        assert_eq!(world.stripe.latest_invoice().await["amount_paid"], 0, "{how}");
        let changed = ada.changes(&to("annual")).await;
        assert_eq!(changed.body["changed"], true, "{how}: {changed}");
    }
}

/// An operator takes the whole renewal back by a credit note before it is paid. Stripe calls it paid, and the month is covered by nothing, whether
/// or not the credit note's own event arrives; nor is it given back.
#[tokio::test]
async fn a_renewal_that_was_forgiven_covers_nothing_and_is_not_given_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for (events, heard) in [
        (&["invoice.paid"][..], "the bill's event alone"),
        (
            &["invoice.paid", "credit_note.created"],
            "the credit note's after it",
        ),
        (&["credit_note.created", "invoice.paid"], "and before it"),
    ] {
        let ada = world.subscriber(1, "monthly").await;
        world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
        world.advance("31d").await;
        world.advance("2h").await;
        world.stripe.holds_events(true).await;
        let bill = world.stripe.invoices(&ada).await.swap_remove(0);
        let form = format!("invoice={}&amount=1000", bill["id"].as_str().unwrap());
        world.stripe.operator("POST", "/v1/credit_notes", &form).await;
        let forgiven = world.stripe.invoices(&ada).await.swap_remove(0);
        assert_eq!(
            (&forgiven["status"], &forgiven["amount_paid"]),
            (&json!("paid"), &json!(0))
        );
        for kind in events {
            let event = world.stripe.events(kind).pop().unwrap();
            assert_eq!(world.stripe.delivers(&event).await, 200, "{heard}");
            assert_eq!(world.stripe.delivers(&event).await, 200, "{heard}, once more");
            assert_eq!(ada.covered_until().await, "", "{heard}: {kind}");
        }
        assert_eq!(ada.stored().await.reversals.len(), 1, "{heard}");
        world.stripe.gives_card(&ada, "pm_card_visa").await;
        is_refused(&ada, "annual", heard).await;
        world.stripe.holds_events(false).await;
    }
}

/// Half of it was taken back, and the rest paid: the month is covered.
#[tokio::test]
async fn a_renewal_that_was_forgiven_in_part_and_paid_covers() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("30d").await;
    world.advance("2h").await;
    let bill = world.stripe.latest_invoice().await;
    let form = format!("invoice={}&amount=500", bill["id"].as_str().unwrap());
    world.stripe.operator("POST", "/v1/credit_notes", &form).await;
    world.stripe.pays_open_invoice(&ada).await;
    assert_eq!(ada.covered_until().await, "2026-06-01T00:00:00Z");
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    assert_eq!(ada.changes(&to("annual")).await.body["changed"], true);
}

/// What pays the contract that was sold last is declined from now on.
async fn is_declined_from_now_on(world: &World, method: &str) {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let form = format!("customer={}", latest["customer"].as_str().unwrap());
    let path = format!("/v1/payment_methods/{method}/attach");
    let attached = world.stripe.operator("POST", &path, &form).await;
    let path = path_of(&latest);
    let form = format!("default_payment_method={}", attached["id"].as_str().unwrap());
    world.stripe.operator("POST", &path, &form).await;
    world.stripe.stand_in().settle().await;
}

/// A session over so many seats of a starter contract, which has three.
async fn seats(acme: &Organisation<'_>, contract: &str, quantity: u32) -> String {
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": quantity });
    acme.session(&json!({ "contract_id": contract, "product_overrides": [seat] }))
        .await
}

/// Confirmed by what pays and by a card that is named: refused, with nothing under way, and the session is open still.
async fn is_not_amended(acme: &Organisation<'_>, contract: &str, session: &str, context: &str) {
    let before = acme.contract(contract).await;
    for body in [Value::Null, json!({ "payment_method_id": "pm_card_visa" })] {
        let refused = acme.confirms(session, &body).await;
        let told = json!({ "error": TOLD });
        assert_eq!((refused.status, &refused.body), (409, &told), "{context}");
        assert_eq!(
            acme.reads(session).await.body["checkout_status"],
            "open",
            "{context}"
        );
        let stored = acme.contract(contract).await;
        assert_eq!(
            (stored.contract.sale, stored.history),
            (None, before.history.clone()),
            "{context}"
        );
    }
}

/// More seats, and fewer, whose bill would be below zero and paid at once: May was declined, and an operator has given it up or made it void. What
/// becomes of a contract when its period ends needs no payment.
#[tokio::test]
async fn a_contract_whose_month_was_given_up_is_not_amended() {
    for way in WAYS {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let contract = acme.sells(&acme.order("starter")).await;
        is_declined_from_now_on(&world, "pm_card_chargeCustomerFail").await;
        world.advance("30d").await;
        world.advance("2h").await;
        let bill = operator(&world, way).await;
        assert_eq!(
            world.stripe.all_subscriptions().await[0]["status"],
            "active",
            "{way}"
        );
        is_declined_from_now_on(&world, "pm_card_visa").await;
        for quantity in [6, 2] {
            let session = seats(&acme, &contract, quantity).await;
            is_not_amended(&acme, &contract, &session, way).await;
        }
        assert_eq!(world.stripe.charges().await, [3500], "{way}");
        assert_eq!(acme.covered_until(&contract).await, "", "{way}");
        if way == "write_off" {
            world.stripe.pays_invoice(&bill, "pm_card_visa").await;
            let session = seats(&acme, &contract, 6).await;
            let sold = acme.confirms(&session, &Value::Null).await;
            assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
        }
    }
}

/// May was declined, and Stripe goes on trying: nothing is offered until it is paid, and an offer of before is not sold.
#[tokio::test]
async fn a_contract_that_is_past_due_is_offered_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    is_declined_from_now_on(&world, "pm_card_chargeCustomerFail").await;
    world.advance("30d").await;
    let session = seats(&acme, &contract, 6).await;
    world.advance("2h").await;
    assert_eq!(world.stripe.all_subscriptions().await[0]["status"], "past_due");
    let told = r#"409 {"error":"the contract's latest invoice has to be paid first"}"#;
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 5 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    assert_eq!(acme.opens(&more).await, told);
    assert_eq!(acme.previews(&more).await, told);
    assert_eq!(acme.confirms(&session, &Value::Null).await, told);
    assert_eq!(acme.reads(&session).await.body["checkout_status"], "open");
    let bill = world.stripe.latest_invoice().await;
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    assert_eq!(acme.previews(&more).await.status, 200);
}

/// More seats would credit the three that were given back.
#[tokio::test]
async fn a_contract_whose_month_was_given_back_is_not_amended() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let invoice = acme.contract(&contract).await.ledger.entries[0].invoice.clone();
    let charge = world.stripe.charge_of(invoice.as_str()).await;
    let session = seats(&acme, &contract, 5).await;
    world
        .stripe
        .refunds(&charge, charge["amount"].as_i64().unwrap())
        .await;
    is_not_amended(&acme, &contract, &session, "the month is back").await;
}

/// Five seats, then six: what the second charged was paid in part with what it gave back of the first, which the payer has back.
#[tokio::test]
async fn a_contract_whose_amendment_was_given_back_is_not_amended_through_a_later_one() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let mut bills = Vec::new();
    for quantity in [5, 6] {
        world.advance("1d").await;
        let session = seats(&acme, &contract, quantity).await;
        let sold = acme.confirms(&session, &Value::Null).await;
        assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
        world.stripe.stand_in().settle().await;
        bills.push(world.stripe.latest_invoice().await);
    }
    let charge = world.stripe.charge_of(bills[0]["id"].as_str().unwrap()).await;
    world
        .stripe
        .refunds(&charge, charge["amount"].as_i64().unwrap())
        .await;
    for quantity in [1, 8] {
        let session = seats(&acme, &contract, quantity).await;
        is_not_amended(&acme, &contract, &session, "five seats are back").await;
    }
}

/// 35.00 were paid. One seat instead of three gives 20.00 back, which is not there any more when 15.01 went back already; and is when it was a favour
/// of 15.00.
#[tokio::test]
async fn an_amendment_gives_back_no_more_than_is_left_of_what_was_paid() {
    for (given_back, is_made) in [(1501, false), (1500, true)] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let contract = acme.sells(&acme.order("starter")).await;
        let bill = world.stripe.latest_invoice().await;
        let charge = world.stripe.charge_of(bill["id"].as_str().unwrap()).await;
        world.stripe.refunds(&charge, given_back).await;
        let session = seats(&acme, &contract, 1).await;
        let answer = acme.confirms(&session, &Value::Null).await;
        assert_eq!(answer.status, if is_made { 200 } else { 409 }, "{answer}");
        let customer = world.stripe.all_customers().await.remove(0);
        assert_eq!(
            customer["balance"],
            if is_made { -2000 } else { 0 },
            "{given_back}"
        );
        if !is_made {
            assert_eq!(answer.body["error"], GIVEN_BACK);
            let session = seats(&acme, &contract, 4).await;
            let sold = acme.confirms(&session, &Value::Null).await;
            assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
        }
    }
}

/// A year of 96.00 was paid. A month instead gives 86.00 back, with a quote or without, which is not there any more when 10.01 went back already.
#[tokio::test]
async fn a_change_gives_back_no_more_than_is_left_of_what_was_paid() {
    for (given_back, is_made) in [(1001, false), (1000, true)] {
        for quoted in [false, true] {
            let world = World::at("2026-04-01T00:00:00Z").await;
            let ada = world.subscriber(1, "annual").await;
            let charge = world.stripe.latest_charge(&ada).await;
            world.stripe.refunds(&charge, given_back).await;
            let mut wish = to("monthly");
            if quoted {
                wish["prorationDate"] = ada.previews(&wish).await.body["prorationDate"].clone();
            }
            let answer = ada.changes(&wish).await;
            if is_made {
                assert_eq!(answer.body["changed"], true, "{answer}");
                assert_eq!(world.stripe.customers(&ada).await[0]["balance"], -8600);
            } else {
                assert_eq!((answer.status, &answer.body["error"]), (409, &json!(GIVEN_BACK)));
                nothing_moved(&world, &ada, &[9600], "in part").await;
            }
        }
    }
}

/// While May is a draft; and an hour later, by the same session.
#[tokio::test]
async fn a_contract_whose_renewal_is_a_draft_is_amended_when_it_is_paid() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("30d").await;
    let session = seats(&acme, &contract, 2).await;
    is_not_amended(&acme, &contract, &session, "a draft").await;
    world.advance("1h").await;
    let sold = acme.confirms(&session, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await[..2], [3500, 3500]);
}

/// Six seats were declined and dropped, then paid for, then more within the same month: what was dropped would have charged what there is now, and
/// is nobody's debt.
#[tokio::test]
async fn an_amendment_that_was_dropped_is_not_in_the_way_of_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("1d").await;
    is_declined_from_now_on(&world, "pm_card_chargeCustomerFail").await;
    let session = seats(&acme, &contract, 6).await;
    acme.confirms(&session, &Value::Null).await;
    world.advance("2d").await;
    let dropped = world.stripe.latest_invoice().await;
    assert_eq!(dropped["status"], "void");
    is_declined_from_now_on(&world, "pm_card_visa").await;
    for quantity in [6, 8, 3] {
        let session = seats(&acme, &contract, quantity).await;
        let sold = acme.confirms(&session, &Value::Null).await;
        assert_eq!(
            sold.body["checkout_status"], "contract_created",
            "{quantity}: {sold}"
        );
        world.stripe.stand_in().settle().await;
    }
}

/// The whole renewal of a contract is taken back before it is paid, and the credit note's event is lost: Stripe calls the bill paid, and May is covered
/// by nothing.
#[tokio::test]
async fn a_contract_is_not_covered_by_a_renewal_that_was_forgiven() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    is_declined_from_now_on(&world, "pm_card_chargeCustomerFail").await;
    world.advance("30d").await;
    world.advance("2h").await;
    world.stripe.holds_events(true).await;
    let bill = world.stripe.latest_invoice().await;
    let form = format!("invoice={}&amount=3500", bill["id"].as_str().unwrap());
    world.stripe.operator("POST", "/v1/credit_notes", &form).await;
    assert_eq!(world.stripe.latest_invoice().await["status"], "paid");
    let event = world.stripe.event("invoice.paid");
    for _ in 0..2 {
        assert_eq!(world.stripe.delivers(&event).await, 200);
        assert_eq!(acme.covered_until(&contract).await, "");
    }
    is_declined_from_now_on(&world, "pm_card_visa").await;
    let session = seats(&acme, &contract, 6).await;
    is_not_amended(&acme, &contract, &session, "forgiven").await;
}
