//! An organisation that sells plans, and what it does.

use billing_admin::catalog::{self, CatalogFile, Difference};
use billing_admin::connection;
use billing_core::access::{Holder, Mode, Scope};
use billing_core::contract::Status;
use billing_core::id::{ContractId, OrganisationId};
use billing_core::session::Session;
use billing_edge::key::NewKey;
use billing_store::StoredContract;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::asked::asking;
use crate::machine::Machine;
use crate::world::World;

/// The catalog of the demo world, with every pricing type.
const CATALOG: &str = include_str!("../../docs/catalog.example.toml");

/// An organisation with the example catalog, acting with its own key.
pub struct Organisation<'w> {
    world: &'w World,
    /// Its id.
    pub id: OrganisationId,
    /// Its own key.
    pub key: String,
    /// What it sells.
    pub catalog: CatalogFile,
}

impl<'w> Organisation<'w> {
    /// Makes one of that name.
    pub(crate) async fn new(world: &'w World, name: &str) -> Self {
        let catalog =
            CatalogFile::read(&CATALOG.replace("id = \"demo\"", &format!("id = \"{name}\""))).unwrap();
        let organisation = Self {
            world,
            id: catalog.organisation.clone(),
            key: String::new(),
            catalog,
        };
        organisation.applies_its_catalog().await;
        let key = organisation.issues_a_key(Scope::ALL.to_vec(), None).await;
        Self { key, ..organisation }
    }

    /// Applies the catalog as it is now.
    pub async fn applies_its_catalog(&self) {
        self.tries_its_catalog().await.unwrap();
    }

    /// The same, for one that may fail half-way.
    pub async fn tries_its_catalog(&self) -> Result<(), String> {
        let stack = self.world.stack();
        let directory = &stack.directory;
        let transport = billing_edge::transport();
        let stripe = connection::stripe(&directory.stripe, &directory.stripe_key, transport);
        let (store, now) = (stack.app.store(), self.world.now());
        let applied = catalog::apply(store, &stripe, &self.catalog, now, &mut Difference::default()).await;
        applied.map_err(|error| error.to_string())
    }

    /// Changes its catalog, and applies that.
    pub async fn changes_its_catalog(&mut self, from: &str, to: &str) {
        self.says_in_its_catalog(from, to);
        self.applies_its_catalog().await;
    }

    /// Changes its catalog: what it says at first, with something else instead.
    pub fn says_in_its_catalog(&mut self, from: &str, to: &str) {
        let text = CATALOG.replace("id = \"demo\"", &format!("id = \"{}\"", self.id));
        assert!(text.contains(from), "the catalog does not say {from}");
        self.catalog = CatalogFile::read(&text.replace(from, to)).unwrap();
    }

    /// A new key of its own.
    pub async fn issues_a_key(&self, scopes: Vec<Scope>, impersonator: Option<&str>) -> String {
        let made = NewKey::generate(Mode::Test).unwrap();
        let key = billing_core::access::Key {
            id: made.id,
            holder: Holder::from(&self.id),
            mode: Mode::Test,
            scopes,
            impersonator: impersonator.map(str::to_owned),
            created_at: self.world.now(),
            expires_at: None,
            revoked_at: None,
        };
        let store = self.world.stack().app.store();
        store.put_api_key(&made.hash, &key).await.unwrap();
        made.secret.expose().to_owned()
    }

    /// The id of a plan of the catalog.
    #[must_use]
    pub fn plan(&self, name: &str) -> String {
        let plan = self.catalog.plans.iter().find(|plan| plan.name == name);
        plan.unwrap().it.id.to_string()
    }

    /// The id of a product, by the plan's name and what the product is called.
    #[must_use]
    pub fn product(&self, plan: &str, product: &str) -> String {
        let plan = self
            .catalog
            .plans
            .iter()
            .find(|named| named.name == plan)
            .unwrap();
        let product = plan.it.products.iter().find(|known| known.name == product);
        product.unwrap().id.to_string()
    }

    /// The id of a customer of the catalog.
    #[must_use]
    pub fn customer(&self, name: &str) -> String {
        let customer = self
            .catalog
            .customers
            .iter()
            .find(|customer| customer.name == name);
        customer.unwrap().it.id.to_string()
    }

    /// The id of a business entity of the catalog.
    #[must_use]
    pub fn entity(&self, name: &str) -> String {
        let entity = self
            .catalog
            .business_entities
            .iter()
            .find(|entity| entity.name == name);
        entity.unwrap().it.id.to_string()
    }

    /// A plan for the bakery, to be changed.
    #[must_use]
    pub fn order(&self, plan: &str) -> Value {
        json!({ "plan_id": self.plan(plan), "customer_id": self.customer("bakery") })
    }

    /// The starter plan for a guest of that address: a customer to be made as well.
    #[must_use]
    pub fn guest_order(&self, email: &str) -> Value {
        json!({
            "plan_id": self.plan("starter"), "business_entity_id": self.entity("headquarters"), "guest_checkout": true,
            "customer_data": { "name": "Eve", "email": email },
        })
    }

    /// Opens a session.
    pub async fn opens(&self, body: &Value) -> Answer {
        self.sends(self.request("POST", "/checkouts", body)).await
    }

    /// The same, on that machine; none when it dies over it.
    pub async fn opens_on(&self, machine: &Machine, body: &Value) -> Option<Answer> {
        machine.call(self.request("POST", "/checkouts", body)).await
    }

    /// Opens a session, and answers its id.
    pub async fn session(&self, body: &Value) -> String {
        let answer = self.opens(body).await;
        assert_eq!(answer.status, 201, "{answer}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// What a session would come to.
    pub async fn previews(&self, body: &Value) -> Answer {
        self.sends(self.request("POST", "/checkouts/preview", body)).await
    }

    /// The same, on that machine; none when it dies over it.
    pub async fn previews_on(&self, machine: &Machine, body: &Value) -> Option<Answer> {
        machine
            .call(self.request("POST", "/checkouts/preview", body))
            .await
    }

    /// Reads a session.
    pub async fn reads(&self, id: &str) -> Answer {
        self.sends(self.request("GET", &format!("/checkouts/{id}"), &Value::Null))
            .await
    }

    /// Confirms a session.
    pub async fn confirms(&self, id: &str, body: &Value) -> Answer {
        self.sends(self.confirmation(id, body)).await
    }

    /// The same, on that machine; none when it dies over it.
    pub async fn confirms_on(&self, machine: &Machine, id: &str, body: &Value) -> Option<Answer> {
        machine.call(self.confirmation(id, body)).await
    }

    /// The request that confirms a session, to be changed.
    #[must_use]
    pub fn confirmation(&self, id: &str, body: &Value) -> Request<Bytes> {
        self.request("POST", &format!("/checkouts/{id}/confirm"), body)
    }

    /// Opens a session of the starter plan, 35.00, which is paid on its page by a bank debit that the bank refuses; and answers it and its
    /// page.
    pub async fn session_whose_debit_failed(&self) -> (String, Value) {
        let id = self.session(&self.order("starter")).await;
        self.confirms(&id, &Value::Null).await;
        let stripe = &self.world.stripe;
        let page = stripe.latest_page().await;
        stripe.delays_page(&page).await;
        stripe.settles_page(&page, "decline").await;
        (id, page)
    }

    /// Buys a plan for the bakery with a card that pays, lets the events land, and answers the contract's id.
    pub async fn sells(&self, body: &Value) -> String {
        let session = self.session(body).await;
        let answer = self
            .confirms(&session, &json!({ "payment_method_id": "pm_card_visa" }))
            .await;
        assert_eq!(answer.status, 200, "{answer}");
        self.world.stripe.stand_in().settle().await;
        answer.body["contract_id"].as_str().unwrap().to_owned()
    }

    /// A contract, as it is stored.
    pub async fn contract(&self, id: &str) -> StoredContract {
        self.contract_if_any(id).await.unwrap()
    }

    /// The same; none when there is no such.
    pub async fn contract_if_any(&self, id: &str) -> Option<StoredContract> {
        let id: ContractId = id.parse().unwrap();
        let store = self.world.stack().app.store();
        store.contract(&self.id, &id).await.unwrap()
    }

    /// A session, as it is stored.
    pub async fn stored(&self, id: &str) -> Session {
        let store = self.world.stack().app.store();
        store
            .checkout_session(&id.parse().unwrap())
            .await
            .unwrap()
            .unwrap()
    }

    /// The contract that a session was sold as, of which nothing is under way any more.
    pub async fn sold(&self, session: &str, context: &str) -> StoredContract {
        let read = self.reads(session).await;
        assert_eq!(
            read.body["checkout_status"], "contract_created",
            "{context}: {read}"
        );
        let stored = self.contract(read.body["contract_id"].as_str().unwrap()).await;
        assert_eq!(
            (stored.contract.status, &stored.contract.sale),
            (Status::Active, &None),
            "{context}"
        );
        stored
    }

    /// Until when a contract is covered; empty when nothing is.
    pub async fn covered_until(&self, contract: &str) -> String {
        let stored = self.contract(contract).await;
        let covered = stored
            .ledger
            .covered(self.world.now(), billing_core::SignedDuration::ZERO);
        covered.map_or(String::new(), |covered| covered.until.to_string())
    }

    /// Sends a request to the stack.
    pub async fn sends(&self, request: Request<Bytes>) -> Answer {
        self.world.sends(request).await
    }

    /// A request with its key.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Request<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-api-key", &self.key)
            .header("organisation", self.id.as_str());
        asking(request, body)
    }
}
