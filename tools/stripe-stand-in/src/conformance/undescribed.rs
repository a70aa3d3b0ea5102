//! Operations that the stand-in has and the description does not, each with the reason.
//!
//! Their requests are held to nothing; their answers are held to the description of the objects in them.

use super::description::template_matches;

/// The description is cut to what a subscription business calls; these are of use beside it.
const UNDESCRIBED: [(&str, &str, &str); 5] = [
    (
        "GET",
        "/v1/invoices/{invoice}/lines",
        "where an invoice's `lines.url` leads: official clients follow it when they page",
    ),
    (
        "GET",
        "/v1/credit_notes/{id}",
        "a credit note that was listed or told of by an event is looked at again",
    ),
    ("GET", "/v1/invoiceitems/{id}", "the same for an invoice item"),
    (
        "POST",
        "/v1/accounts/{account}",
        "a test changes a connected account",
    ),
    (
        "POST",
        "/v1/webhook_endpoints/{webhook_endpoint}",
        "a stack that starts on another port moves its endpoint",
    ),
];

pub(super) fn contains(method: &str, path: &str) -> bool {
    UNDESCRIBED
        .iter()
        .any(|(own, template, _)| *own == method && template_matches(template, path))
}
