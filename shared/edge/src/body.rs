//! JSON bodies and queries, with everything that is wrong with them.

use billing_core::invalid::Invalid;
use lambda_http::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::problem::Problem;

/// The members of a JSON object, taken one by one; every fault is kept until [`Members::finish`] tells them all at once.
/// Members that nobody asks for are ignored.
#[derive(Debug)]
pub struct Members {
    members: Map<String, Value>,
    invalid: Invalid,
}

impl Call<'_> {
    /// The body as a JSON object.
    pub fn members(&self) -> Result<Members, Problem> {
        if !self.is_json() {
            return Err(Problem::unsupported_media_type());
        }
        let fault = match serde_json::from_slice::<Value>(&self.body) {
            Ok(Value::Object(members)) => {
                return Ok(Members {
                    members,
                    invalid: Invalid::default(),
                });
            }
            Ok(_) => "the body must be a JSON object",
            Err(_) => "the body is not valid JSON",
        };
        Err(Problem::invalid(Invalid::form(fault)))
    }

    /// The parameters of the query, each a text; one that is named twice counts as it was named last.
    #[must_use]
    pub fn query(&self) -> Members {
        let pairs = self.query.iter();
        Members {
            members: pairs
                .map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())))
                .collect(),
            invalid: Invalid::default(),
        }
    }

    fn is_json(&self) -> bool {
        let media_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        media_type == "application/json"
            || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    }
}

/// A whole number. `1338.0` is one: JSON has one kind of number, and JSON Schema calls this an integer.
fn integer(value: &Value) -> Option<i64> {
    // A float's text has digits and no exponent, so what is not whole, or too large, does not parse.
    value
        .as_i64()
        .or_else(|| value.as_f64()?.to_string().parse().ok())
}

impl Members {
    /// A text that must be there and parse.
    pub fn required<T, E: ToString>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if !self.members.contains_key(name) {
            self.invalid.field(name, "is required");
            return None;
        }
        self.optional(name, parse)
    }

    /// A text that must parse if it is there. `null` is a value like any other, and no text.
    pub fn optional<T, E: ToString>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.members.get(name)? {
            Value::String(text) => {
                let parsed = parse(text).map_err(|fault| fault.to_string());
                self.invalid.take(name, parsed)
            }
            _ => {
                self.invalid.field(name, "must be a string");
                None
            }
        }
    }

    /// A whole number that must be good if it is there.
    pub fn optional_integer<T, E: ToString>(
        &mut self,
        name: &str,
        judge: impl FnOnce(i64) -> Result<T, E>,
    ) -> Option<T> {
        let Some(number) = integer(self.members.get(name)?) else {
            self.invalid.field(name, "must be an integer");
            return None;
        };
        let judged = judge(number).map_err(|fault| fault.to_string());
        self.invalid.take(name, judged)
    }

    /// Everything that was wrong, if anything was.
    pub fn finish(self) -> Result<(), Problem> {
        if self.invalid.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.invalid))
        }
    }
}
