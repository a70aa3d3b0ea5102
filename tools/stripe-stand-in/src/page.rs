//! The pages on which a person pays or declines: a session's at `/checkout/{id}`, an invoice's at `/invoice/{id}`, and at
//! `/authenticate/{id}` that of the invoice whose payment waits for it. Self-contained; they use the test routes.
//!
//! Embedded sessions have no address of their own at Stripe; here they are reached by their id like the others.

use serde_json::{Value, json};

use crate::api::Call;
use crate::server::RouteAnswer;
use crate::stand_in::StandIn;

const HTML: &str = include_str!("checkout.html");

/// Answers a page; None when the path is not one's.
pub(crate) fn answer(stand_in: &StandIn, call: &Call) -> Option<RouteAnswer> {
    let mut segments = call.path.strip_prefix('/')?.split('/');
    let (page, id) = (segments.next()?, segments.next()?);
    if call.method != "GET" || segments.next().is_some() {
        return None;
    }
    let data = match page {
        "checkout" => session(stand_in, id),
        "invoice" => invoice(stand_in, id),
        "authenticate" => stand_in
            .invoice_of_intent(id)
            .and_then(|invoice| self::invoice(stand_in, &invoice)),
        _ => return None,
    };
    Some(match data {
        Some(data) => html(200, HTML.replace("{{DATA}}", &script_safe(&data))),
        None => html(
            404,
            "<!doctype html><title>Not found</title><p>There is nothing to pay here.\n".to_owned(),
        ),
    })
}

fn session(stand_in: &StandIn, id: &str) -> Option<Value> {
    let session = stand_in
        .object(id)
        .filter(|object| object["object"] == "checkout.session")?;
    let lines = stand_in.session_lines(id);
    let lines = lines.iter().map(|line| {
        let quantity = line["quantity"].as_u64().map(|quantity| format!("{quantity} × "));
        let description = line["description"].as_str().unwrap_or_default();
        let text = format!("{}{description}", quantity.unwrap_or_default());
        json!({ "text": text, "amount": line["amount_total"] })
    });
    Some(json!({
        "title": "Subscribe",
        "what": "checkout session",
        "act": format!("/_test/checkout/sessions/{id}/complete"),
        "status": session["status"],
        "amount": session["amount_total"],
        "currency": session["currency"],
        "lines": lines.collect::<Vec<_>>(),
        "back": back(&session, id),
    }))
}

fn invoice(stand_in: &StandIn, id: &str) -> Option<Value> {
    let invoice = stand_in
        .object(id)
        .filter(|object| object["object"] == "invoice")?;
    let lines = invoice["lines"]["data"].as_array()?;
    let lines = lines
        .iter()
        .map(|line| json!({ "text": line["description"], "amount": line["amount"] }));
    Some(json!({
        "title": "Invoice",
        "what": "invoice",
        "act": format!("/_test/invoices/{id}/pay"),
        "status": invoice["status"],
        "amount": invoice["amount_remaining"],
        "currency": invoice["currency"],
        "lines": lines.collect::<Vec<_>>(),
        "back": null,
    }))
}

/// Where the customer is sent afterwards, with Stripe's placeholder filled in.
fn back(session: &Value, id: &str) -> Option<String> {
    let address = session["return_url"]
        .as_str()
        .or_else(|| session["success_url"].as_str())?;
    Some(address.replace("{CHECKOUT_SESSION_ID}", id))
}

/// JSON within a script element: no text of it may end the element.
fn script_safe(data: &Value) -> String {
    data.to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

fn html(status: u16, body: String) -> RouteAnswer {
    RouteAnswer {
        status,
        content_type: "text/html; charset=utf-8",
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_script_element() {
        assert!(!script_safe(&json!({ "a": "</script><b>&" })).contains(['<', '>', '&']));
    }
}
