//! What the page of an account's checkout does beside taking the payment, where the deployment has it on: promotion codes, and tax. What is
//! quoted later is with tax, and is what is charged.

use billing_tests::{Account, Machine, Moment, World};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

const TAXED: [(&str, &str); 1] = [("CHECKOUT_AUTOMATIC_TAX", "true")];

/// A Stripe that collects this tax, in hundredths of a percent.
fn collects(world: &World, tax_basis_points: u32) {
    world.stripe.is(Settings {
        tax_basis_points,
        ..Settings::default()
    });
}

async fn checkout_on(ada: &Account<'_>, machine: &Machine) -> String {
    let answer = ada.starts_checkout_on(machine, "monthly").await.unwrap();
    answer.client_secret()
}

/// Of a customer in Germany, of whom 19 % are collected.
async fn taxed(world: &World) -> Account<'_> {
    collects(world, 1_900);
    let ada = world.account(3).await;
    let machine = world.machine_told(&TAXED).await;
    let secret = checkout_on(&ada, &machine).await;
    world
        .stripe
        .checks_out_with(&secret, &json!({ "country": "DE" }))
        .await;
    ada
}

/// A third off 30.00, once: 20.00 now, and 30.00 from the next month on. Without the switch the page takes no code.
#[tokio::test]
async fn a_payer_types_a_code_where_the_page_takes_one() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world
        .stripe
        .makes_code("amount_off=1000&currency=usd&duration=once", "code=LAUNCH")
        .await;
    let machine = world.machine_told(&[("CHECKOUT_PROMOTION_CODES", "true")]).await;
    let (ada, ben) = (world.account(3).await, world.account(3).await);
    let secret = checkout_on(&ada, &machine).await;
    world
        .stripe
        .checks_out_with(&secret, &json!({ "promotionCode": "launch" }))
        .await;
    assert_eq!(world.stripe.payments(&ada).await, [2000]);
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!(ada.ledger().await[0].amount.minor, 3000, "before discounts");
    world.advance("31d").await;
    assert_eq!(world.stripe.payments(&ada).await, [2000, 3000]);

    ben.starts_checkout("monthly").await;
    let open = world.stripe.payable_sessions(&ben).await;
    assert_eq!(open[0]["allow_promotion_codes"], Value::Null);
    assert_eq!(open[0]["automatic_tax"]["enabled"], false);
}

/// A code that takes everything off: there is nothing to pay, the bill of nothing is paid, and covers.
#[tokio::test]
async fn a_code_that_takes_everything_off_covers_as_a_payment_does() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world
        .stripe
        .makes_code("percent_off=100&duration=once", "code=FREE")
        .await;
    let machine = world.machine_told(&[("CHECKOUT_PROMOTION_CODES", "true")]).await;
    let ada = world.account(3).await;
    let secret = checkout_on(&ada, &machine).await;
    world
        .stripe
        .checks_out_with(&secret, &json!({ "promotionCode": "FREE" }))
        .await;
    assert_eq!(world.stripe.payments(&ada).await, [0]);
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
}

/// 3000 and 19 % of it are 3570. Ten days later a year is quoted: 2000 given back, 28800 charged, 26800 with 5092 of tax. That is what is
/// charged, whichever machine is asked.
#[tokio::test]
async fn what_is_quoted_is_with_tax_and_is_what_is_charged() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = taxed(&world).await;
    assert_eq!(world.stripe.payments(&ada).await, [3570]);
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!(ada.ledger().await[0].amount.minor, 3000, "before tax");

    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    assert_eq!(
        (&preview.body["amountDueCents"], &preview.body["taxCents"]),
        (&json!(26_800 + 5_092), &json!(5_092)),
        "{preview}"
    );
    let change = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    assert_eq!(ada.changes(&change).await.body["changed"], true);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(&ada).await, [3570, 31_892]);
    assert_eq!(ada.covered_until().await, "2027-04-11T00:00:00Z");
}

/// Stripe collects more of it since: what was quoted is charged, or nothing.
#[tokio::test]
async fn a_tax_that_was_raised_since_charges_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = taxed(&world).await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    collects(&world, 2_000);
    let change = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let refused = ada.changes(&change).await;
    assert_eq!(
        (refused.status, &refused.body["amountDueCents"]),
        (409, &json!(26_800 + 5_360)),
        "{refused}"
    );
    assert_eq!(world.stripe.payments(&ada).await, [3570]);
}

/// An account of which no tax is collected is told of none.
#[tokio::test]
async fn a_preview_without_tax_says_nothing_of_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    assert!(preview.body.get("taxCents").is_none(), "{preview}");
}

/// What was paid was with tax: what was paid for is covered until all of that went back.
#[tokio::test]
async fn coverage_ends_when_the_tax_was_given_back_too() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = taxed(&world).await;
    let charge = world.stripe.latest_charge(&ada).await;
    world.stripe.refunds(&charge, 3000).await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    world.stripe.refunds(&charge, 570).await;
    assert_eq!(ada.covered_until().await, "");
}

/// The switch is turned while a checkout is under way: its session was made and never recorded, and whoever asks again asks in other words.
/// One session can be paid, with tax.
#[tokio::test]
async fn a_switch_that_is_turned_in_between_leaves_one_session() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    collects(&world, 1_900);
    let ada = world.account(3).await;
    let before = world.machine().await;
    before.network.stops_named(Moment::After, "/v1/checkout/sessions");
    before.dies_over(ada.starts_checkout_on(&before, "monthly")).await;
    let after = world.machine_told(&TAXED).await;
    let secret = checkout_on(&ada, &after).await;
    world
        .stripe
        .checks_out_with(&secret, &json!({ "country": "DE" }))
        .await;
    assert_eq!(world.stripe.payments(&ada).await, [3570]);
    assert_eq!(world.stripe.subscriptions(&ada).await.len(), 1);
    assert_eq!(ada.starts_checkout("monthly").await.status, 409);
}
