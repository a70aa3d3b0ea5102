//! Changes whose payment does not go through at once, by each `payment_behavior`.

use serde_json::{Value, json};

use super::harness::{Shop, at, day, id};
use super::schedules::{SCHEDULES, path};
use crate::{InvoiceAct, Payment, Settings};

/// A change from three to five: −20.00 + 33.33, which the card on file does not pay.
async fn waiting(card: &str) -> (Shop, String, String, Value) {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.stripe.set_card(&customer, card).unwrap();
    let more = json!({ "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete" });
    let answer = shop.change(&subscription, json!({ "quantity": 5 }), more).await;
    (shop, customer, subscription, answer)
}

fn act(payment: Payment) -> InvoiceAct {
    InvoiceAct {
        payment,
        ..InvoiceAct::default()
    }
}

#[tokio::test]
async fn a_change_waits_for_authentication_and_lands_when_it_is_paid() {
    let (shop, _, subscription, answer) = waiting("pm_card_authenticationRequired").await;
    let path = format!("/v1/subscriptions/{subscription}");
    assert_eq!(
        answer["status"], "active",
        "the open invoice says nothing of the subscription"
    );
    assert_eq!(answer["items"]["data"][0]["quantity"], 3);
    let pending = &answer["pending_update"];
    assert_eq!(pending["subscription_items"][0]["quantity"], 5);
    assert_eq!(pending["expires_at"], at("2026-11-11T23:00:00Z").as_second());
    assert_eq!(pending.get("cancel_at_period_end"), Some(&Value::Null));
    let invoice = shop
        .list(
            &format!("/v1/invoices/{}", answer["latest_invoice"].as_str().unwrap()),
            json!({ "expand": ["payments.data.payment.payment_intent", "confirmation_secret"] }),
        )
        .await;
    assert_eq!(
        (&invoice["status"], &invoice["amount_due"]),
        (&json!("open"), &json!(1333))
    );
    let intent = &invoice["payments"]["data"][0]["payment"]["payment_intent"];
    assert_eq!(intent["status"], "requires_action");
    assert!(invoice["hosted_invoice_url"].is_string() && invoice["next_payment_attempt"].is_null());

    let paying = shop
        .events_of(async {
            shop.stripe
                .act_on_invoice(&id(&invoice), &act(Payment::Succeed))
                .await
                .unwrap();
        })
        .await;
    assert_eq!(
        paying,
        [
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "customer.subscription.pending_update_applied",
            "customer.subscription.updated",
        ]
    );
    let landed = shop.get(&path).await;
    assert_eq!(
        (&landed["items"]["data"][0]["quantity"], &landed["pending_update"]),
        (&json!(5), &Value::Null)
    );
    shop.advance("2026-11-13T00:00:00Z").await;
    assert_eq!(
        shop.get(&path).await["items"]["data"][0]["quantity"],
        5,
        "nothing expires any more"
    );
}

#[tokio::test]
async fn a_change_that_is_declined_is_dropped_after_23_hours() {
    let (shop, customer, subscription, answer) = waiting("pm_card_chargeCustomerFail").await;
    let path = format!("/v1/subscriptions/{subscription}");
    let invoice = answer["latest_invoice"].as_str().unwrap().to_owned();
    let again = shop
        .events_of(async {
            shop.stripe
                .act_on_invoice(&invoice, &act(Payment::Decline))
                .await
                .unwrap();
        })
        .await;
    assert!(again.contains(&"invoice.payment_failed".to_owned()), "{again:?}");
    shop.advance("2026-11-11T22:59:59Z").await;
    assert_ne!(shop.get(&path).await["pending_update"], Value::Null);
    let expiring = shop.events_of(shop.advance("2026-11-11T23:00:00Z")).await;
    assert_eq!(
        expiring,
        [
            "payment_intent.canceled",
            "invoice.voided",
            "customer.subscription.pending_update_expired",
            "customer.subscription.updated",
        ]
    );
    let dropped = shop.get(&path).await;
    assert_eq!(
        (
            &dropped["items"]["data"][0]["quantity"],
            &dropped["pending_update"],
            &dropped["status"]
        ),
        (&json!(3), &Value::Null, &json!("active"))
    );
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    shop.advance("2026-12-01T01:00:00Z").await;
    let renewal = shop.latest(&subscription).await;
    assert_eq!(renewal["amount_paid"], 3000, "nothing of it is left");
}

/// Its invoice is given up before that. In either of the Stripes it is dropped all the same; what can still be paid pays for nothing.
#[tokio::test]
async fn a_change_whose_invoice_was_given_up_is_dropped_like_any_other() {
    for given_up_bills_can_be_voided in [true, false] {
        let (shop, customer, subscription, answer) = waiting("pm_card_chargeCustomerFail").await;
        shop.stripe.set(Settings {
            given_up_bills_can_be_voided,
            ..Settings::default()
        });
        let path = format!("/v1/subscriptions/{subscription}");
        let invoice = answer["latest_invoice"].as_str().unwrap().to_owned();
        shop.stripe.write_off_invoice(&invoice).await.unwrap();
        shop.advance("2026-11-11T22:59:59Z").await;
        assert_ne!(shop.get(&path).await["pending_update"], Value::Null);
        let expiring = shop.events_of(shop.advance("2026-11-11T23:00:00Z")).await;
        let dropped = [
            "customer.subscription.pending_update_expired",
            "customer.subscription.updated",
        ];
        assert!(
            expiring.ends_with(&dropped.map(ToOwned::to_owned)),
            "{expiring:?}"
        );
        let status = shop.get(&format!("/v1/invoices/{invoice}")).await["status"].clone();
        if given_up_bills_can_be_voided {
            assert_eq!(status, "void");
        } else {
            assert_eq!(status, "uncollectible");
            let paid = shop.stripe.pay_invoice(&invoice).await.unwrap();
            assert_eq!(paid["status"], "paid");
        }
        let after = shop.get(&path).await;
        assert_eq!(
            (&after["items"]["data"][0]["quantity"], &after["pending_update"]),
            (&json!(3), &Value::Null)
        );
        shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
        shop.advance("2026-12-01T01:00:00Z").await;
        assert_eq!(shop.latest(&subscription).await["amount_paid"], 3000);
    }
}

/// What was credited in vain can be credited again: −20.00.
#[tokio::test]
async fn after_a_dropped_change_the_next_one_starts_from_what_is_paid() {
    let (shop, customer, subscription, answer) = waiting("pm_card_chargeCustomerFail").await;
    let first = answer["latest_invoice"].as_str().unwrap().to_owned();
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    let more = json!({ "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete" });
    let changed = shop.change(&subscription, json!({ "quantity": 4 }), more).await;
    assert_eq!(
        (
            &changed["items"]["data"][0]["quantity"],
            &changed["pending_update"]
        ),
        (&json!(4), &Value::Null)
    );
    assert_eq!(
        shop.get(&format!("/v1/invoices/{first}")).await["status"],
        "void",
        "a new change takes its place"
    );
    // 40.00 × 2/3 = 26.66.
    assert_eq!(shop.latest(&subscription).await["total"], -2000 + 2666);
}

#[tokio::test]
async fn a_pending_update_does_not_outlive_its_period() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.advance("2026-11-30T12:00:00Z").await;
    shop.stripe
        .set_card(&customer, "pm_card_authenticationRequired")
        .unwrap();
    let more = json!({ "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete" });
    // Half a day of thirty: 30.00/60 = 0.50 back, 500.00/60 = 8.33.
    let answer = shop.change(&subscription, json!({ "quantity": 50 }), more).await;
    assert_eq!(answer["pending_update"]["expires_at"], day("2026-12-01"));
    let ending = shop.events_of(shop.advance("2026-12-01T00:00:00Z")).await;
    let position = |kind: &str| ending.iter().position(|own| own == kind).unwrap();
    assert!(
        position("customer.subscription.pending_update_expired") < position("invoice.created"),
        "{ending:?}"
    );
    assert_eq!(shop.latest(&subscription).await["total"], 3000);
}

/// A phase that bills nothing by itself begins by the clock, or by a schedule that is rewritten: nothing waits any more, and the bill is void.
#[tokio::test]
async fn a_pending_update_does_not_outlive_its_phase() {
    for by_clock in [true, false] {
        let (shop, customer, subscription) = Shop::ten_days_later().await;
        let double = id(&shop.price(2000, "month").await);
        let made = shop
            .post(SCHEDULES, json!({ "from_subscription": subscription }))
            .await;
        let mut first = shop.phase(3, 1);
        first.as_object_mut().unwrap().remove("duration");
        first["start_date"] = made["phases"][0]["start_date"].clone();
        first["end_date"] = json!(day("2026-11-12"));
        let mut second = shop.phase(3, 1);
        second["items"][0]["price"] = json!(double);
        second["proration_behavior"] = json!("none");
        shop.post(&path(&made), json!({ "phases": [first, second] }))
            .await;
        shop.advance("2026-11-11T23:00:00Z").await;
        shop.stripe
            .set_card(&customer, "pm_card_chargeCustomerFail")
            .unwrap();
        let more =
            json!({ "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete" });
        let answer = shop.change(&subscription, json!({ "quantity": 9 }), more).await;
        assert_eq!(answer["pending_update"]["subscription_items"][0]["quantity"], 9);
        let beginning = shop
            .events_of(async {
                if by_clock {
                    shop.advance("2026-11-12T00:00:00Z").await;
                } else {
                    second["start_date"] = json!("now");
                    let phases = json!({ "phases": [second], "proration_behavior": "none" });
                    shop.post(&path(&made), phases).await;
                }
            })
            .await;
        assert!(
            beginning.contains(&"customer.subscription.pending_update_expired".to_owned()),
            "{beginning:?}"
        );
        let invoice = format!("/v1/invoices/{}", answer["latest_invoice"].as_str().unwrap());
        assert_eq!(shop.get(&invoice).await["status"], "void");
        shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
        shop.refused(400, "POST", &format!("{invoice}/pay"), json!({}))
            .await;
        let led = shop.get(&format!("/v1/subscriptions/{subscription}")).await;
        let item = &led["items"]["data"][0];
        assert_eq!(
            (&item["price"]["id"], &item["quantity"], &led["pending_update"]),
            (&json!(double), &json!(3), &Value::Null)
        );
    }
}

#[tokio::test]
async fn what_cannot_wait_is_refused_together_with_what_waits() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    for param in ["default_payment_method", "description", "cancel_at"] {
        let value = match param {
            "cancel_at" => json!(day("2026-11-20")),
            _ => json!("x"),
        };
        let params = json!({ "payment_behavior": "pending_if_incomplete", (param): value });
        let error = shop.refused(400, "POST", &path, params).await;
        assert_eq!(error["param"], param, "{error}");
    }
    let noted = json!({ "payment_behavior": "pending_if_incomplete", "metadata": { "a": "1" } });
    assert_eq!(
        shop.post(&path, noted).await["metadata"]["a"],
        "1",
        "nothing is to be paid, so it lands"
    );
}

/// The metadata waits with the rest.
#[tokio::test]
async fn metadata_lands_with_the_change_it_came_with() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.stripe
        .set_card(&customer, "pm_card_authenticationRequired")
        .unwrap();
    let more = json!({
        "proration_behavior": "always_invoice",
        "payment_behavior": "pending_if_incomplete",
        "metadata": { "plan": "five" },
    });
    let answer = shop.change(&subscription, json!({ "quantity": 5 }), more).await;
    assert_eq!(
        (&answer["metadata"], &answer["pending_update"]["metadata"]["plan"]),
        (&json!({}), &json!("five"))
    );
    shop.stripe
        .pay_invoice(answer["latest_invoice"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(
        shop.get(&format!("/v1/subscriptions/{subscription}")).await["metadata"]["plan"],
        "five"
    );
}

/// What is changed beside one that waits, and costs nothing, is in effect and told at once.
#[tokio::test]
async fn an_update_beside_one_that_waits_is_told() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    let waits =
        json!({ "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete" });
    shop.change(&subscription, json!({ "quantity": 5 }), waits).await;
    let told = || {
        let events = shop.stripe.events();
        let mut updates = events
            .iter()
            .filter(|event| event["type"] == "customer.subscription.updated");
        updates.next_back().cloned()
    };
    let before = told();
    let free = json!({ "proration_behavior": "none" });
    let answer = shop.change(&subscription, json!({ "quantity": 4 }), free).await;
    assert!(answer["pending_update"].is_object());
    let after = told().unwrap();
    assert_ne!(Some(&after), before.as_ref());
    assert_eq!(after["data"]["object"]["items"]["data"][0]["quantity"], 4);
}

#[tokio::test]
async fn without_waiting_the_change_lands_and_the_subscription_is_late() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    let answer = shop
        .change(
            &subscription,
            json!({ "quantity": 5 }),
            json!({ "proration_behavior": "always_invoice" }),
        )
        .await;
    assert_eq!(
        (&answer["status"], &answer["items"]["data"][0]["quantity"]),
        (&json!("past_due"), &json!(5))
    );
    let invoice = shop.latest(&subscription).await;
    assert_eq!(invoice["next_payment_attempt"], day("2026-11-14"));
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    shop.advance("2026-11-14T00:00:00Z").await;
    assert_eq!(
        shop.get(&format!("/v1/subscriptions/{subscription}")).await["status"],
        "active"
    );
}

#[tokio::test]
async fn an_error_if_incomplete_leaves_no_trace() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    let (before, told) = (shop.get(&path).await, shop.event_types().len());
    let more = json!({ "proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete" });
    let params = shop
        .change_params(&subscription, json!({ "quantity": 5 }), more)
        .await;
    let error = shop.refused(402, "POST", &path, params.clone()).await;
    assert_eq!(error["code"], "card_declined");
    assert_eq!(shop.get(&path).await, before);
    assert_eq!(
        (shop.stripe.invoices_of(&customer).len(), shop.event_types().len()),
        (1, told)
    );
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    assert_eq!(shop.post(&path, params).await["items"]["data"][0]["quantity"], 5);
}

#[tokio::test]
async fn a_default_incomplete_change_waits_for_its_confirmation() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    let more = json!({ "proration_behavior": "always_invoice", "payment_behavior": "default_incomplete" });
    let answer = shop.change(&subscription, json!({ "quantity": 5 }), more).await;
    assert_eq!(
        (&answer["status"], &answer["items"]["data"][0]["quantity"]),
        (&json!("past_due"), &json!(5))
    );
    let invoice = shop.latest(&subscription).await;
    assert_eq!(
        (&invoice["status"], &invoice["attempted"]),
        (&json!("open"), &json!(false))
    );
    shop.stripe.pay_invoice(&id(&invoice)).await.unwrap();
    assert_eq!(
        shop.get(&format!("/v1/subscriptions/{subscription}")).await["status"],
        "active"
    );
}

#[tokio::test]
async fn a_subscription_begins_by_call_in_each_way() {
    let shop = Shop::open().await;
    for (card, behavior, status, invoice_status) in [
        ("pm_card_visa", "allow_incomplete", "active", "paid"),
        ("pm_card_visa", "default_incomplete", "incomplete", "open"),
        (
            "pm_card_chargeCustomerFail",
            "allow_incomplete",
            "incomplete",
            "open",
        ),
        (
            "pm_card_authenticationRequired",
            "allow_incomplete",
            "incomplete",
            "open",
        ),
    ] {
        let customer = shop.customer().await;
        shop.stripe.set_card(&customer, card).unwrap();
        let begun = shop
            .post(
                "/v1/subscriptions",
                json!({
                    "customer": customer,
                    "items": [{ "price": shop.monthly, "quantity": 3 }],
                    "payment_behavior": behavior,
                    "metadata": { "account": "acc_1" },
                }),
            )
            .await;
        assert_eq!(begun["status"], status, "{card} {behavior}");
        let invoice = shop.latest(&id(&begun)).await;
        assert_eq!(
            (&invoice["status"], &invoice["total"]),
            (&json!(invoice_status), &json!(3000))
        );
    }
}

#[tokio::test]
async fn a_first_payment_is_refused_or_late_or_never_made() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    let items = json!([{ "price": shop.monthly, "quantity": 1 }]);
    let params = json!({ "customer": customer, "items": items, "payment_behavior": "error_if_incomplete" });
    shop.refused(402, "POST", "/v1/subscriptions", params).await;
    assert!(shop.stripe.subscriptions_of(&customer).is_empty());

    let params = json!({ "customer": customer, "items": items });
    let late = shop.post("/v1/subscriptions", params.clone()).await;
    let item = json!({ "id": late["items"]["data"][0]["id"], "quantity": 2 });
    let path = format!("/v1/subscriptions/{}", id(&late));
    shop.refused(400, "POST", &path, json!({ "items": [item] })).await;
    shop.stripe
        .pay_invoice(late["latest_invoice"].as_str().unwrap())
        .await
        .unwrap();
    let never = shop.post("/v1/subscriptions", params).await;
    shop.advance("2026-12-01T23:00:00Z").await;
    let status = |subscription: &Value| {
        let path = format!("/v1/subscriptions/{}", id(subscription));
        let shop = &shop;
        async move { shop.get(&path).await["status"].clone() }
    };
    assert_eq!(status(&late).await, "active");
    assert_eq!(status(&never).await, "incomplete_expired");
    assert_eq!(shop.latest(&id(&never)).await["status"], "void");
}

/// Seven days for nothing, then 30.00 for a month counted from there.
#[tokio::test]
async fn a_trial_costs_nothing_until_it_ends() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    let begun = shop
        .post(
            "/v1/subscriptions",
            json!({
                "customer": customer,
                "items": [{ "price": shop.monthly, "quantity": 3 }],
                "trial_period_days": 7,
            }),
        )
        .await;
    assert_eq!(
        (&begun["status"], &begun["trial_end"]),
        (&json!("trialing"), &json!(day("2026-12-08")))
    );
    assert_eq!(shop.latest(&id(&begun)).await["total"], 0);
    shop.advance("2026-12-08T01:00:00Z").await;
    let path = format!("/v1/subscriptions/{}", id(&begun));
    let active = shop.get(&path).await;
    assert_eq!(active["status"], "active");
    assert_eq!(
        active["items"]["data"][0]["current_period_end"],
        day("2027-01-08")
    );
    assert_eq!(shop.latest(&id(&begun)).await["amount_paid"], 3000);
}

#[tokio::test]
async fn a_trial_can_be_ended_now() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    let params = json!({
        "customer": customer,
        "items": [{ "price": shop.monthly, "quantity": 3 }],
        "trial_end": day("2026-12-20"),
    });
    let path = format!(
        "/v1/subscriptions/{}",
        id(&shop.post("/v1/subscriptions", params).await)
    );
    shop.advance("2026-12-05T00:00:00Z").await;
    let ended = shop.post(&path, json!({ "trial_end": "now" })).await;
    assert_eq!(
        (&ended["status"], &ended["trial_end"]),
        (&json!("active"), &json!(day("2026-12-05")))
    );
    assert_eq!(ended["items"]["data"][0]["current_period_end"], day("2027-01-05"));
    assert_eq!(shop.latest(&id(&ended)).await["amount_paid"], 3000);
}

/// Stripe's reference, of the status `incomplete`.
#[tokio::test]
async fn an_incomplete_subscription_takes_metadata_and_nothing_else() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    let items = json!([{ "price": shop.monthly, "quantity": 3 }]);
    let params = json!({ "customer": customer, "items": items, "payment_behavior": "default_incomplete" });
    let path = format!(
        "/v1/subscriptions/{}",
        id(&shop.post("/v1/subscriptions", params).await)
    );
    for refused in [
        json!({ "cancel_at_period_end": true }),
        json!({ "cancel_at": super::harness::day("2026-12-20") }),
        json!({ "description": "For Ada" }),
        json!({ "collection_method": "send_invoice", "days_until_due": 7 }),
        json!({ "payment_settings": { "save_default_payment_method": "on_subscription" } }),
        json!({ "pause_collection": { "behavior": "void" } }),
    ] {
        shop.refused(400, "POST", &path, refused).await;
    }
    let noted = shop.post(&path, json!({ "metadata": { "a": "1" } })).await;
    assert_eq!(noted["metadata"]["a"], "1");
}
