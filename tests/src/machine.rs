//! A machine of its own: the functions over an app, a runtime and a network that nobody shares.
//!
//! Killing it ends everything on it at once, in the middle of whatever it was doing, as when Lambda takes a sandbox away.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex};

use billing_core::SignedDuration;
use billing_edge::App;
use bytes::Bytes;
use http::Request;
use local_stack::template::Template;
use local_stack::{Apps, Gateway, Limit, Listener, Stack};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::answer::Answer;
use crate::network::Network;
use crate::{log, metrics};

/// The functions and their routes, read once: a test may start hundreds of machines.
static TEMPLATE: LazyLock<Template> = LazyLock::new(|| Template::project().unwrap());

/// A machine.
pub struct Machine {
    gateway: Gateway,
    /// What it reaches DynamoDB and Stripe through.
    pub network: Network,
    runtime: Mutex<Option<Runtime>>,
    metrics: Arc<Mutex<Vec<Value>>>,
}

/// What is special about a machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peculiarity<'a> {
    /// Variables that it is told otherwise.
    pub(crate) told: &'a [(&'a str, &'a str)],
    /// How many seconds its clock is ahead of everybody else's; behind, below zero.
    pub(crate) seconds_ahead: i64,
}

impl Machine {
    pub(crate) async fn start(stack: &Stack, network: Network, peculiarity: Peculiarity<'_>) -> Self {
        let Peculiarity { told, seconds_ahead } = peculiarity;
        let mut variables = stack.variables.clone();
        variables.extend(
            told.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        for name in ["AWS_ENDPOINT_URL_DYNAMODB", "STRIPE_API_BASE"] {
            let way = network.way_to(&variables[name]).await;
            variables.insert(name.to_owned(), way);
        }
        let time = Arc::clone(&stack.time);
        let ahead = SignedDuration::from_secs(seconds_ahead);
        let now: Arc<dyn Fn() -> _ + Send + Sync> = Arc::new(move || time.now() + ahead);
        let metrics = Arc::<Mutex<Vec<Value>>>::default();
        let told = Arc::clone(&metrics);
        let listener = Listener::new(move |line| {
            log::search(&line.to_string());
            metrics::hear(line);
            told.lock().unwrap().push(line.clone());
        });
        let clock = Arc::clone(&now);
        let apps = Apps::apart(&TEMPLATE, &variables, Some(listener), move |config| {
            App::new(config, billing_edge::Clock::from_fn(Arc::clone(&clock)))
        });
        let gateway = Gateway::new(&TEMPLATE, apps, now).unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        network.is_of(runtime.handle().clone());
        Self {
            gateway,
            network,
            runtime: Mutex::new(Some(runtime)),
            metrics,
        }
    }

    /// Answers a request; none when the machine dies over it.
    pub async fn call(&self, request: Request<Bytes>) -> Option<Answer> {
        let gateway = self.gateway.clone();
        let work = self
            .runtime
            .lock()
            .unwrap()
            .as_ref()?
            .spawn(async move { gateway.call(request).await });
        work.await.ok().map(Answer::new)
    }

    /// Answers a request under another time-out than the template's; none when the machine dies over it.
    pub async fn call_within(&self, request: Request<Bytes>, limit: Limit) -> Option<Answer> {
        let gateway = self.gateway.clone();
        let work = self
            .runtime
            .lock()
            .unwrap()
            .as_ref()?
            .spawn(async move { gateway.call_within(request, limit).await });
        work.await.ok().map(Answer::new)
    }

    /// What it has told CloudWatch under that name, all requests together.
    #[must_use]
    pub fn metric(&self, name: &str) -> u64 {
        let lines = self.metrics.lock().unwrap();
        lines.iter().filter_map(|line| line[name].as_u64()).sum()
    }

    /// Hands a function an event that nobody waits for; none when the machine dies over it.
    pub async fn hands(&self, function: &'static str, event: &Value) -> Option<Result<Value, String>> {
        let (gateway, event) = (self.gateway.clone(), event.clone());
        let work = self
            .runtime
            .lock()
            .unwrap()
            .as_ref()?
            .spawn(async move { gateway.deliver(function, &event).await });
        work.await.ok()
    }

    /// The same, under another time-out than the template's.
    pub async fn hands_within(
        &self,
        function: &'static str,
        event: &Value,
        limit: Limit,
    ) -> Option<Result<Value, String>> {
        let (gateway, event) = (self.gateway.clone(), event.clone());
        let work = self
            .runtime
            .lock()
            .unwrap()
            .as_ref()?
            .spawn(async move { gateway.deliver_within(function, &event, limit).await });
        work.await.ok()
    }

    /// Ends it, in the middle of whatever it is doing.
    pub fn dies(self) {
        self.ends();
    }

    /// Has it do something, and die where its network stops it.
    ///
    /// # Panics
    ///
    /// Panics when that is done before anything stops it.
    pub async fn dies_over(&self, deed: impl Future<Output: Debug>) {
        tokio::select! {
            done = deed => panic!("it was to be stopped: {done:?}"),
            () = self.network.reached() => self.ends(),
        }
    }

    /// The same, while somebody waits for it.
    pub fn ends(&self) {
        if let Some(runtime) = self.runtime.lock().unwrap().take() {
            runtime.shutdown_background();
        }
        self.network.closes();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.ends();
    }
}
