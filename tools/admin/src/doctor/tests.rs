//! A deployment with each thing broken in turn, and the words for it. The deployment is a local stack, told and asked as AWS's would be.

use std::io::{Read, Write};
use std::net::TcpListener;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use jiff::ToSpan;
use local_stack::template::{Table, Template};
use local_stack::{Settings, Stack, tables};
use serde_json::Value;

use super::*;
use crate::Failure;

/// A stack, and what its functions are told.
struct Deployment {
    stack: Stack,
    told: Variables,
    webhook_url: Option<String>,
    ahead: i64,
}

impl Deployment {
    async fn new() -> Self {
        let stack = Stack::start(Settings::free_ports()).await.unwrap();
        Self {
            told: stack.variables.clone(),
            webhook_url: Some(format!("{}/stripe/webhook", stack.directory.api)),
            ahead: 0,
            stack,
        }
    }

    fn having(mut self, name: &str, value: &str) -> Self {
        self.told.insert(name.to_owned(), value.to_owned());
        self
    }

    #[expect(clippy::disallowed_methods, reason = "answers carry the real time")]
    fn patient(&self) -> Patient<'_> {
        Patient {
            told: &self.told,
            webhook_url: self.webhook_url.as_deref(),
            now: Timestamp::now() + self.ahead.seconds(),
        }
    }

    /// What is wrong, in words.
    async fn wrongs(&self) -> Vec<String> {
        let findings = examine(&self.patient()).await;
        let wrong = findings.into_iter().filter(|it| it.verdict == Verdict::Wrong);
        wrong.map(|it| format!("{}: {}", it.subject, it.words)).collect()
    }

    /// The one thing that is wrong.
    async fn wrong(&self) -> String {
        let wrongs = self.wrongs().await;
        assert_eq!(wrongs.len(), 1, "{wrongs:?}");
        wrongs.into_iter().next().unwrap()
    }

    /// What an operator does at Stripe.
    async fn at_stripe(&self, method: &str, path: &str, form: &str) -> Value {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.stack.directory.stripe))
            .header("authorization", "Bearer sk_test_local")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form.to_owned())))
            .unwrap();
        let answer = billing_edge::transport().request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{path}: {body:?}");
        serde_json::from_slice(&body).unwrap()
    }

    /// The stack's own endpoint, changed.
    async fn with_endpoint(self, form: &str) -> Self {
        let listed = self.at_stripe("GET", "webhook_endpoints", "").await;
        let id = listed["data"][0]["id"].as_str().unwrap().to_owned();
        self.at_stripe("POST", &format!("webhook_endpoints/{id}"), form)
            .await;
        self
    }

    /// A table of one of the template's, changed, under the name `other`, which the functions are told instead.
    async fn with_other_table(self, variable: &str, change: impl Fn(&mut Table)) -> Self {
        let mut table = Template::project().unwrap().tables;
        table.retain(|table| table.variable == variable);
        table[0].name = "other".to_owned();
        table[0].definition["TableName"] = "other".into();
        change(&mut table[0]);
        tables::create_missing(&self.stack.directory.dynamodb, &table)
            .await
            .unwrap();
        self.having(variable, "other")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_works_out_the_tax_is_looked_at_where_it_is_to() {
    let deployment = Deployment::new().await;
    let findings = examine(&deployment.patient()).await;
    assert!(findings.iter().all(|it| it.subject != "tax"));
    let deployment = deployment.having("CHECKOUT_AUTOMATIC_TAX", "true");
    let findings = examine(&deployment.patient()).await;
    let tax = findings.iter().find(|it| it.subject == "tax").unwrap();
    assert_eq!(tax.verdict, Verdict::Well, "{}", tax.words);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_well_is_told_so() {
    let deployment = Deployment::new().await;
    let mut out = Vec::new();
    crate::examine(&deployment.patient(), false, &mut out)
        .await
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    for well in [
        "well     configuration      complete, for test mode\n",
        "well     sessions table     sessions is as it should be\n",
        "well     stripe key         Stripe takes it\n",
        "well     webhook secret     there are 2: one for each endpoint,",
        " are for sale\n",
        "well     webhook endpoint   we_",
        "well     connect endpoint   we_",
        " takes what is handled, version 2026-09-30.endive\n",
        "well     clock              within ",
        " s of DynamoDB's\n",
    ] {
        assert!(text.contains(well), "{well:?} is not in\n{text}");
    }

    let mut out = Vec::new();
    crate::examine(&deployment.patient(), true, &mut out)
        .await
        .unwrap();
    let json: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["well"], true);
    assert_eq!(json["findings"][0]["verdict"], "well");
}

/// The embedded DynamoDB knows nothing of backups: unknown is said, and is not wrong.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dynamodb_does_not_tell_is_unknown_and_not_wrong() {
    let deployment = Deployment::new().await;
    let findings = examine(&deployment.patient()).await;
    let unknown: Vec<_> = findings
        .iter()
        .filter(|it| it.verdict == Verdict::Unknown)
        .collect();
    assert!(
        unknown
            .iter()
            .any(|it| it.subject == "accounts table" && it.words.contains("point-in-time recovery")),
        "{unknown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_printed_and_fails_the_command() {
    let deployment = Deployment::new().await.having("ACCOUNTS_TABLE", "nowhere");
    let mut out = Vec::new();
    let failure = crate::examine(&deployment.patient(), true, &mut out)
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Unwell(1)), "{failure}");
    let json: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["well"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_variable_is_named() {
    for (variable, wrong, words) in [
        ("BILLING_MODE", "production", "configuration: BILLING_MODE"),
        (
            "PRICE_ANNUAL",
            "",
            "configuration: PRICE_ANNUAL is missing: no function starts",
        ),
        (
            "BILLING_MODE",
            "live",
            "configuration: STRIPE_SECRET_KEY is a key of the other mode than BILLING_MODE",
        ),
    ] {
        let told = Deployment::new().await.having(variable, wrong).wrong().await;
        assert!(told.starts_with(words), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_missing_or_lacks_something_is_named() {
    let missing = Deployment::new().await.having("SESSIONS_TABLE", "nowhere");
    assert_eq!(
        missing.wrong().await,
        "sessions table: does not exist in this region: every request is answered 503; take name and region from the deployment's environment, or deploy"
    );

    let eternal = Deployment::new().await;
    let eternal = eternal
        .with_other_table("SESSIONS_TABLE", |table| table.ttl_attribute = None)
        .await;
    assert!(
        eternal
            .wrong()
            .await
            .starts_with("sessions table: other has no time to live on expires_at")
    );

    let silent = Deployment::new().await;
    let silent = silent
        .with_other_table("SESSIONS_TABLE", |table| {
            table
                .definition
                .as_object_mut()
                .unwrap()
                .remove("StreamSpecification");
        })
        .await;
    assert!(
        silent
            .wrong()
            .await
            .starts_with("sessions table: other has no stream of OLD_IMAGE")
    );

    let unprotected = Deployment::new().await;
    let unprotected = unprotected
        .with_other_table("ACCOUNTS_TABLE", |table| {
            table.definition["DeletionProtectionEnabled"] = false.into();
        })
        .await;
    assert!(
        unprotected
            .wrong()
            .await
            .starts_with("accounts table: other has no deletion protection")
    );

    let expiring = Deployment::new().await;
    let expiring = expiring
        .with_other_table("ACCOUNTS_TABLE", |table| {
            table.ttl_attribute = Some("expires_at".to_owned())
        })
        .await;
    assert!(
        expiring
            .wrong()
            .await
            .starts_with("accounts table: other has a time to live")
    );

    let foreign = Deployment::new().await;
    let foreign = foreign
        .with_other_table("ACCOUNTS_TABLE", |table| {
            table.definition["KeySchema"] = serde_json::json!([{ "AttributeName": "pk", "KeyType": "HASH" }]);
            table.definition["AttributeDefinitions"] =
                serde_json::json!([{ "AttributeName": "pk", "AttributeType": "S" }]);
        })
        .await;
    assert!(
        foreign
            .wrong()
            .await
            .starts_with("accounts table: other has other keys than pk and sk")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_read_or_is_none_is_named() {
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/stripe-a1b2c3";
    let unreadable = Deployment::new().await;
    let unreadable = unreadable
        .having("STRIPE_SECRET_KEY", "")
        .having("STRIPE_SECRET_KEY_ARN", ARN)
        .having("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9");
    assert!(
        unreadable
            .wrong()
            .await
            .starts_with("stripe key: cannot be read: secrets manager: ")
    );

    let placeholder = Deployment::new()
        .await
        .having("STRIPE_WEBHOOK_SECRETS", "placeholder");
    assert!(
        placeholder
            .wrong()
            .await
            .starts_with("webhook secret: is no signing secret (whsec_…)")
    );

    let one = Deployment::new()
        .await
        .having("STRIPE_WEBHOOK_SECRETS", "whsec_of_the_first");
    assert!(
        one.wrong()
            .await
            .starts_with("webhook secret: there is 1, and 2 endpoints for http")
    );

    // The stand-in takes keys of test mode alone; a key that says no mode passes every check but Stripe's own.
    let rolled = Deployment::new().await.having("STRIPE_SECRET_KEY", "sk_rolled");
    assert!(
        rolled
            .wrong()
            .await
            .starts_with("stripe key: is refused by Stripe")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_cannot_be_sold_is_named() {
    let missing = Deployment::new().await.having("PRICE_ANNUAL", "price_nowhere");
    assert!(
        missing
            .wrong()
            .await
            .starts_with("prices: PRICE_ANNUAL price_nowhere does not exist")
    );

    let deployment = Deployment::new().await;
    let monthly = deployment.told["PRICE_MONTHLY"].clone();
    let annual = deployment.told["PRICE_ANNUAL"].clone();
    let swapped = deployment
        .having("PRICE_MONTHLY", &annual)
        .having("PRICE_ANNUAL", &monthly);
    let wrongs = swapped.wrongs().await;
    assert_eq!(
        wrongs,
        [
            format!(
                "prices: PRICE_MONTHLY {annual} is charged every 1 year, not every month; deploy with another"
            ),
            format!(
                "prices: PRICE_ANNUAL {monthly} is charged every 1 month, not every year; deploy with another"
            ),
        ]
    );

    for (form, words) in [
        (
            "currency=eur&unit_amount=9600&recurring[interval]=year",
            "prices: the monthly price is in usd and the annual one in eur",
        ),
        (
            "currency=usd&unit_amount_decimal=9600.5&recurring[interval]=year",
            " has no whole unit amount",
        ),
        (
            "currency=usd&unit_amount=15&recurring[interval]=year",
            " is 0.15 USD for each number, and Stripe charges 0.50 USD at the least: a checkout of fewer than 4 numbers is answered 400",
        ),
    ] {
        let deployment = Deployment::new().await;
        let form = format!("product_data[name]=Number&{form}");
        let price = deployment.at_stripe("POST", "prices", &form).await;
        let other = deployment.having("PRICE_ANNUAL", price["id"].as_str().unwrap());
        let told = other.wrong().await;
        assert!(told.contains(words), "{told}");
    }

    let archived = Deployment::new().await;
    let price = archived.told["PRICE_MONTHLY"].clone();
    archived
        .at_stripe("POST", &format!("prices/{price}"), "active=false")
        .await;
    assert!(
        archived
            .wrong()
            .await
            .contains(" is archived: checkouts for it are answered 502")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_endpoint_that_misses_events_is_named() {
    let mut elsewhere = Deployment::new().await;
    elsewhere.webhook_url = Some("https://billing.example.com/stripe/webhook".to_owned());
    assert!(
        elsewhere.wrongs().await[0]
            .starts_with("webhook endpoint: Stripe has none for https://billing.example.com/stripe/webhook")
    );

    let disabled = Deployment::new().await.with_endpoint("disabled=true").await;
    assert!(disabled.wrong().await.contains(" is disabled: no event arrives"));

    let partial =
        "enabled_events[0]=checkout.session.completed&enabled_events[1]=customer.subscription.updated";
    let partial = Deployment::new().await.with_endpoint(partial).await;
    let told = partial.wrong().await;
    assert!(
        told.contains(" is not sent checkout.session.expired, ") && told.contains("invoice.paid"),
        "{told}"
    );

    let old = Deployment::new().await;
    let other = "https://billing.example.com/stripe/webhook";
    let form = format!("url={other}&enabled_events[0]=*&api_version=2024-06-20");
    old.at_stripe("POST", "webhook_endpoints", &form).await;
    let old = Deployment {
        webhook_url: Some(other.to_owned()),
        ..old
    };
    assert!(
        old.wrongs().await[0].contains(" is of API version 2024-06-20, and this build of 2026-09-30.endive")
    );

    let twice = Deployment::new().await;
    let url = twice.webhook_url.clone().unwrap();
    let form = format!("url={url}&enabled_events[0]=*&api_version=2026-09-30.endive");
    twice.at_stripe("POST", "webhook_endpoints", &form).await;
    assert!(
        twice
            .wrong()
            .await
            .starts_with("webhook endpoint: Stripe has 2 for ")
    );
}

/// The demo world has an agency, so somebody has to hear of its connected account.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_connected_accounts_that_misses_events_is_named() {
    let connected = async |deployment: &Deployment| {
        let listed = deployment.at_stripe("GET", "webhook_endpoints", "").await;
        let mut listed = listed["data"].as_array().unwrap().iter();
        let connected = listed.find(|it| !it["application"].is_null()).unwrap();
        format!("webhook_endpoints/{}", connected["id"].as_str().unwrap())
    };
    for (method, form, words) in [
        ("DELETE", "", "connect endpoint: Stripe has none for "),
        (
            "POST",
            "disabled=true",
            " is disabled: what becomes of what agencies sold is found by reconcile alone",
        ),
        (
            "POST",
            "enabled_events[0]=customer.subscription.updated",
            " is not sent subscription_schedule.created, ",
        ),
    ] {
        let deployment = Deployment::new().await;
        let path = connected(&deployment).await;
        deployment.at_stripe(method, &path, form).await;
        let told = deployment.wrong().await;
        assert!(
            told.starts_with("connect endpoint: ") && told.contains(words),
            "{told}"
        );
    }
}

/// A key in Secrets Manager can only be judged once it is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_other_mode_or_of_another_kind_is_named() {
    for (key, words) in [
        (
            "sk_live_elsewhere",
            "stripe key: is of the other mode than BILLING_MODE test",
        ),
        (
            "pk_test_for_browsers",
            "stripe key: is neither a secret key (sk_…) nor a restricted one (rk_…)",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let vault = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..read]);
            }
            let body = format!(r#"{{"SecretString":"{key}"}}"#);
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        });
        let other = Deployment::new()
            .await
            .having("STRIPE_SECRET_KEY", "")
            .having(
                "STRIPE_SECRET_KEY_ARN",
                "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/stripe-a1b2c3",
            )
            .having("AWS_ENDPOINT_URL_SECRETS_MANAGER", &vault);
        let told = other.wrong().await;
        assert!(told.starts_with(words), "{told}");
        assert!(!told.contains(key), "{told}");
    }
}

/// A Stripe that does not answer is no proof that it takes the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_that_does_not_answer_leaves_the_key_unknown() {
    let mute = Deployment::new()
        .await
        .having("STRIPE_API_BASE", "http://127.0.0.1:9/");
    let findings = examine(&mute.patient()).await;
    let key = findings.iter().find(|it| it.subject == "stripe key").unwrap();
    assert_eq!(key.verdict, Verdict::Unknown, "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_whose_address_nobody_told_is_unknown() {
    let mut deployment = Deployment::new().await;
    deployment.webhook_url = None;
    let findings = examine(&deployment.patient()).await;
    let endpoint = findings
        .iter()
        .find(|it| it.subject == "webhook endpoint")
        .unwrap();
    assert_eq!(endpoint.verdict, Verdict::Unknown);
    assert!(endpoint.words.contains("--webhook-url"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_named() {
    let mut deployment = Deployment::new().await;
    deployment.ahead = 420;
    let wrongs = deployment.wrongs().await;
    assert_eq!(wrongs.len(), 2, "{wrongs:?}");
    assert!(
        wrongs[0].contains(" s ahead of DynamoDB: signatures are refused"),
        "{wrongs:?}"
    );
    deployment.ahead = -420;
    assert!(deployment.wrongs().await[1].contains(" s behind Stripe"));
}
