//! What a subscription is paid by, read along with it.
//!
//! Stripe looks in four places, in this order: the subscription's default payment method and default source, then the customer's. Source:
//! Stripe, the reference of `subscription.default_payment_method`.

use billing_core::payer::MethodKind;
use serde::{Deserialize, Deserializer};

/// What is expanded to learn the kind of what pays.
pub(crate) const PAYERS: [&str; 4] = [
    "default_payment_method",
    "default_source",
    "customer.invoice_settings.default_payment_method",
    "customer.default_source",
];

/// A payment method or a source: its kind is known where it was expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) id: String,
    pub(crate) kind: Option<MethodKind>,
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Id(String),
            Object {
                id: String,
                #[serde(default)]
                object: String,
                #[serde(rename = "type")]
                kind: Option<String>,
            },
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Id(id) => Self { id, kind: None },
            Either::Object { id, object, kind } => Self {
                id,
                kind: kind_of(&object, kind),
            },
        })
    }
}

/// A payment method tells its kind; so does a source, by another word for a bank account. What is older than both is its own kind.
fn kind_of(object: &str, kind: Option<String>) -> Option<MethodKind> {
    const BANK_ACCOUNT: &str = "us_bank_account";
    match (object, kind.as_deref()) {
        ("bank_account", _) | ("source", Some("ach_debit")) => Some(MethodKind::of(BANK_ACCOUNT)),
        ("card", _) => Some(MethodKind::of("card")),
        ("payment_method" | "source", Some(kind)) => Some(MethodKind::of(kind)),
        _ => None,
    }
}

/// Who pays: an id, or whom it names, with what pays where nothing else does. One that was deleted has nothing.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) id: String,
    method: Option<Method>,
    source: Option<Method>,
}

impl<'de> Deserialize<'de> for Customer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Settings {
            default_payment_method: Option<Method>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Id(String),
            Object {
                id: String,
                invoice_settings: Option<Settings>,
                default_source: Option<Method>,
            },
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Id(id) => Self {
                id,
                method: None,
                source: None,
            },
            Either::Object {
                id,
                invoice_settings,
                default_source,
            } => Self {
                id,
                method: invoice_settings.and_then(|settings| settings.default_payment_method),
                source: default_source,
            },
        })
    }
}

impl Customer {
    /// The kind of what pays a subscription that has these itself.
    pub(crate) fn payer_of(&self, method: Option<&Method>, source: Option<&Method>) -> Option<MethodKind> {
        let own = method.or(source);
        let pays = own.or(self.method.as_ref()).or(self.source.as_ref());
        pays.and_then(|method| method.kind.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn payer(method: Value, source: Value, customer: Value) -> Option<String> {
        let read = |value| serde_json::from_value::<Option<Method>>(value).unwrap();
        let customer: Customer = serde_json::from_value(customer).unwrap();
        let kind = customer.payer_of(read(method).as_ref(), read(source).as_ref());
        kind.map(|kind| kind.to_string())
    }

    fn method(kind: &str) -> Value {
        json!({ "id": "pm_1", "object": "payment_method", "type": kind })
    }

    fn customer(method: &Value, source: &Value) -> Value {
        json!({ "id": "cus_1", "object": "customer", "default_source": source, "invoice_settings": { "default_payment_method": method } })
    }

    /// The subscription's own first, of each the payment method before the source; each of another kind here.
    #[test]
    fn what_pays_is_looked_for_in_stripes_order() {
        let bank = json!({ "id": "ba_1", "object": "bank_account" });
        let card = json!({ "id": "card_1", "object": "card", "type": "of another thing" });
        let whole = customer(&method("link"), &bank);
        let told = payer(method("sepa_debit"), card.clone(), whole.clone());
        assert_eq!(told.as_deref(), Some("sepa_debit"));
        let told = payer(Value::Null, card, whole.clone());
        assert_eq!(told.as_deref(), Some("card"));
        assert_eq!(payer(Value::Null, Value::Null, whole).as_deref(), Some("link"));
        let told = payer(Value::Null, Value::Null, customer(&Value::Null, &bank));
        assert_eq!(told.as_deref(), Some("us_bank_account"));
    }

    /// What was not expanded, what is nothing, and whom Stripe has deleted.
    #[test]
    fn what_is_not_known_is_nothing() {
        let deleted = json!({ "id": "cus_1", "object": "customer", "deleted": true });
        for nobody in [json!("cus_1"), deleted, customer(&Value::Null, &Value::Null)] {
            assert_eq!(payer(Value::Null, Value::Null, nobody), None);
        }
        let told = payer(
            json!("pm_1"),
            Value::Null,
            customer(&method("link"), &Value::Null),
        );
        assert_eq!(told, None, "it pays, of whatever kind it is");
    }

    #[test]
    fn an_older_source_says_it_in_another_word() {
        let source = |kind: &str| json!({ "id": "src_1", "object": "source", "type": kind });
        for (word, kind) in [
            ("ach_debit", "us_bank_account"),
            ("sepa_debit", "sepa_debit"),
            ("card", "card"),
        ] {
            let told = payer(Value::Null, source(word), json!("cus_1"));
            assert_eq!(told.as_deref(), Some(kind));
        }
    }
}
