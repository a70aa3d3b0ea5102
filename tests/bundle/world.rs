//! What a deployed function finds around it, on loopback: DynamoDB with the template's tables, Stripe, Secrets Manager.
//!
//! The account `ada` is there, with two phone numbers and the key that the events in `events/` carry. Each function sees DynamoDB through
//! the permissions that the template gives it, and is told what the template tells it, nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use billing_admin::agencies;
use billing_core::SignedDuration;
use billing_core::access::{Holder, Key, Mode, Scope};
use billing_core::account::{Number, PhoneNumber, Profile};
use billing_core::connect::{Agent, Client};
use billing_core::id::AgencyId;
use billing_edge::{App, Clock, Config};
use billing_store::NewAccount;
use hmac::{Hmac, KeyInit, Mac};
use local_stack::catalog::{Catalog, Prices, Showcase};
use local_stack::dynamodb::Embedded;
use local_stack::permissions::{self, Refusals};
use local_stack::tables;
use local_stack::template::Template;
use serde_json::Value;
use sha2::Sha256;
use stripe_stand_in::StandIn;
use stripe_stand_in::conformance::{Judge, Requests};
use tokio::net::TcpListener;

use crate::process::{Environment, Process};
use crate::{project, secrets};

/// Signs Stripe's events here.
const SIGNING_SECRET: &str = "whsec_bundle";
const ACCOUNT: &str = "ada";
const STRIPE_KEY: &str = "sk_test_bundle";
const STRIPE_SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/stripe-a1b2c3";
/// A secret that holds nothing but separators.
pub(crate) const NO_SECRETS: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/none-g7h8i9";
/// A secret that holds a key for browsers.
pub(crate) const PUBLISHABLE_KEY: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/publishable-j1k2l3";
const WEBHOOK_SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/webhook-d4e5f6";

/// The services of one test.
pub(crate) struct World {
    clock: Clock,
    dynamodb: String,
    /// The same behind the permissions of the template.
    guarded: String,
    refusals: Refusals,
    /// Stripe's stand-in, with nothing in it but the prices.
    pub(crate) stripe: StandIn,
    stripe_url: String,
    prices: Prices,
    secrets: String,
    /// Holds everything between the functions and Stripe to Stripe's description, and fails the test when the world is dropped.
    _judge: Judge,
}

impl World {
    /// Starts them all; they end with the runtime of the test.
    pub(crate) async fn start() -> Self {
        Self::start_with(stripe_stand_in::Clock::system()).await
    }

    /// The same, with a Stripe at which it is ten minutes earlier, and stays so.
    pub(crate) async fn start_behind() -> Self {
        let now = Clock::system().now();
        let earlier = now.checked_sub(SignedDuration::from_mins(10)).unwrap();
        Self::start_with(stripe_stand_in::Clock::frozen(earlier)).await
    }

    async fn start_with(stripe_clock: stripe_stand_in::Clock) -> Self {
        let clock = Clock::system();
        let judge = Judge::new(Requests::All);
        let (stripe, stripe_url) = stripe(stripe_clock, &judge).await;
        let catalog = Catalog {
            url: &stripe_url,
            key: STRIPE_KEY,
            account: None,
        };
        let dynamodb = dynamodb(clock.clone()).await;
        let refusals = Refusals::default();
        let world = Self {
            guarded: guarded(&dynamodb, &refusals).await,
            dynamodb,
            refusals,
            secrets: secrets::start(BTreeMap::from([
                (STRIPE_SECRET.to_owned(), STRIPE_KEY.to_owned()),
                (NO_SECRETS.to_owned(), " , ,".to_owned()),
                (PUBLISHABLE_KEY.to_owned(), "pk_test_bundle".to_owned()),
                (
                    WEBHOOK_SECRET.to_owned(),
                    format!("whsec_retired,{SIGNING_SECRET}"),
                ),
            ]))
            .await,
            prices: catalog.create_prices().await.unwrap(),
            stripe,
            stripe_url,
            clock,
            _judge: judge,
        };
        world.seed().await;
        world
    }

    /// What a function is told: the template's variables, Lambda's own, and where the services are.
    pub(crate) async fn environment(&self, function: &str) -> Environment {
        let declared = project::variables(function).into_iter().map(|name| {
            let value = match name.as_str() {
                "ACCOUNTS_TABLE" => "accounts",
                "SESSIONS_TABLE" => "sessions",
                "BILLING_MODE" => "test",
                "COVERAGE_GRACE_SECONDS" => "0",
                "CHECKOUT_PROMOTION_CODES" | "CHECKOUT_AUTOMATIC_TAX" => "false",
                "PRICE_MONTHLY" => &self.prices.monthly,
                "PRICE_ANNUAL" => &self.prices.annual,
                "RETURN_URL" => "https://app.example.com/billing",
                "STRIPE_SECRET_KEY_ARN" => STRIPE_SECRET,
                "STRIPE_WEBHOOK_SECRETS_ARN" => WEBHOOK_SECRET,
                unknown => panic!("template.yaml sets {unknown}, which this test has no value for"),
            };
            (name, value.to_owned())
        });
        let mut environment: Environment = declared.collect();
        environment.extend(self.surroundings(&self.guarded));
        environment.insert("AWS_ACCESS_KEY_ID".to_owned(), permissions::access_key(function));
        environment
    }

    /// Starts a function in this world.
    pub(crate) async fn start_function(&self, function: &str) -> Process {
        Process::start(function, &self.environment(function).await).await
    }

    /// The request by which Stripe would deliver an event now.
    pub(crate) fn delivery(&self, stripe_event: &Value) -> Value {
        let mut event = project::event("stripe-webhook.json");
        event["body"] = Value::String(stripe_event.to_string());
        event["headers"]["stripe-signature"] = Value::String(self.signature(&event));
        event
    }

    /// The header by which Stripe would sign an event's body now.
    pub(crate) fn signature(&self, event: &Value) -> String {
        let body = event["body"].as_str().unwrap();
        let bytes = match event["isBase64Encoded"].as_bool() {
            Some(true) => STANDARD.decode(body).unwrap(),
            _ => body.as_bytes().to_vec(),
        };
        let at = self.clock.now().as_second();
        let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING_SECRET.as_bytes()).unwrap();
        mac.update(format!("{at}.").as_bytes());
        mac.update(&bytes);
        format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
    }

    /// An agency with a connected account, a client and an agent, and the key that the events in `events/` carry.
    pub(crate) async fn agency(&self) -> Agency {
        let catalog = Catalog {
            url: &self.stripe_url,
            key: STRIPE_KEY,
            account: None,
        };
        let showcase = catalog.create_showcase().await.unwrap();
        let app = self.app().await;
        let (store, now) = (app.store(), self.clock.now());
        let id: AgencyId = "north".parse().unwrap();
        let order: Value = {
            let event = project::event("create-connect-subscription.json");
            serde_json::from_str(event["body"].as_str().unwrap()).unwrap()
        };
        let data = &order["data"];
        let client = Client {
            id: data["clientId"].as_str().unwrap().parse().unwrap(),
            name: None,
            admin_email: Some("bob@example.com".parse().unwrap()),
            created_at: now,
        };
        let agent = Agent {
            id: data["agentIds"][0].as_str().unwrap().parse().unwrap(),
            name: "Reception".parse().unwrap(),
            client: None,
            created_at: now,
        };
        agencies::create(store, &id, None, now).await.unwrap();
        let account = showcase.account.parse().unwrap();
        agencies::link(store, &id, &account, now).await.unwrap();
        agencies::add_client(store, &id, &client).await.unwrap();
        agencies::add_agent(store, &id, &agent).await.unwrap();
        let key = Key {
            id: "key_north".parse().unwrap(),
            holder: Holder::Agency(id),
            mode: Mode::Test,
            scopes: Scope::ALL.to_vec(),
            impersonator: None,
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        let event = project::event("create-connect-subscription.json");
        let secret = event["headers"]["authorization"].as_str().unwrap();
        let hash = billing_edge::key::hash(secret);
        store.put_api_key(&hash, &key).await.unwrap();
        Agency(showcase)
    }

    /// The product's own way to the tables, without anybody's permissions in between.
    async fn app(&self) -> App {
        let mut variables = self.environment("get-billing").await;
        variables.extend(self.surroundings(&self.dynamodb));
        let config = Config::read(&|name| variables.get(name).cloned()).unwrap();
        App::new(config, self.clock.clone())
    }

    /// Lambda's own variables, and the endpoints.
    fn surroundings(&self, dynamodb: &str) -> Environment {
        let variables = [
            ("AWS_REGION", tables::REGION),
            ("AWS_ACCESS_KEY_ID", tables::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", tables::ACCESS_KEY),
            ("AWS_SESSION_TOKEN", "session"),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.secrets),
            ("STRIPE_API_BASE", &self.stripe_url),
        ];
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    /// Creates the account of the events, as an administrator would.
    async fn seed(&self) {
        let app = self.app().await;
        let now = self.clock.now();
        let number = |number: &str| {
            let number: PhoneNumber = number.to_owned().try_into().unwrap();
            Number {
                id: number.id().unwrap(),
                number,
                nickname: None,
                created_at: now,
            }
        };
        let account = NewAccount {
            profile: Profile {
                name: Some("Ada".parse().unwrap()),
                ..Profile::new(ACCOUNT.parse().unwrap(), now)
            },
            numbers: vec![number("+15550000100"), number("+15550000101")],
        };
        app.store().create_account(&account).await.unwrap();
        let key = Key {
            id: "key_ada".parse().unwrap(),
            holder: Holder::Account(account.profile.id),
            mode: Mode::Test,
            scopes: Scope::ALL.to_vec(),
            impersonator: None,
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        let event = project::event("get-billing.json");
        let secret = event["headers"]["authorization"]
            .as_str()
            .unwrap()
            .strip_prefix("Bearer ")
            .unwrap();
        app.store()
            .put_api_key(&billing_edge::key::hash(secret), &key)
            .await
            .unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let refused = self.refusals.all();
            assert!(refused.is_empty(), "{refused:#?}");
        }
    }
}

/// An agency, and what its connected account sells.
pub(crate) struct Agency(Showcase);

impl Agency {
    /// A function's event, with the ids of this world.
    pub(crate) fn event(&self, function: &str, schedule: &str) -> Value {
        let mut event = project::event(&format!("{function}.json"));
        event["pathParameters"]["accountId"] = Value::String(self.0.account.clone());
        if !schedule.is_empty() {
            event["pathParameters"]["subscriptionId"] = Value::String(schedule.to_owned());
        }
        if let Some(body) = event["body"].as_str() {
            let body = body.replace("prod_QwErTy123456", &self.0.product);
            event["body"] = Value::String(body);
        }
        event
    }
}

/// A value of a variable of the template that no function may start with.
pub(crate) fn wrong(variable: &str) -> &'static str {
    match variable {
        "BILLING_MODE" => "production",
        "COVERAGE_GRACE_SECONDS" => "a day",
        "CHECKOUT_PROMOTION_CODES" | "CHECKOUT_AUTOMATIC_TAX" => "yes",
        "PRICE_MONTHLY" | "PRICE_ANNUAL" => "three dollars",
        "RETURN_URL" => "http://app.example.com",
        "STRIPE_SECRET_KEY_ARN" => "sk_test_in_the_wrong_place",
        "STRIPE_WEBHOOK_SECRETS_ARN" => "whsec_in_the_wrong_place",
        _ => "",
    }
}

/// A stand-in and its address.
async fn stripe(clock: stripe_stand_in::Clock, judge: &Judge) -> (StandIn, String) {
    let stand_in = StandIn::new(stripe_stand_in::Config {
        clock,
        witness: Some(judge.witness()),
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = stand_in.clone();
    tokio::spawn(async move { server.serve(listener).await.unwrap() });
    (stand_in, url)
}

/// A DynamoDB as the functions may use it.
async fn guarded(dynamodb: &str, refusals: &Refusals) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (upstream, refusals) = (dynamodb.to_owned(), refusals.clone());
    tokio::spawn(async move {
        let template = Template::project().unwrap();
        permissions::guard(listener, &template, upstream, refusals, std::future::pending()).await;
    });
    url
}

/// The template's tables, empty, in an embedded DynamoDB.
async fn dynamodb(clock: Clock) -> String {
    let database = Embedded::empty(Arc::new(move || clock.now())).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(database.serve(listener, std::future::pending()));
    tables::create_missing(&url, &Template::project().unwrap().tables)
        .await
        .unwrap();
    url
}
