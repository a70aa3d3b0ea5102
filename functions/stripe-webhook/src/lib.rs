//! `POST /stripe/webhook`: Stripe's signed events. The way by which coverage begins.
//!
//! What an event means, and what makes its work safe to repeat, is the inbox's ([`billing_edge::EventOutcome`]), which
//! does the same work for events that never got here. Here is what concerns the request: its signature, its
//! payload, its answer. A 2xx is sent for work that is done, and for nothing else.

use billing_edge::{Call, EventOutcome, Function, Problem, Reply};
use billing_stripe::webhook::Event;
use serde::Serialize;

/// Stripe's largest events are far larger than what a caller may send: an invoice carries its lines.
const BODY_LIMIT: usize = 6 * 1024 * 1024;

/// This Lambda.
pub const FUNCTION: Function = Function {
    body_limit: BODY_LIMIT,
    needs_webhook_secrets: true,
    ..Function::new("stripe-webhook", |call| Box::pin(receive(call)))
};

#[derive(Serialize)]
struct Answer {
    received: bool,
}

async fn receive(call: &Call<'_>) -> Result<Reply, Problem> {
    call.verify_signature().await?;
    let event = Event::read(call.bytes()).ok_or_else(|| Problem::bad_request("invalid payload"))?;
    match call.take_event(&event).await? {
        // Stripe delivers it again for days, in which the agency may connect its account again.
        EventOutcome::Disconnected => return Err(Problem::no_access()),
        EventOutcome::Done | EventOutcome::OfNobody => count_lag(call, &event),
        EventOutcome::DoneBefore | EventOutcome::NotOurs => {}
    }
    Ok(Reply::ok(&Answer { received: true }))
}

/// How long what was done had waited. What is not done has its own alarms, and is delivered again for days.
fn count_lag(call: &Call<'_>, event: &Event) {
    if let Some(created) = event.created {
        let lag = call.now.duration_since(created).as_millis();
        call.count("WebhookLag", u64::try_from(lag).unwrap_or_default());
    }
}
