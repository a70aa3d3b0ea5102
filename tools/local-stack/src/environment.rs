//! The variables that the functions read, with the values that they have locally: the same names that `template.yaml` sets.

use std::collections::BTreeMap;

use crate::catalog::Prices;
use crate::tables::{ACCESS_KEY, REGION};
use crate::template::Template;

/// Where the functions of a stack find what they need.
#[derive(Debug, Clone)]
pub struct Environment<'a> {
    /// Address of the API.
    pub api: &'a str,
    /// Address of DynamoDB.
    pub dynamodb: &'a str,
    /// Address of Stripe.
    pub stripe: &'a str,
    /// Stripe's secret key.
    pub stripe_key: &'a str,
    /// What events are signed with; several, comma-separated, while one is rotated.
    pub webhook_secrets: &'a str,
    /// What is for sale.
    pub prices: &'a Prices,
    /// What a deployment may choose, by the names of its variables.
    pub choices: &'a BTreeMap<String, String>,
}

/// What a deployment may choose, and does not have to.
pub const CHOICES: [&str; 4] = [
    "CHECKOUT_PROMOTION_CODES",
    "CHECKOUT_AUTOMATIC_TAX",
    "COVERAGE_GRACE_SECONDS",
    "RETURN_HOSTS",
];

impl Environment<'_> {
    /// The variables, by name.
    #[must_use]
    pub fn variables(&self, template: &Template) -> BTreeMap<String, String> {
        let fixed = [
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb),
            ("BILLING_MODE", "test"),
            ("STRIPE_API_BASE", &slashed(self.stripe)),
            ("STRIPE_SECRET_KEY", self.stripe_key),
            ("STRIPE_WEBHOOK_SECRETS", self.webhook_secrets),
            ("PRICE_MONTHLY", &self.prices.monthly),
            ("PRICE_ANNUAL", &self.prices.annual),
            (
                "RETURN_URL",
                &format!("{}/_local/returned?session_id={{CHECKOUT_SESSION_ID}}", self.api),
            ),
            ("RETURN_LOOPBACK_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let tables = template
            .tables
            .iter()
            .map(|table| (table.variable.clone(), table.name.clone()));
        fixed
            .into_iter()
            .chain(tables)
            .chain(self.choices.iter().map(chosen))
            .collect()
    }
}

/// What a deployment may choose, as it is chosen here. Payers return to the stack itself unless a caller says otherwise, so where some hosts alone
/// are allowed this one is among them.
fn chosen((name, value): (&String, &String)) -> (String, String) {
    let value = match name.as_str() {
        "RETURN_HOSTS" if value.split(',').any(|host| !host.trim().is_empty()) => {
            format!("{value},127.0.0.1")
        }
        _ => value.clone(),
    };
    (name.clone(), value)
}

/// Stripe's clients append their paths to an address that ends in a slash.
fn slashed(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}
