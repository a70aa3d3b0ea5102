//! How a stack is to be started: ports, addresses, clock.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use stripe_stand_in::{Clock, Witness};

use crate::apps::Listener;
use crate::catalog::Prices;
use crate::environment::CHOICES;
use crate::options::Options;

/// How a stack is to be started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Port of the API; 0 for a free one.
    pub port: u16,
    /// Port of the stand-in; 0 for a free one.
    pub stripe_port: u16,
    /// Port of the embedded DynamoDB; 0 for a free one.
    pub dynamodb_port: u16,
    /// Where state is kept; none for in memory.
    pub data: Option<PathBuf>,
    /// Another DynamoDB than the embedded one.
    pub dynamodb_url: Option<String>,
    /// Another Stripe than the stand-in.
    pub stripe: Option<OutsideStripe>,
    /// What a deployment may choose ([`CHOICES`]), by the names of its variables.
    pub choices: BTreeMap<String, String>,
    /// The clock of everything.
    pub clock: Clock,
    /// Somebody who looks on at the stand-in.
    pub witness: Option<Arc<dyn Witness>>,
    /// Whether functions run by their schedules.
    pub schedules: bool,
    /// Whether the demo world has an agency and an organisation, with all that they sell: some fifty requests to Stripe.
    pub sellers: bool,
    /// Whether each function has an app of its own, and is held to the permissions that the template gives it.
    pub apart: bool,
    /// Who hears the metrics of functions that are apart.
    pub listener: Option<Listener>,
}

/// A Stripe that is not ours, in test mode.
#[derive(Debug, Clone)]
pub struct OutsideStripe {
    /// Its address.
    pub url: String,
    /// Its secret key.
    pub key: String,
    /// What its events are signed with.
    pub webhook_secrets: String,
    /// What is sold there.
    pub prices: Prices,
}

/// `--stripe-url` without what it needs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutsideStripeError {
    /// The environment lacks a variable.
    #[error("--stripe-url needs {0} in the environment (see --help)")]
    Missing(&'static str),
    /// A key that moves real money.
    #[error("STRIPE_SECRET_KEY is not a test key (sk_test_…); the local stack never uses a live one")]
    Live,
}

impl Settings {
    /// Everything embedded and in memory, on free ports, by the system's clock.
    #[must_use]
    pub fn free_ports() -> Self {
        Self {
            port: 0,
            stripe_port: 0,
            dynamodb_port: 0,
            data: None,
            dynamodb_url: None,
            stripe: None,
            choices: BTreeMap::new(),
            clock: Clock::system(),
            witness: None,
            schedules: true,
            sellers: true,
            apart: false,
            listener: None,
        }
    }

    /// As the command line says, and the environment: what a deployment may choose, and how an outside Stripe is used.
    pub fn new(
        options: &Options,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, OutsideStripeError> {
        let Options {
            port,
            stripe_port,
            dynamodb_port,
            data,
            dynamodb_url,
            stripe_url,
            ..
        } = options.clone();
        let choices = CHOICES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), environment(name)?)))
            .collect();
        let stripe = stripe_url
            .map(|url| OutsideStripe::read(url, environment))
            .transpose()?;
        Ok(Self {
            port,
            stripe_port,
            dynamodb_port,
            data,
            dynamodb_url,
            stripe,
            choices,
            ..Self::free_ports()
        })
    }
}

impl OutsideStripe {
    fn read(url: String, environment: impl Fn(&str) -> Option<String>) -> Result<Self, OutsideStripeError> {
        let needed = |name| environment(name).ok_or(OutsideStripeError::Missing(name));
        let key = needed("STRIPE_SECRET_KEY")?;
        if !key.starts_with("sk_test_") {
            return Err(OutsideStripeError::Live);
        }
        Ok(Self {
            url,
            key,
            webhook_secrets: needed("STRIPE_WEBHOOK_SECRETS")?,
            prices: Prices {
                monthly: needed("PRICE_MONTHLY")?,
                annual: needed("PRICE_ANNUAL")?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn what_a_deployment_may_choose_is_taken_from_the_environment_and_nothing_else_is() {
        let options = Options::parse_from(["cargo local"]);
        let environment = |name: &str| match name {
            "CHECKOUT_PROMOTION_CODES" => Some("true".to_owned()),
            "PRICE_MONTHLY" | "RETURN_URL" => Some("another program's".to_owned()),
            _ => None,
        };
        let settings = Settings::new(&options, environment).unwrap();
        let chosen = BTreeMap::from([("CHECKOUT_PROMOTION_CODES".to_owned(), "true".to_owned())]);
        assert_eq!(settings.choices, chosen);
    }

    #[test]
    fn an_outside_stripe_is_used_in_test_mode_only_and_with_all_it_needs() {
        let options = Options::parse_from(["cargo local", "--stripe-url", "https://api.stripe.com"]);
        let with = |key: &'static str| {
            let settings = Settings::new(&options, move |name| match name {
                "STRIPE_SECRET_KEY" => Some(key.to_owned()),
                "STRIPE_WEBHOOK_SECRETS" => Some("whsec_1".to_owned()),
                "PRICE_MONTHLY" => Some("price_1".to_owned()),
                _ => None,
            });
            settings.map(|_| ())
        };
        assert_eq!(with("sk_live_1"), Err(OutsideStripeError::Live));
        assert_eq!(
            with("sk_test_1"),
            Err(OutsideStripeError::Missing("PRICE_ANNUAL"))
        );
    }
}
