//! Subscriptions that a bank debit pays. Stripe makes no change wait for one, and nobody is served before it has paid: such a change is
//! refused in words, before Stripe is asked, and a card makes it possible.

use billing_tests::{Account, Answer, Machine, World, at_every_death, at_every_step, path_of};
use serde_json::{Value, json};
use stripe_stand_in::{InvoiceAct, Settings};

use crate::changes::nothing_changed;

const BANK: &str = "pm_usBankAccount";
const CARD: &str = "pm_card_visa";
const TOLD: &str = "the subscription is paid by us_bank_account, with which it cannot be changed: it takes a card, or another payment \
                    method that pays at once";

/// Stripe's refusal of a payment method that is not known not to be on its list. The words are not Stripe's, which are not known.
const REFUSED: &str =
    r#"{"error":{"type":"invalid_request_error","param":"payment_behavior","message":"Not supported."}}"#;
/// What the subscriptions of these scenarios are paid by then.
const TOLD_OF_A_CARD: &str = "the subscription is paid by card, with which it cannot be changed: it takes a card, or another payment method that pays at once";

fn to(interval: &str) -> Value {
    json!({ "interval": interval })
}

/// One number, which the bank has been debited for.
async fn debited<'a>(world: &'a World, interval: &str) -> Account<'a> {
    let ada = world.account(1).await;
    let secret = ada.starts_checkout(interval).await.client_secret();
    world.stripe.checks_out_by_bank(&secret, "succeed").await;
    world.advance("73h").await;
    assert_ne!(ada.covered_until().await, "");
    ada
}

/// Refused in those words, and nothing has happened.
async fn refuses(world: &World, ada: &Account<'_>, wish: &Value, paid: &[i64]) {
    let refused = ada.changes(wish).await;
    assert_eq!(
        (refused.status, &refused.body),
        (409, &json!({ "error": TOLD })),
        "{wish}"
    );
    nothing_changed(world, ada, paid).await;
}

/// With and without a quote and a code, again and again, and in a trial. What it would cost can be asked for all the same; the subscription
/// can be ended, and that taken back; what it has already it has. A card that takes the account's place pays what was quoted: three days and
/// an hour of April's thirty are used, and 1000 × 647/720 = 898.6 given back.
#[tokio::test]
async fn a_debit_pays_for_no_change_and_a_card_does() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = debited(&world, "monthly").await;
    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SPRING20")
        .await;
    let quoted = ada.previews(&to("annual")).await;
    assert_eq!(quoted.body["amountDueCents"], 9600 - 899, "{quoted}");
    let with = |name: &str, value: &Value| json!({ "interval": "annual", name: value });
    let exact = with("prorationDate", &quoted.body["prorationDate"]);
    for wish in [
        to("annual"),
        to("annual"),
        exact.clone(),
        with("promotionCode", &json!("SPRING20")),
    ] {
        refuses(&world, &ada, &wish, &[1000]).await;
    }
    let mut once = ada.change_request(&to("annual"));
    once.headers_mut()
        .insert("idempotency-key", "once".parse().unwrap());
    let (first, again) = (ada.sends(once.clone()).await, ada.sends(once).await);
    assert_eq!((first.status, first.body), (again.status, again.body));
    assert_eq!(
        ada.stored().await.profile.changes,
        0,
        "Stripe was never to be asked"
    );
    assert_eq!(
        ada.changes(&to("monthly")).await,
        r#"200 {"changed":false,"interval":"monthly"}"#
    );
    assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
    assert_eq!(ada.resumes().await.body["cancelAtPeriodEnd"], false);

    world.stripe.gives_card(&ada, CARD).await;
    assert_eq!(ada.changes(&exact).await.body["changed"], true);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(&ada).await, [1000, 9600 - 899]);
}

/// Back to a month costs nothing now, and Stripe refuses it all the same; so does a change in a trial.
#[tokio::test]
async fn a_change_that_costs_nothing_is_refused_too() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = debited(&world, "annual").await;
    assert_eq!(ada.previews(&to("monthly")).await.body["amountDueCents"], 0);
    refuses(&world, &ada, &to("monthly"), &[9600]).await;
    world.stripe.gives_card(&ada, CARD).await;
    assert_eq!(ada.changes(&to("monthly")).await.body["changed"], true);
}

/// The subscription has a method of its own or is paid by the customer's: Stripe takes the former first.
#[tokio::test]
async fn what_pays_is_the_subscriptions_method_or_else_the_customers() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription(&ada).await;
    let customer = subscription["customer"].as_str().unwrap();
    let own = async |method: &str| {
        let path = format!("/v1/payment_methods/{method}/attach");
        let form = format!("customer={customer}");
        let attached = world.stripe.operator("POST", &path, &form).await;
        let form = format!(
            "invoice_settings[default_payment_method]={}",
            attached["id"].as_str().unwrap()
        );
        let path = format!("/v1/customers/{customer}");
        world.stripe.operator("POST", &path, &form).await;
    };
    own(BANK).await;
    assert_eq!(ada.changes(&to("annual")).await.body["changed"], true);
    world.stripe.stand_in().settle().await;
    let path = path_of(&subscription);
    world
        .stripe
        .operator("POST", &path, "default_payment_method=")
        .await;
    refuses(&world, &ada, &to("monthly"), &[1000, 8600]).await;
    own(CARD).await;
    assert_eq!(ada.changes(&to("monthly")).await.body["changed"], true);
}

/// The account was given after the change had been asked for by a card, which was declined: asking again tells the same payment, whose page
/// takes a card and no bank account.
#[tokio::test]
async fn a_change_that_waits_for_a_card_goes_on() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    let waits = ada.changes(&to("annual")).await;
    assert_eq!(
        waits.body["payment"]["status"], "requires_payment_method",
        "{waits}"
    );
    world.stripe.gives_card(&ada, BANK).await;
    assert_eq!(ada.changes(&to("annual")).await.body, waits.body);
    let invoice = world.stripe.latest_invoice().await;
    let by_bank = InvoiceAct {
        payment_method: Some(BANK.to_owned()),
        ..InvoiceAct::default()
    };
    let stand_in = world.stripe.stand_in();
    stand_in
        .act_on_invoice(invoice["id"].as_str().unwrap(), &by_bank)
        .await
        .unwrap_err();
    world.stripe.pays_invoice(&invoice, CARD).await;
    assert_eq!(
        ada.changes(&to("annual")).await,
        r#"200 {"changed":false,"interval":"annual"}"#
    );
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
}

/// Asks for a year on that machine; right before it asks Stripe for that, when it is written down, an operator has the subscription paid by
/// a bank account.
async fn changes_beside_an_operator(
    world: &World,
    ada: &Account<'_>,
    machine: &Machine,
    wish: &Value,
) -> Answer {
    machine.network.holds("DynamoDB UpdateItem");
    let mut asked = Box::pin(ada.changes_on(machine, wish));
    tokio::select! {
        early = &mut asked => return early.unwrap(),
        () = machine.network.reached() => {}
    }
    world.stripe.gives_card(ada, BANK).await;
    machine.network.lets_go();
    asked.await.unwrap()
}

/// Stripe refuses it by then. In the Stripe where a change with a code cannot wait it is not asked for at once either: it would be made, and
/// paid days later.
#[tokio::test]
async fn an_account_that_is_given_in_between_is_told() {
    for pending_updates_take_discounts in [true, false] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(Settings {
            pending_updates_take_discounts,
            ..Settings::default()
        });
        world
            .stripe
            .makes_code("percent_off=20&duration=once", "code=SPRING20")
            .await;
        for code in [None, Some("SPRING20")] {
            let ada = world.subscriber(1, "monthly").await;
            let mut wish = to("annual");
            if let Some(code) = code {
                wish["promotionCode"] = json!(code);
            }
            let machine = world.machine().await;
            let answer = changes_beside_an_operator(&world, &ada, &machine, &wish).await;
            assert_eq!(
                (answer.status, &answer.body),
                (409, &json!({ "error": TOLD })),
                "{code:?}"
            );
            nothing_changed(&world, &ada, &[1000]).await;
            world.stripe.gives_card(&ada, CARD).await;
            assert_eq!(ada.changes(&wish).await.body["changed"], true);
        }
    }
}

/// Stripe keeps its refusal under the key, whose answer was lost; a card pays once, whatever was lost before.
#[tokio::test]
async fn a_refusal_whose_answer_was_lost_is_told_too() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_step(async |step| {
        let ada = world.subscriber(1, "monthly").await;
        let machine = world.machine().await;
        machine.network.loses_answer(step);
        let wish = to("annual");
        let told = changes_beside_an_operator(&world, &ada, &machine, &wish).await;
        assert!(matches!(told.status, 409 | 503), "lost at step {step}: {told}");
        world.stripe.gives_card(&ada, CARD).await;
        assert_eq!(
            ada.changes(&wish).await.body["changed"],
            true,
            "lost at step {step}"
        );
        world.stripe.stand_in().settle().await;
        assert_eq!(
            world.stripe.payments(&ada).await,
            [1000, 8600],
            "lost at step {step}"
        );
        machine.network.steps().len() < step
    })
    .await;
}

/// Stripe refuses a kind of payment method of which nobody knows that it does: a conflict in words, and the next attempt goes through,
/// whether the machine told it or died over it.
#[tokio::test]
async fn a_refusal_that_nobody_expects_is_told_and_leaves_nothing_behind() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let wish = to("annual");
    let asks = async |ada: &Account<'_>, machine: &Machine| {
        for _ in 0..2 {
            machine.network.tells("POST /v1/subscriptions/sub_", 400, REFUSED);
        }
        ada.changes_on(machine, &wish).await
    };
    let ada = world.subscriber(1, "monthly").await;
    let machine = world.machine().await;
    let told = asks(&ada, &machine).await.unwrap();
    assert_eq!(
        (told.status, &told.body),
        (409, &json!({ "error": TOLD_OF_A_CARD }))
    );
    nothing_changed(&world, &ada, &[1000]).await;
    at_every_death(async |death| {
        let ada = world.subscriber(1, "monthly").await;
        let told = world
            .dies_over(death, async |machine: &Machine| asks(&ada, machine).await)
            .await;
        // It took effect where the machine died over Stripe's answer.
        assert_eq!(ada.changes(&wish).await.status, 200, "{death}");
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [1000, 8600], "{death}");
        told.is_some()
    })
    .await;
}

/// Two machines at once: both are told, and nothing is left behind.
#[tokio::test]
async fn whoever_asks_at_the_same_time_is_told_the_same() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = debited(&world, "monthly").await;
    at_every_step(async |step| {
        let wish = to("annual");
        let asks = async |machine: &Machine| ada.changes_on(machine, &wish).await;
        let held = world.held_over(step, asks, ada.changes(&wish)).await;
        for told in [&held.answer, &held.other] {
            assert_eq!(
                (told.status, &told.body),
                (409, &json!({ "error": TOLD })),
                "{step}"
            );
        }
        nothing_changed(&world, &ada, &[1000]).await;
        !held.was_held
    })
    .await;
}

/// The card was taken away at Stripe: there is nothing to charge, so that nothing is changed. With another one it is.
#[tokio::test]
async fn what_nothing_pays_is_not_changed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription(&ada).await;
    let path = path_of(&subscription);
    world
        .stripe
        .operator("POST", &path, "default_payment_method=")
        .await;
    let path = format!("/v1/customers/{}", subscription["customer"].as_str().unwrap());
    let none = "invoice_settings[default_payment_method]=";
    world.stripe.operator("POST", &path, none).await;
    world.advance("1d").await;
    for _ in 0..2 {
        assert_eq!(
            ada.changes(&to("annual")).await,
            r#"409 {"error":"the subscription has no payment method: it takes one first"}"#
        );
        nothing_changed(&world, &ada, &[1000]).await;
        assert_eq!(ada.stored().await.profile.change, None);
    }
    world.stripe.gives_card(&ada, CARD).await;
    assert_eq!(ada.changes(&to("annual")).await.status, 200);
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.billing().await.body["subscription"]["interval"], "annual");
}
