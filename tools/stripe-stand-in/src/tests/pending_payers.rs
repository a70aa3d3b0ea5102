//! What pays a subscription whose change is to wait for its payment: no bank debit.

use serde_json::{Value, json};

use super::harness::{Shop, id};
use crate::InvoiceAct;

const BANK: &str = "pm_usBankAccount";

/// What is asked for beside the items of a change that may wait.
fn may_wait() -> Value {
    json!({ "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete" })
}

/// Attaches a payment method to a customer, and answers its id.
async fn attached(shop: &Shop, customer: &str, method: &str) -> String {
    let path = format!("/v1/payment_methods/{method}/attach");
    id(&shop.post(&path, json!({ "customer": customer })).await)
}

/// More numbers, fewer, or none at all: refused alike, and nothing has happened. A preview is not, nor a change that does not wait; and
/// with a card it goes through.
#[tokio::test]
async fn a_change_cannot_wait_for_a_bank_debit() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.stripe.set_card(&customer, BANK).unwrap();
    let path = format!("/v1/subscriptions/{subscription}");
    let (before, told) = (shop.get(&path).await, shop.event_types().len());
    for quantity in [5, 2] {
        let params = shop
            .change_params(&subscription, json!({ "quantity": quantity }), may_wait())
            .await;
        let error = shop.refused(400, "POST", &path, params).await;
        assert_eq!(
            (&error["type"], &error["param"]),
            (&json!("invalid_request_error"), &json!("payment_behavior"))
        );
    }
    let noted = json!({ "payment_behavior": "pending_if_incomplete", "metadata": { "a": "1" } });
    shop.refused(400, "POST", &path, noted).await;
    let item = before["items"]["data"][0]["id"].as_str().unwrap();
    let mut of_item = may_wait();
    of_item["quantity"] = json!(5);
    let error = shop
        .refused(400, "POST", &format!("/v1/subscription_items/{item}"), of_item)
        .await;
    assert_eq!(error["param"], "payment_behavior");
    assert_eq!(
        (shop.get(&path).await, shop.event_types().len()),
        (before.clone(), told)
    );

    let details = json!({ "items": [{ "id": item, "quantity": 5 }], "proration_behavior": "always_invoice" });
    let preview = json!({ "subscription": subscription, "subscription_details": details });
    assert_eq!(
        shop.post("/v1/invoices/create_preview", preview).await["amount_due"],
        1333
    );
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    let changed = shop
        .change(&subscription, json!({ "quantity": 5 }), may_wait())
        .await;
    assert_eq!(changed["items"]["data"][0]["quantity"], 5);
}

/// The subscription's own method comes before the customer's.
#[tokio::test]
async fn what_pays_is_the_subscriptions_method_or_else_the_customers() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let bank = attached(&shop, &customer, BANK).await;
    let settings = json!({ "invoice_settings": { "default_payment_method": bank } });
    shop.post(&format!("/v1/customers/{customer}"), settings).await;
    shop.change(&subscription, json!({ "quantity": 4 }), may_wait())
        .await;
    shop.post(&path, json!({ "default_payment_method": "" })).await;
    let params = shop
        .change_params(&subscription, json!({ "quantity": 5 }), may_wait())
        .await;
    shop.refused(400, "POST", &path, params).await;
}

/// Declined, and the page of its invoice takes no bank account either, nor does the operator's call; a card pays.
#[tokio::test]
async fn the_invoice_of_a_change_that_waits_takes_no_bank_debit() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    let waiting = shop
        .change(&subscription, json!({ "quantity": 5 }), may_wait())
        .await;
    let invoice = waiting["latest_invoice"].as_str().unwrap();
    let by_bank = InvoiceAct {
        payment_method: Some(BANK.to_owned()),
        ..InvoiceAct::default()
    };
    shop.stripe.act_on_invoice(invoice, &by_bank).await.unwrap_err();
    let pay = format!("/v1/invoices/{invoice}/pay");
    let bank = attached(&shop, &customer, BANK).await;
    let error = shop
        .refused(400, "POST", &pay, json!({ "payment_method": bank }))
        .await;
    assert_eq!(error["param"], "payment_method");
    shop.stripe.set_card(&customer, BANK).unwrap();
    shop.refused(400, "POST", &pay, json!({})).await;
    let open = shop.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!(
        (&open["status"], &open["attempt_count"]),
        (&json!("open"), &json!(1))
    );
    shop.stripe
        .act_on_invoice(invoice, &InvoiceAct::default())
        .await
        .unwrap();
    let landed = shop.get(&format!("/v1/subscriptions/{subscription}")).await;
    assert_eq!(landed["items"]["data"][0]["quantity"], 5);
}

/// What pays is read along with a subscription, wherever it is said; also of one whose customer was deleted.
#[tokio::test]
async fn what_pays_is_expanded_from_where_it_is_said() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let expand = json!({ "expand": [
        "default_payment_method", "default_source", "customer.default_source",
        "customer.invoice_settings.default_payment_method",
    ] });
    shop.stripe.set_card(&customer, BANK).unwrap();
    let read = shop.list(&path, expand.clone()).await;
    assert_eq!(read["default_payment_method"]["type"], "us_bank_account");
    let own = &read["customer"]["invoice_settings"]["default_payment_method"];
    assert_eq!(own["type"], "us_bank_account");
    let gone = shop
        .call("DELETE", &format!("/v1/customers/{customer}"), json!({}))
        .await;
    assert_eq!(gone.status, 200);
    // async-stripe's type has no deleted customer there.
    let (status, read) = shop.stripe.call("GET", &path, &expand, None);
    assert_eq!(
        (status, &read["customer"]["deleted"]),
        (200, &json!(true)),
        "{read}"
    );
}
