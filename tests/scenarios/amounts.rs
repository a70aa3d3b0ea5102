//! The most that Stripe charges at once, twelve digits, or 999,999.99 in dollars where a payment method has a limit of its own; and the least, 0.50.
//! Whatever comes to more, or to less where Stripe does not leave it to the next bill, is told as a fault of the quantity, and nothing is
//! stored, changed or left half-way.

use billing_tests::{Account, Machine, Organisation, World, path_of};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

use crate::changes::nothing_changed;

const NOW: &str = "2026-04-01T00:00:00Z";
const TOLD: &str = "comes to more than can be charged at once";

const TOO_LITTLE: &str = "comes to less than can be charged at once";

/// A world in which Stripe charges eight digits of a dollar at once, as where something else than a card pays.
async fn of_eight_digits() -> World {
    let world = World::at(NOW).await;
    world.stripe.is(Settings {
        charges_twelve_digits: false,
        ..Settings::default()
    });
    world
}

/// 400, with that one member at fault.
fn fault(member: &str, told: &str) -> String {
    format!(r#"400 {{"error":{{"fieldErrors":{{"{member}":["{told}"]}},"formErrors":[]}}}}"#)
}

fn faults(member: &str) -> String {
    fault(member, TOLD)
}

/// An account that is billed for that many by an operator's doing, from the next period on.
async fn billed_for(world: &World, quantity: u64) -> Account<'_> {
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription(&ada).await;
    let form = format!(
        "items[0][id]={}&items[0][quantity]={quantity}&proration_behavior=none",
        subscription["items"]["data"][0]["id"].as_str().unwrap()
    );
    let path = path_of(&subscription);
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
    let world = of_eight_digits().await;
    let ada = world.subscriber(1, "monthly").await;
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
    let world = of_eight_digits().await;
    let ada = world.subscriber(1, "monthly").await;
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
    let world = of_eight_digits().await;
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
    let world = of_eight_digits().await;
    let ada = billed_for(&world, 10_416).await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    assert_eq!(preview.body["amountDueCents"], 99_993_600 - 1000, "{preview}");
    let subscription = world.stripe.subscription(&ada).await;
    let form = format!(
        "items[0][id]={}&items[0][quantity]=10417&proration_behavior=none",
        subscription["items"]["data"][0]["id"].as_str().unwrap()
    );
    let path = path_of(&subscription);
    world.stripe.operator("POST", &path, &form).await;
    let quoted = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    assert_eq!(ada.changes(&quoted).await, faults("quantity").as_str());
    nothing_changed(&world, &ada, &[1000]).await;
}

/// A price of so much for a number and a year.
async fn price_of(world: &World, unit_amount: i64) -> String {
    let price =
        format!("product_data[name]=Number&currency=usd&unit_amount={unit_amount}&recurring[interval]=year");
    let price = world.stripe.operator("POST", "/v1/prices", &price).await;
    price["id"].as_str().unwrap().to_owned()
}

/// A machine that sells years at that price.
async fn machine_at(world: &World, price: &str) -> Machine {
    world.machine_told(&[("PRICE_ANNUAL", price)]).await
}

/// Two numbers at 500,000.00 a year, and at 0.24. No session and no reservation is left, nobody has to wait, and what can be charged is
/// sold next.
#[tokio::test]
async fn a_checkout_that_is_not_charged_leaves_nothing_behind() {
    for (unit_amount, told) in [(50_000_000, TOLD), (24, TOO_LITTLE)] {
        let world = of_eight_digits().await;
        let machine = machine_at(&world, &price_of(&world, unit_amount).await).await;
        let ada = world.account(2).await;
        let account = ada.id.parse().unwrap();
        for _ in 0..2 {
            let answer = ada.starts_checkout_on(&machine, "annual").await.unwrap();
            assert_eq!(answer, fault("quantity", told).as_str());
            assert!(world.stripe.sessions(&ada).await.is_empty());
            let reservation = world.stack().app.store().reservation(&account).await;
            assert_eq!(reservation.unwrap(), None);
        }
        ada.subscribes("annual").await;
        assert_eq!(world.stripe.payments(&ada).await, [19_200]);
    }
}

/// The machine dies over it at any step: whoever asks next is told the same, and nothing is left.
#[tokio::test]
async fn a_checkout_that_is_not_charged_converges_after_a_crash_at_any_step() {
    for (unit_amount, told) in [(50_000_000, TOLD), (24, TOO_LITTLE)] {
        let world = of_eight_digits().await;
        let price = price_of(&world, unit_amount).await;
        let other = machine_at(&world, &price).await;
        let mut finished = false;
        for step in 1..40 {
            let ada = world.account(2).await;
            let account = ada.id.parse().unwrap();
            let machine = machine_at(&world, &price).await;
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
            assert_eq!(answer, fault("quantity", told).as_str(), "died after step {step}");
            let reservation = world.stack().app.store().reservation(&account).await;
            assert_eq!(reservation.unwrap(), None, "died after step {step}");
            if finished {
                break;
            }
        }
        assert!(finished);
    }
}

/// A third number makes it 0.72. What costs nothing is no matter of the least.
#[tokio::test]
async fn as_many_as_come_to_the_least_are_sold_and_so_is_what_is_free() {
    let world = World::at(NOW).await;
    for (unit_amount, charged) in [(24, 72), (0, 0)] {
        let machine = machine_at(&world, &price_of(&world, unit_amount).await).await;
        let ada = world.account(3).await;
        let secret = ada
            .starts_checkout_on(&machine, "annual")
            .await
            .unwrap()
            .client_secret();
        world.stripe.pays(&secret).await;
        assert_eq!(world.stripe.payments(&ada).await.iter().sum::<i64>(), charged);
        assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
    }
}

/// The least is held to where the money is settled, which Stripe alone knows.
#[tokio::test]
async fn what_stripe_alone_finds_too_little_is_told_alike() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let machine = world.machine().await;
    machine.network.tells(
        "POST /v1/checkout/sessions",
        400,
        r#"{"error":{"type":"invalid_request_error","code":"amount_too_small","message":"The Checkout Session's total amount must convert to at least 1500 haleru."}}"#,
    );
    let answer = ada.starts_checkout_on(&machine, "monthly").await.unwrap();
    assert_eq!(answer, fault("quantity", TOO_LITTLE).as_str());
    ada.subscribes("monthly").await;
    assert_eq!(world.stripe.payments(&ada).await, [1000]);
}

/// Seats at 0.20, in an organisation's plan.
async fn sells_seats_for_little(world: &World) -> (Organisation<'_>, Value) {
    let mut acme = world.organisation("acme").await;
    let earlier = "pricing = { pricing_type = \"per_unit\", unit_amount = 1000 }";
    let little = "pricing = { pricing_type = \"per_unit\", unit_amount = 20 }";
    acme.changes_its_catalog(earlier, little).await;
    let seats = acme.product("starter", "Starter seat");
    let archive = acme.product("starter", "Call archive");
    let mut order = acme.order("starter");
    order["product_overrides"] = json!([
        { "product_id": seats, "quantity": 2 }, { "product_id": archive, "is_enabled": false },
    ]);
    (acme, order)
}

/// Two seats are 0.40, which Stripe's page does not take. Nothing is left of the sale. With a payment method they are sold, and due with
/// the next bill.
#[tokio::test]
async fn a_page_of_too_little_is_refused_and_a_payment_method_buys_it() {
    let world = World::at(NOW).await;
    let (acme, order) = sells_seats_for_little(&world).await;
    let id = acme.session(&order).await;
    for _ in 0..2 {
        let answer = acme.confirms(&id, &Value::Null).await;
        assert_eq!(answer, fault("product_overrides", TOO_LITTLE).as_str());
        let session = acme.reads(&id).await;
        assert_eq!(session.body["checkout_status"], "open", "{session}");
        assert!(world.stripe.open_pages().await.is_empty());
        assert!(world.stripe.all_subscriptions().await.is_empty());
        let contract = acme.stored(&id).await.contract;
        let left = acme.contract_if_any(contract.as_str()).await;
        assert!(left.is_none_or(|stored| stored.contract.sale.is_none()));
    }
    let sold = acme
        .confirms(&id, &json!({ "payment_method_id": "pm_card_visa" }))
        .await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    let bill = world.stripe.latest_invoice().await;
    assert_eq!(
        (&bill["status"], &bill["amount_paid"]),
        (&json!("paid"), &json!(0)),
        "{bill}"
    );
    world.advance("31d").await;
    let bill = world.stripe.latest_invoice().await;
    assert_eq!(bill["amount_paid"], 80, "{bill}");
}

/// The machine dies over it at any step: the next confirmation is told the same, and the session can be sold.
#[tokio::test]
async fn a_page_of_too_little_converges_after_a_crash_at_any_step() {
    let world = World::at(NOW).await;
    let (acme, order) = sells_seats_for_little(&world).await;
    let mut finished = false;
    for step in 1..60 {
        let id = acme.session(&order).await;
        let machine = world.machine().await;
        machine.network.stops(billing_tests::Moment::After, step);
        tokio::select! {
            answer = acme.confirms_on(&machine, &id, &Value::Null) => {
                assert_eq!(answer.unwrap().status, 400);
                finished = true;
            }
            () = machine.network.reached() => {}
        }
        machine.dies();
        let answer = acme.confirms(&id, &Value::Null).await;
        assert_eq!(
            answer,
            fault("product_overrides", TOO_LITTLE).as_str(),
            "died after step {step}"
        );
        assert_eq!(
            acme.reads(&id).await.body["checkout_status"],
            "open",
            "died after step {step}"
        );
        if finished {
            break;
        }
        world.advance("2m").await;
    }
    assert!(finished);
    assert!(world.stripe.open_pages().await.is_empty());
    assert!(world.stripe.all_subscriptions().await.is_empty());
}

/// A hundred seats of ten thousand forints, or pesos, are a million: not too much for a card, and sold. Where Stripe charges fewer digits, it refuses, and that is told as a fault of
/// the quantity: nothing is charged, and the session is open.
#[tokio::test]
async fn a_million_is_sold_where_stripe_charges_it() {
    for (currency, charges_twelve_digits, is_sold) in [
        ("huf", true, true),
        ("cop", true, true),
        ("cop", false, true),
        ("huf", false, false),
    ] {
        let world = World::at(NOW).await;
        world.stripe.is(Settings {
            charges_twelve_digits,
            ..Settings::default()
        });
        let mut acme = world.organisation("acme").await;
        let starter = |currency: &str, unit_amount: u32| {
            format!(
                "currency = \"{currency}\"\ncadence = \"P1M\"\n\n[plans.starter.products.seats]\nname = \"Starter seat\"\nrequired = true\n\
                 default_quantity = 3\nmin = 1\nmax = 100\n\
                 pricing = {{ pricing_type = \"per_unit\", unit_amount = {unit_amount} }}"
            )
        };
        acme.changes_its_catalog(&starter("usd", 1000), &starter(currency, 1_000_000))
            .await;
        let mut order = acme.order("starter");
        let seats = acme.product("starter", "Starter seat");
        order["product_overrides"] = json!([{ "product_id": seats, "quantity": 100 }]);
        let id = acme.session(&order).await;
        let visa = json!({ "payment_method_id": "pm_card_visa" });
        let confirmed = acme.confirms(&id, &visa).await;
        if is_sold {
            assert_eq!(
                confirmed.body["checkout_status"], "contract_created",
                "{confirmed}"
            );
            assert_eq!(world.stripe.charges().await, [100_000_500]);
        } else {
            assert_eq!(confirmed, faults("product_overrides").as_str());
            assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
            assert!(world.stripe.charges().await.is_empty());
        }
    }
}

/// 1,000,000,000 × 10.00: neither a preview nor a session is made of it, nor of an amendment to as many.
#[tokio::test]
async fn a_plan_of_too_many_is_no_offer() {
    let world = World::at(NOW).await;
    let mut acme = world.organisation("acme").await;
    acme.changes_its_catalog("max = 100\n", "max = 2000000000\n")
        .await;
    let seats = acme.product("starter", "Starter seat");
    let mut order = acme.order("starter");
    order["product_overrides"] = json!([{ "product_id": seats, "quantity": 1_000_000_000 }]);
    for answer in [acme.previews(&order).await, acme.opens(&order).await] {
        assert_eq!(answer, faults("product_overrides").as_str());
    }
    assert!(
        world.stripe.all_customers().await.is_empty(),
        "Stripe was asked nothing"
    );

    let contract = acme.sells(&acme.order("starter")).await;
    let amended = json!({
        "contract_id": contract, "product_overrides": [{ "product_id": seats, "quantity": 1_000_000_000 }],
    });
    assert_eq!(acme.opens(&amended).await, faults("product_overrides").as_str());
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// Four billion seats that cost nothing can be sold, and one more is a fault of the quantity: Stripe might not count as many.
#[tokio::test]
async fn too_many_of_what_costs_nothing_are_no_offer() {
    let world = World::at(NOW).await;
    let mut acme = world.organisation("acme").await;
    let seat = |max: u64, amount: u32| {
        format!("max = {max}\npricing = {{ pricing_type = \"per_unit\", unit_amount = {amount} }}")
    };
    acme.changes_its_catalog(&seat(100, 1000), &seat(999_999_999_999_999, 0))
        .await;
    let seats = acme.product("starter", "Starter seat");
    let mut order = acme.order("starter");
    for quantity in [4_294_967_296_u64, 999_999_999_999_999] {
        order["product_overrides"] = json!([{ "product_id": seats, "quantity": quantity }]);
        let told = format!("product {seats} must have a quantity of at most 4294967295");
        for answer in [acme.previews(&order).await, acme.opens(&order).await] {
            assert_eq!(answer, fault("product_overrides", &told).as_str());
        }
    }
    order["product_overrides"] = json!([{ "product_id": seats, "quantity": 4_294_967_295_u64 }]);
    acme.sells(&order).await;
    assert_eq!(world.stripe.charges().await, [500]);
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

/// Servers have a percentage off, so that a quantity may come to more than can be counted: that is told as what is only more than can be charged.
#[tokio::test]
async fn an_amount_beyond_counting_is_a_fault_of_the_choices() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("business");
    for quantity in [1_000_000_000_u64, 100_000_000_000, 999_999_999_999_999] {
        order["product_overrides"] =
            json!([{ "product_id": acme.product("business", "Server"), "quantity": quantity }]);
        for answer in [acme.previews(&order).await, acme.opens(&order).await] {
            assert_eq!(answer, faults("product_overrides").as_str(), "{quantity}");
        }
    }
}
