//! JSON bodies and queries, with everything that is wrong with them.

use std::num::IntErrorKind;

use billing_core::invalid::Invalid;
use lambda_http::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::problem::Problem;

/// The most elements of a list. A plan has twenty products, and each element that is wrong is told: a list as long as a body may be would be
/// answered by more than the table keeps for an `Idempotency-Key`.
const MOST_ELEMENTS: usize = 100;

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

    /// The same, where a request may have no body at all.
    pub fn optional_members(&self) -> Result<Members, Problem> {
        if self.body.is_empty() {
            return Ok(Members::of(Map::new()));
        }
        self.members()
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

/// A whole number. `1338.0` is one: JSON has one kind of number, and JSON Schema calls this an integer. One beyond what can be held is
/// the largest, or the least, that can: whoever judges it says what its bounds are.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    if let Some(whole) = value.as_i64() {
        return Some(whole);
    }
    // A float's text has digits and no exponent, so what is not whole does not parse.
    match value.as_f64()?.to_string().parse::<i64>() {
        Ok(whole) => Some(whole),
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => Some(i64::MAX),
            IntErrorKind::NegOverflow => Some(i64::MIN),
            _ => None,
        },
    }
}

impl Members {
    /// A text that must be there and parse.
    pub fn required<T, E: ToString>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.must_be_there(name)?;
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

    /// A whole number that must be there and be good.
    pub(crate) fn required_integer<T, E: ToString>(
        &mut self,
        name: &str,
        judge: impl FnOnce(i64) -> Result<T, E>,
    ) -> Option<T> {
        self.must_be_there(name)?;
        self.optional_integer(name, judge)
    }

    /// Yes or no, which must be there.
    pub(crate) fn required_flag(&mut self, name: &str) -> Option<bool> {
        self.must_be_there(name)?;
        self.optional_flag(name)
    }

    /// An object that must be there, read as an optional one is.
    pub fn required_object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.must_be_there(name)?;
        self.optional_object(name, read)
    }

    /// A list of texts that must be there, at least one, each of which must parse.
    pub fn required_texts<T, E: ToString>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        self.must_be_there(name)?;
        let texts = self.members.get(name)?.as_array().cloned();
        let texts: Option<Vec<String>> = texts.and_then(|elements| {
            let text = |element: &Value| element.as_str().map(str::to_owned);
            elements.iter().map(text).collect()
        });
        let parsed = match texts {
            None => Err("must be an array of strings".to_owned()),
            Some(texts) if texts.is_empty() => Err("must not be empty".to_owned()),
            Some(texts) => texts
                .iter()
                .map(|text| parse(text).map_err(|fault| fault.to_string()))
                .collect(),
        };
        self.invalid.take(name, parsed)
    }

    fn must_be_there(&mut self, name: &str) -> Option<()> {
        if self.members.contains_key(name) {
            return Some(());
        }
        self.invalid.field(name, "is required");
        None
    }

    /// Yes or no, if it is there.
    pub fn optional_flag(&mut self, name: &str) -> Option<bool> {
        let flag = self.members.get(name)?.as_bool();
        if flag.is_none() {
            self.invalid.field(name, "must be true or false");
        }
        flag
    }

    /// An object, if it is there, read by its own members. Their faults are told by path: `customer_data.email`.
    pub fn optional_object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        match self.members.get(name)? {
            Value::Object(members) => {
                let mut inner = Self::of(members.clone());
                let value = read(&mut inner);
                self.adopt(name, inner);
                value
            }
            _ => {
                self.invalid.field(name, "must be an object");
                None
            }
        }
    }

    /// A list of at most a hundred objects, if it is there, each read by its own members. Their faults are told by path:
    /// `product_overrides[0].quantity`.
    pub(crate) fn optional_list<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = self.members.get(name)?.as_array().cloned() else {
            self.invalid.field(name, "must be a list");
            return None;
        };
        if items.len() > MOST_ELEMENTS {
            self.invalid
                .field(name, format!("must have at most {MOST_ELEMENTS} elements"));
            return None;
        }
        let mut values = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let path = format!("{name}[{at}]");
            match item {
                Value::Object(members) => {
                    let mut inner = Self::of(members);
                    values.extend(read(&mut inner));
                    self.adopt(&path, inner);
                }
                _ => self.invalid.field(&path, "must be an object"),
            }
        }
        Some(values)
    }

    /// A member as it is, if it is there: for what has several forms.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Notes a fault of a member.
    pub fn fault(&mut self, name: &str, fault: impl Into<String>) {
        self.invalid.field(name, fault);
    }

    /// The members that were found wrong so far, without what follows a name (`product_overrides` for a fault of one of them).
    #[must_use]
    pub fn faulty(&self) -> Vec<String> {
        let names = self.invalid.fields.keys();
        names
            .map(|name| name.split(['.', '[']).next().unwrap_or(name).to_owned())
            .collect()
    }

    /// Notes everything that was found wrong elsewhere.
    pub fn and(&mut self, invalid: Invalid) {
        self.invalid.and(invalid);
    }

    fn of(members: Map<String, Value>) -> Self {
        Self {
            members,
            invalid: Invalid::default(),
        }
    }

    fn adopt(&mut self, path: &str, inner: Self) {
        for (name, faults) in inner.invalid.fields {
            for fault in faults {
                self.invalid.field(&format!("{path}.{name}"), fault);
            }
        }
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_good(&self) -> bool {
        self.invalid.is_empty()
    }

    /// Everything that was wrong, if anything was.
    pub fn finish(self) -> Result<(), Problem> {
        if self.invalid.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.invalid))
        }
    }

    /// The same; what was read of all members otherwise, which is there when nothing was wrong.
    pub fn finish_with<T>(self, read: Option<T>) -> Result<T, Problem> {
        self.finish()?;
        read.ok_or_else(|| Problem::internal("a required member was neither read nor refused"))
    }
}
