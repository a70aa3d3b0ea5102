//! Ends on a date: the period that holds it ends there, and is paid for as long as it lasts.

use serde_json::{Value, json};

use super::billing_modes::{CLASSIC, FLEXIBLE};
use super::changes::amounts;
use super::harness::{Shop, day, id};
use super::schedules::SCHEDULES;
use crate::Settings;

/// Until when the first item's period lasts.
fn lasts_until(subscription: &Value) -> &Value {
    &subscription["items"]["data"][0]["current_period_end"]
}

impl Shop {
    /// What waits for the next invoice of a subscription's customer.
    async fn waiting(&self, subscription: &Value) -> Vec<i64> {
        let own = json!({ "customer": subscription["customer"], "pending": true });
        let items = self.list("/v1/invoiceitems", own).await;
        let items = items["data"].as_array().unwrap();
        items
            .iter()
            .rev()
            .map(|item| item["amount"].as_i64().unwrap())
            .collect()
    }
}

/// 30.00 for the 30 days of April, and the end is moved on the 6th: to the 21st takes ten days off, 10.00; to the 24th adds three, 3.00; none adds the
/// other seven, 7.00. Billed at once, or waiting, or not at all.
#[tokio::test]
async fn an_end_within_the_period_moves_that_and_is_prorated() {
    for mode in [CLASSIC, FLEXIBLE] {
        let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
        let subscription = shop.in_mode(mode, &shop.monthly, 3).await;
        let path = format!("/v1/subscriptions/{}", id(&subscription));
        shop.advance("2026-04-06T00:00:00Z").await;
        let mut waiting = Vec::new();
        for (end, until, costs) in [
            (json!(day("2026-04-21")), "2026-04-21", -1000),
            (json!(day("2026-04-24")), "2026-04-24", 300),
            (json!(""), "2026-05-01", 700),
        ] {
            let moved = shop.post(&path, json!({ "cancel_at": end })).await;
            assert_eq!(*lasts_until(&moved), day(until), "{mode}");
            waiting.push(costs);
            assert_eq!(shop.waiting(&subscription).await, waiting, "{mode}");
        }
        for (end, until) in [
            (json!(day("2026-04-11")), "2026-04-11"),
            (json!(""), "2026-05-01"),
        ] {
            let quietly = json!({ "cancel_at": end, "proration_behavior": "none" });
            let moved = shop.post(&path, quietly).await;
            assert_eq!(*lasts_until(&moved), day(until), "{mode}");
            assert_eq!(shop.waiting(&subscription).await, waiting, "{mode}");
        }
        let at_once = json!({ "cancel_at": day("2026-04-21"), "proration_behavior": "always_invoice" });
        let preview = json!({ "subscription": id(&subscription), "subscription_details": at_once });
        let preview = shop.post("/v1/invoices/create_preview", preview).await;
        let moved = shop.post(&path, at_once).await;
        let invoice = shop.latest(&id(&moved)).await;
        assert_eq!(amounts(&invoice), [-1000, 300, 700, -1000], "{mode}");
        assert_eq!(amounts(&preview), amounts(&invoice), "{mode}");
        shop.advance("2026-04-21T00:00:00Z").await;
        assert_eq!(shop.get(&path).await["ended_at"], day("2026-04-21"), "{mode}");
    }
}

/// The switch shortens nothing, wherever it is turned.
#[tokio::test]
async fn an_end_with_the_period_moves_nothing() {
    let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
    let subscription = shop.in_mode(CLASSIC, &shop.monthly, 3).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    for switch in [true, false] {
        let told = shop.post(&path, json!({ "cancel_at_period_end": switch })).await;
        assert_eq!(*lasts_until(&told), day("2026-05-01"));
    }
    assert_eq!(shop.waiting(&subscription).await, [0_i64; 0]);
}

/// Ends on 16 April, half-way: March is not touched, and April renews up to there for half of 10.00, whatever is said about prorations. Then three more of
/// its 30 days are 1.00.
#[tokio::test]
async fn the_renewal_into_the_last_period_is_billed_for_its_share() {
    for mode in [CLASSIC, FLEXIBLE] {
        let shop = Shop::open_at("2026-03-01T00:00:00Z").await;
        let subscription = shop.in_mode(mode, &shop.monthly, 1).await;
        let path = format!("/v1/subscriptions/{}", id(&subscription));
        let ends = json!({ "cancel_at": day("2026-04-16"), "proration_behavior": "none" });
        let ends = shop.post(&path, ends).await;
        assert_eq!(*lasts_until(&ends), day("2026-04-01"), "{mode}");
        let preview = json!({ "subscription": id(&subscription) });
        let preview = shop.post("/v1/invoices/create_preview", preview).await;
        shop.advance("2026-04-01T01:00:00Z").await;
        let renewal = shop.latest(&id(&subscription)).await;
        assert_eq!(
            (amounts(&preview), amounts(&renewal)),
            (vec![500], vec![500]),
            "{mode}"
        );
        assert_eq!(*lasts_until(&shop.get(&path).await), day("2026-04-16"), "{mode}");
        let later = json!({ "cancel_at": day("2026-04-19"), "proration_behavior": "always_invoice" });
        let later = shop.post(&path, later).await;
        assert_eq!(amounts(&shop.latest(&id(&later)).await), [100], "{mode}");
        shop.advance("2026-04-19T00:00:00Z").await;
        assert_eq!(shop.get(&path).await["status"], "canceled", "{mode}");
    }
}

/// A month becomes a year that ends within it: 73 of 365 days are a fifth of 3 × 96.00, 57.60, and 20 of 30 days are given back.
#[tokio::test]
async fn a_new_period_ends_with_its_subscription() {
    let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
    let subscription = shop.in_mode(CLASSIC, &shop.monthly, 3).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    shop.post(&path, json!({ "cancel_at": day("2026-06-23") })).await;
    shop.advance("2026-04-11T00:00:00Z").await;
    let item = &subscription["items"]["data"][0]["id"];
    let annual = json!({ "items": [{ "id": item, "price": shop.annual, "quantity": 3 }] });
    let changed = shop.post(&path, annual).await;
    assert_eq!(*lasts_until(&changed), day("2026-06-23"));
    assert_eq!(amounts(&shop.latest(&id(&changed)).await), [-2000, 5760]);
}

/// The last phase of a schedule that cancels sets the end, and no other does. What is let go keeps it where that is said.
#[tokio::test]
async fn a_schedule_says_when_its_subscription_ends() {
    for (keeps, left) in [
        (json!({ "preserve_cancel_date": true }), json!(day("2026-05-16"))),
        (json!({}), Value::Null),
    ] {
        let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
        let subscription = shop.in_mode(CLASSIC, &shop.monthly, 1).await;
        let path = format!("/v1/subscriptions/{}", id(&subscription));
        shop.post(&path, json!({ "cancel_at": day("2026-07-01") })).await;
        let made = json!({ "from_subscription": id(&subscription) });
        let made = shop.post(SCHEDULES, made).await;
        let schedule = format!("{SCHEDULES}/{}", id(&made));
        let items = json!([{ "price": shop.monthly, "quantity": 1 }]);
        let phases = json!({ "end_behavior": "cancel", "phases": [
            { "start_date": day("2026-04-01"), "end_date": day("2026-05-01"), "items": items },
            { "end_date": day("2026-05-16"), "items": items },
        ]});
        shop.post(&schedule, phases).await;
        assert_eq!(shop.get(&path).await["cancel_at"], Value::Null);
        shop.advance("2026-05-01T01:00:00Z").await;
        let last = shop.get(&path).await;
        assert_eq!(last["cancel_at"], day("2026-05-16"));
        assert_eq!(*lasts_until(&last), day("2026-05-16"));
        // 15 of May's 31 days.
        assert_eq!(amounts(&shop.latest(&id(&subscription)).await), [483]);
        shop.post(&format!("{schedule}/release"), keeps).await;
        assert_eq!(shop.get(&path).await["cancel_at"], left);
    }
}

/// What is noted of it can still be changed. Stripe's words come without a code.
#[tokio::test]
async fn an_ended_subscription_takes_notes_and_nothing_else() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let item = shop.get(&path).await["items"]["data"][0]["id"].clone();
    shop.call("DELETE", &path, json!({})).await;
    for params in [
        json!({ "items": [{ "id": item, "quantity": 4 }] }),
        json!({ "cancel_at_period_end": true }),
        json!({ "metadata": { "why": "moved" }, "description": "Gone" }),
        json!({ "payment_settings": { "save_default_payment_method": "on_subscription" } }),
    ] {
        let error = shop.refused(400, "POST", &path, params).await;
        assert_eq!(
            (&error["message"], &error["code"], &error["param"]),
            (
                &json!("A canceled subscription can only update its cancellation_details and metadata."),
                &Value::Null,
                &Value::Null
            )
        );
    }
    let notes =
        json!({ "metadata": { "why": "moved" }, "cancellation_details": { "comment": "To the sea" } });
    let noting = shop
        .events_of(async {
            shop.post(&path, notes).await;
        })
        .await;
    assert_eq!(noting, ["customer.subscription.updated"]);
    let noted = shop.get(&path).await;
    assert_eq!(
        (
            &noted["status"],
            &noted["metadata"]["why"],
            &noted["cancellation_details"]["comment"]
        ),
        (&json!("canceled"), &json!("moved"), &json!("To the sea"))
    );
}

impl Shop {
    /// A change from three to five that waits for its payer, with this besides.
    async fn waits_with(&self, (customer, subscription): (&str, &str), besides: (&str, Value)) -> Value {
        let card = "pm_card_authenticationRequired";
        self.stripe.set_card(customer, card).unwrap();
        let mut more =
            json!({ "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete" });
        more[besides.0] = besides.1;
        self.change(subscription, json!({ "quantity": 5 }), more).await
    }
}

/// Since 2026-09-30 an end with the period may wait with a change: it comes with that. Whoever says the opposite meanwhile drops both.
#[tokio::test]
async fn an_end_with_the_period_waits_with_its_change() {
    for contradicts in [false, true] {
        let (shop, customer, subscription) = Shop::ten_days_later().await;
        let ends = ("cancel_at_period_end", json!(true));
        let answer = shop.waits_with((&customer, &subscription), ends).await;
        let waits = &answer["pending_update"]["cancel_at_period_end"];
        assert_eq!(
            (&answer["cancel_at_period_end"], waits),
            (&json!(false), &json!(true))
        );
        let path = format!("/v1/subscriptions/{subscription}");
        let invoice = format!("/v1/invoices/{}", answer["latest_invoice"].as_str().unwrap());
        shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
        if contradicts {
            shop.post(&path, json!({ "cancel_at_period_end": false })).await;
        } else {
            shop.post(&format!("{invoice}/pay"), json!({})).await;
        }
        let now = shop.get(&path).await;
        assert_eq!(now["pending_update"], Value::Null);
        assert_eq!(now["cancel_at_period_end"], !contradicts);
        assert_eq!(
            now["items"]["data"][0]["quantity"],
            if contradicts { 3 } else { 5 }
        );
        let status = if contradicts { "void" } else { "paid" };
        assert_eq!(shop.get(&invoice).await["status"], status);
    }
}

/// What waits says nothing of an end: whether one that is set meanwhile drops it is a setting. What is set already is no news.
#[tokio::test]
async fn whether_an_end_drops_what_says_nothing_of_it_is_a_setting() {
    for ends_expire_pending_updates in [false, true] {
        let (shop, customer, subscription) = Shop::ten_days_later().await;
        shop.stripe.set(Settings {
            ends_expire_pending_updates,
            ..Settings::default()
        });
        let nothing = ("off_session", json!(true));
        shop.waits_with((&customer, &subscription), nothing).await;
        let path = format!("/v1/subscriptions/{subscription}");
        for (ends, drops) in [(false, false), (true, ends_expire_pending_updates)] {
            let now = shop.post(&path, json!({ "cancel_at_period_end": ends })).await;
            assert_eq!(now["pending_update"].is_null(), drops, "{ends}");
            assert_eq!(now["cancel_at_period_end"], ends);
        }
    }
}
