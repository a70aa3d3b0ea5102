//! What Stripe answers when it does not do what was asked: status, type, code, parameter and words.
//!
//! Texts follow Stripe's closely enough to be recognised, not word for word. Faults that a test asks for are not here but in
//! [`crate::faults`].

use serde_json::{Value, json};

/// Why a request was refused, as Stripe tells it.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    kind: &'static str,
    code: Option<String>,
    param: Option<String>,
    message: String,
    decline_code: Option<&'static str>,
    /// The rendered payment intent that a declined card leaves behind.
    payment_intent: Option<Box<Value>>,
    /// Whether the operation had begun. Stripe keeps the answer for an idempotency key only then.
    pub(crate) executed: bool,
}

const INVALID: &str = "invalid_request_error";

impl Refusal {
    fn new(status: u16, kind: &'static str, message: String) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message,
            decline_code: None,
            payment_intent: None,
            executed: false,
        }
    }

    fn with(mut self, code: &str, param: Option<&str>) -> Self {
        self.code = Some(code.to_owned());
        self.param = param.map(str::to_owned);
        self
    }

    /// A parameter that must be there is not.
    pub(crate) fn missing(param: &str) -> Self {
        Self::new(400, INVALID, format!("Missing required param: {param}."))
            .with("parameter_missing", Some(param))
    }

    /// Parameters that this operation does not know.
    pub(crate) fn unknown(params: &[String]) -> Self {
        let plural = if params.len() == 1 { "" } else { "s" };
        let first = params.first().map(String::as_str);
        Self::new(
            400,
            INVALID,
            format!("Received unknown parameter{plural}: {}", params.join(", ")),
        )
        .with("parameter_unknown", first)
    }

    /// A parameter that Stripe knows and the stand-in does not do yet. Silence would be worse than a refusal.
    pub(crate) fn unsupported(param: &str) -> Self {
        let mut refusal = Self::new(
            400,
            INVALID,
            format!("The stand-in does not support the parameter {param} yet."),
        );
        refusal.param = Some(param.to_owned());
        refusal
    }

    /// A parameter whose value does not do, in the given words.
    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        let mut refusal = Self::new(400, INVALID, message.into());
        refusal.param = Some(param.to_owned());
        refusal
    }

    /// The same of what was found out only when the operation had begun.
    pub(crate) fn invalid_in_course(param: &str, message: impl Into<String>) -> Self {
        Self {
            executed: true,
            ..Self::invalid(param, message)
        }
    }

    /// The same, with one of Stripe's codes.
    pub(crate) fn invalid_code(code: &str, param: &str, message: impl Into<String>) -> Self {
        Self::invalid(param, message).with(code, Some(param))
    }

    /// An empty string where nothing can be unset.
    pub(crate) fn empty(param: &str) -> Self {
        let message = format!(
            "You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; \
             however '{param}' cannot be unset. You should remove '{param}' from your request or supply a non-empty value."
        );
        Self::invalid_code("parameter_invalid_empty", param, message)
    }

    /// A name whose brackets do not pair up, or that is a text here and a list there.
    pub(crate) fn invalid_shape(name: &str) -> Self {
        Self::invalid(name, format!("Invalid parameter name or shape: {name}"))
    }

    /// An object that the path names and that is not there: 404.
    pub(crate) fn not_found(object: &str, id: &str, param: &str) -> Self {
        Self {
            status: 404,
            ..Self::no_such(object, id, param)
        }
    }

    /// An object that a parameter names and that is not there: 400.
    pub(crate) fn no_such(object: &str, id: &str, param: &str) -> Self {
        let refusal = Self::new(400, INVALID, format!("No such {object}: '{id}'"))
            .with("resource_missing", Some(param));
        Self {
            executed: true,
            ..refusal
        }
    }

    /// A preview of an invoice that there will not be.
    pub(crate) fn none_upcoming() -> Self {
        Self {
            status: 404,
            ..Self::state_code("invoice_upcoming_none", "No upcoming invoices for customer")
        }
    }

    /// The object is not in a state in which this can be done.
    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self {
            executed: true,
            ..Self::new(400, INVALID, message.into())
        }
    }

    /// The same, with one of Stripe's codes.
    pub(crate) fn state_code(code: &str, message: impl Into<String>) -> Self {
        Self::state(message).with(code, None)
    }

    /// A payment that the card's bank refused: 402, with the payment intent as it stands now, if there is one.
    pub(crate) fn declined(
        code: &str,
        decline_code: &'static str,
        message: &str,
        payment_intent: Option<Value>,
    ) -> Self {
        Self {
            decline_code: Some(decline_code),
            payment_intent: payment_intent.map(Box::new),
            executed: true,
            ..Self::new(402, "card_error", message.to_owned()).with(code, None)
        }
    }

    /// No key, or one that is not a test key.
    pub(crate) fn unauthenticated(key: Option<&str>) -> Self {
        let message = match key {
            None => "You did not provide an API key. You need to provide your API key in the Authorization header, using \
                     Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
                .to_owned(),
            Some(key) => {
                let shown: String = key.chars().take(8).collect();
                format!("Invalid API Key provided: {shown}****")
            }
        };
        Self::new(401, INVALID, message)
    }

    /// A `Stripe-Account` that this platform has no access to.
    pub(crate) fn account_invalid(account: &str) -> Self {
        let message = format!(
            "The provided key does not have access to account '{account}' (or that account does not exist). Application \
             access may have been revoked."
        );
        Self::new(403, INVALID, message).with("account_invalid", None)
    }

    /// A path or method that Stripe does not have.
    pub(crate) fn unrecognised(method: &str, path: &str) -> Self {
        let message = format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at \
             https://support.stripe.com/."
        );
        Self::new(404, INVALID, message)
    }

    /// An idempotency key that came before with another method, path or body.
    pub(crate) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using \
             a key other than '{key}' if you meant to execute a different request."
        );
        Self::new(400, "idempotency_error", message)
    }

    /// An idempotency key whose first request is still being worked on.
    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key ({key}). Please try again later."
        );
        Self::new(409, "idempotency_error", message).with("idempotency_key_in_use", None)
    }

    /// A status that a test asked for.
    pub(crate) fn fault(status: u16, code: Option<&str>) -> Self {
        let (kind, message) = match status {
            429 => (INVALID, "Request rate limit exceeded."),
            400..=499 => (INVALID, "A fault that was asked for."),
            _ => (
                "api_error",
                "An error occurred with our connection to Stripe. A fault that was asked for.",
            ),
        };
        let code = code
            .map(str::to_owned)
            .or_else(|| (status == 429).then(|| "rate_limit".to_owned()));
        Self {
            code,
            ..Self::new(status, kind, message.to_owned())
        }
    }

    /// A fault that cannot take effect: told loudly, as the test that asked for it would otherwise test nothing.
    pub(crate) fn misused_fault(problem: &str) -> Self {
        Self::new(500, "api_error", problem.to_owned())
    }

    /// The answer's body.
    pub(crate) fn body(&self, request_id: &str) -> Value {
        let mut error = json!({
            "type": self.kind,
            "message": self.message,
            "request_log_url": format!("https://dashboard.stripe.com/test/logs/{request_id}"),
        });
        if let Some(code) = &self.code {
            error["code"] = json!(code);
            error["doc_url"] = json!(format!(
                "https://stripe.com/docs/error-codes/{}",
                code.replace('_', "-")
            ));
        }
        for (name, value) in [
            ("param", self.param.as_deref()),
            ("decline_code", self.decline_code),
        ] {
            if let Some(value) = value {
                error[name] = json!(value);
            }
        }
        if let Some(intent) = &self.payment_intent {
            error["payment_intent"] = Value::clone(intent);
        }
        json!({ "error": error })
    }
}
