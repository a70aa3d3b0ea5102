//! Test clocks as Stripe answers them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::seconds;
use crate::id::Id;
use crate::state::TestClock;

/// How long Stripe keeps a test clock. Here it stays.
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(crate) fn test_clock(clock: &TestClock) -> Value {
    let deletes_after = clock.created.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX);
    json!({
        "id": clock.id.as_str(),
        "object": "test_helpers.test_clock",
        "created": seconds(clock.created),
        "deletes_after": seconds(deletes_after),
        "frozen_time": seconds(clock.frozen_time),
        "livemode": false,
        "name": clock.name,
        "status": "ready",
        "status_details": {},
    })
}
