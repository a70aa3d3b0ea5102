//! How long what was written down before Stripe was asked says something about what Stripe is doing.

use jiff::{SignedDuration, Timestamp};

/// For how long what was written down may still be on its way to Stripe: longer than a request lasts, or a piece of a longer run.
pub const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(60);
/// For how long Stripe surely keeps an idempotency key, less what clocks differ by: a day at least.
const KEY_KEPT: SignedDuration = SignedDuration::from_hours(20);
/// How much earlier than our record of it something may seem to be made, by Stripe's clock.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Whether what was asked for then may still be on its way to Stripe.
#[must_use]
pub fn is_in_flight(asked_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(asked_at) < IN_FLIGHT
}

/// Whether asking again under the same idempotency key surely comes to the same. After that, what was made is looked for.
#[must_use]
pub fn is_key_kept(asked_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(asked_at) < KEY_KEPT
}

/// The earliest that something asked for then can have been made, by Stripe's clock.
#[must_use]
pub fn earliest(asked_at: Timestamp) -> Timestamp {
    asked_at.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_longer_than_anything_is_on_its_way() {
        let asked_at: Timestamp = "2026-04-01T00:00:00Z".parse().unwrap();
        let after = |seconds| asked_at + SignedDuration::from_secs(seconds);
        for (seconds, in_flight, kept) in [
            (-1, true, true),
            (59, true, true),
            (60, false, true),
            (71_999, false, true),
            (72_000, false, false),
        ] {
            let now = after(seconds);
            assert_eq!(
                (is_in_flight(asked_at, now), is_key_kept(asked_at, now)),
                (in_flight, kept),
                "{seconds}"
            );
        }
        assert_eq!(earliest(asked_at), after(-3600));
    }
}
