//! An account and what it does.

use billing_core::access::{Key, Mode, Scope};
use billing_core::account::{Account as Stored, Number, PhoneNumber};
use billing_core::coverage::Entry;
use billing_edge::key::NewKey;
use bytes::Bytes;
use http::Request;
use local_stack::world::DemoAccount;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::asked::asking;
use crate::machine::Machine;
use crate::world::World;

/// Where a checkout is started.
const CHECKOUT: &str = "/api/v1/billing/checkout/subscription";
/// Where a change is previewed.
const PREVIEW: &str = "/api/v1/billing/subscription/preview";
/// Where the interval is changed.
const CHANGE: &str = "/api/v1/billing/subscription/change";
/// Where the subscription's end is scheduled.
const CANCEL: &str = "/api/v1/billing/subscription/cancel";
/// Where that is taken back.
const RESUME: &str = "/api/v1/billing/subscription/resume";
/// Where billing is read.
const BILLING: &str = "/api/v1/billing";

/// An account, acting with its own key.
pub struct Account<'w> {
    world: &'w World,
    /// Its id.
    pub id: String,
    /// Its own key.
    pub key: String,
    /// A key by which support staff acts as the account.
    pub impersonated_key: String,
}

impl<'w> Account<'w> {
    pub(crate) fn new(world: &'w World, made: DemoAccount) -> Self {
        let DemoAccount {
            id,
            key,
            impersonated_key,
            ..
        } = made;
        Self {
            world,
            id: id.to_string(),
            key,
            impersonated_key,
        }
    }

    /// Starts a checkout of `monthly` or `annual`.
    pub async fn starts_checkout(&self, interval: &str) -> Answer {
        self.posts(CHECKOUT, &json!({ "interval": interval })).await
    }

    /// Starts a checkout with this body.
    pub async fn starts_checkout_with(&self, body: &Value) -> Answer {
        self.posts(CHECKOUT, body).await
    }

    /// Starts a checkout on that machine; none when it dies over it.
    pub async fn starts_checkout_on(&self, machine: &Machine, interval: &str) -> Option<Answer> {
        machine
            .call(self.checkout_request(&json!({ "interval": interval })))
            .await
    }

    /// The request that starts a checkout, to be changed.
    #[must_use]
    pub fn checkout_request(&self, body: &Value) -> Request<Bytes> {
        self.request("POST", CHECKOUT, body)
    }

    /// Starts a checkout, pays it, and lets the events land.
    pub async fn subscribes(&self, interval: &str) {
        let secret = self.starts_checkout(interval).await.client_secret();
        self.world.stripe.pays(&secret).await;
    }

    /// Asks what a change would cost.
    pub async fn previews(&self, body: &Value) -> Answer {
        self.posts(PREVIEW, body).await
    }

    /// The same, on that machine.
    pub async fn previews_on(&self, machine: &Machine, body: &Value) -> Option<Answer> {
        machine.call(self.preview_request(body)).await
    }

    /// The request that asks what a change would cost.
    #[must_use]
    pub fn preview_request(&self, body: &Value) -> Request<Bytes> {
        self.request("POST", PREVIEW, body)
    }

    /// Changes its interval.
    pub async fn changes(&self, body: &Value) -> Answer {
        self.posts(CHANGE, body).await
    }

    /// The same, on that machine; none when it dies over it.
    pub async fn changes_on(&self, machine: &Machine, body: &Value) -> Option<Answer> {
        machine.call(self.change_request(body)).await
    }

    /// The request that changes the interval, to be changed.
    #[must_use]
    pub fn change_request(&self, body: &Value) -> Request<Bytes> {
        self.request("POST", CHANGE, body)
    }

    /// Has its subscription end with the period.
    pub async fn cancels(&self) -> Answer {
        self.posts(CANCEL, &Value::Null).await
    }

    /// Takes that back.
    pub async fn resumes(&self) -> Answer {
        self.posts(RESUME, &Value::Null).await
    }

    /// The request to one of the two, to be changed.
    #[must_use]
    pub fn end_request(&self, path: &str) -> Request<Bytes> {
        self.request(
            "POST",
            &format!("/api/v1/billing/subscription/{path}"),
            &Value::Null,
        )
    }

    /// The same as one of the two, on that machine; none when it dies over it.
    pub async fn ends_on(&self, machine: &Machine, path: &str) -> Option<Answer> {
        machine.call(self.end_request(path)).await
    }

    /// Its key is revoked, as an administrator does.
    pub async fn revokes_its_key(&self) {
        self.world.revokes_key(&self.key).await;
    }

    /// From now on it acts with a key that may only read.
    pub async fn uses_a_key_that_may_only_read(&mut self) {
        let own = self.own_key().await;
        let scopes = vec![Scope::BillingRead];
        self.uses(Key { scopes, ..own }).await;
    }

    /// From now on it acts with a key to where real money moves.
    pub async fn uses_a_live_key(&mut self) {
        let own = self.own_key().await;
        let mode = Mode::Live;
        self.uses(Key { mode, ..own }).await;
    }

    async fn own_key(&self) -> Key {
        let hash = billing_edge::key::hash(&self.key);
        let store = self.world.stack().app.store();
        store.api_key(&hash).await.unwrap().unwrap()
    }

    /// A new key like this one is put in the place of its own.
    async fn uses(&mut self, like: Key) {
        let made = NewKey::generate(like.mode).unwrap();
        let key = Key { id: made.id, ..like };
        let store = self.world.stack().app.store();
        store.put_api_key(&made.hash, &key).await.unwrap();
        self.key = made.secret.expose().to_owned();
    }

    /// Adds a phone number, as an administrator does.
    pub async fn adds_number(&self, number: &str) {
        let number: PhoneNumber = number.parse().unwrap();
        let id = number.id().unwrap();
        let number = Number {
            id,
            number,
            nickname: None,
            created_at: self.world.now(),
        };
        self.world
            .stack()
            .app
            .store()
            .add_number(&self.id.parse().unwrap(), &number)
            .await
            .unwrap();
    }

    /// What `GET /billing` answers.
    pub async fn billing(&self) -> Answer {
        self.sends(self.request("GET", BILLING, &Value::Null)).await
    }

    /// `coveredUntil`; empty when nothing is covered.
    pub async fn covered_until(&self) -> String {
        self.billing().await.body["coveredUntil"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The ledger, as it is stored.
    pub async fn ledger(&self) -> Vec<Entry> {
        self.stored().await.ledger
    }

    /// The account, as it is stored.
    pub async fn stored(&self) -> Stored {
        let id = self.id.parse().unwrap();
        self.world
            .stack()
            .app
            .store()
            .account(&id)
            .await
            .unwrap()
            .unwrap()
    }

    /// Sends a request to the stack.
    pub async fn sends(&self, request: Request<Bytes>) -> Answer {
        self.world.sends(request).await
    }

    async fn posts(&self, path: &str, body: &Value) -> Answer {
        self.sends(self.request("POST", path, body)).await
    }

    /// A request with its key; a null body is none.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Request<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key));
        asking(request, body)
    }
}
