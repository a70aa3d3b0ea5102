//! Promotion codes: taken by preview and change, or by neither; never used up by a payment that failed.

use billing_tests::{Account, World};
use serde_json::{Value, json};

use crate::changes::nothing_changed;

/// How often a code was redeemed.
async fn redeemed(world: &World, code: &str) -> i64 {
    let code = world
        .stripe
        .operator("GET", &format!("/v1/promotion_codes/{code}"), "")
        .await;
    code["times_redeemed"].as_i64().unwrap()
}

async fn subscribed(world: &World) -> Account<'_> {
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    ada
}

fn with(code: &str) -> Value {
    json!({ "interval": "annual", "promotionCode": code })
}

/// 20 % of 28800 are 5760: −2000 + 28800 − 5760 = 21040. 50.00 off: −2000 + 28800 − 5000 = 21800. What is previewed is charged,
/// however the code is spelt.
#[tokio::test]
async fn a_share_and_an_amount_are_taken_off_as_previewed() {
    for (coupon, off, due) in [
        ("percent_off=20", 5760, 21_040),
        ("amount_off=5000&currency=usd", 5000, 21_800),
    ] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = subscribed(&world).await;
        let code = world
            .stripe
            .makes_code(&format!("{coupon}&duration=once"), "code=SPRING20")
            .await;
        let preview = ada.previews(&with("spring20")).await;
        assert_eq!(
            (&preview.body["discountCents"], &preview.body["amountDueCents"]),
            (&json!(off), &json!(due)),
            "{preview}"
        );
        assert_eq!(redeemed(&world, &code).await, 0);
        assert_eq!(ada.changes(&with("Spring20")).await.body["changed"], true);
        assert_eq!(world.stripe.payments(&ada).await, [3000, due]);
        assert_eq!(redeemed(&world, &code).await, 1);
    }
}

/// Every code that cannot be used is refused by preview and by change, in the same words, and nothing happens.
#[tokio::test]
async fn a_code_that_does_not_apply_is_refused_by_both() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let other = world.stripe.operator("POST", "/v1/products", "name=Other").await;
    let other = other["id"].as_str().unwrap();
    let share = "percent_off=20&duration=once";
    let expires = world.now().as_second() + 3600;
    world
        .stripe
        .makes_code(share, &format!("code=OLD&expires_at={expires}"))
        .await;
    world
        .stripe
        .makes_code(&format!("{share}&applies_to[products][0]={other}"), "code=OTHER")
        .await;
    // Whoever makes a product may choose its id.
    let chosen = "id=Voice%20Agent%202027&name=Chosen";
    world.stripe.operator("POST", "/v1/products", chosen).await;
    let of_chosen = format!("{share}&applies_to[products][0]=Voice%20Agent%202027");
    world.stripe.makes_code(&of_chosen, "code=CHOSEN").await;
    world
        .stripe
        .makes_code(share, "code=NEW&restrictions[first_time_transaction]=true")
        .await;
    world
        .stripe
        .makes_code(
            share,
            "code=BIG&restrictions[minimum_amount]=1000&restrictions[minimum_amount_currency]=usd",
        )
        .await;
    world
        .stripe
        .makes_code("amount_off=100&currency=eur&duration=once", "code=EURO")
        .await;
    world.stripe.makes_code(share, "code=OFF&active=false").await;
    world.stripe.makes_code(share, "code=ONE&max_redemptions=1").await;
    let bob = world.subscriber(1, "monthly").await;
    let customer = world.stripe.customer_id(&bob).await;
    world
        .stripe
        .makes_code(share, &format!("code=BOBS&customer={customer}"))
        .await;
    let ada = subscribed(&world).await;
    assert_eq!(bob.changes(&with("ONE")).await.body["changed"], true);
    for (code, why) in [
        ("NOBODY", "does not exist"),
        ("OLD", "has expired"),
        ("OTHER", "is not valid for this subscription"),
        ("CHOSEN", "is not valid for this subscription"),
        ("NEW", "is for first-time customers only"),
        ("BIG", "is for new subscriptions only, as it has a minimum amount"),
        ("EURO", "is not valid for this subscription"),
        ("OFF", "is not active"),
        ("one", "has been used up"),
        ("BOBS", "does not exist"),
    ] {
        let told = json!({ "error": format!("promotion code {code:?} {why}") });
        for answer in [ada.previews(&with(code)).await, ada.changes(&with(code)).await] {
            assert_eq!((answer.status, &answer.body), (400, &told));
        }
    }
    nothing_changed(&world, &ada, &[3000]).await;
}

/// Quoted, and used up by somebody else before the change: refused, nothing changed.
#[tokio::test]
async fn a_code_that_was_used_up_since_the_quote_changes_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let bob = world.subscriber(1, "monthly").await;
    let ada = subscribed(&world).await;
    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=ONE&max_redemptions=1")
        .await;
    let preview = ada.previews(&with("ONE")).await;
    assert_eq!(bob.changes(&with("ONE")).await.body["changed"], true);
    let mut wish = with("ONE");
    wish["prorationDate"] = preview.body["prorationDate"].clone();
    assert_eq!(
        ada.changes(&wish).await,
        r#"400 {"error":"promotion code \"ONE\" has been used up"}"#
    );
    nothing_changed(&world, &ada, &[3000]).await;
}

/// What Stripe alone knows of a code it says in words alone: refused, nothing changed.
#[tokio::test]
async fn a_code_that_stripe_refuses_without_a_word_that_is_documented_changes_nothing() {
    const TOLD: &str = r#"{"error":{"type":"invalid_request_error","message":"This promotion code cannot be redeemed because the associated customer has prior transactions."}}"#;
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = subscribed(&world).await;
    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SPRING20")
        .await;
    let machine = world.machine().await;
    machine.network.tells("POST /v1/subscriptions/", 400, TOLD);
    assert_eq!(
        ada.changes_on(&machine, &with("SPRING20")).await.unwrap(),
        r#"400 {"error":"promotion code \"SPRING20\" is not valid for this subscription"}"#
    );
    nothing_changed(&world, &ada, &[3000]).await;
}

/// The card is declined and Stripe drops the change: the code is as good as before, for this account too.
#[tokio::test]
async fn a_payment_that_failed_does_not_use_up_a_code() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = subscribed(&world).await;
    let code = world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=ONE&max_redemptions=1")
        .await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    assert_eq!(
        ada.changes(&with("ONE")).await.body["payment"]["status"],
        "requires_payment_method"
    );
    assert_eq!(redeemed(&world, &code).await, 0);
    world.advance("1d").await;
    assert_eq!(redeemed(&world, &code).await, 0);
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    assert_eq!(
        ada.changes(&with("ONE")).await,
        r#"200 {"changed":true,"interval":"annual"}"#
    );
    assert_eq!(redeemed(&world, &code).await, 1);
}

/// A fifth off for ever, for one redemption: on the subscription it is used up for everybody. Naming it again, in whatever spelling, is
/// what not naming it is: the same amounts, the same discount, not one redemption more. Another code takes its place.
#[tokio::test]
async fn a_code_that_the_subscription_has_is_neither_redeemed_again_nor_started_over() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = subscribed(&world).await;
    let terms = "percent_off=20&duration=repeating&duration_in_months=24";
    let code = world
        .stripe
        .makes_code(terms, "code=LONG20&max_redemptions=1")
        .await;
    assert_eq!(ada.changes(&with("LONG20")).await.body["changed"], true);
    let discounts = world.stripe.subscription(&ada).await["discounts"].clone();
    assert_eq!(
        (discounts.as_array().unwrap().len(), redeemed(&world, &code).await),
        (1, 1)
    );
    world.stripe.stand_in().settle().await;
    world.advance("73d").await;
    let named = json!({ "interval": "monthly", "promotionCode": " long20 " });
    let (with_it, without) = (
        ada.previews(&named).await,
        ada.previews(&json!({ "interval": "monthly" })).await,
    );
    assert_eq!(with_it.status, 200, "{with_it}");
    assert_eq!(with_it.body, without.body);
    let mut wish = named.clone();
    wish["prorationDate"] = with_it.body["prorationDate"].clone();
    assert_eq!(
        ada.changes(&wish).await,
        r#"200 {"changed":true,"interval":"monthly"}"#
    );
    assert_eq!(world.stripe.subscription(&ada).await["discounts"], discounts);
    assert_eq!(redeemed(&world, &code).await, 1);
    let bob = world.subscriber(1, "monthly").await;
    assert_eq!(
        bob.changes(&with("LONG20")).await,
        r#"400 {"error":"promotion code \"LONG20\" has been used up"}"#
    );
    world
        .stripe
        .makes_code("percent_off=50&duration=forever", "code=HALF")
        .await;
    assert_eq!(ada.changes(&with("HALF")).await.body["changed"], true);
    let replaced = world.stripe.subscription(&ada).await["discounts"].clone();
    assert!(
        replaced.as_array().unwrap().len() == 1 && replaced != discounts,
        "{replaced}"
    );
}

/// Letters that are none of a code's are refused by their place, and never reach Stripe.
#[tokio::test]
async fn what_can_be_no_code_is_a_fault_of_its_member() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = subscribed(&world).await;
    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SPRING20")
        .await;
    for code in [
        "",
        " ",
        "SPRING 20",
        "SPRING20\u{200b}",
        "ＳＰＲＩＮＧ２０",
        "SPRİNG20",
        "ſpring20",
        "🎁",
        "a\u{0}",
    ] {
        for answer in [ada.previews(&with(code)).await, ada.changes(&with(code)).await] {
            assert_eq!(
                (answer.status, &answer.body["error"]["fieldErrors"]),
                (
                    400,
                    &json!({ "promotionCode": ["must be 1 to 500 letters, digits, dashes or underscores"] })
                ),
                "{code:?}"
            );
        }
    }
    nothing_changed(&world, &ada, &[3000]).await;
    assert_eq!(
        ada.changes(&with("\tspring20\u{a0}\n")).await.body["changed"],
        true
    );
    assert_eq!(world.stripe.payments(&ada).await, [3000, 21_040]);
}

/// A code that can be redeemed once, and what a change with it on the first day comes to: all of 10.00 back, 96.00 less a fifth.
async fn with_one(world: &World) -> (Account<'_>, Value) {
    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=ONE&max_redemptions=1")
        .await;
    let ada = world.subscriber(1, "monthly").await;
    let preview = ada.previews(&with("ONE")).await;
    assert_eq!(preview.body["amountDueCents"], 9600 - 1000 - 1920, "{preview}");
    let mut quoted = with("ONE");
    quoted["prorationDate"] = preview.body["prorationDate"].clone();
    (ada, quoted)
}

async fn charged_once(world: &World, ada: &Account<'_>) {
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(ada).await, [1000, 6680]);
    assert_eq!(ada.stored().await.profile.change, None);
}

/// The change used its own code up. Whoever wishes the same again, at once, within the minute or later, quoted or not, is told that
/// the subscription is there, and not that the code is used up.
#[tokio::test]
async fn a_code_that_its_own_change_used_up_refuses_no_repetition() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, quoted) = with_one(&world).await;
    assert_eq!(
        ada.changes(&quoted).await,
        r#"200 {"changed":true,"interval":"annual"}"#
    );
    for later in ["0s", "30s", "2m"] {
        world.advance(later).await;
        for wish in [&quoted, &with("one")] {
            assert_eq!(
                ada.changes(wish).await,
                r#"200 {"changed":false,"interval":"annual"}"#,
                "{later}"
            );
        }
    }
    charged_once(&world, &ada).await;
}

/// The first machine has written the change down; the second has read that it is not made yet; the first makes it, which uses the
/// code up; and only then the second goes on. It is the same change: both are told that it is made, quoted or not.
#[tokio::test]
async fn a_code_that_its_own_change_used_up_does_not_refuse_whoever_joins() {
    for is_quoted in [true, false] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (ada, quoted) = with_one(&world).await;
        let wish = if is_quoted { quoted } else { with("ONE") };
        let (first, second) = (world.machine().await, world.machine().await);
        first.network.holds("DynamoDB UpdateItem");
        second.network.holds("GET /v1/subscriptions/");
        let made = async {
            let answer = ada.changes_on(&first, &wish).await.unwrap();
            second.network.lets_go();
            answer
        };
        let joined = async {
            first.network.reached().await;
            ada.changes_on(&second, &wish).await.unwrap()
        };
        let go = async {
            second.network.reached().await;
            first.network.lets_go();
        };
        let (made, joined, ()) = tokio::join!(made, joined, go);
        assert_eq!(made, r#"200 {"changed":true,"interval":"annual"}"#);
        assert_eq!(joined.status, 200, "quoted: {is_quoted}: {joined}");
        charged_once(&world, &ada).await;
    }
}

/// Stripe has made it, and the first machine died before it heard so, or waits for the answer still: the second is told the same, and
/// so is one that finds the payment waiting for its payer.
#[tokio::test]
async fn a_code_that_its_own_change_used_up_refuses_nobody_who_finds_it_at_stripe() {
    for dies in [true, false] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (ada, quoted) = with_one(&world).await;
        world.stripe.holds_events(true).await;
        let (first, second) = (world.machine().await, world.machine().await);
        first.network.holds("POST /v1/subscriptions/");
        let made = ada.changes_on(&first, &quoted);
        let found = async {
            first.network.reached().await;
            if dies {
                first.ends();
            }
            let found = ada.changes_on(&second, &quoted).await.unwrap();
            first.network.lets_go();
            found
        };
        let (made, found) = tokio::join!(made, found);
        assert_eq!(
            found, r#"200 {"changed":true,"interval":"annual"}"#,
            "dies: {dies}"
        );
        assert!(made.is_none_or(|made| made.status == 200));
        charged_once(&world, &ada).await;
    }
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, quoted) = with_one(&world).await;
    world
        .stripe
        .gives_card(&ada, "pm_card_authenticationRequired")
        .await;
    let waits = ada.changes(&quoted).await;
    assert_eq!(waits.body["payment"]["status"], "requires_action", "{waits}");
    let machine = world.machine().await;
    assert_eq!(ada.changes_on(&machine, &quoted).await.unwrap().body, waits.body);
    world.stripe.pays_open_invoice(&ada).await;
    assert_eq!(
        ada.changes(&quoted).await,
        r#"200 {"changed":false,"interval":"annual"}"#
    );
    charged_once(&world, &ada).await;
}
