//! The page on which a person pays or declines, at `/checkout/{id}`. Self-contained; it uses the test routes.
//!
//! Embedded sessions have no address of their own at Stripe; here they are reached by their id like the others.

use serde_json::{Value, json};

use crate::api::Call;
use crate::server::Told;
use crate::stand_in::StandIn;

const HTML: &str = include_str!("checkout.html");

/// Answers the page; None when the path is not its.
pub(crate) fn answer(stand_in: &StandIn, call: &Call) -> Option<Told> {
    let id = call.path.strip_prefix("/checkout/")?;
    if call.method != "GET" {
        return None;
    }
    let session = stand_in
        .object(id)
        .filter(|object| object["object"] == "checkout.session");
    let Some(session) = session else {
        let body = "<!doctype html><title>Checkout</title><p>There is no such checkout session.\n".to_owned();
        return Some(html(404, body));
    };
    let lines = stand_in.session_lines(id);
    let data = json!({
        "id": id,
        "status": session["status"],
        "amount": session["amount_total"],
        "currency": session["currency"],
        "lines": lines,
        "back": back(&session, id),
    });
    Some(html(200, HTML.replace("{{DATA}}", &script_safe(&data))))
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

fn html(status: u16, body: String) -> Told {
    Told {
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
