//! What the clock does: renewals, retries, ends.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::harness::{Listener, Shop, at, day, id};
use crate::{Clock, Completion, Config, Payment, StandIn};

/// The period's last day at each renewal of a subscription begun on 31 January.
#[tokio::test]
async fn the_thirty_first_is_remembered_through_short_months() {
    let shop = Shop::open_at("2026-01-31T00:00:00Z").await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let mut ends = Vec::new();
    for moment in [
        "2026-02-01T00:00:00Z",
        "2026-02-28T00:00:00Z",
        "2026-03-31T00:00:00Z",
    ] {
        shop.advance(moment).await;
        ends.push(shop.get(&path).await["items"]["data"][0]["current_period_end"].clone());
    }
    assert_eq!(
        ends,
        [
            json!(day("2026-02-28")),
            json!(day("2026-03-31")),
            json!(day("2026-04-30"))
        ]
    );
}

#[tokio::test]
async fn a_renewal_is_drafted_at_the_periods_end_and_paid_an_hour_later() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let drafting = shop.events_of(shop.advance("2027-01-01T00:00:00Z")).await;
    assert_eq!(drafting, ["invoice.created", "customer.subscription.updated"]);
    let invoices = shop.stripe.invoices_of(&customer);
    let renewal = &invoices[1];
    assert_eq!(
        (&renewal["status"], &renewal["billing_reason"]),
        (&json!("draft"), &json!("subscription_cycle"))
    );
    assert_eq!(renewal["number"], Value::Null);
    assert_eq!(renewal["amount_due"], 3000);
    assert_eq!(
        (&renewal["period_start"], &renewal["period_end"]),
        (&json!(day("2026-12-01")), &json!(day("2027-01-01"))),
        "the invoice's period is the one that is over"
    );
    assert_eq!(
        renewal["lines"]["data"][0]["period"],
        json!({ "start": day("2027-01-01"), "end": day("2027-02-01") })
    );

    let paying = shop.events_of(shop.advance("2027-01-01T01:00:00Z")).await;
    assert_eq!(
        paying,
        [
            "payment_intent.created",
            "invoice.finalized",
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
        ]
    );
    let renewed = shop
        .list(
            &format!("/v1/subscriptions/{subscription}"),
            json!({ "expand": ["latest_invoice"] }),
        )
        .await;
    assert_eq!(
        (&renewed["status"], &renewed["latest_invoice"]["status"]),
        (&json!("active"), &json!("paid"))
    );
    assert_eq!(
        renewed["latest_invoice"]["status_transitions"]["paid_at"],
        at("2027-01-01T01:00:00Z").as_second()
    );
}

/// December, January, February: a first invoice and two renewals, each numbered after the other.
#[tokio::test]
async fn one_long_step_renews_as_often_as_many_short_ones() {
    let shop = Shop::open().await;
    let (customer, _) = shop.subscriber().await;
    shop.advance("2027-02-15T00:00:00Z").await;
    let invoices = shop.stripe.invoices_of(&customer);
    let created: Vec<&Value> = invoices.iter().map(|invoice| &invoice["created"]).collect();
    assert_eq!(
        created,
        [
            &json!(day("2026-12-01")),
            &json!(day("2027-01-01")),
            &json!(day("2027-02-01"))
        ]
    );
    assert!(invoices.iter().all(|invoice| invoice["status"] == "paid"));
    let numbers: Vec<&str> = invoices
        .iter()
        .map(|invoice| invoice["number"].as_str().unwrap())
        .collect();
    assert!(
        numbers[0].ends_with("-0001") && numbers[2].ends_with("-0003"),
        "{numbers:?}"
    );
}

/// Attempts an hour after the period's end, then after 3, 5 and 7 days; then the subscription is given up.
#[tokio::test]
async fn a_card_that_fails_is_tried_again_until_the_subscription_is_given_up() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let session = id(&shop.session(&customer, &shop.monthly, 1).await);
    let how = Completion {
        payment_method: Some("pm_card_chargeCustomerFail".into()),
        ..Completion::default()
    };
    let paid = shop.stripe.complete_session(&session, &how).await.unwrap();
    let path = format!("/v1/subscriptions/{}", paid["subscription"].as_str().unwrap());
    assert_eq!(
        shop.get(&path).await["status"],
        "active",
        "it pays the first time"
    );

    let failing = shop.events_of(shop.advance("2027-01-01T01:00:00Z")).await;
    assert!(
        failing.contains(&"invoice.payment_failed".to_owned()),
        "{failing:?}"
    );
    assert_eq!(shop.get(&path).await["status"], "past_due");
    let open = &shop.stripe.invoices_of(&customer)[1];
    assert_eq!(
        (&open["status"], &open["attempt_count"]),
        (&json!("open"), &json!(1))
    );
    assert_eq!(
        open["next_payment_attempt"],
        at("2027-01-04T01:00:00Z").as_second()
    );

    shop.advance("2027-01-15T00:00:00Z").await;
    assert_eq!(shop.stripe.invoices_of(&customer)[1]["attempt_count"], 3);
    assert_eq!(shop.get(&path).await["status"], "past_due");
    shop.advance("2027-01-16T01:00:00Z").await;
    let ended = shop.get(&path).await;
    assert_eq!(ended["status"], "canceled");
    assert_eq!(ended["cancellation_details"]["reason"], "payment_failed");
    assert_eq!(shop.stripe.invoices_of(&customer)[1]["attempt_count"], 4);
}

#[tokio::test]
async fn a_new_card_brings_a_late_subscription_back() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    shop.advance("2027-01-02T00:00:00Z").await;
    let path = format!("/v1/subscriptions/{subscription}");
    assert_eq!(shop.get(&path).await["status"], "past_due");
    let invoice = id(&shop.stripe.invoices_of(&customer)[1]);
    let error = shop
        .refused(402, "POST", &format!("/v1/invoices/{invoice}/pay"), json!({}))
        .await;
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    shop.advance("2027-01-05T00:00:00Z").await;
    assert_eq!(
        shop.get(&path).await["status"],
        "active",
        "the next retry takes the new card"
    );
    assert_eq!(
        shop.get(&format!("/v1/invoices/{invoice}")).await["status"],
        "paid"
    );
    let error = shop
        .refused(400, "POST", &format!("/v1/invoices/{invoice}/pay"), json!({}))
        .await;
    assert_eq!(error["code"], "invoice_already_paid");
}

#[tokio::test]
async fn a_scheduled_end_can_be_taken_back_until_it_comes() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let scheduled = shop.post(&path, json!({ "cancel_at_period_end": true })).await;
    assert_eq!(scheduled["cancel_at"], day("2027-01-01"));
    assert_eq!(scheduled["status"], "active");
    let resumed = shop.post(&path, json!({ "cancel_at_period_end": false })).await;
    assert_eq!(
        (&resumed["cancel_at"], &resumed["canceled_at"]),
        (&Value::Null, &Value::Null)
    );

    shop.post(&path, json!({ "cancel_at_period_end": true })).await;
    let ending = shop.events_of(shop.advance("2027-03-01T00:00:00Z")).await;
    assert_eq!(
        ending,
        ["customer.subscription.deleted"],
        "no renewal, then or later"
    );
    let ended = shop.get(&path).await;
    assert_eq!(
        (&ended["status"], &ended["ended_at"]),
        (&json!("canceled"), &json!(day("2027-01-01")))
    );
    let listed = shop.list("/v1/subscriptions", json!({})).await;
    assert_eq!(
        listed["data"],
        json!([]),
        "canceled ones are listed only when asked for"
    );
    assert_eq!(
        shop.list("/v1/subscriptions", json!({ "status": "all" })).await["data"][0]["id"],
        json!(subscription)
    );
}

#[tokio::test]
async fn a_subscription_ends_at_once_when_told() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let ended = shop.call("DELETE", &path, json!({})).await.body;
    assert_eq!(
        (&ended["status"], &ended["ended_at"]),
        (&json!("canceled"), &json!(day("2026-12-01")))
    );
    shop.refused(404, "DELETE", &path, json!({})).await;
    let later = shop.events_of(shop.advance("2027-06-01T00:00:00Z")).await;
    assert_eq!(later, Vec::<String>::new());
}

#[tokio::test]
async fn a_voided_invoice_is_not_pursued() {
    let shop = Shop::open().await;
    let (customer, _) = shop.subscriber().await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    shop.advance("2027-01-02T00:00:00Z").await;
    let invoice = id(&shop.stripe.invoices_of(&customer)[1]);
    assert_eq!(
        shop.post(&format!("/v1/invoices/{invoice}/void"), json!({}))
            .await["status"],
        "void"
    );
    shop.advance("2027-01-20T00:00:00Z").await;
    assert_eq!(shop.stripe.invoices_of(&customer)[1]["attempt_count"], 1);
    shop.refused(400, "POST", &format!("/v1/invoices/{invoice}/void"), json!({}))
        .await;
}

/// A bank debit cannot be called back: its invoice is void when it has failed, and not before.
#[tokio::test]
async fn an_invoice_that_a_debit_is_paying_cannot_be_voided() {
    let shop = Shop::open().await;
    let (customer, _) = shop.subscriber().await;
    shop.stripe
        .set_card(&customer, "pm_usBankAccount_insufficientFunds")
        .unwrap();
    shop.advance("2027-01-01T01:00:00Z").await;
    let invoice = shop.stripe.invoices_of(&customer)[1].clone();
    let path = format!("/v1/invoices/{}/void", id(&invoice));
    shop.refused(400, "POST", &path, json!({})).await;
    shop.advance("2027-01-05T00:00:00Z").await;
    assert_eq!(shop.stripe.invoices_of(&customer)[1]["attempt_count"], 1);
    assert_eq!(shop.post(&path, json!({})).await["status"], "void");
}

#[tokio::test]
async fn a_snapshot_is_the_whole_of_it() {
    let shop = Shop::open().await;
    let (customer, _) = shop.subscriber().await;
    let snapshot = shop.stripe.snapshot().unwrap();
    let other = StandIn::new(Config::new(Clock::frozen(at(super::harness::START))));
    other.restore(snapshot.clone()).unwrap();
    assert_eq!(other.snapshot().unwrap(), snapshot);
    other.advance_to(at("2027-01-01T01:00:00Z")).await;
    assert_eq!(
        other.invoices_of(&customer)[1]["status"],
        "paid",
        "what was to fall due still does"
    );
    assert_eq!(
        shop.stripe.invoices_of(&customer).len(),
        1,
        "and the one it was taken from is not touched"
    );
    assert!(other.restore(json!({})).is_err());
}

#[tokio::test]
async fn two_runs_make_the_same_ids() {
    let (one, other) = (Shop::open().await, Shop::open().await);
    assert_eq!(one.subscriber().await, other.subscriber().await);
    assert_eq!(one.stripe.snapshot().unwrap(), other.stripe.snapshot().unwrap());
}

#[tokio::test]
async fn an_open_invoice_is_paid_as_on_its_page() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    shop.stripe
        .set_card(&customer, "pm_card_authenticationRequired")
        .unwrap();
    let failing = shop.events_of(shop.advance("2027-01-02T00:00:00Z")).await;
    assert!(
        failing.contains(&"invoice.payment_action_required".to_owned()),
        "{failing:?}"
    );
    let invoice = id(&shop.stripe.invoices_of(&customer)[1]);
    assert_eq!(shop.stripe.pay_invoice(&invoice).await.unwrap()["status"], "paid");
    assert_eq!(
        shop.get(&format!("/v1/subscriptions/{subscription}")).await["status"],
        "active"
    );
    let session = id(&shop.session(&customer, &shop.monthly, 1).await);
    assert!(shop.stripe.pay_invoice(&session).await.is_err());
    shop.stripe.pay_session(&session, Payment::Succeed).await.unwrap();
}

#[tokio::test]
async fn the_draft_of_a_subscription_that_has_ended_is_not_collected() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    shop.advance("2027-01-01T00:30:00Z").await;
    shop.call("DELETE", &format!("/v1/subscriptions/{subscription}"), json!({}))
        .await;
    shop.advance("2027-02-01T00:00:00Z").await;
    let invoices = shop.stripe.invoices_of(&customer);
    assert_eq!((invoices.len(), &invoices[1]["status"]), (2, &json!("draft")));
}

#[tokio::test]
async fn a_clock_that_somebody_else_set_is_caught_up_with() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    shop.session(&customer, &shop.monthly, 1).await;
    shop.stripe.clock().set(at("2026-12-09T00:00:00Z"));
    let expired = shop.stripe.events().pop().unwrap();
    assert_eq!(expired["type"], "checkout.session.expired");
    assert_eq!(expired["created"], day("2026-12-02"), "at its own time");
}

#[tokio::test]
async fn a_delivery_under_way_in_a_snapshot_is_made_again() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    shop.stripe
        .add_webhook(&listener.url, &["customer.created"], false);
    let (stripe, taken) = (shop.stripe.clone(), Arc::new(Mutex::new(Value::Null)));
    let keep = Arc::clone(&taken);
    listener.calls_back(move || *keep.lock().unwrap() = stripe.snapshot().unwrap());
    shop.customer().await;
    shop.stripe.settle().await;
    assert_eq!(shop.stripe.next_due(), None);

    let restarted = StandIn::new(Config::new(Clock::frozen(at(super::harness::START))));
    restarted.restore(taken.lock().unwrap().clone()).unwrap();
    restarted.settle().await;
    assert_eq!(listener.types(), ["customer.created", "customer.created"]);
}

#[tokio::test]
async fn a_reset_goes_back_to_the_baseline_and_makes_no_id_twice() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    let moved = Listener::start().await;
    let params = json!({ "url": listener.url, "enabled_events": ["customer.created"] });
    let endpoint = id(&shop.post("/v1/webhook_endpoints", params).await);
    let account = id(&shop.post("/v1/accounts", json!({ "type": "standard" })).await);
    shop.stripe.set_baseline();
    let theirs = || {
        shop.stripe
            .call("POST", "/v1/customers", &json!({}), Some(&account))
            .1
    };
    let (customer, their_customer) = (shop.customer().await, id(&theirs()));
    shop.subscriber().await;
    let path = format!("/v1/webhook_endpoints/{endpoint}");
    shop.post(&path, json!({ "url": moved.url })).await;
    shop.advance("2026-12-24T00:00:00Z").await;

    let snapshot = shop.stripe.snapshot().unwrap();
    shop.stripe.restore(snapshot).unwrap();
    shop.stripe.reset();
    assert_eq!(shop.get("/v1/customers").await["data"], json!([]));
    assert_eq!(
        shop.get(&format!("/v1/prices/{}", shop.monthly)).await["active"],
        json!(true)
    );
    shop.advance("2027-02-01T00:00:00Z").await;
    assert_eq!(
        shop.get("/v1/invoices").await["data"],
        json!([]),
        "nothing is left to renew"
    );
    assert_ne!(shop.customer().await, customer);
    assert_ne!(
        id(&theirs()),
        their_customer,
        "nor in a world that came to be after the baseline"
    );
    shop.stripe.settle().await;
    assert_eq!(moved.types().len(), 1, "an endpoint stays where it was moved to");
}
