//! Changes of the interval: what they cost, and what they cover.

use billing_tests::{Account, World};
use serde_json::json;

/// Nothing was billed, nothing waits, and the subscription is as it was.
pub(crate) async fn nothing_changed(world: &World, account: &Account<'_>, paid: &[i64]) {
    world.stripe.stand_in().settle().await;
    let subscription = world.stripe.subscription(account).await;
    assert_eq!(subscription["pending_update"], json!(null));
    assert_eq!(world.stripe.payments(account).await, paid);
    assert_eq!(world.stripe.invoices(account).await.len(), paid.len());
    assert_eq!(account.stored().await.profile.change, None);
}

/// 3 × 10.00 = 30.00 for the 30 days of April, changed after 10 of them: 20/30 of 3000 are given back, 3 × 9600 are charged.
/// −2000 + 28800 = 26800, and the year begins on 11 April.
#[tokio::test]
async fn a_month_becomes_a_year_when_its_invoice_is_paid() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    assert_eq!(
        (
            &preview.body["amountDueCents"],
            &preview.body["currency"],
            &preview.body["discountCents"]
        ),
        (&json!(26_800), &json!("usd"), &json!(0))
    );
    assert_eq!(preview.body["prorationDate"], json!(world.now().as_second()));
    let amounts: Vec<_> = preview.body["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["amountCents"])
        .collect();
    assert_eq!(amounts, [&json!(-2000), &json!(28_800)]);
    assert_eq!(preview.body["lines"][0]["periodEnd"], "2026-05-01T00:00:00Z");
    nothing_changed(&world, &ada, &[3000]).await;

    world.stripe.holds_events(true).await;
    assert_eq!(
        ada.changes(&json!({ "interval": "annual" })).await,
        r#"200 {"changed":true,"interval":"annual"}"#
    );
    assert_eq!(
        ada.covered_until().await,
        "2026-05-01T00:00:00Z",
        "not before its event says so"
    );
    world.stripe.holds_events(false).await;
    assert_eq!(ada.covered_until().await, "2027-04-11T00:00:00Z");
    assert_eq!(world.stripe.payments(&ada).await, [3000, 26_800]);
    assert_eq!(ada.ledger().await.len(), 2, "one entry for each granting line");
    assert_eq!(ada.billing().await.body["subscription"]["interval"], "annual");
    assert_eq!(world.stripe.subscriptions(&ada).await.len(), 1);
}

#[tokio::test]
async fn already_there_is_no_write_not_even_to_a_scheduled_cancellation() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    assert_eq!(ada.cancels().await.status, 200);
    world.stripe.stand_in().settle().await;
    let before = ada.stored().await;
    let machine = world.machine().await;
    for body in [
        json!({ "interval": "monthly" }),
        json!({ "interval": "monthly", "promotionCode": "NOBODY", "prorationDate": 1 }),
    ] {
        let answer = ada.changes_on(&machine, &body).await.unwrap();
        assert_eq!(answer, r#"200 {"changed":false,"interval":"monthly"}"#);
    }
    assert!(
        !machine
            .network
            .steps()
            .iter()
            .any(|step| step.starts_with("POST"))
    );
    assert_eq!(ada.stored().await, before);
    assert_eq!(
        world.stripe.subscription(&ada).await["cancel_at_period_end"],
        true
    );
}

/// 1 × 96.00 for 365 days from 1 April, changed after 73 of them: 4/5 of 9600 = 7680 are given back, 1000 are charged. 1000 − 7680 =
/// −6680: nothing is due, 66.80 stay as credit, and the year covers no longer.
#[tokio::test]
async fn a_year_becomes_a_month_and_covers_no_longer_than_that() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "annual").await;
    assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
    world.advance("73d").await;
    let preview = ada.previews(&json!({ "interval": "monthly" })).await;
    assert_eq!(preview.body["amountDueCents"], 0);
    let amounts: Vec<_> = preview.body["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["amountCents"])
        .collect();
    assert_eq!(amounts, [&json!(-7680), &json!(1000)]);
    let quoted = json!({ "interval": "monthly", "prorationDate": preview.body["prorationDate"] });
    assert_eq!(
        ada.changes(&quoted).await,
        r#"200 {"changed":true,"interval":"monthly"}"#
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.covered_until().await, "2026-07-13T00:00:00Z");
    assert_eq!(world.stripe.payments(&ada).await, [9600, 0]);
    assert_eq!(world.stripe.customers(&ada).await[0]["balance"], -6680);
    world.advance("30d").await;
    world.advance("2h").await;
    assert_eq!(
        ada.covered_until().await,
        "2026-08-13T00:00:00Z",
        "renewed out of the credit"
    );
}

/// A year of three numbers from 17 October. On 16 November an operator raises it to five, with shares that wait for the next bill, and on
/// 16 December it is changed to months: one bill charges the share of five and gives it back, without a line to name as given back.
#[tokio::test]
async fn a_share_that_waited_for_the_change_covers_no_longer_than_that() {
    let world = World::at("2026-10-17T00:00:00Z").await;
    let ada = world.subscriber(3, "annual").await;
    let item = world.stripe.item_id(&ada).await;
    world.advance("30d").await;
    let path = format!("/v1/subscription_items/{item}");
    let form = "quantity=5&proration_behavior=create_prorations";
    world.stripe.operator("POST", &path, form).await;
    world.advance("30d").await;
    let answer = ada.changes(&json!({ "interval": "monthly" })).await;
    assert_eq!(answer, r#"200 {"changed":true,"interval":"monthly"}"#);
    world.stripe.stand_in().settle().await;
    let lines = world.stripe.latest_invoice().await["lines"]["data"].clone();
    let amounts = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["amount"].as_i64().unwrap());
    let signs: Vec<i64> = amounts.map(i64::signum).collect();
    assert_eq!(
        signs.iter().sum::<i64>(),
        0,
        "two shares are given back, a share and a month charged: {signs:?}"
    );
    assert_eq!(signs.len(), 4);
    assert_eq!(ada.covered_until().await, "2027-01-16T00:00:00Z");
    world.advance("31d").await;
    assert_eq!(ada.covered_until().await, "", "the next month is not paid yet");
    world.advance("2h").await;
    assert_eq!(ada.covered_until().await, "2027-02-16T00:00:00Z");
}

/// Bought and changed within one second: 9600 back, 1000 charged.
#[tokio::test]
async fn a_year_that_is_given_back_at_once_covers_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "annual").await;
    assert_eq!(
        ada.changes(&json!({ "interval": "monthly" })).await.body["changed"],
        true
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
}

/// A change that took effect takes a scheduled cancellation back.
#[tokio::test]
async fn a_scheduled_cancellation_is_cleared_by_a_change_that_took_effect() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    ada.cancels().await;
    assert_eq!(
        ada.changes(&json!({ "interval": "annual" })).await.body["changed"],
        true
    );
    let subscription = world.stripe.subscription(&ada).await;
    assert_eq!(
        (&subscription["cancel_at_period_end"], &subscription["cancel_at"]),
        (&json!(false), &json!(null))
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(
        ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
        false
    );
    assert_eq!(ada.stored().await.profile.change, None);
}

/// 1000 yen a month, 9600 a year, no decimals. After 10 of 30 days 666.67 yen are unused: −667 + 9600 = 8933.
#[tokio::test]
async fn a_currency_without_decimals_is_rounded_to_its_own_unit() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let product = world.stripe.operator("POST", "/v1/products", "name=Number").await;
    let price = async |interval: &str, amount: u32| {
        let form = format!(
            "product={}&currency=jpy&unit_amount={amount}&recurring[interval]={interval}",
            product["id"].as_str().unwrap()
        );
        world.stripe.operator("POST", "/v1/prices", &form).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (monthly, annual) = (price("month", 1000).await, price("year", 9600).await);
    let machine = world
        .machine_told(&[("PRICE_MONTHLY", &monthly), ("PRICE_ANNUAL", &annual)])
        .await;
    let secret = ada
        .starts_checkout_on(&machine, "monthly")
        .await
        .unwrap()
        .client_secret();
    world.stripe.pays(&secret).await;
    world.advance("10d").await;
    let wish = json!({ "interval": "annual" });
    let preview = ada.previews_on(&machine, &wish).await.unwrap();
    assert_eq!(
        (&preview.body["amountDueCents"], &preview.body["currency"]),
        (&json!(8933), &json!("jpy"))
    );
    assert_eq!(ada.changes_on(&machine, &wish).await.unwrap().status, 200);
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8933]);
}

/// 31 January → 28 February → 31 March. On 3 March 28 of 31 days are left: 903.23 of 1000 are unused, −904 + 9600 = 8696. The year
/// runs from 3 March.
#[tokio::test]
async fn a_period_that_is_anchored_on_the_31st_is_prorated_by_its_own_length() {
    let world = World::at("2026-01-31T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("31d").await;
    assert_eq!(
        ada.billing().await.body["subscription"]["periodEnd"],
        "2026-03-31T00:00:00Z"
    );
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    assert_eq!(preview.body["amountDueCents"], 8696);
    ada.changes(&json!({ "interval": "annual" })).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(&ada).await, [1000, 1000, 8696]);
    assert_eq!(ada.covered_until().await, "2027-03-03T00:00:00Z");
}

/// Two numbers more, 20 of 30 days left: 20/30 of 3000 back, 20/30 of 5000 charged. −2000 + 3333 = 1333.
#[tokio::test]
async fn a_preview_takes_another_quantity_and_what_is_left_out_is_as_it_is() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    assert_eq!(
        ada.previews(&json!({ "quantity": 5 })).await.body["amountDueCents"],
        1333
    );
    for nothing in [
        json!({}),
        json!({ "quantity": 3 }),
        json!({ "interval": "monthly" }),
    ] {
        let preview = ada.previews(&nothing).await;
        assert_eq!(
            (&preview.body["amountDueCents"], &preview.body["lines"]),
            (&json!(0), &json!([]))
        );
    }
    nothing_changed(&world, &ada, &[3000]).await;
}

#[tokio::test]
async fn an_impersonator_previews_and_changes_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut ada = world.subscriber(1, "monthly").await;
    ada.key = ada.impersonated_key.clone();
    let wish = json!({ "interval": "annual" });
    assert_eq!(ada.previews(&wish).await.status, 200);
    for answer in [ada.changes(&wish).await, ada.cancels().await, ada.resumes().await] {
        assert_eq!(answer, r#"403 {"error":"not available while impersonating"}"#);
    }
    nothing_changed(&world, &ada, &[1000]).await;
}

#[tokio::test]
async fn every_fault_of_a_body_is_told_at_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let answer = ada
        .changes(&json!({ "promotionCode": 20, "prorationDate": "now" }))
        .await;
    assert_eq!(
        answer.body["error"]["fieldErrors"],
        json!({
            "interval": ["is required"], "promotionCode": ["must be a string"], "prorationDate": ["must be an integer"],
        })
    );
    let answer = ada
        .previews(&json!({ "interval": "weekly", "quantity": 0, "promotionCode": "" }))
        .await;
    let fields = &answer.body["error"]["fieldErrors"];
    assert_eq!(
        (answer.status, fields.as_object().unwrap().len()),
        (400, 3),
        "{answer}"
    );
    for quantity in [json!(-1), json!(1.5), json!("2"), json!(u64::MAX)] {
        assert_eq!(ada.previews(&json!({ "quantity": quantity })).await.status, 400);
    }
}

/// A preview asks, and asks only: of whatever is not a question, Stripe hears of a preview's invoice alone, which it makes for nobody.
#[tokio::test]
async fn a_preview_writes_nothing_at_stripe() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SPRING20")
        .await;
    world.stripe.stand_in().clear_requests();
    for wish in [
        json!({}),
        json!({ "interval": "annual", "promotionCode": "SPRING20" }),
        json!({ "quantity": 7 }),
    ] {
        assert_eq!(ada.previews(&wish).await.status, 200, "{wish}");
    }
    let asked = world.stripe.stand_in().requests();
    assert!(!asked.is_empty());
    for call in asked {
        let is_question = call.method == "GET" || call.path == "/v1/invoices/create_preview";
        assert!(is_question, "{} {}", call.method, call.path);
    }
}

/// Stripe is down: never "nothing due".
#[tokio::test]
async fn a_failure_of_stripes_is_no_amount() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    for (status, told) in [(500, 503), (429, 503), (400, 502)] {
        world
            .stripe
            .fails("POST", "/v1/invoices/create_preview", status)
            .await;
        let answer = ada.previews(&json!({ "interval": "annual" })).await;
        assert_eq!(
            (answer.status, &answer.body["amountDueCents"]),
            (told, &json!(null)),
            "{answer}"
        );
        world.stripe.recovers().await;
    }
    nothing_changed(&world, &ada, &[1000]).await;
}
