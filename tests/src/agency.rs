//! An agency that sells on its connected account, and what it does.

use billing_admin::agencies;
use billing_core::connect::Client;
use billing_core::connect::sale::Sale;
use bytes::Bytes;
use http::Request;
use local_stack::world::DemoAgency;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::asked::asking;
use crate::machine::Machine;
use crate::stripe::id_of;
use crate::world::World;

/// An agency, acting with its own key.
pub struct Agency<'w> {
    world: &'w World,
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: String,
    /// Its connected account.
    pub account: String,
    /// A client with an admin member.
    pub client: String,
    /// Two agents, `Reception` and `Night shift`.
    pub agents: Vec<String>,
    /// 29.99 a month with 100 minutes, 0.15 for each minute more.
    pub product: String,
    /// A quarter off, for three months.
    pub coupon: String,
}

impl<'w> Agency<'w> {
    pub(crate) fn new(world: &'w World, made: DemoAgency) -> Self {
        Self {
            world,
            id: made.id.to_string(),
            key: made.key,
            account: made.account_id.to_string(),
            client: made.client_id.to_string(),
            agents: made.agent_ids.iter().map(ToString::to_string).collect(),
            product: made.product_id,
            coupon: made.coupon_id,
        }
    }

    /// An order for a date (`2026-05-01T00:00:00Z`), to be changed.
    #[must_use]
    pub fn order(&self, start: &str) -> Value {
        let start: billing_core::Timestamp = start.parse().unwrap();
        json!({ "data": {
            "clientId": self.client,
            "agentIds": self.agents,
            "selectedProduct": {
                "productId": self.product,
                "startDate": start.as_second(),
                "pricing": { "metrics": "minutes" },
            },
        } })
    }

    /// Sells.
    pub async fn sells(&self, order: &Value) -> Answer {
        self.sends(self.request("POST", "", order)).await
    }

    /// What it has sold from then on, by its id.
    pub async fn sold(&self, start: &str) -> String {
        let answer = self.sells(&self.order(start)).await;
        assert_eq!(answer.status, 200, "{answer}");
        id_of(&answer.body).to_owned()
    }

    /// The same to a client that has a card.
    pub async fn sold_by_card(&self, start: &str) -> String {
        let id = self.sold(start).await;
        self.client_gives_card().await;
        id
    }

    /// The same on that machine; none when it dies over it.
    pub async fn sells_on(&self, machine: &Machine, order: &Value) -> Option<Answer> {
        machine.call(self.request("POST", "", order)).await
    }

    /// One subscription, by the id of its schedule or its own.
    pub async fn gets(&self, id: &str) -> Answer {
        self.sends(self.request("GET", &format!("/{id}"), &Value::Null))
            .await
    }

    /// A page; `query` begins with `?`, or is empty.
    pub async fn lists(&self, query: &str) -> Answer {
        self.sends(self.request("GET", query, &Value::Null)).await
    }

    /// Changes what it sold.
    pub async fn updates(&self, id: &str, data: &Value) -> Answer {
        self.sends(self.update_request(id, data)).await
    }

    /// The same on that machine; none when it dies over it.
    pub async fn updates_on(&self, machine: &Machine, id: &str, data: &Value) -> Option<Answer> {
        machine.call(self.update_request(id, data)).await
    }

    /// The request that changes what it sold.
    #[must_use]
    pub fn update_request(&self, id: &str, data: &Value) -> Request<Bytes> {
        self.request("PUT", &format!("/{id}"), &json!({ "data": data }))
    }

    /// Cancels what it sold.
    pub async fn cancels(&self, id: &str) -> Answer {
        self.sends(self.request("DELETE", &format!("/{id}"), &Value::Null))
            .await
    }

    /// The same on that machine; none when it dies over it.
    pub async fn cancels_on(&self, machine: &Machine, id: &str) -> Option<Answer> {
        machine
            .call(self.request("DELETE", &format!("/{id}"), &Value::Null))
            .await
    }

    /// A request to the subscriptions of its account.
    #[must_use]
    pub fn request(&self, method: &str, rest: &str, body: &Value) -> Request<Bytes> {
        self.request_to(&self.account, method, rest, body)
    }

    /// A request to the subscriptions of some account.
    #[must_use]
    pub fn request_to(&self, account: &str, method: &str, rest: &str, body: &Value) -> Request<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(format!(
                "/v1/public/stripe/connect/accounts/{account}/subscriptions{rest}"
            ))
            .header("authorization", &self.key);
        asking(request, body)
    }

    /// Sends a request to the stack.
    pub async fn sends(&self, request: Request<Bytes>) -> Answer {
        self.world.sends(request).await
    }

    /// What an operator does or sees on the connected account at Stripe.
    pub async fn at_stripe(&self, method: &str, path: &str, form: &str) -> Value {
        self.world
            .stripe
            .operator_on(&self.account, method, path, form)
            .await
    }

    /// The members of a list on the connected account, of all its pages.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().and_then(|last| last["id"].as_str());
            let after = after
                .map(|id| format!("&starting_after={id}"))
                .unwrap_or_default();
            let mut page = self.at_stripe("GET", &format!("{path}{after}"), "").await;
            match page["data"].take() {
                Value::Array(data) => all.extend(data),
                other => panic!("{path} is no list: {other}"),
            }
            if page["has_more"] != true {
                return all;
            }
        }
    }

    /// The schedules on its account.
    pub async fn schedules(&self) -> Vec<Value> {
        self.all("/v1/subscription_schedules?limit=100").await
    }

    /// The subscriptions on its account.
    pub async fn subscriptions(&self) -> Vec<Value> {
        self.all("/v1/subscriptions?status=all&limit=100").await
    }

    /// The customers on its account.
    pub async fn customers(&self) -> Vec<Value> {
        self.all("/v1/customers?limit=100").await
    }

    /// What has been paid on its account, oldest first.
    pub async fn payments(&self) -> Vec<i64> {
        let invoices = self.all("/v1/invoices?limit=100").await;
        let paid = invoices
            .iter()
            .rev()
            .filter(|invoice| invoice["status"] == "paid");
        paid.map(|invoice| invoice["total"].as_i64().unwrap()).collect()
    }

    /// Its customer pays with a card of Stripe's from now on.
    pub async fn client_gives_card(&self) {
        let customer = self.customers().await[0]["id"].as_str().unwrap().to_owned();
        let form = format!("customer={customer}");
        let card = self
            .at_stripe("POST", "/v1/payment_methods/pm_card_visa/attach", &form)
            .await;
        let form = format!(
            "invoice_settings[default_payment_method]={}",
            card["id"].as_str().unwrap()
        );
        self.at_stripe("POST", &format!("/v1/customers/{customer}"), &form)
            .await;
    }

    /// Its client's agents talk for so many seconds.
    pub async fn client_talks(&self, seconds: u64) {
        let customer = self.customers().await[0]["id"].as_str().unwrap().to_owned();
        let form = format!(
            "event_name=agent_seconds&payload[stripe_customer_id]={customer}&payload[value]={seconds}"
        );
        self.at_stripe("POST", "/v1/billing/meter_events", &form).await;
    }

    /// Another product on its account: a flat price a month, and nothing for usage.
    pub async fn offers(&self, name: &str, cents: u64) -> String {
        let product = self
            .at_stripe("POST", "/v1/products", &format!("name={name}"))
            .await;
        let product = product["id"].as_str().unwrap().to_owned();
        let form = format!("product={product}&currency=usd&unit_amount={cents}&recurring[interval]=month");
        self.at_stripe("POST", "/v1/prices", &form).await;
        product
    }

    /// The same with minutes, at so many cents a second, none of which are included.
    pub async fn offers_minutes(&self, name: &str, cents: u64, a_second: &str) -> String {
        let product = self.offers(name, cents).await;
        let prices = self.all(&format!("/v1/prices?product={}", self.product)).await;
        let meter = prices
            .iter()
            .find_map(|price| price["recurring"]["meter"].as_str())
            .unwrap();
        let form = format!(
            "product={product}&currency=usd&unit_amount_decimal={a_second}&recurring[interval]=month\
             &recurring[usage_type]=metered&recurring[meter]={meter}"
        );
        self.at_stripe("POST", "/v1/prices", &form).await;
        product
    }

    /// The schedules on its account that are a client's.
    pub async fn schedules_of(&self, client: &str) -> Vec<Value> {
        let mut schedules = self.schedules().await;
        schedules.retain(|schedule| schedule["metadata"]["client"] == client);
        schedules
    }

    /// Its sales to its client, as they are stored.
    pub async fn sales(&self) -> Vec<Sale> {
        self.sales_to(&self.client).await
    }

    /// Its sales to some client, as they are stored.
    pub async fn sales_to(&self, client: &str) -> Vec<Sale> {
        let store = self.world.stack().app.store();
        let (account, client) = (self.account.parse().unwrap(), client.parse().unwrap());
        store.sales_to(&account, &client).await.unwrap()
    }

    /// From now on its client is a new one, which has an admin member.
    pub async fn takes_on_a_client(&mut self) {
        let client = Client {
            id: agencies::new_id().unwrap(),
            name: "Bakery".parse().ok(),
            admin_email: "ada@example.com".parse().ok(),
            created_at: self.world.now(),
        };
        let (store, agency) = (self.world.stack().app.store(), self.id.parse().unwrap());
        agencies::add_client(store, &agency, &client).await.unwrap();
        self.client = client.id.to_string();
    }
}
