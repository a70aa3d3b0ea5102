//! Stripe's side: what it has, what payers do there, and when its events arrive.

use billing_stripe::webhook;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local_stack::Stack;
use local_stack::catalog::Catalog;
use serde_json::{Value, json};
use stripe_stand_in::{Fault, FaultKind, Settings, StandIn};

use crate::account::Account;

/// As often as it takes.
const ALWAYS: u32 = 1000;

/// Stripe, as seen by its own API and through its payers' eyes.
pub struct Stripe {
    stand_in: StandIn,
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
    key: String,
    webhook_secret: String,
}

impl Stripe {
    pub(crate) fn of(stack: &Stack) -> Self {
        Self {
            stand_in: stack.stand_in.clone().unwrap(),
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            address: stack.directory.stripe.clone(),
            key: stack.directory.stripe_key.clone(),
            webhook_secret: stack.directory.webhook_secret.clone(),
        }
    }

    /// The stand-in itself.
    #[must_use]
    pub fn stand_in(&self) -> &StandIn {
        &self.stand_in
    }

    /// The customers that name this account.
    pub async fn customers(&self, account: &Account<'_>) -> Vec<Value> {
        let all = self.list("/v1/customers?limit=100").await;
        all.into_iter()
            .filter(|customer| customer["metadata"]["account"] == account.id)
            .collect()
    }

    /// The checkout sessions of this account, newest first.
    pub async fn sessions(&self, account: &Account<'_>) -> Vec<Value> {
        let all = self.list("/v1/checkout/sessions?limit=100").await;
        all.into_iter()
            .filter(|session| session["client_reference_id"] == account.id)
            .collect()
    }

    /// Those of them that can be paid.
    pub async fn payable_sessions(&self, account: &Account<'_>) -> Vec<Value> {
        self.sessions(account)
            .await
            .into_iter()
            .filter(|session| session["status"] == "open")
            .collect()
    }

    /// The subscriptions of this account, also those that are over.
    pub async fn subscriptions(&self, account: &Account<'_>) -> Vec<Value> {
        let all = self.list("/v1/subscriptions?status=all&limit=100").await;
        all.into_iter()
            .filter(|subscription| subscription["metadata"]["account"] == account.id)
            .collect()
    }

    /// The latest subscription of this account.
    pub async fn subscription(&self, account: &Account<'_>) -> Value {
        self.subscriptions(account).await.swap_remove(0)
    }

    /// The id of its first customer.
    pub async fn customer_id(&self, account: &Account<'_>) -> String {
        id_of(&self.customers(account).await[0]).to_owned()
    }

    /// The id of its latest subscription.
    pub async fn subscription_id(&self, account: &Account<'_>) -> String {
        id_of(&self.subscription(account).await).to_owned()
    }

    /// The id of the first item of that.
    pub async fn item_id(&self, account: &Account<'_>) -> String {
        id_of(&self.subscription(account).await["items"]["data"][0]).to_owned()
    }

    /// The invoices of this account, newest first.
    pub async fn invoices(&self, account: &Account<'_>) -> Vec<Value> {
        let customer = self.customer_id(account).await;
        self.list(&format!("/v1/invoices?customer={customer}&limit=100"))
            .await
    }

    /// What this account has paid so far, invoice by invoice, oldest first.
    pub async fn payments(&self, account: &Account<'_>) -> Vec<i64> {
        paid(&self.invoices(account).await)
    }

    /// What everybody's invoices have charged so far, oldest first.
    pub async fn charges(&self) -> Vec<i64> {
        self.charged("/v1/invoices?limit=100").await
    }

    /// What a customer's invoices have charged so far, oldest first.
    pub async fn charges_of(&self, customer: &str) -> Vec<i64> {
        self.charged(&format!("/v1/invoices?customer={customer}&limit=100"))
            .await
    }

    async fn charged(&self, path: &str) -> Vec<i64> {
        paid(&self.list(path).await)
    }

    /// What was refunded so far, oldest first.
    pub async fn refunded(&self) -> Vec<i64> {
        let refunds = self.list("/v1/refunds?limit=100").await;
        let amounts = refunds.iter().rev();
        amounts.map(|refund| refund["amount"].as_i64().unwrap()).collect()
    }

    /// All customers, newest first.
    pub async fn all_customers(&self) -> Vec<Value> {
        self.list("/v1/customers?limit=100").await
    }

    /// All subscriptions, newest first, also those that are over.
    pub async fn all_subscriptions(&self) -> Vec<Value> {
        self.list("/v1/subscriptions?status=all&limit=100").await
    }

    /// The page that was opened last.
    pub async fn latest_page(&self) -> Value {
        self.list("/v1/checkout/sessions?limit=1").await.remove(0)
    }

    /// The pages that can be paid.
    pub async fn open_pages(&self) -> Vec<Value> {
        let pages = self.list("/v1/checkout/sessions?status=open&limit=100").await;
        pages.into_iter().filter(|page| !page["url"].is_null()).collect()
    }

    /// The invoice that was made last.
    pub async fn latest_invoice(&self) -> Value {
        self.list("/v1/invoices?limit=1").await.remove(0)
    }

    /// The payer pays the invoice that was made last, on its page; its events arrive.
    pub async fn pays_latest_invoice(&self) {
        let latest = self.latest_invoice().await;
        self.pays_invoice(&latest, "pm_card_visa").await;
    }

    /// The payer pays an invoice on its page by one of Stripe's test methods; its events arrive.
    pub async fn pays_invoice(&self, invoice: &Value, method: &str) {
        let path = format!("/_test/invoices/{}/pay", invoice["id"].as_str().unwrap());
        self.operator_json(&path, &json!({ "paymentMethod": method }))
            .await;
        self.stand_in.settle().await;
    }

    /// The payer confirms the payment that the latest invoice waits for; its events arrive.
    pub async fn confirms_latest_payment(&self) {
        let latest = self.latest_invoice().await;
        let path = format!("/_test/invoices/{}/pay", latest["id"].as_str().unwrap());
        self.operator_json(&path, &json!({})).await;
        self.stand_in.settle().await;
    }

    /// How many phases the schedule has that was made last.
    pub async fn phases_of_latest_schedule(&self) -> usize {
        let schedule = self.list("/v1/subscription_schedules?limit=1").await.remove(0);
        schedule["phases"].as_array().unwrap().len()
    }

    /// The payer pays on a page; its events arrive.
    pub async fn pays_page(&self, page: &Value) {
        self.at_page(page, "complete", &json!({})).await;
    }

    /// The payer has a bank debit what a page comes to, which takes days; its events arrive.
    pub async fn delays_page(&self, page: &Value) {
        self.at_page(page, "complete", &json!({ "payment": "delayed" }))
            .await;
    }

    /// The bank has debited what a page comes to (`succeed`), or has not (`decline`); its events arrive.
    pub async fn settles_page(&self, page: &Value, payment: &str) {
        self.at_page(page, "settle", &json!({ "payment": payment })).await;
    }

    async fn at_page(&self, page: &Value, what: &str, how: &Value) {
        let path = format!("/_test/checkout/sessions/{}/{what}", page["id"].as_str().unwrap());
        self.operator_json(&path, how).await;
        self.stand_in.settle().await;
    }

    /// From now on this account pays with one of Stripe's test cards (`pm_card_visa`, `pm_card_authenticationRequired`, …).
    pub async fn gives_card(&self, account: &Account<'_>, card: &str) {
        let subscription = self.subscription(account).await;
        let customer = subscription["customer"].as_str().unwrap();
        let path = format!("/v1/payment_methods/{card}/attach");
        let method = self
            .operator("POST", &path, &format!("customer={customer}"))
            .await;
        let method = method["id"].as_str().unwrap();
        let path = path_of(&subscription);
        self.operator("POST", &path, &format!("default_payment_method={method}"))
            .await;
        self.stand_in.settle().await;
    }

    /// The payer pays the latest invoice on its page, whatever that takes; its events arrive.
    pub async fn pays_open_invoice(&self, account: &Account<'_>) {
        let invoice = self.subscription(account).await["latest_invoice"]
            .as_str()
            .unwrap()
            .to_owned();
        self.send(
            "POST",
            &format!("/_test/invoices/{invoice}/pay"),
            "{}".to_owned(),
            "application/json",
        )
        .await;
        self.stand_in.settle().await;
    }

    /// An operator makes a promotion code: the coupon's and the code's own parameters.
    pub async fn makes_code(&self, coupon: &str, code: &str) -> String {
        let coupon = self.operator("POST", "/v1/coupons", coupon).await;
        let form = format!(
            "promotion[type]=coupon&promotion[coupon]={}&{code}",
            coupon["id"].as_str().unwrap()
        );
        let made = self.operator("POST", "/v1/promotion_codes", &form).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// The payer pays the session behind a client secret; its events arrive.
    pub async fn pays(&self, client_secret: &str) {
        self.checks_out(client_secret, "succeed").await;
        self.stand_in.settle().await;
    }

    /// The payer goes through the session with this outcome (`succeed`, `decline`, `requires_action`, `delayed`).
    pub async fn checks_out(&self, client_secret: &str, payment: &str) {
        let (session, _) = client_secret.split_once("_secret_").unwrap();
        let path = format!("/_test/checkout/sessions/{session}/complete");
        self.send(
            "POST",
            &path,
            json!({ "payment": payment }).to_string(),
            "application/json",
        )
        .await;
    }

    /// The payer has a bank debit the amount: the session completes, and three days later the payment ends as told (`succeed`,
    /// `decline`).
    pub async fn checks_out_by_bank(&self, client_secret: &str, later: &str) {
        let (session, _) = client_secret.split_once("_secret_").unwrap();
        let path = format!("/_test/checkout/sessions/{session}/complete");
        let how = json!({ "payment": "delayed", "later": later });
        self.send("POST", &path, how.to_string(), "application/json")
            .await;
        self.stand_in.settle().await;
    }

    /// The payer goes through the session in this way (`promotionCode`, `country`, …); its events arrive.
    pub async fn checks_out_with(&self, client_secret: &str, how: &Value) {
        let (session, _) = client_secret.split_once("_secret_").unwrap();
        let path = format!("/_test/checkout/sessions/{session}/complete");
        self.operator_json(&path, how).await;
        self.stand_in.settle().await;
    }

    /// An API call of an operator's: `POST path` with a form, or a read.
    pub async fn operator(&self, method: &str, path: &str, form: &str) -> Value {
        self.send(method, path, form.to_owned(), "application/x-www-form-urlencoded")
            .await
    }

    /// An API call of an operator's on a connected account.
    pub async fn operator_on(&self, account: &str, method: &str, path: &str, form: &str) -> Value {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("stripe-account", account),
        ];
        self.send_with(method, path, &headers, form.to_owned()).await
    }

    /// The catalog of this Stripe.
    pub(crate) fn catalog(&self) -> Catalog<'_> {
        Catalog {
            url: self.address.trim_end_matches('/'),
            key: &self.key,
            account: None,
        }
    }

    /// One of the stand-in's own routes.
    pub(crate) async fn operator_json(&self, path: &str, body: &Value) -> Value {
        self.send("POST", path, body.to_string(), "application/json")
            .await
    }

    /// An operator deletes the account's customer in the dashboard.
    pub async fn loses_its_customer(&self, account: &Account<'_>) {
        for customer in self.customers(account).await {
            let path = path_of(&customer);
            self.operator("DELETE", &path, "").await;
        }
    }

    /// Stripe keeps something else under this idempotency key, and refuses every other request with it for a day.
    pub async fn spends_idempotency_key(&self, key: &str) {
        self.send_with(
            "POST",
            "/v1/customers",
            &[("idempotency-key", key)],
            String::new(),
        )
        .await;
    }

    /// The same of a connected account, which has keys of its own.
    pub async fn spends_idempotency_key_on(&self, account: &str, key: &str) {
        let headers = [("idempotency-key", key), ("stripe-account", account)];
        self.send_with("POST", "/v1/customers", &headers, String::new())
            .await;
    }

    /// From now on events wait until they are delivered one by one, or, with `false`, no longer.
    pub async fn holds_events(&self, hold: bool) {
        self.stand_in.hold_deliveries(hold);
        self.stand_in.settle().await;
    }

    /// The ids of all events of a type, oldest first.
    #[must_use]
    pub fn events(&self, kind: &str) -> Vec<String> {
        let events = self.stand_in.events();
        let ids = events
            .iter()
            .filter(|event| event["type"] == kind)
            .map(|event| event["id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    /// The latest event of a kind.
    #[must_use]
    pub fn event(&self, kind: &str) -> String {
        self.events(kind).pop().unwrap()
    }

    /// Delivers an event once more, and answers the webhook's status.
    pub async fn delivers(&self, event: &str) -> u16 {
        self.stand_in
            .deliver(event)
            .await
            .unwrap()
            .first()
            .and_then(|outcome| outcome.status)
            .unwrap()
    }

    /// The request that delivers an event, signed now.
    #[must_use]
    pub fn signed_event(&self, event: &str) -> Request<Bytes> {
        let events = self.stand_in.events();
        let payload = events
            .iter()
            .find(|known| known["id"] == event)
            .unwrap()
            .to_string();
        let signature = webhook::sign(
            payload.as_bytes(),
            &self.webhook_secret,
            self.stand_in.clock().now(),
        );
        Request::post("/stripe/webhook")
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature)
            .body(Bytes::from(payload))
            .unwrap()
    }

    /// Every call to that place fails with this status, until Stripe recovers.
    pub async fn fails(&self, method: &str, path: &str, status: u16) {
        self.stand_in.add_fault(
            Fault::new(FaultKind::Status { status, code: None })
                .on(method, path)
                .times(ALWAYS),
        );
    }

    /// Every call to that place takes effect and is answered by a failure, which is kept for its key, until Stripe recovers.
    pub async fn fails_after(&self, method: &str, path: &str, status: u16) {
        let fault = Fault::new(FaultKind::StatusAfter { status }).on(method, path);
        self.stand_in.add_fault(fault.times(ALWAYS));
    }

    /// Every call to that place takes effect and is not answered, until Stripe recovers.
    pub async fn applies_without_answering(&self, method: &str, path: &str) {
        self.stand_in
            .add_fault(Fault::new(FaultKind::DropAfter).on(method, path).times(ALWAYS));
    }

    /// From now on Stripe is another of the possible ones.
    pub fn is(&self, settings: Settings) {
        self.stand_in.set(settings);
    }

    /// Nothing goes wrong any more.
    pub async fn recovers(&self) {
        self.stand_in.clear_faults();
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        match self.send("GET", path, String::new(), "").await["data"].take() {
            Value::Array(data) => data,
            other => panic!("{path} is no list: {other}"),
        }
    }

    async fn send(&self, method: &str, path: &str, body: String, content_type: &str) -> Value {
        self.send_with(method, path, &[("content-type", content_type)], body)
            .await
    }

    async fn send_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Value {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address.trim_end_matches('/')))
            .header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        assert!(status.is_success(), "{method} {path}: {status} {body}");
        body
    }
}

/// Where Stripe's API has an object.
#[must_use]
pub fn path_of(object: &Value) -> String {
    let kind = object["object"].as_str().unwrap().replace('.', "/");
    format!("/v1/{kind}s/{}", id_of(object))
}

/// The id of what is told.
#[must_use]
pub fn id_of(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

/// What invoices charged, oldest first.
fn paid(newest_first: &[Value]) -> Vec<i64> {
    let paid = newest_first
        .iter()
        .rev()
        .filter(|invoice| invoice["status"] == "paid");
    paid.map(|invoice| invoice["amount_paid"].as_i64().unwrap())
        .collect()
}
