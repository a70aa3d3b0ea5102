//! The whole stack at an instant, and more machines beside the first.

use billing_core::Timestamp;
use billing_store::{EventKey, Receipt};
use bytes::Bytes;
use http::Request;
use local_stack::time::Move;
use local_stack::world::Accounts;
use local_stack::{Listener, Settings, Stack};
use serde_json::{Value, json};
use stripe_stand_in::Clock;
use stripe_stand_in::conformance::{Judge, Requests};

use crate::account::Account;
use crate::administrator::Administrator;
use crate::agency::Agency;
use crate::answer::Answer;
use crate::machine::{Machine, Peculiarity};
use crate::network::Network;
use crate::organisation::Organisation;
use crate::stripe::Stripe;
use crate::{keys, log, metrics};

/// A world of its own: DynamoDB, Stripe, the functions, one clock that stands still until it is moved.
pub struct World {
    stack: Stack,
    /// Stripe's side of it.
    pub stripe: Stripe,
    /// What a DynamoDB that is not embedded is reached through.
    way: Network,
    /// Holds everything between the product and Stripe to Stripe's description, and fails the test when the world is dropped.
    _judge: Option<Judge>,
}

impl World {
    /// A world at this instant (`2026-04-01T00:00:00Z`). Its DynamoDB is embedded, or the one at `DYNAMODB_URL`.
    pub async fn at(instant: &str) -> Self {
        Self::start(instant, false, Some(Judge::new(Requests::All))).await
    }

    /// The same, with the functions that are run by a schedule.
    pub async fn with_schedules_at(instant: &str) -> Self {
        Self::start(instant, true, Some(Judge::new(Requests::All))).await
    }

    /// A world that nobody holds to Stripe's description, for tests that make thousands of them.
    pub async fn unjudged_at(instant: &str) -> Self {
        Self::start(instant, false, None).await
    }

    async fn start(instant: &str, schedules: bool, judge: Option<Judge>) -> Self {
        log::is_searched();
        let clock = Clock::frozen(instant.parse().unwrap());
        #[expect(
            clippy::disallowed_methods,
            reason = "which DynamoDB judges the tests is for the one who runs them to say"
        )]
        let dynamodb_url = std::env::var("DYNAMODB_URL").ok();
        let way = Network::new();
        let dynamodb_url = match dynamodb_url {
            Some(url) => Some(way.way_to_a_world_at(&url).await),
            None => None,
        };
        let settings = Settings {
            clock,
            witness: judge.as_ref().map(Judge::witness),
            dynamodb_url,
            schedules,
            // Agencies and organisations are made by the tests that need them.
            sellers: false,
            apart: true,
            listener: Some(Listener::new(|line| {
                log::search(&line.to_string());
                metrics::hear(line);
            })),
            ..Settings::free_ports()
        };
        let stack = Stack::start(settings).await.unwrap();
        let stripe = Stripe::of(&stack);
        Self {
            stack,
            stripe,
            way,
            _judge: judge,
        }
    }

    /// A new account with that many phone numbers.
    pub async fn account(&self, phone_numbers: u32) -> Account<'_> {
        Account::new(
            self,
            self.accounts().make(phone_numbers, self.now()).await.unwrap(),
        )
    }

    /// The same, subscribed: its first checkout is paid.
    pub async fn subscriber(&self, phone_numbers: u32, interval: &str) -> Account<'_> {
        let account = self.account(phone_numbers).await;
        account.subscribes(interval).await;
        account
    }

    /// A new agency with a connected account of its own, a client, two agents, a product and a coupon.
    pub async fn agency(&self) -> Agency<'_> {
        let showcase = self.stripe.catalog().create_showcase().await.unwrap();
        let id = billing_admin::agencies::new_agency_id().unwrap();
        let made = self.accounts().agency(&id, &showcase, self.now()).await;
        Agency::new(self, made.unwrap())
    }

    /// An account that is there already, with keys of its own.
    pub async fn admits(&self, id: &str) -> Account<'_> {
        let id = id.parse().unwrap();
        Account::new(self, self.accounts().admit(id, 0, self.now()).await.unwrap())
    }

    /// Revokes a key of anybody's, as an administrator does.
    pub async fn revokes_key(&self, secret: &str) {
        let store = self.stack.app.store();
        let key = store.api_key(&billing_edge::key::hash(secret)).await;
        let key = key.unwrap().unwrap();
        let revoked = store.revoke_api_key(&key.holder, &key.id, self.now()).await;
        assert!(revoked.unwrap());
    }

    /// An organisation with the example catalog.
    pub async fn organisation(&self, name: &str) -> Organisation<'_> {
        Organisation::new(self, name).await
    }

    fn accounts(&self) -> Accounts {
        Accounts::new(self.stack.app.store().clone())
    }

    /// The stack itself.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.stack.time.now()
    }

    /// Moves the clock by `10d`, `24h`, `90s`; everything that falls due on the way happens.
    pub async fn advance(&self, by: &str) {
        self.stack
            .time
            .change(&Move::Advance(by.to_owned()))
            .await
            .unwrap();
    }

    /// Hands a request to the stack.
    pub async fn sends(&self, request: Request<Bytes>) -> Answer {
        Answer::new(self.stack.gateway.call(request).await)
    }

    /// Posts an event to the webhook, as whoever signed it.
    pub async fn posts_event(&self, payload: &str, signature: &str) -> Answer {
        let request = Request::post("/stripe/webhook")
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature)
            .body(Bytes::from(payload.to_owned()))
            .unwrap();
        self.sends(request).await
    }

    /// What is known of one of Stripe's events.
    pub async fn receipt(&self, event: &str) -> Receipt {
        self.receipt_of(None, event).await
    }

    /// What is known of an event of a connected account.
    pub async fn receipt_on(&self, account: &str, event: &str) -> Receipt {
        self.receipt_of(Some(account), event).await
    }

    async fn receipt_of(&self, account: Option<&str>, event: &str) -> Receipt {
        let key = EventKey {
            connected_account: account.map(|account| account.parse().unwrap()),
            event: event.parse().unwrap(),
        };
        self.stack.app.store().receipt(&key).await.unwrap().unwrap()
    }

    /// The event by which `expire-checkouts` would learn that the account's reservation, as it is now, was deleted.
    pub async fn expired_reservation(&self, account: &Account<'_>) -> Value {
        let id = account.id.parse().unwrap();
        let reservation = self.stack.app.store().reservation(&id).await.unwrap().unwrap();
        let key = format!("RESERVATION#{}", account.id);
        let mut image = attribute(&serde_json::to_value(&reservation).unwrap())["M"].take();
        image["pk"] = json!({ "S": key });
        image["sk"] = json!({ "S": "RESERVATION" });
        let record = json!({
            "eventName": "REMOVE",
            "userIdentity": { "type": "Service", "principalId": "dynamodb.amazonaws.com" },
            "dynamodb": { "SequenceNumber": "1", "Keys": { "pk": { "S": key } }, "OldImage": image },
        });
        json!({ "Records": [record] })
    }

    /// Hands a function an event that nobody waits for.
    pub async fn hands(&self, function: &str, event: &Value) -> Value {
        self.stack.gateway.deliver(function, event).await.unwrap()
    }

    /// The same, for one that may fail as a whole.
    pub async fn tries(&self, function: &str, event: &Value) -> Result<Value, String> {
        self.stack.gateway.deliver(function, event).await
    }

    /// What `expire-checkouts` could not settle, and Lambda has given up.
    pub async fn dead_letters(&self) -> Vec<Value> {
        self.stack.time.triggers().unwrap().dead_letters().await
    }

    /// Another machine with the same functions, on a network that can fail.
    pub async fn machine(&self) -> Machine {
        self.peculiar_machine(Peculiarity::default()).await
    }

    /// An administrator, on a network that can fail.
    pub async fn administrator(&self) -> Administrator {
        Administrator::at(&self.stack).await
    }

    /// Another machine, of a deployment that was told something else.
    pub async fn machine_told(&self, variables: &[(&str, &str)]) -> Machine {
        self.peculiar_machine(Peculiarity {
            told: variables,
            ..Peculiarity::default()
        })
        .await
    }

    /// Another machine, whose clock is that many seconds ahead; behind, below zero.
    pub async fn machine_ahead(&self, seconds: i64) -> Machine {
        self.peculiar_machine(Peculiarity {
            seconds_ahead: seconds,
            ..Peculiarity::default()
        })
        .await
    }

    async fn peculiar_machine(&self, peculiarity: Peculiarity<'_>) -> Machine {
        Machine::start(&self.stack, Network::new(), peculiarity).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.way.closes();
        if !std::thread::panicking() {
            log::is_clean();
            metrics::are_watched();
            let asked = self.stripe.stand_in().requests();
            keys::are_listed(asked.iter().filter_map(|it| it.idempotency_key.as_deref()));
            let refused = self.stack.refusals.all();
            assert!(refused.is_empty(), "{refused:#?}");
        }
    }
}

/// A value in the form of DynamoDB's own interface.
fn attribute(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)));
            json!({ "M": members.collect::<serde_json::Map<_, _>>() })
        }
        Value::Number(number) => json!({ "N": number.to_string() }),
        other => json!({ "S": other }),
    }
}
