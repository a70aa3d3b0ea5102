//! Money that goes back: refunds, credit notes, disputes, voided invoices, the customer's balance.

use serde_json::{Value, json};

use super::harness::{Shop, day, id};
use crate::{InvoiceAct, Settings};

/// The charge that paid the subscription's latest invoice, 30.00.
async fn charge(shop: &Shop, subscription: &str) -> String {
    let invoice = id(&shop.latest(subscription).await);
    let payments = shop
        .list(
            "/v1/invoice_payments",
            json!({ "invoice": invoice, "expand": ["data.payment.payment_intent"] }),
        )
        .await;
    let intent = &payments["data"][0]["payment"]["payment_intent"];
    intent["latest_charge"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_charge_is_refunded_in_parts_until_nothing_is_left() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let charge = charge(&shop, &subscription).await;
    let refunding = shop
        .events_of(async {
            shop.post("/v1/refunds", json!({ "charge": charge, "amount": 1000 }))
                .await;
        })
        .await;
    assert_eq!(refunding, ["refund.created", "charge.refunded"]);
    let path = format!("/v1/charges/{charge}");
    let partly = shop.get(&path).await;
    assert_eq!(
        (&partly["amount_refunded"], &partly["refunded"]),
        (&json!(1000), &json!(false))
    );
    let error = shop
        .refused(
            400,
            "POST",
            "/v1/refunds",
            json!({ "charge": charge, "amount": 2001 }),
        )
        .await;
    assert_eq!(error["param"], "amount");
    let intent = partly["payment_intent"].clone();
    let rest = shop
        .post(
            "/v1/refunds",
            json!({ "payment_intent": intent, "reason": "duplicate" }),
        )
        .await;
    assert_eq!(
        (&rest["amount"], &rest["status"]),
        (&json!(2000), &json!("succeeded"))
    );
    assert_eq!(shop.get(&path).await["refunded"], true);
    let error = shop
        .refused(400, "POST", "/v1/refunds", json!({ "charge": charge }))
        .await;
    assert_eq!(error["code"], "charge_already_refunded");
    let list = shop.list("/v1/refunds", json!({ "charge": charge })).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert_eq!(shop.latest(&subscription).await["status"], "paid", "as at Stripe");
}

#[tokio::test]
async fn a_credit_note_gives_back_as_it_is_told() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let invoice = shop.latest(&subscription).await;
    let params = |more: Value| {
        let mut params = json!({ "invoice": invoice["id"], "amount": 1500 });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        params
    };
    shop.refused(400, "POST", "/v1/credit_notes", params(json!({})))
        .await;
    shop.refused(
        400,
        "POST",
        "/v1/credit_notes",
        params(json!({ "refund_amount": 1000 })),
    )
    .await;
    let note = shop
        .post(
            "/v1/credit_notes",
            params(json!({ "refund_amount": 1000, "credit_amount": 500 })),
        )
        .await;
    assert_eq!(
        (&note["post_payment_amount"], &note["type"]),
        (&json!(1500), &json!("post_payment"))
    );
    assert_eq!(note["refunds"][0]["amount_refunded"], 1000);
    assert_eq!(shop.balance(&customer).await, -500);
    assert_eq!(
        shop.latest(&subscription).await["post_payment_credit_notes_amount"],
        1500
    );
    let path = format!("/v1/charges/{}", charge(&shop, &subscription).await);
    assert_eq!(shop.get(&path).await["amount_refunded"], 1000);
    let too_much = json!({ "invoice": invoice["id"], "amount": 1501, "out_of_band_amount": 1501 });
    shop.refused(400, "POST", "/v1/credit_notes", too_much).await;
    assert!(shop.event_types().contains(&"credit_note.created".to_owned()));
    // 30.00 − 5.00 of the balance.
    shop.advance("2027-01-01T01:00:00Z").await;
    assert_eq!(shop.latest(&subscription).await["amount_paid"], 2500);
}

#[tokio::test]
async fn a_credit_note_on_an_open_invoice_takes_off_what_is_to_be_paid() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    shop.advance("2027-01-01T01:00:00Z").await;
    let invoice = shop.latest(&subscription).await;
    let line = invoice["lines"]["data"][0]["id"].clone();
    let note = json!({
        "invoice": invoice["id"],
        "lines": [{ "type": "invoice_line_item", "invoice_line_item": line, "amount": 1000 }],
    });
    let note = shop.post("/v1/credit_notes", note).await;
    assert_eq!(
        (&note["pre_payment_amount"], &note["type"]),
        (&json!(1000), &json!("pre_payment"))
    );
    let less = shop.latest(&subscription).await;
    assert_eq!(
        (&less["amount_due"], &less["amount_remaining"]),
        (&json!(2000), &json!(2000))
    );
    shop.post(
        "/v1/credit_notes",
        json!({ "invoice": invoice["id"], "amount": 2000 }),
    )
    .await;
    assert_eq!(shop.latest(&subscription).await["status"], "paid");
    assert_eq!(
        shop.get(&format!("/v1/subscriptions/{subscription}")).await["status"],
        "active"
    );
}

/// 30.00 go back, and return to the merchant when the bank refuses them: the charge can be refunded again, and whoever heard of the one
/// hears of the other.
#[tokio::test]
async fn a_refund_fails_after_all() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let charge = charge(&shop, &subscription).await;
    for stays in [false, true] {
        shop.stripe.set(Settings {
            failed_refunds_stay_on_charges: stays,
            ..Settings::default()
        });
        let refund = shop
            .post("/v1/refunds", json!({ "charge": charge, "amount": 100 }))
            .await;
        let failed = shop.stripe.fail_refund(&id(&refund), "declined").await.unwrap();
        assert_eq!(
            (&failed["status"], &failed["failure_reason"]),
            (&json!("failed"), &json!("declined"))
        );
        assert!(
            shop.event_types()
                .ends_with(&["refund.failed".to_owned(), "charge.refund.updated".to_owned()])
        );
        let left = if stays { 100 } else { 0 };
        assert_eq!(
            shop.get(&format!("/v1/charges/{charge}")).await["amount_refunded"],
            left
        );
        assert!(
            shop.stripe.fail_refund(&id(&refund), "declined").await.is_err(),
            "once is enough"
        );
    }
}

/// A balance of −5.00 is taken by the renewal, and comes back when that is voided.
#[tokio::test]
async fn a_voided_invoice_gives_the_balance_back() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    shop.post(&format!("/v1/customers/{customer}"), json!({ "balance": -500 }))
        .await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    shop.advance("2027-01-01T01:00:00Z").await;
    let invoice = shop.latest(&subscription).await;
    assert_eq!(
        (&invoice["amount_due"], shop.balance(&customer).await),
        (&json!(2500), json!(0))
    );
    shop.post(&format!("/v1/invoices/{}/void", id(&invoice)), json!({}))
        .await;
    assert_eq!(shop.balance(&customer).await, -500);
}

/// 4.00 of 30.00 are paid: the rest is due, can be paid, and is not made void.
#[tokio::test]
async fn an_invoice_that_is_paid_in_part_is_not_made_void() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    shop.advance("2027-01-01T01:00:00Z").await;
    let invoice = id(&shop.latest(&subscription).await);
    let part = |amount| InvoiceAct {
        amount: Some(amount),
        ..InvoiceAct::default()
    };
    for amount in [0, -1, 3000] {
        assert!(
            shop.stripe.act_on_invoice(&invoice, &part(amount)).await.is_err(),
            "{amount}"
        );
    }
    let paid = shop.stripe.act_on_invoice(&invoice, &part(400)).await.unwrap();
    assert_eq!(
        (&paid["status"], &paid["amount_paid"], &paid["amount_remaining"]),
        (&json!("open"), &json!(400), &json!(2600))
    );
    shop.refused(400, "POST", &format!("/v1/invoices/{invoice}/void"), json!({}))
        .await;
    let paid = shop.stripe.pay_invoice(&invoice).await.unwrap();
    assert_eq!(
        (&paid["status"], &paid["amount_paid"]),
        (&json!("paid"), &json!(3000))
    );
    let payments = shop
        .list("/v1/invoice_payments", json!({ "invoice": invoice }))
        .await;
    let mut amounts: Vec<_> = payments["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["amount_paid"].clone())
        .collect();
    amounts.sort_by_key(Value::as_i64);
    assert_eq!(amounts, [400, 2600]);
}

/// 30.00 + 5.00 − 2.00; the next invoice is 30.00 again.
#[tokio::test]
async fn amounts_put_by_come_with_the_next_invoice_once() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    for (amount, says) in [(500, "Setting up"), (-200, "Sorry")] {
        let item = json!({ "customer": customer, "amount": amount, "currency": "usd", "description": says });
        shop.post("/v1/invoiceitems", item).await;
    }
    let waiting = shop
        .list(
            "/v1/invoiceitems",
            json!({ "customer": customer, "pending": true }),
        )
        .await;
    assert_eq!(waiting["data"].as_array().unwrap().len(), 2);
    shop.advance("2027-01-01T01:00:00Z").await;
    assert_eq!(shop.latest(&subscription).await["amount_paid"], 3300);
    shop.advance("2027-02-01T01:00:00Z").await;
    assert_eq!(shop.latest(&subscription).await["amount_paid"], 3000);
}

/// It is not pursued, and the subscription is active again. Its time is credited or not, as the setting says.
#[tokio::test]
async fn an_invoice_that_is_written_off_is_no_longer_waited_for() {
    for given_up_time_is_credited in [true, false] {
        let shop = Shop::open().await;
        shop.stripe.set(Settings {
            given_up_time_is_credited,
            ..Settings::default()
        });
        let (customer, subscription) = shop.subscriber().await;
        shop.stripe
            .set_card(&customer, "pm_card_chargeCustomerFail")
            .unwrap();
        shop.advance("2027-01-01T01:00:00Z").await;
        let invoice = id(&shop.latest(&subscription).await);
        let path = format!("/v1/subscriptions/{subscription}");
        assert_eq!(shop.get(&path).await["status"], "past_due");
        let written_off = shop.stripe.write_off_invoice(&invoice).await.unwrap();
        assert_eq!(written_off["status"], "uncollectible");
        assert!(shop.stripe.write_off_invoice(&invoice).await.is_err());
        assert_eq!(shop.get(&path).await["status"], "active");
        let preview = shop.preview(
            &subscription,
            json!({ "quantity": 1 }),
            json!({ "proration_behavior": "always_invoice" }),
        );
        let lines = preview.await["lines"]["data"].clone();
        let amounts = lines.as_array().unwrap().iter();
        let credits = amounts.filter(|line| line["amount"].as_i64().unwrap() < 0);
        assert_eq!(credits.count(), usize::from(given_up_time_is_credited));
        shop.advance("2027-01-20T00:00:00Z").await;
        assert_eq!(
            shop.latest(&subscription).await["attempt_count"],
            1,
            "it is not pursued"
        );
    }
}

/// It can be paid all the same, and made void or not, as the setting says.
#[tokio::test]
async fn an_invoice_that_is_written_off_can_still_be_paid() {
    for given_up_bills_can_be_voided in [true, false] {
        let shop = Shop::open().await;
        shop.stripe.set(Settings {
            given_up_bills_can_be_voided,
            ..Settings::default()
        });
        let (customer, subscription) = shop.subscriber().await;
        shop.stripe
            .set_card(&customer, "pm_card_chargeCustomerFail")
            .unwrap();
        shop.advance("2027-01-01T01:00:00Z").await;
        let invoice = id(&shop.latest(&subscription).await);
        shop.stripe.write_off_invoice(&invoice).await.unwrap();
        if given_up_bills_can_be_voided {
            let void = shop
                .post(&format!("/v1/invoices/{invoice}/void"), json!({}))
                .await;
            assert_eq!(void["status"], "void");
        } else {
            shop.refused(400, "POST", &format!("/v1/invoices/{invoice}/void"), json!({}))
                .await;
            let paid = shop.stripe.pay_invoice(&invoice).await.unwrap();
            assert_eq!(paid["status"], "paid");
        }
    }
}

/// Sent on the first day, due in ten; the renewal is sent as well and charges no card.
#[tokio::test]
async fn an_invoice_that_is_sent_waits_for_its_payer() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    let params = json!({
        "customer": customer,
        "items": [{ "price": shop.monthly, "quantity": 3 }],
        "collection_method": "send_invoice",
        "days_until_due": 10,
    });
    let begun = shop.post("/v1/subscriptions", params).await;
    assert_eq!(begun["status"], "active");
    let sent = shop.latest(&id(&begun)).await;
    assert_eq!(
        (&sent["status"], &sent["due_date"], &sent["attempted"]),
        (&json!("open"), &json!(day("2026-12-11")), &json!(false))
    );
    shop.stripe.pay_invoice(&id(&sent)).await.unwrap();
    assert_eq!(shop.latest(&id(&begun)).await["status"], "paid");
    let renewing = shop.events_of(shop.advance("2027-01-01T01:00:00Z")).await;
    assert_eq!(renewing.last().unwrap(), "invoice.sent");
    assert_eq!(shop.latest(&id(&begun)).await["status"], "open");
}

/// A fee of 5.00 on the subscription as a whole, not on one of its items, waits for the renewal: 3000 + 500.
#[tokio::test]
async fn a_fee_on_a_subscription_is_collected_with_its_next_invoice() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let fee = json!({ "customer": customer, "subscription": subscription, "amount": 500, "currency": "usd" });
    let fee = shop.post("/v1/invoiceitems", fee).await;
    assert_eq!(
        fee["parent"]["subscription_details"],
        json!({ "subscription": subscription })
    );
    shop.advance("2027-01-01T01:00:00Z").await;
    assert_eq!(shop.latest(&subscription).await["amount_paid"], 3500);
}
