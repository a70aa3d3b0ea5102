//! Checkout sessions and what comes of them.

use serde_json::{Value, json};

use super::harness::{Shop, at, day, id};
use crate::{Completion, Later, Payment};

/// 3 × 10.00.
#[tokio::test]
async fn a_paid_session_becomes_an_active_subscription_and_a_paid_invoice() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let session = shop.session(&customer, &shop.monthly, 3).await;
    assert_eq!(session["status"], "open");
    assert_eq!(session["payment_status"], "unpaid");
    assert_eq!(session["amount_total"], 3000);
    assert_eq!(session["expires_at"], day("2026-12-02"));
    assert!(
        session["client_secret"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{}_secret_", id(&session)))
    );

    let paid = shop
        .stripe
        .pay_session(&id(&session), Payment::Succeed)
        .await
        .unwrap();
    assert_eq!(
        (&paid["status"], &paid["payment_status"]),
        (&json!("complete"), &json!("paid"))
    );

    let path = format!("/v1/subscriptions/{}", paid["subscription"].as_str().unwrap());
    let subscription = shop
        .list(
            &path,
            json!({ "expand": ["latest_invoice.payments", "customer"] }),
        )
        .await;
    assert_eq!(subscription["status"], "active");
    assert_eq!(subscription["customer"]["email"], "ada@example.com");
    let item = &subscription["items"]["data"][0];
    assert_eq!(item["quantity"], 3);
    assert_eq!(item["current_period_start"], day("2026-12-01"));
    assert_eq!(item["current_period_end"], day("2027-01-01"));
    assert_eq!(item["plan"]["amount"], 1000);

    let invoice = &subscription["latest_invoice"];
    assert_eq!(invoice["id"], paid["invoice"]);
    assert_eq!(
        (&invoice["status"], &invoice["amount_paid"]),
        (&json!("paid"), &json!(3000))
    );
    assert_eq!(invoice["billing_reason"], "subscription_create");
    assert_eq!(
        invoice["parent"]["subscription_details"]["subscription"],
        subscription["id"]
    );
    assert_eq!(
        invoice["lines"]["data"][0]["description"],
        "3 × Number (at $10.00 / month)"
    );
    assert_eq!(invoice["lines"]["data"][0]["period"]["end"], day("2027-01-01"));
    assert_eq!(invoice["payments"]["data"][0]["status"], "paid");
}

#[tokio::test]
async fn events_come_in_the_order_in_which_things_happen() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let session = shop.session(&customer, &shop.monthly, 3).await;
    let paying = async {
        shop.stripe
            .pay_session(&id(&session), Payment::Succeed)
            .await
            .unwrap();
    };
    assert_eq!(
        shop.events_of(paying).await,
        [
            "payment_method.attached",
            "checkout.session.completed",
            "customer.subscription.created",
            "invoice.created",
            "payment_intent.created",
            "invoice.finalized",
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "customer.subscription.updated",
        ]
    );
    let events = shop.stripe.events();
    let updated = events.last().unwrap();
    assert_eq!(
        updated["data"]["previous_attributes"],
        json!({ "status": "incomplete" })
    );
    assert_eq!(updated["data"]["object"]["status"], "active");
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open_for_another_try() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let session = id(&shop.session(&customer, &shop.monthly, 1).await);
    let declined = shop.stripe.pay_session(&session, Payment::Decline).await.unwrap();
    assert_eq!(
        (&declined["status"], &declined["subscription"]),
        (&json!("open"), &Value::Null)
    );
    assert!(shop.event_types().ends_with(&[
        "charge.failed".to_owned(),
        "payment_intent.payment_failed".to_owned()
    ]));

    let paid = shop.stripe.pay_session(&session, Payment::Succeed).await.unwrap();
    assert_eq!(paid["status"], "complete");
    let intents = shop
        .event_types()
        .into_iter()
        .filter(|kind| kind == "payment_intent.created")
        .count();
    assert_eq!(intents, 1, "the second try takes up the intent of the first");
}

#[tokio::test]
async fn a_payment_that_needs_authentication_waits_for_it() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let session = id(&shop.session(&customer, &shop.monthly, 1).await);
    let waiting = shop
        .stripe
        .pay_session(&session, Payment::RequiresAction)
        .await
        .unwrap();
    assert_eq!(waiting["status"], "open");
    assert_eq!(
        shop.event_types().last().unwrap(),
        "payment_intent.requires_action"
    );
    let paid = shop.stripe.pay_session(&session, Payment::Succeed).await.unwrap();
    assert_eq!(paid["payment_status"], "paid");
}

#[tokio::test]
async fn a_bank_debit_completes_unpaid_and_is_paid_three_days_later() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let session = id(&shop.session(&customer, &shop.monthly, 1).await);
    let complete = shop.stripe.pay_session(&session, Payment::Delayed).await.unwrap();
    assert_eq!(
        (&complete["status"], &complete["payment_status"]),
        (&json!("complete"), &json!("unpaid"))
    );
    let invoice = format!("/v1/invoices/{}", complete["invoice"].as_str().unwrap());
    assert_eq!(shop.get(&invoice).await["status"], "open");

    shop.advance("2026-12-03T23:59:59Z").await;
    assert_eq!(shop.get(&invoice).await["status"], "open");
    shop.advance("2026-12-04T00:00:00Z").await;
    assert_eq!(shop.get(&invoice).await["status"], "paid");
    assert_eq!(
        shop.event_types().last().unwrap(),
        "checkout.session.async_payment_succeeded"
    );
}

#[tokio::test]
async fn a_bank_debit_may_fail_at_last() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let session = id(&shop.session(&customer, &shop.monthly, 1).await);
    let how = Completion {
        payment: Payment::Delayed,
        later: Later::Decline,
        ..Completion::default()
    };
    let complete = shop.stripe.complete_session(&session, &how).await.unwrap();
    shop.advance("2026-12-04T00:00:00Z").await;
    assert_eq!(
        shop.event_types().last().unwrap(),
        "checkout.session.async_payment_failed"
    );
    let subscription = shop
        .get(&format!(
            "/v1/subscriptions/{}",
            complete["subscription"].as_str().unwrap()
        ))
        .await;
    assert_eq!(subscription["status"], "past_due");
}

#[tokio::test]
async fn an_open_session_expires_by_the_clock_and_once() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let session = id(&shop.session(&customer, &shop.monthly, 1).await);
    shop.advance("2026-12-01T23:59:59Z").await;
    assert_eq!(
        shop.get(&format!("/v1/checkout/sessions/{session}")).await["status"],
        "open"
    );
    shop.advance("2026-12-05T00:00:00Z").await;
    let expired = shop.get(&format!("/v1/checkout/sessions/{session}")).await;
    assert_eq!(
        (&expired["status"], &expired["client_secret"]),
        (&json!("expired"), &Value::Null)
    );
    let events = shop.stripe.events();
    let expiries: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "checkout.session.expired")
        .collect();
    assert_eq!(expiries.len(), 1);
    assert_eq!(
        expiries[0]["created"],
        day("2026-12-02"),
        "at its own time, not when the clock was moved"
    );
}

#[tokio::test]
async fn a_session_expires_by_call_unless_it_is_complete() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let open = id(&shop.session(&customer, &shop.monthly, 1).await);
    let expired = shop
        .post(&format!("/v1/checkout/sessions/{open}/expire"), json!({}))
        .await;
    assert_eq!(expired["status"], "expired");

    let complete = id(&shop.session(&customer, &shop.monthly, 1).await);
    shop.stripe
        .pay_session(&complete, Payment::Succeed)
        .await
        .unwrap();
    let error = shop
        .refused(
            400,
            "POST",
            &format!("/v1/checkout/sessions/{complete}/expire"),
            json!({}),
        )
        .await;
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("status of `complete`"),
        "{error}"
    );
    assert!(
        shop.stripe
            .pay_session(&complete, Payment::Succeed)
            .await
            .is_err(),
        "nor can it be paid twice"
    );
}

#[tokio::test]
async fn a_session_without_a_customer_makes_one_of_its_address() {
    let shop = Shop::open().await;
    let params = json!({
        "mode": "subscription",
        "success_url": "https://app.example.com/done",
        "customer_email": "new@example.com",
        "client_reference_id": "acc_7",
        "line_items": [{ "price": shop.annual, "quantity": 2 }],
        "subscription_data": { "metadata": { "account": "acc_7" } },
    });
    let session = shop.post("/v1/checkout/sessions", params).await;
    assert_eq!(
        (&session["ui_mode"], &session["client_secret"]),
        (&json!("hosted_page"), &Value::Null)
    );
    assert!(
        session["url"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/checkout/{}", id(&session)))
    );
    let paid = shop
        .stripe
        .pay_session(&id(&session), Payment::Succeed)
        .await
        .unwrap();
    assert_eq!(paid["client_reference_id"], "acc_7");
    let customer = paid["customer"].as_str().unwrap();
    assert_eq!(
        shop.get(&format!("/v1/customers/{customer}")).await["email"],
        "new@example.com"
    );
    let subscriptions = shop.stripe.subscriptions_of(customer);
    assert_eq!(subscriptions[0]["metadata"]["account"], "acc_7");
    assert_eq!(
        subscriptions[0]["items"]["data"][0]["current_period_end"],
        day("2027-12-01")
    );
}

#[tokio::test]
async fn the_way_a_session_is_shown_decides_where_it_may_lead() {
    let shop = Shop::open().await;
    let with = |more: Value| {
        let mut params =
            json!({ "mode": "subscription", "line_items": [{ "price": shop.monthly, "quantity": 1 }] });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        params
    };
    let url = "https://app.example.com/";
    for (more, param) in [
        (
            json!({ "ui_mode": "embedded_page", "return_url": url, "success_url": url }),
            "success_url",
        ),
        (
            json!({ "ui_mode": "embedded_page", "return_url": url, "cancel_url": url }),
            "cancel_url",
        ),
        (json!({ "ui_mode": "embedded_page" }), "return_url"),
        (
            json!({ "ui_mode": "hosted_page", "return_url": url }),
            "return_url",
        ),
        (json!({}), "success_url"),
        (json!({ "ui_mode": "embedded", "return_url": url }), "ui_mode"),
        (json!({ "success_url": "nowhere" }), "success_url"),
        (
            json!({ "success_url": "https://app.example.com/#a#b" }),
            "success_url",
        ),
        (
            json!({ "success_url": "https://app.example.com/%zz" }),
            "success_url",
        ),
        (
            json!({ "success_url": "https://app.example.com/<a>" }),
            "success_url",
        ),
    ] {
        let error = shop
            .refused(400, "POST", "/v1/checkout/sessions", with(more))
            .await;
        assert_eq!(error["param"], param);
    }
}

#[tokio::test]
async fn a_session_lives_between_half_an_hour_and_a_day() {
    let shop = Shop::open().await;
    let now = at(super::harness::START).as_second();
    for (seconds, status) in [(1_799, 400), (1_800, 200), (86_400, 200), (86_401, 400)] {
        let params = json!({
            "mode": "subscription",
            "success_url": "https://app.example.com/",
            "line_items": [{ "price": shop.monthly, "quantity": 1 }],
            "expires_at": now + seconds,
        });
        assert_eq!(
            shop.call("POST", "/v1/checkout/sessions", params).await.status,
            status,
            "{seconds} s"
        );
    }
}

#[tokio::test]
async fn sessions_are_found_by_customer_subscription_and_status() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let open = id(&shop.session(&customer, &shop.annual, 1).await);
    let found = |params: Value| {
        let shop = &shop;
        async move {
            let list = shop.list("/v1/checkout/sessions", params).await;
            list["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(id)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(found(json!({ "customer": customer })).await.len(), 2);
    assert_eq!(
        found(json!({ "customer": customer, "status": "open" })).await,
        std::slice::from_ref(&open)
    );
    assert_eq!(found(json!({ "subscription": subscription })).await.len(), 1);
    let lines = shop
        .get(&format!("/v1/checkout/sessions/{open}/line_items"))
        .await;
    assert_eq!(lines["data"][0]["amount_total"], 9600);
}

/// The price is for sale and what it is of is not: no page, in Stripe's words. What runs goes on.
#[tokio::test]
async fn a_price_of_an_archived_product_is_not_sold() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let product = format!("/v1/products/{}", shop.product);
    shop.post(&product, json!({ "active": false })).await;
    let page = json!({
        "mode": "subscription", "ui_mode": "embedded_page", "return_url": "https://example.com/back", "customer": customer,
        "line_items": [{ "price": shop.monthly, "quantity": 3 }],
    });
    let error = shop
        .refused(400, "POST", "/v1/checkout/sessions", page.clone())
        .await;
    let words = format!(
        "Price `{}` is not available to be purchased because its product is not active.",
        shop.monthly
    );
    assert_eq!(
        (&error["message"], &error["param"], &error["code"]),
        (&json!(words), &json!("line_items[0][price]"), &Value::Null)
    );
    shop.advance("2027-01-01T01:00:00Z").await;
    assert_eq!(shop.latest(&subscription).await["amount_paid"], 3000);
    shop.post(&product, json!({ "active": true })).await;
    shop.post("/v1/checkout/sessions", page).await;
}
