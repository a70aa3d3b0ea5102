//! What is for sale at the stand-in, and where it delivers its events: made over Stripe's own interface, as an operator does
//! it in Stripe's dashboard. An outside Stripe has its own catalog and is left alone.

use bytes::Bytes;
use http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http_client::{HttpClient, NoAnswer};

/// Per phone number and month: 10.00 USD.
const MONTHLY_CENTS: &str = "1000";
/// Per phone number and year: 96.00 USD, a fifth less than twelve months.
const ANNUAL_CENTS: &str = "9600";

/// The promotion code of the demo world: a fifth off, for as long as anybody likes.
pub const PROMOTION_CODE: &str = "LAUNCH20";

/// The API version that the functions are built for, and that their webhook endpoint is registered with.
const API_VERSION: &str = "2026-09-30.endive";

/// Stripe's ids of the prices that are sold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prices {
    /// Per phone number and month.
    pub monthly: String,
    /// Per phone number and year.
    pub annual: String,
}

/// A webhook endpoint at Stripe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoint {
    /// Stripe's id of it.
    pub id: String,
    /// What the events are signed with.
    pub secret: String,
}

/// A connected account with something for sale.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Showcase {
    /// Stripe's id of the account.
    pub account: String,
    /// 29.99 USD a month with 100 minutes, and 0.15 USD for each minute more.
    pub product: String,
    /// A quarter off, for three months.
    pub coupon: String,
}

/// Why Stripe could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Nobody answers there.
    #[error("Stripe: {0}")]
    NoAnswer(#[from] NoAnswer),
    /// It answers, and not as expected.
    #[error("Stripe answered {status} to {path}: {body}")]
    Unexpected {
        /// What was asked.
        path: String,
        /// How it was answered.
        status: u16,
        /// In its own words.
        body: String,
    },
}

/// A Stripe account, reached with its secret key.
pub struct Catalog<'a> {
    /// Where that Stripe is.
    pub url: &'a str,
    /// Its secret key.
    pub key: &'a str,
    /// The connected account that is meant; none for its own.
    pub account: Option<&'a str>,
}

impl Catalog<'_> {
    /// Makes the product and its two prices.
    pub async fn create_prices(&self) -> Result<Prices, CatalogError> {
        let product = self.create("/v1/products", &[("name", "Phone number")]).await?;
        let product = product.as_str();
        let price = |interval, cents, lookup_key| async move {
            let form = [
                ("product", product),
                ("currency", "usd"),
                ("unit_amount", cents),
                ("recurring[interval]", interval),
                ("lookup_key", lookup_key),
            ];
            self.create("/v1/prices", &form).await
        };
        Ok(Prices {
            monthly: price("month", MONTHLY_CENTS, "phone_number_monthly").await?,
            annual: price("year", ANNUAL_CENTS, "phone_number_annual").await?,
        })
    }

    /// Makes the promotion code.
    pub async fn create_promotion_code(&self) -> Result<(), CatalogError> {
        let coupon = [("percent_off", "20"), ("duration", "once"), ("name", "Launch")];
        let coupon = self.create("/v1/coupons", &coupon).await?;
        let form = [
            ("promotion[type]", "coupon"),
            ("promotion[coupon]", coupon.as_str()),
            ("code", PROMOTION_CODE),
        ];
        self.create("/v1/promotion_codes", &form).await.map(drop)
    }

    /// Makes a connected account that sells a product of a flat and a metered price. Minutes are counted in seconds: a hundred of
    /// them are included, and each second more costs a quarter of a cent.
    pub async fn create_showcase(&self) -> Result<Showcase, CatalogError> {
        let account = [
            ("type", "standard"),
            ("country", "US"),
            ("email", "agency@example.com"),
        ];
        let account = self.create("/v1/accounts", &account).await?;
        let there = Catalog {
            account: Some(&account),
            ..*self
        };
        let product = there.create("/v1/products", &[("name", "Voice agent")]).await?;
        let meter = [
            ("display_name", "Minutes"),
            ("event_name", "agent_seconds"),
            ("default_aggregation[formula]", "sum"),
        ];
        let meter = there.create("/v1/billing/meters", &meter).await?;
        let flat = [
            ("product", product.as_str()),
            ("currency", "usd"),
            ("unit_amount", "2999"),
            ("recurring[interval]", "month"),
        ];
        there.create("/v1/prices", &flat).await?;
        let overage = [
            ("product", product.as_str()),
            ("currency", "usd"),
            ("billing_scheme", "tiered"),
            ("tiers_mode", "graduated"),
            ("tiers[0][up_to]", "6000"),
            ("tiers[0][unit_amount]", "0"),
            ("tiers[1][up_to]", "inf"),
            ("tiers[1][unit_amount_decimal]", "0.25"),
            ("recurring[interval]", "month"),
            ("recurring[usage_type]", "metered"),
            ("recurring[meter]", meter.as_str()),
        ];
        there.create("/v1/prices", &overage).await?;
        let coupon = [
            ("percent_off", "25"),
            ("duration", "repeating"),
            ("duration_in_months", "3"),
            ("name", "Welcome"),
        ];
        let coupon = there.create("/v1/coupons", &coupon).await?;
        Ok(Showcase {
            account,
            product,
            coupon,
        })
    }

    /// Makes the endpoint to which every event is delivered: of its own account, or of the connected ones.
    pub async fn create_endpoint(&self, url: &str, connected: bool) -> Result<Endpoint, CatalogError> {
        let path = "/v1/webhook_endpoints";
        let form = [
            ("url", url),
            ("enabled_events[0]", "*"),
            ("api_version", API_VERSION),
            ("connect", if connected { "true" } else { "false" }),
        ];
        let made = self.ask(path, &form).await?;
        // Stripe tells the secret in this answer and never again.
        Ok(Endpoint {
            id: member(&made, "id", path)?,
            secret: member(&made, "secret", path)?,
        })
    }

    /// Has the events, also those that wait to be delivered, go to another address.
    pub async fn move_endpoint(&self, endpoint: &Endpoint, url: &str) -> Result<(), CatalogError> {
        self.ask(&format!("/v1/webhook_endpoints/{}", endpoint.id), &[("url", url)])
            .await
            .map(drop)
    }

    async fn create(&self, path: &str, form: &[(&str, &str)]) -> Result<String, CatalogError> {
        member(&self.ask(path, form).await?, "id", path)
    }

    async fn ask(&self, path: &str, form: &[(&str, &str)]) -> Result<Value, CatalogError> {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let form: Vec<_> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        let unexpected = |status, body| CatalogError::Unexpected {
            path: path.to_owned(),
            status,
            body,
        };
        let request = Request::post(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.key))
            .header("stripe-version", API_VERSION)
            .header("content-type", "application/x-www-form-urlencoded");
        let request = match self.account {
            Some(account) => request.header("stripe-account", account),
            None => request,
        };
        let request = request
            .body(Bytes::from(form.join("&")))
            .map_err(|error| unexpected(0, error.to_string()))?;
        let answer = HttpClient::default().send(request).await?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        match serde_json::from_str(&text) {
            Ok(body) if answer.status().is_success() => Ok(body),
            _ => Err(unexpected(answer.status().as_u16(), text)),
        }
    }
}

fn member(object: &Value, name: &str, path: &str) -> Result<String, CatalogError> {
    object[name]
        .as_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| CatalogError::Unexpected {
            path: path.to_owned(),
            status: 200,
            body: object.to_string(),
        })
}
