//! What the functions run on: one app that they all share, or one for each, as each Lambda is a process of its own.
//!
//! Apart, a function is known to what is below it by its access key, and is told those secrets only that the template lets it read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use billing_edge::{App, Config};
use serde_json::Value;

use crate::permissions::{Permission, access_key};
use crate::template::Template;

/// A secret that a function may not read is looked for where it is refused.
const FORBIDDEN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:forbidden";

/// The apps of the functions. Cloning it gives another handle of the same ones.
#[derive(Clone)]
pub struct Apps(Kind);

#[derive(Clone)]
enum Kind {
    Shared(Arc<App>),
    Apart(Arc<Apart>),
}

/// Somebody who takes the lines that functions tell CloudWatch, each with the function's name as its `FunctionName`.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(&Value) + Send + Sync>);

struct Apart {
    permissions: BTreeMap<String, Vec<Permission>>,
    variables: BTreeMap<String, String>,
    build: Box<dyn Fn(Config) -> App + Send + Sync>,
    listener: Option<Listener>,
    built: Mutex<BTreeMap<String, Arc<App>>>,
}

impl Apps {
    /// One for all.
    #[must_use]
    pub fn shared(app: Arc<App>) -> Self {
        Self(Kind::Shared(app))
    }

    /// One for each function, built when it is first needed from what the function is told.
    #[must_use]
    pub fn apart(
        template: &Template,
        variables: &BTreeMap<String, String>,
        listener: Option<Listener>,
        build: impl Fn(Config) -> App + Send + Sync + 'static,
    ) -> Self {
        let functions = template.functions.iter();
        Self(Kind::Apart(Arc::new(Apart {
            permissions: functions
                .map(|it| (it.name.clone(), it.permissions.clone()))
                .collect(),
            variables: variables.clone(),
            build: Box::new(build),
            listener,
            built: Mutex::default(),
        })))
    }

    /// A function's; none when what it is told is wrong.
    pub(crate) fn of(&self, function: &str) -> Option<Arc<App>> {
        match &self.0 {
            Kind::Shared(app) => Some(Arc::clone(app)),
            Kind::Apart(apart) => apart.of(function),
        }
    }
}

impl Apart {
    fn of(&self, function: &str) -> Option<Arc<App>> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(app) = built.get(function) {
            return Some(Arc::clone(app));
        }
        let told = self.told(function);
        let config = Config::read(&|name| told.get(name).cloned()).ok()?;
        let app = (self.build)(config);
        let app = match self.listener.clone() {
            Some(listener) => app.with_metrics_of(function, move |line| (listener.0)(line)),
            None => app,
        };
        let app = Arc::new(app);
        built.insert(function.to_owned(), Arc::clone(&app));
        Some(app)
    }

    fn told(&self, function: &str) -> BTreeMap<String, String> {
        let permissions = self
            .permissions
            .get(function)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let reads = |parameter| permissions.iter().any(|it| it.reads(parameter));
        let mut told = self.variables.clone();
        told.insert("AWS_ACCESS_KEY_ID".to_owned(), access_key(function));
        if !reads("StripeWebhookSecretArn") {
            told.remove("STRIPE_WEBHOOK_SECRETS");
        }
        if !reads("StripeSecretArn") {
            told.remove("STRIPE_SECRET_KEY");
            told.insert("STRIPE_SECRET_KEY_ARN".to_owned(), FORBIDDEN.to_owned());
            if let Some(guard) = told.get("AWS_ENDPOINT_URL_DYNAMODB").cloned() {
                told.insert("AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned(), guard);
            }
        }
        told
    }
}

impl Listener {
    /// Somebody who is told each line.
    #[must_use]
    pub fn new(hear: impl Fn(&Value) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Listener")
    }
}
