//! The stand-in's own routes, under `/_test/`: what [`crate::control`] offers, as JSON over HTTP.
//!
//! No key is asked for. They are not part of Stripe's API and are documented in this crate's README.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Call;
use crate::faults::Fault;
use crate::router;
use crate::rules::completion::{Completion, Later};
use crate::rules::disputes::NewDispute;
use crate::rules::invoice_page::InvoiceAct;
use crate::server::RouteAnswer;
use crate::stand_in::{StandIn, StandInError};

/// How long a route waits for the deliveries that it caused, in real time.
const PATIENCE: Duration = Duration::from_secs(25);

type Outcome = Result<Value, (u16, String)>;

/// Answers a test route; None when the path is not one.
pub(crate) async fn answer(stand_in: &StandIn, call: &Call) -> Option<RouteAnswer> {
    let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let outcome = match segments.split_first() {
        Some((&"healthz", [])) => Ok(json!({ "status": "ok" })),
        Some((&"_test", route)) => act(stand_in, call, route).await,
        _ => return None,
    };
    let (status, body) = match outcome {
        Ok(body) => (200, body),
        Err((status, message)) => (status, json!({ "error": message })),
    };
    Some(RouteAnswer {
        status,
        content_type: "application/json",
        body: format!("{body:#}\n"),
    })
}

async fn act(stand_in: &StandIn, call: &Call, route: &[&str]) -> Outcome {
    match (call.method.as_str(), route) {
        ("POST", ["checkout", "sessions", id, "complete"]) => {
            let how: Completion = read(call)?;
            bounded(stand_in.complete_session(id, &how)).await
        }
        ("POST", ["checkout", "sessions", id, "settle"]) => {
            let body: SettleBody = read(call)?;
            bounded(stand_in.settle_session(id, body.payment)).await
        }
        ("POST", ["checkout", "sessions", id, "expire"]) => bounded(stand_in.expire_session(id)).await,
        ("POST", ["customers", id, "card"]) => {
            let body: CardBody = read(call)?;
            stand_in.set_card(id, &body.payment_method).map_err(refused)?;
            Ok(json!({ "customer": id, "paymentMethod": body.payment_method }))
        }
        ("POST", ["invoices", id, "pay"]) => {
            let act: InvoiceAct = read(call)?;
            bounded(stand_in.act_on_invoice(id, &act)).await
        }
        ("POST", ["invoices", id, "write_off"]) => bounded(stand_in.write_off_invoice(id)).await,
        ("POST", ["charges", id, "dispute"]) => {
            let new: NewDispute = read(call)?;
            bounded(stand_in.dispute_charge(id, &new)).await
        }
        ("POST", ["refunds", id, "fail"]) => {
            let body: FailBody = read(call)?;
            bounded(stand_in.fail_refund(id, &body.reason)).await
        }
        ("POST", ["disputes", id, "close"]) => {
            let body: CloseBody = read(call)?;
            bounded(stand_in.close_dispute(id, body.won)).await
        }
        ("POST", ["disputes", id, "appeal"]) => bounded(stand_in.appeal_dispute(id)).await,
        ("POST", ["faults"]) => {
            check_fault(call)?;
            let fault: Fault = read(call)?;
            stand_in.add_fault(fault);
            Ok(json!({ "faults": stand_in.faults() }))
        }
        ("GET", ["faults"]) => Ok(json!({ "faults": stand_in.faults() })),
        ("DELETE", ["faults"]) => {
            stand_in.clear_faults();
            Ok(json!({ "faults": [] }))
        }
        ("GET", ["requests"]) => Ok(json!({ "requests": stand_in.requests() })),
        ("DELETE", ["requests"]) => {
            stand_in.clear_requests();
            Ok(json!({ "requests": [] }))
        }
        ("GET", ["events"]) => Ok(json!({ "events": stand_in.events() })),
        ("POST", ["events", id, "deliver"]) => {
            let outcomes = stand_in.deliver(id).await.map_err(refused)?;
            Ok(json!({ "deliveries": outcomes }))
        }
        ("GET", ["deliveries"]) => Ok(json!({ "deliveries": stand_in.delivery_attempts() })),
        ("POST", ["deliveries"]) => {
            let body: HoldBody = read(call)?;
            stand_in.hold_deliveries(body.hold);
            if !body.hold {
                // What has waited goes out before the answer does, like everything else that a route causes.
                let _in_time = tokio::time::timeout(PATIENCE, stand_in.settle()).await;
            }
            Ok(json!({ "hold": body.hold }))
        }
        ("GET", ["clock"]) => Ok(json!({ "now": stand_in.now(), "nextDue": stand_in.next_due() })),
        ("POST", ["clock"]) => {
            let body: ClockBody = read(call)?;
            stand_in.advance_to(body.set).await;
            Ok(json!({ "now": stand_in.now(), "nextDue": stand_in.next_due() }))
        }
        ("GET", ["settings"]) => Ok(json!(stand_in.settings())),
        ("POST", ["settings"]) => {
            let wanted: serde_json::Map<String, Value> = read(call)?;
            let mut settings = json!(stand_in.settings());
            for (name, value) in wanted {
                settings[name] = value;
            }
            let settings = serde_json::from_value(settings);
            let settings = settings.map_err(|error| (400, format!("invalid body: {error}")))?;
            stand_in.set(settings);
            Ok(json!(settings))
        }
        ("GET", ["operations"]) => Ok(json!({ "operations": router::operations() })),
        ("GET", ["violations"]) => Ok(json!({ "violations": findings(stand_in)? })),
        ("DELETE", ["violations"]) => {
            if let Some(witness) = &stand_in.inner.witness {
                witness.forget();
            }
            Ok(json!({ "violations": [] }))
        }
        ("POST", ["reset"]) => {
            stand_in.reset();
            Ok(json!({ "reset": true }))
        }
        _ => Err((404, format!("no such test route: {} {}", call.method, call.path))),
    }
}

/// An empty list from nobody would be taken for a clean record.
fn findings(stand_in: &StandIn) -> Result<Vec<String>, (u16, String)> {
    match &stand_in.inner.witness {
        Some(witness) => Ok(witness.findings()),
        None => Err((404, "nobody judges: start with --judge".to_owned())),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettleBody {
    #[serde(default)]
    payment: Later,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CardBody {
    payment_method: String,
}

#[derive(Deserialize)]
#[serde(default)]
struct FailBody {
    reason: String,
}

impl Default for FailBody {
    fn default() -> Self {
        Self {
            reason: "expired_or_canceled_card".to_owned(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseBody {
    won: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldBody {
    hold: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    set: jiff::Timestamp,
}

/// An empty body is an empty object.
fn read<T: for<'de> Deserialize<'de>>(call: &Call) -> Result<T, (u16, String)> {
    let body: &[u8] = if call.body.is_empty() { b"{}" } else { &call.body };
    serde_json::from_slice(body).map_err(|error| (400, format!("invalid body: {error}")))
}

/// A misspelt knob would be a test that tests nothing, and a flattened struct cannot refuse it.
fn check_fault(call: &Call) -> Result<(), (u16, String)> {
    const KNOWN: [&str; 14] = [
        "fault", "status", "code", "millis", "seconds", "method", "path", "event", "nth", "times", "seen",
        "version", "set", "remove",
    ];
    let body: serde_json::Map<String, Value> = read(call)?;
    match body.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        Some(name) => Err((400, format!("unknown member: {name}"))),
        None => Ok(()),
    }
}

async fn bounded(act: impl Future<Output = Result<Value, StandInError>>) -> Outcome {
    match tokio::time::timeout(PATIENCE, act).await {
        Ok(result) => result.map_err(refused),
        Err(_) => Err((
            504,
            "the deliveries took too long; what was asked for is done".to_owned(),
        )),
    }
}

fn refused(error: StandInError) -> (u16, String) {
    (400, error.to_string())
}
