//! The environment, read once, at init, all of it.
//!
//! A wrong or missing value fails the init with the name of the variable: a deployment that starts is a deployment that was
//! told everything. Values of secrets are never part of an error.

use billing_core::SignedDuration;
use billing_core::access::Mode;
use billing_core::plan::Prices;
use billing_core::return_url::{Policy, ReturnUrl};
use billing_stripe::CheckoutPage;
use lambda_http::http::Uri;

use crate::secret::{Secret, Source};

/// What a deployment was told.
#[derive(Debug)]
pub struct Config {
    /// `BILLING_MODE`: whether real money moves here.
    pub mode: Mode,
    /// `PRICE_MONTHLY`, `PRICE_ANNUAL`: what is sold.
    pub prices: Prices,
    /// `RETURN_URL`: where payers return to unless the caller says otherwise.
    pub return_url: ReturnUrl,
    /// `RETURN_HOSTS`, `RETURN_LOOPBACK_HTTP`: where they may return to.
    pub return_policy: Policy,
    /// `CHECKOUT_PROMOTION_CODES`, `CHECKOUT_AUTOMATIC_TAX`: what an account's checkout page does beside taking the payment.
    pub checkout_page: CheckoutPage,
    /// `COVERAGE_GRACE_SECONDS`: for how long a period that is over still serves, while its renewal is being paid.
    pub grace: SignedDuration,
    pub(crate) aws: Aws,
    pub(crate) stripe_base: String,
    pub(crate) stripe_key: Source,
    pub(crate) webhook_secrets: Option<Source>,
}

/// Where DynamoDB and Secrets Manager are.
#[derive(Debug)]
pub(crate) struct Aws {
    pub(crate) region: String,
    pub(crate) keys: AwsKeys,
    pub(crate) dynamodb_endpoint: Option<String>,
    pub(crate) secrets_endpoint: Option<String>,
    pub(crate) accounts_table: String,
    pub(crate) sessions_table: String,
}

/// The keys that Lambda gives to a function.
#[derive(Debug, Clone)]
pub(crate) struct AwsKeys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) session_token: Option<Secret>,
}

/// A variable that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {fault}")]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it; never its value.
    pub fault: String,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the environment"
        )]
        Self::read(&|name| std::env::var(name).ok())
    }

    /// Reads the variables from anywhere. An empty value is a missing one.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let environment = Environment(variable);
        let mode = environment.parsed("BILLING_MODE", "must be live or test", |text| Mode::parse(&text))?;
        let return_policy = Policy {
            hosts: environment.hosts("RETURN_HOSTS")?,
            loopback_http: environment.switch("RETURN_LOOPBACK_HTTP")?,
        };
        let checkout_page = CheckoutPage {
            promotion_codes: environment.switch("CHECKOUT_PROMOTION_CODES")?,
            automatic_tax: environment.switch("CHECKOUT_AUTOMATIC_TAX")?,
        };
        let return_url = ReturnUrl::parse(&environment.required("RETURN_URL")?, &return_policy)
            .map_err(|refused| fault("RETURN_URL", refused))?;
        let grace = match environment.optional("COVERAGE_GRACE_SECONDS") {
            None => SignedDuration::ZERO,
            Some(text) => text
                .parse::<u32>()
                .map(|seconds| SignedDuration::from_secs(seconds.into()))
                .map_err(|_| fault("COVERAGE_GRACE_SECONDS", "must be a whole number of seconds"))?,
        };
        let stripe_key = environment
            .secret("STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY_ARN")?
            .ok_or_else(|| fault("STRIPE_SECRET_KEY", "or STRIPE_SECRET_KEY_ARN is missing"))?;
        if let Source::Value(key) = &stripe_key {
            check_stripe_key(key, mode).map_err(|wrong| fault("STRIPE_SECRET_KEY", wrong))?;
        }
        let webhook_secrets = environment.secret("STRIPE_WEBHOOK_SECRETS", "STRIPE_WEBHOOK_SECRETS_ARN")?;
        match &webhook_secrets {
            Some(Source::Value(secrets)) if secrets.listed().is_empty() => {
                return Err(fault(
                    "STRIPE_WEBHOOK_SECRETS",
                    "must be secrets, separated by commas",
                ));
            }
            _ => {}
        }
        let price = |name| environment.parsed(name, "must be a price id", |text| text.parse().ok());
        let prices = Prices {
            monthly: price("PRICE_MONTHLY")?,
            annual: price("PRICE_ANNUAL")?,
        };
        if prices.annual == prices.monthly {
            return Err(fault("PRICE_ANNUAL", "must be another price than PRICE_MONTHLY"));
        }
        Ok(Self {
            mode,
            prices,
            return_url,
            return_policy,
            checkout_page,
            grace,
            aws: Aws {
                region: environment.required("AWS_REGION")?,
                keys: AwsKeys {
                    access_key_id: environment.required("AWS_ACCESS_KEY_ID")?,
                    secret_access_key: Secret::new(environment.required("AWS_SECRET_ACCESS_KEY")?),
                    session_token: environment.optional("AWS_SESSION_TOKEN").map(Secret::new),
                },
                dynamodb_endpoint: environment.url("AWS_ENDPOINT_URL_DYNAMODB")?,
                secrets_endpoint: environment.url("AWS_ENDPOINT_URL_SECRETS_MANAGER")?,
                accounts_table: environment.required("ACCOUNTS_TABLE")?,
                sessions_table: environment.required("SESSIONS_TABLE")?,
            },
            stripe_base: environment
                .url("STRIPE_API_BASE")?
                .unwrap_or_else(|| "https://api.stripe.com".to_owned()),
            stripe_key,
            webhook_secrets,
        })
    }
}

fn fault(variable: &'static str, fault: impl ToString) -> ConfigError {
    ConfigError {
        variable,
        fault: fault.to_string(),
    }
}

/// Why a text opens nothing at Stripe here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongKey {
    /// A publishable key (`pk_…`), a webhook's secret (`whsec_…`), or no key at all: Stripe would refuse every request.
    #[error("is neither a secret key (sk_…) nor a restricted one (rk_…)")]
    NotSecret,
    /// See [`is_of_other_mode`].
    #[error("is a key of the other mode than BILLING_MODE")]
    OtherMode,
}

/// Judges what is to open Stripe, as far as its first letters tell. Source: `https://docs.stripe.com/keys`, *Key types*.
pub(crate) fn check_stripe_key(key: &Secret, mode: Mode) -> Result<(), WrongKey> {
    if !["sk_", "rk_"].iter().any(|kind| key.expose().starts_with(kind)) {
        Err(WrongKey::NotSecret)
    } else if is_of_other_mode(key, mode) {
        Err(WrongKey::OtherMode)
    } else {
        Ok(())
    }
}

/// Whether a Stripe key moves real money where test money is meant, or the reverse: every event would be of the wrong mode and
/// acknowledged without being handled.
#[must_use]
pub fn is_of_other_mode(key: &Secret, mode: Mode) -> bool {
    let other = match mode {
        Mode::Live => "_test_",
        Mode::Test => "_live_",
    };
    // `sk_` for secret keys, `rk_` for restricted ones.
    key.expose().get(2..).is_some_and(|rest| rest.starts_with(other))
}

struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    fn optional(&self, name: &'static str) -> Option<String> {
        (self.0)(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name).ok_or_else(|| fault(name, "is missing"))
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(String) -> Option<T>,
    ) -> Result<T, ConfigError> {
        parse(self.required(name)?).ok_or_else(|| fault(name, expected))
    }

    /// Off when it is missing.
    fn switch(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.optional(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(fault(name, "must be true or false")),
        }
    }

    fn url(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let is_url = |text: &String| {
            let url = text.parse::<Uri>().ok();
            url.is_some_and(|url| {
                let is_http = matches!(url.scheme_str(), Some("http" | "https"));
                is_http && url.host().is_some_and(|host| !host.is_empty())
            })
        };
        match self.optional(name) {
            Some(text) if !is_url(&text) => Err(fault(name, "must be an http or https URL")),
            url => Ok(url),
        }
    }

    /// Hosts, separated by commas; none when it is missing. A list of none would allow any.
    fn hosts(&self, name: &'static str) -> Result<Vec<String>, ConfigError> {
        let Some(text) = self.optional(name) else {
            return Ok(Vec::new());
        };
        let named = text.split(',').map(str::trim).filter(|host| !host.is_empty());
        let hosts: Option<Vec<String>> = named.map(Policy::host).collect();
        hosts
            .filter(|hosts| !hosts.is_empty())
            .ok_or_else(|| fault(name, "must be host names, separated by commas"))
    }

    fn secret(&self, value: &'static str, arn: &'static str) -> Result<Option<Source>, ConfigError> {
        match (self.optional(value), self.optional(arn)) {
            (Some(_), Some(_)) => Err(fault(value, format!("and {arn} are both set"))),
            (Some(text), None) => Ok(Some(Source::Value(Secret::new(text)))),
            (None, Some(name)) if name.starts_with("arn:") => Ok(Some(Source::Arn(name))),
            (None, Some(_)) => Err(fault(arn, "must be an ARN")),
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn good() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            ("BILLING_MODE", "test"),
            ("ACCOUNTS_TABLE", "accounts"),
            ("SESSIONS_TABLE", "sessions"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("STRIPE_SECRET_KEY", "sk_test_x"),
            ("PRICE_MONTHLY", "price_m"),
            ("PRICE_ANNUAL", "price_a"),
            ("RETURN_URL", "https://app.example.com/billing"),
        ])
    }

    fn read(variables: &HashMap<&'static str, &'static str>) -> Result<Config, ConfigError> {
        Config::read(&|name| variables.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert!(read(&good()).is_ok());
        for name in good().keys() {
            for absent in [None, Some("  ")] {
                let mut variables = good();
                variables.remove(name);
                if let Some(blank) = absent {
                    variables.insert(name, blank);
                }
                assert_eq!(read(&variables).unwrap_err().variable, *name);
            }
        }
    }

    #[test]
    fn a_wrong_value_is_named_and_not_repeated() {
        for (name, wrong) in [
            ("BILLING_MODE", "production"),
            ("PRICE_MONTHLY", "a b"),
            ("PRICE_ANNUAL", "price_m"),
            ("RETURN_HOSTS", " ,"),
            ("RETURN_HOSTS", "app.example.com,https://www.example.com"),
            ("RETURN_HOSTS", "app.example.com,*.example.com"),
            ("RETURN_URL", "http://app.example.com"),
            ("RETURN_LOOPBACK_HTTP", "yes"),
            ("CHECKOUT_PROMOTION_CODES", "1"),
            ("CHECKOUT_AUTOMATIC_TAX", "TRUE"),
            ("COVERAGE_GRACE_SECONDS", "-1"),
            ("STRIPE_API_BASE", "api.stripe.com"),
            ("STRIPE_API_BASE", "ftp://api.stripe.com"),
            ("STRIPE_API_BASE", "https://"),
            ("STRIPE_API_BASE", "https://user:password@"),
            ("STRIPE_API_BASE", "https://api stripe com"),
            ("STRIPE_SECRET_KEY", "rk_live_x"),
            ("STRIPE_SECRET_KEY", "pk_test_x"),
            ("STRIPE_SECRET_KEY", "whsec_x"),
            ("STRIPE_SECRET_KEY", "test"),
            ("STRIPE_WEBHOOK_SECRETS_ARN", "whsec_oops"),
            ("STRIPE_WEBHOOK_SECRETS", " , ,"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000"),
        ] {
            let mut variables = good();
            variables.insert(name, wrong);
            let error = read(&variables).unwrap_err();
            assert_eq!(error.variable, name);
            assert!(!error.to_string().contains(wrong), "{error}");
        }
    }

    /// Of either kind, of an organisation, and one that says no mode.
    #[test]
    fn secret_and_restricted_keys_are_taken() {
        for key in ["sk_test_x", "rk_test_x", "sk_org_test_x", "sk_x"] {
            let mut variables = good();
            variables.insert("STRIPE_SECRET_KEY", key);
            assert!(read(&variables).is_ok(), "{key}");
        }
    }

    #[test]
    fn a_configuration_prints_no_secret() {
        let mut variables = good();
        variables.insert("STRIPE_WEBHOOK_SECRETS", "whsec_hidden");
        let told = format!("{:?}", read(&variables).unwrap());
        assert!(!told.contains("sk_test_x") && !told.contains("whsec_hidden") && !told.contains("secret\""));
    }
}
