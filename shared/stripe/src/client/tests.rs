//! How an answer of Stripe is judged, and how long an attempt may take.

use super::*;

fn judge(
    status: u16,
    body: &str,
    headers: &[(&'static str, &'static str)],
    key: Option<&str>,
) -> StripeError {
    let headers = headers.iter().map(|(name, value)| {
        (
            http::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    match refusal(status, &headers.collect(), body.as_bytes(), key) {
        Attempt::Failed(error) | Attempt::Again(error) => error,
        Attempt::Answer(_) => unreachable!("a refusal is no answer"),
    }
}

/// Of 14.3 s: 7.15, 3.58, 1.79; nobody waits for more than 8 s, however much is left.
#[test]
fn an_attempt_leaves_half_of_the_time_to_the_next() {
    let seconds = Duration::from_secs;
    assert_eq!(longest_attempt(seconds(60)), seconds(8));
    assert_eq!(
        longest_attempt(Duration::from_millis(14_300)),
        Duration::from_millis(7_150)
    );
    assert_eq!(longest_attempt(Duration::ZERO), Duration::ZERO);
}

#[test]
fn a_server_error_leaves_a_write_unknown_and_a_read_unavailable() {
    assert!(matches!(
        judge(500, "<html>", &[], Some("k")),
        StripeError::Unknown { .. }
    ));
    assert!(matches!(
        judge(503, "{}", &[], None),
        StripeError::Unavailable { .. }
    ));
}

#[test]
fn a_replayed_failure_and_a_key_of_another_body_are_spent_keys() {
    let replayed = [("idempotent-replayed", "true")];
    assert!(matches!(
        judge(500, "{}", &replayed, Some("k")),
        StripeError::Spent { reworded: false, .. }
    ));
    let refused_before = r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;
    assert!(matches!(
        judge(400, refused_before, &replayed, Some("k")),
        StripeError::Spent { reworded: false, .. }
    ));
    let other_body = r#"{"error":{"type":"idempotency_error","message":"Keys for idempotent requests…"}}"#;
    assert!(matches!(
        judge(400, other_body, &[], Some("k")),
        StripeError::Spent { reworded: true, .. }
    ));
}

#[test]
fn being_told_to_wait_is_kept() {
    for (status, key) in [(429, Some("k")), (503, Some("k")), (503, None)] {
        let error = judge(status, "{}", &[("retry-after", "2")], key);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(2)), "{status}");
    }
}

#[test]
fn a_refusal_keeps_stripes_words() {
    let body = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer","message":"No such customer: 'cus_1'"}}"#;
    let StripeError::Refused(refusal) = judge(404, body, &[], None) else {
        panic!("not a refusal")
    };
    assert!(refusal.is_missing("customer") && !refusal.is_missing("price"));
}

#[test]
fn an_answer_without_an_error_object_is_unexpected() {
    assert!(matches!(
        judge(404, "not json", &[], None),
        StripeError::Unexpected { .. }
    ));
    assert!(matches!(
        judge(302, "", &[], None),
        StripeError::Unexpected { .. }
    ));
}
