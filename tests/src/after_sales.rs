//! What happens after a sale at Stripe: refunds, credit notes, disputes.
//!
//! The events of each arrive before it returns, unless they are held.

use serde_json::{Value, json};

use crate::account::Account;
use crate::stripe::{Stripe, path_of};

impl Stripe {
    /// From now on Stripe delivers nothing: an operator has disabled every endpoint.
    pub async fn stops_delivering(&self) {
        let endpoints = self.operator("GET", "/v1/webhook_endpoints", "").await;
        for endpoint in endpoints["data"].as_array().unwrap() {
            let path = path_of(endpoint);
            self.operator("POST", &path, "disabled=true").await;
        }
    }

    /// The charge that paid the account's latest invoice.
    pub async fn latest_charge(&self, account: &Account<'_>) -> Value {
        let invoice = self.invoices(account).await.swap_remove(0);
        self.charge_of(invoice["id"].as_str().unwrap()).await
    }

    /// The charge that paid an invoice.
    pub async fn charge_of(&self, invoice: &str) -> Value {
        let path = format!(
            "/v1/invoice_payments?invoice={invoice}&expand[0]=data.payment.payment_intent.latest_charge"
        );
        let payments = self.operator("GET", &path, "").await;
        payments["data"][0]["payment"]["payment_intent"]["latest_charge"].clone()
    }

    /// An operator refunds that much of a charge; the events arrive.
    pub async fn refunds(&self, charge: &Value, amount: i64) {
        let form = format!("charge={}&amount={amount}", charge["id"].as_str().unwrap());
        self.operator("POST", "/v1/refunds", &form).await;
        self.stand_in().settle().await;
    }

    /// The bank sends the refund back that was made last; the events arrive.
    pub async fn refund_fails(&self) {
        let latest = self.operator("GET", "/v1/refunds?limit=1", "").await["data"][0].take();
        let path = format!("/_test/refunds/{}/fail", latest["id"].as_str().unwrap());
        self.operator_json(&path, &json!({})).await;
        self.stand_in().settle().await;
    }

    /// An operator credits that much of the account's latest invoice, `how`: `refund_amount`, `credit_amount`, `out_of_band_amount`.
    /// Answers the credit note's id.
    pub async fn credits(&self, account: &Account<'_>, amount: i64, how: &str) -> String {
        let invoice = self.invoices(account).await.swap_remove(0);
        let form = format!(
            "invoice={}&amount={amount}&{how}={amount}",
            invoice["id"].as_str().unwrap()
        );
        let note = self.operator("POST", "/v1/credit_notes", &form).await;
        self.stand_in().settle().await;
        note["id"].as_str().unwrap().to_owned()
    }

    /// A payer disputes a charge; answers the dispute's id.
    pub async fn is_disputed(&self, charge: &Value) -> String {
        self.is_disputed_so(charge, &json!({})).await
    }

    /// A payer's bank opens a case about a charge: `amount` of it, of a `caseType`. Answers its id.
    pub async fn is_disputed_so(&self, charge: &Value, how: &Value) -> String {
        let path = format!("/_test/charges/{}/dispute", charge["id"].as_str().unwrap());
        let dispute = self.operator_json(&path, how).await;
        self.stand_in().settle().await;
        dispute["id"].as_str().unwrap().to_owned()
    }

    /// An operator appeals a dispute that was lost.
    pub async fn appeals(&self, dispute: &str) {
        let path = format!("/_test/disputes/{dispute}/appeal");
        self.operator_json(&path, &json!({})).await;
        self.stand_in().settle().await;
    }

    /// The bank decides a dispute.
    pub async fn decides(&self, dispute: &str, won: bool) {
        self.operator_json(
            &format!("/_test/disputes/{dispute}/close"),
            &json!({ "won": won }),
        )
        .await;
        self.stand_in().settle().await;
    }
}
