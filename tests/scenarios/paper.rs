//! Stripe's answers in shapes that no account of a scenario gets to: lists of several pages, lines of every kind.

use billing_core::id::InvoiceId;
use billing_stripe::Reversed;
use billing_tests::stripe_of;
use serde_json::{Value, json};

/// A line of that amount for `sub_1`, or for another subscription.
fn line(id: &str, amount: i64, parent: Value) -> Value {
    json!({
        "id": id, "amount": amount, "currency": "usd", "quantity": 3, "parent": parent,
        "period": { "start": 1_775_001_600, "end": 1_777_593_600 },
    })
}

fn item_of(subscription: &str) -> Value {
    json!({ "subscription_item_details": { "subscription": subscription }, "invoice_item_details": null })
}

fn proration_of(subscription: &str) -> Value {
    json!({
        "subscription_item_details": null,
        "invoice_item_details": { "subscription": subscription, "proration": true },
    })
}

/// What an operator adds by hand.
fn added_to(subscription: &str) -> Value {
    json!({
        "subscription_item_details": null,
        "invoice_item_details": { "subscription": subscription, "proration": false },
    })
}

fn invoice(status: &str, lines: &Value) -> Value {
    json!({
        "id": "in_1", "status": status, "customer": "cus_1", "lines": lines,
        "parent": { "subscription_details": { "subscription": "sub_1" } },
    })
}

/// Two pages: of the first the subscription's own line and the line for nothing count, of the second the proration. A credit is
/// no service, and neither is another subscription's line or somebody's set-up fee.
#[tokio::test]
async fn the_lines_of_an_invoice_that_grant_service_are_read_to_the_last_page() {
    let first = json!({ "has_more": true, "data": [
        line("il_service", 3000, item_of("sub_1")),
        line("il_free", 0, item_of("sub_1")),
        line("il_credit", -1000, proration_of("sub_1")),
        line("il_other", 500, item_of("sub_2")),
        line("il_fee", 500, Value::Null),
    ] });
    let second = json!({ "has_more": false, "data": [line("il_proration", 700, proration_of("sub_1"))] });
    let stripe = stripe_of([
        ("/v1/invoices/in_1", invoice("paid", &first)),
        ("/v1/invoices/in_1/lines?limit=100&starting_after=il_fee", second),
    ])
    .await;
    let invoice = stripe.invoice(&"in_1".parse().unwrap()).await.unwrap();
    assert!(invoice.paid);
    let lines: Vec<_> = invoice
        .service
        .iter()
        .map(|entry| (entry.line.as_str(), entry.amount.minor, entry.quantity))
        .collect();
    assert_eq!(
        lines,
        [
            ("il_service", 3000, 3),
            ("il_free", 0, 3),
            ("il_proration", 700, 3)
        ]
    );
}

/// A bill of its own for a favour, and for a fee, which name the subscription and the month: nothing is covered by it, and nothing
/// is covered no longer.
#[tokio::test]
async fn what_an_operator_adds_to_a_bill_neither_grants_service_nor_gives_it_back() {
    for amount in [-500, 500] {
        let lines = json!({ "has_more": false, "data": [line("il_added", amount, added_to("sub_1"))] });
        let stripe = stripe_of([("/v1/invoices/in_1", invoice("paid", &lines))]).await;
        let invoice = stripe.invoice(&"in_1".parse().unwrap()).await.unwrap();
        assert_eq!(invoice.service, [], "{amount}");
    }
}

#[tokio::test]
async fn an_invoice_that_is_not_paid_is_told_from_one_that_is() {
    for status in ["draft", "open", "uncollectible", "void"] {
        let lines = json!({ "has_more": false, "data": [] });
        let stripe = stripe_of([("/v1/invoices/in_1", invoice(status, &lines))]).await;
        let invoice = stripe.invoice(&"in_1".parse().unwrap()).await.unwrap();
        assert!(!invoice.paid, "{status}");
    }
}

/// Newest first, two pages: the account's own, and of these the oldest.
#[tokio::test]
async fn the_oldest_customer_of_an_account_is_found_on_the_last_page() {
    let customer = |id: &str, account: &str| json!({ "id": id, "metadata": { "account": account } });
    let stripe = stripe_of([
        (
            "/v1/customers?created[gte]=1000&limit=100",
            json!({ "has_more": true, "data": [customer("cus_4", "ada"), customer("cus_3", "bob")] }),
        ),
        (
            "/v1/customers?created[gte]=1000&limit=100&starting_after=cus_3",
            json!({ "has_more": false, "data": [customer("cus_2", "ada"), customer("cus_1", "bob"), { "id": "cus_0" }] }),
        ),
    ])
    .await;
    let found = stripe
        .find_customer(&"ada".parse().unwrap(), "1970-01-01T00:16:40Z".parse().unwrap())
        .await;
    assert_eq!(found, Ok(Some("cus_2".parse().unwrap())));
}

/// An operator has attached one payment to two invoices: money that went back of it is of either.
#[tokio::test]
async fn a_refund_of_a_payment_is_of_every_invoice_that_it_paid() {
    let paid = |invoice: &str| json!({ "invoice": invoice });
    let stripe = stripe_of([
        ("/v1/charges/ch_1", json!({ "payment_intent": "pi_1" })),
        (
            "/v1/invoice_payments?limit=100&payment[payment_intent]=pi_1&payment[type]=payment_intent",
            json!({ "has_more": false, "data": [paid("in_2"), paid("in_1"), paid("in_2")] }),
        ),
    ])
    .await;
    let reversed = Reversed::Charge("ch_1".parse().unwrap());
    let invoices = stripe.reversed(&reversed).await.unwrap();
    let invoices: Vec<_> = invoices.iter().map(InvoiceId::as_str).collect();
    assert_eq!(invoices, ["in_1", "in_2"]);
}
