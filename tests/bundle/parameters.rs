//! What CloudFormation lets a deployment be told, its functions start with: each reads all of its environment first and ends where that
//! is wrong, so what is let through would stop all of them at once.

use std::collections::BTreeSet;

use billing_edge::{Config, ConfigError};
use serde_json::json;
use serde_yaml_ng::Value as Yaml;

use crate::project;

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/stripe-key-a1b2c3";

/// A parameter, the variable that it becomes, what it takes, and what it does not.
struct Told {
    parameter: &'static str,
    variable: &'static str,
    taken: &'static [&'static str],
    refused: &'static [&'static str],
}

const TOLD: &[Told] = &[
    Told {
        parameter: "BillingMode",
        variable: "BILLING_MODE",
        taken: &["live", "test"],
        refused: &["", "production"],
    },
    Told {
        parameter: "StripeSecretArn",
        variable: "STRIPE_SECRET_KEY_ARN",
        taken: &[
            SECRET,
            "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a_b+c=d.e@f/g-ABCDEF",
        ],
        refused: SECRETS_REFUSED,
    },
    Told {
        parameter: "StripeWebhookSecretArn",
        variable: "STRIPE_WEBHOOK_SECRETS_ARN",
        taken: &[SECRET],
        refused: SECRETS_REFUSED,
    },
    Told {
        parameter: "PriceMonthly",
        variable: "PRICE_MONTHLY",
        taken: &["price_1Abc", "gold.v2-eur"],
        refused: PRICES_REFUSED,
    },
    Told {
        parameter: "PriceAnnual",
        variable: "PRICE_ANNUAL",
        taken: &["price_1Abc"],
        refused: PRICES_REFUSED,
    },
    Told {
        parameter: "ReturnUrl",
        variable: "RETURN_URL",
        taken: &[
            "https://app.example.com",
            "https://app.example.com:8443/billing?from=stripe&session={CHECKOUT_SESSION_ID}#/done?x=%C3%A9",
            "https://app.example.com/a(b)[c]~d'e!f$g*h+i,j;k:l@m",
            "https://app.example.com?x",
            "https://app.example.com#x",
        ],
        refused: &[
            "",
            "http://app.example.com",
            "https://",
            "app.example.com",
            "https://somebody@app.example.com/",
            "https://somebody:secret@app.example.com/",
            "https://app.example.com:port/",
            "https://app.example.com/ x",
            "https://app.example.com/é",
            "https://app.example.com/%zz",
            "https://app.example.com/100%",
            "https://app.example.com/#%2",
            "https://app.example.com/x#y#z",
            "https://app.example.com/a|b",
            "https://app.example.com\\billing",
        ],
    },
    Told {
        parameter: "ReturnHosts",
        variable: "RETURN_HOSTS",
        taken: &[
            "",
            "app.example.com",
            "app.example.com,www.example.com, localhost",
            "xn--bcher-kva.example",
        ],
        refused: &[
            ",",
            "https://app.example.com",
            "app.example.com/billing",
            "app.example.com:8443",
            "*.example.com",
            "app.example.com,*.example.com",
            "app.example.com;www.example.com",
            "app.example.com www.example.com",
        ],
    },
    Told {
        parameter: "CoverageGraceSeconds",
        variable: "COVERAGE_GRACE_SECONDS",
        taken: &["0", "7200", "999999999"],
        refused: &["0.5", "-1", "1e3", "2h", "4294967296"],
    },
    Told {
        parameter: "CheckoutPromotionCodes",
        variable: "CHECKOUT_PROMOTION_CODES",
        taken: &["true", "false"],
        refused: &["yes", "TRUE", "1"],
    },
    Told {
        parameter: "CheckoutAutomaticTax",
        variable: "CHECKOUT_AUTOMATIC_TAX",
        taken: &["true", "false"],
        refused: &["yes", "TRUE", "1"],
    },
];

/// IAM compares what it is told with the whole ARN, which ends in a hyphen and six characters.
const SECRETS_REFUSED: &[&str] = &[
    "",
    "sk_test_x",
    "billing/stripe-key",
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/stripe-key",
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/stripe-webhook",
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:billing/stripe-key-a1b2c3:AWSCURRENT",
];

const PRICES_REFUSED: &[&str] = &["", "a b", "price/1", ".price", "price..1"];

#[test]
fn what_a_deployment_may_be_told_its_functions_start_with() {
    let parameters = project::template()["Parameters"].clone();
    for told in TOLD {
        let parameter = &parameters[told.parameter];
        assert_eq!(
            parameter["Type"], "String",
            "{}: of a Number, a fraction too is taken",
            told.parameter
        );
        for value in told.taken {
            assert!(
                allows(parameter, value),
                "{} does not take {value}",
                told.parameter
            );
            let read = read(told.variable, value);
            assert!(read.is_ok(), "{} takes {value}: {read:?}", told.parameter);
        }
        for value in told.refused {
            assert!(!allows(parameter, value), "{} takes {value:?}", told.parameter);
        }
    }
    // A default is nobody's choice.
    for (name, parameter) in parameters.as_mapping().unwrap() {
        if let Some(default) = parameter["Default"].as_str() {
            assert!(
                allows(parameter, default),
                "{name:?} does not take its own default"
            );
        }
    }
}

#[test]
fn what_is_too_long_for_the_functions_is_too_long_for_a_parameter() {
    let parameters = project::template()["Parameters"].clone();
    let price = "p".repeat(256);
    for (parameter, variable) in [("PriceMonthly", "PRICE_MONTHLY"), ("PriceAnnual", "PRICE_ANNUAL")] {
        assert!(!allows(&parameters[parameter], &price));
        assert!(allows(&parameters[parameter], &price[1..]));
        assert!(read(variable, &price).is_err());
        assert!(read(variable, &price[1..]).is_ok());
    }
    let url = format!("https://app.example.com/{}", "x".repeat(2060));
    assert_eq!(url.len(), 2084);
    assert!(!allows(&parameters["ReturnUrl"], &url));
    assert!(allows(&parameters["ReturnUrl"], &url[..2083]));
    assert!(read("RETURN_URL", &url).is_err());
    assert!(read("RETURN_URL", &url[..2083]).is_ok());
}

/// Neither parameter alone is wrong.
#[test]
fn one_price_twice_is_refused_by_a_rule() {
    assert!(read("PRICE_ANNUAL", "price_monthly").is_err());
    let rules = serde_yaml_ng::to_string(&project::template()["Rules"]).unwrap();
    let rule = "Assert: !Not
      - !Equals
        - !Ref PriceMonthly
        - !Ref PriceAnnual
";
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plain(&rules).contains(&plain(rule)), "{rules}");
}

#[test]
fn every_parameter_that_the_functions_read_is_looked_at() {
    let template = project::template();
    let mut variables = vec![template["Globals"]["Function"]["Environment"]["Variables"].clone()];
    for resource in template["Resources"].as_mapping().unwrap().values() {
        variables.push(resource["Properties"]["Environment"]["Variables"].clone());
    }
    let mut read = BTreeSet::new();
    for (variable, value) in variables.iter().filter_map(Yaml::as_mapping).flatten() {
        let value = serde_yaml_ng::to_string(value).unwrap();
        let names = value.split(|it: char| !it.is_ascii_alphanumeric());
        let named = names.filter(|name| !template["Parameters"][*name].is_null());
        read.extend(named.map(|name| (name.to_owned(), variable.as_str().unwrap().to_owned())));
    }
    let looked_at = TOLD
        .iter()
        .map(|it| (it.parameter.to_owned(), it.variable.to_owned()));
    assert_eq!(read, looked_at.collect(), "the template's variables and TOLD");
}

/// Whether CloudFormation takes a value for a parameter.
fn allows(parameter: &Yaml, value: &str) -> bool {
    let schema = json!({
        "enum": parameter["AllowedValues"].as_sequence().map(|values| {
            values.iter().map(|value| value.as_str().unwrap_or_default()).collect::<Vec<_>>()
        }),
        "pattern": parameter["AllowedPattern"].as_str(),
        "maxLength": parameter["MaxLength"].as_u64(),
    });
    let stated = schema
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, limit)| !limit.is_null());
    let schema = json!(
        stated
            .map(|(name, limit)| (name.clone(), limit.clone()))
            .collect::<serde_json::Map<_, _>>()
    );
    jsonschema::validator_for(&schema)
        .unwrap()
        .is_valid(&json!(value))
}

/// What the functions make of an environment in which one variable has this value, and all others are well.
fn read(variable: &str, value: &str) -> Result<Config, ConfigError> {
    Config::read(&|name| {
        let text = match name {
            _ if name == variable => value,
            "BILLING_MODE" => "test",
            "ACCOUNTS_TABLE" => "accounts",
            "SESSIONS_TABLE" => "sessions",
            "AWS_REGION" => "us-east-1",
            "AWS_ACCESS_KEY_ID" => "id",
            "AWS_SECRET_ACCESS_KEY" => "secret",
            "STRIPE_SECRET_KEY_ARN" => SECRET,
            "PRICE_MONTHLY" => "price_monthly",
            "PRICE_ANNUAL" => "price_annual",
            // Its own host is one of those that are named, whatever they are.
            "RETURN_URL" if variable == "RETURN_HOSTS" => match value.split(',').next()?.trim() {
                "" => "https://app.example.com",
                host => return Some(format!("https://{host}/")),
            },
            "RETURN_URL" => "https://app.example.com",
            _ => return None,
        };
        Some(text.to_owned())
    })
}
