//! The one clock of the whole stack, and what moving it makes happen.
//!
//! The functions, the Stripe stand-in and the embedded DynamoDB all read the stand-in's clock. Moving it walks from one
//! thing that falls due to the next (renewals, expiries, deliveries, TTL deletions), so that each happens at its instant and
//! sees the world as it was then. It never walks back.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::Deserialize;
use stripe_stand_in::{Clock, StandIn};
use tokio::sync::{Mutex, MutexGuard};

use crate::dynamodb::{DynamoDbError, Embedded};
use crate::template::Table;
use crate::triggers::Triggers;

/// TTL deletions are never punctual; waiting for the full minute keeps a thousand expiries from being a thousand steps.
const DELETION_PACE_SECS: i64 = 60;

/// Where to move the clock: `{"advance": "10d"}` or `{"set": "2026-05-01T00:00:00Z"}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Move {
    /// By days, hours, minutes, seconds: `10d`, `24h`, `15m`, `90s`, `1d 12h`.
    Advance(String),
    /// To an instant.
    Set(Timestamp),
}

/// Why the clock was not moved.
#[derive(Debug, thiserror::Error)]
pub enum TimeError {
    /// No duration.
    #[error("{0:?} is not a duration such as 10d, 24h, 15m or 90s")]
    Duration(String),
    /// An instant that no clock shows.
    #[error("the clock cannot be moved that far")]
    TooFar,
    /// Into the past.
    #[error("the clock only moves forward; it is {now} already")]
    Backwards {
        /// What it shows.
        now: Timestamp,
    },
    /// What fell due could not be done.
    #[error(transparent)]
    DynamoDb(#[from] DynamoDbError),
}

impl Move {
    fn target(&self, now: Timestamp) -> Result<Timestamp, TimeError> {
        let to = match self {
            Self::Set(to) => *to,
            Self::Advance(text) => now.checked_add(duration(text)?).map_err(|_| TimeError::TooFar)?,
        };
        if to < now {
            Err(TimeError::Backwards { now })
        } else {
            Ok(to)
        }
    }
}

fn duration(text: &str) -> Result<SignedDuration, TimeError> {
    let not_one = || TimeError::Duration(text.to_owned());
    let span: Span = text.parse().map_err(|_| not_one())?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| not_one())
}

/// Everything that runs by the stack's clock.
pub struct Time {
    clock: Clock,
    stand_in: Option<StandIn>,
    database: Option<Embedded>,
    tables: Vec<Table>,
    triggers: Option<Triggers>,
    /// Held while the clock is being moved: two walks would each skip what the other passes.
    walking: Mutex<()>,
}

impl Time {
    /// The time of a stack. What is outside of it (no stand-in, no embedded database) does not follow its clock.
    #[must_use]
    pub fn new(
        clock: Clock,
        stand_in: Option<StandIn>,
        database: Option<Embedded>,
        tables: Vec<Table>,
    ) -> Self {
        Self {
            clock,
            stand_in,
            database,
            tables,
            triggers: None,
            walking: Mutex::new(()),
        }
    }

    /// The same, with what runs functions by it.
    #[must_use]
    pub fn with(self, triggers: Triggers) -> Self {
        Self {
            triggers: Some(triggers),
            ..self
        }
    }

    /// What runs functions by this clock.
    #[must_use]
    pub fn triggers(&self) -> Option<&Triggers> {
        self.triggers.as_ref()
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock, and lets everything happen that falls due on the way.
    pub async fn change(&self, wanted: &Move) -> Result<Timestamp, TimeError> {
        let _walk = self.walking.lock().await;
        let to = wanted.target(self.now())?;
        loop {
            let step = self.next_due().await?.map_or(to, |due| due.min(to));
            match &self.stand_in {
                Some(stand_in) => stand_in.advance_to(step).await,
                None => self.clock.move_forward_to(step),
            }
            self.run_what_is_due().await?;
            if step >= to {
                // What was done at Stripe just now has events as well.
                if let Some(stand_in) = &self.stand_in {
                    stand_in.settle().await;
                }
                return Ok(self.now());
            }
        }
    }

    /// Waits until the clock is not being walked. It is not, and nothing runs by it, until what is answered is dropped.
    pub(crate) async fn still(&self) -> MutexGuard<'_, ()> {
        self.walking.lock().await
    }

    /// Lets happen what has fallen due since, on a clock that runs by itself.
    pub async fn catch_up(&self) -> Result<(), TimeError> {
        let _walk = self.walking.lock().await;
        if let Some(stand_in) = &self.stand_in {
            stand_in.settle().await;
        }
        self.run_what_is_due().await
    }

    /// When something next falls due that is still ahead.
    async fn next_due(&self) -> Result<Option<Timestamp>, TimeError> {
        let now = self.now();
        let event = self.stand_in.as_ref().and_then(StandIn::next_due);
        let deletion = match &self.database {
            Some(database) => database
                .next_expiry(&self.tables, now)?
                .and_then(on_the_minute_after),
            None => None,
        };
        let schedule = match &self.triggers {
            Some(triggers) => triggers.next_due().await,
            None => None,
        };
        Ok(event
            .into_iter()
            .chain(deletion)
            .chain(schedule)
            .filter(|due| *due > now)
            .min())
    }

    async fn run_what_is_due(&self) -> Result<(), TimeError> {
        if let Some(database) = &self.database {
            database.delete_expired().await?;
        }
        if let Some(triggers) = &self.triggers {
            triggers.run(self.now()).await?;
        }
        Ok(())
    }
}

/// The first full minute after an instant.
fn on_the_minute_after(at: Timestamp) -> Option<Timestamp> {
    let minutes = at.as_second().div_euclid(DELETION_PACE_SECS).checked_add(1)?;
    Timestamp::from_second(minutes.checked_mul(DELETION_PACE_SECS)?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use dynoxide::actions::describe_stream::DescribeStreamRequest;
    use dynoxide::actions::get_records::GetRecordsRequest;
    use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
    use dynoxide::actions::list_streams::ListStreamsRequest;
    use dynoxide::actions::put_item::PutItemRequest;
    use dynoxide::{AttributeValue, Database};

    use super::*;
    use crate::tables;
    use crate::template::Template;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn target(wanted: serde_json::Value) -> Result<Timestamp, String> {
        let wanted: Move = serde_json::from_value(wanted).map_err(|error| error.to_string())?;
        wanted
            .target(at("2026-04-01T00:00:00Z"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_clock_is_moved_by_a_duration_or_to_an_instant() {
        let moves = [
            ("10d", "2026-04-11T00:00:00Z"),
            ("24h", "2026-04-02T00:00:00Z"),
            ("15m", "2026-04-01T00:15:00Z"),
            ("90s", "2026-04-01T00:01:30Z"),
            ("0s", "2026-04-01T00:00:00Z"),
        ];
        for (advance, shown) in moves {
            assert_eq!(
                target(serde_json::json!({ "advance": advance })),
                Ok(at(shown)),
                "{advance}"
            );
        }
        assert_eq!(
            target(serde_json::json!({ "set": "2026-05-01T02:00:00+02:00" })),
            Ok(at("2026-05-01T00:00:00Z"))
        );
    }

    #[test]
    fn the_clock_is_not_moved_back_nor_by_what_is_no_duration() {
        let told = |wanted| target(wanted).unwrap_err();
        assert_eq!(
            told(serde_json::json!({ "set": "2026-03-31T00:00:00Z" })),
            "the clock only moves forward; it is 2026-04-01T00:00:00Z already"
        );
        assert!(told(serde_json::json!({ "advance": "-1s" })).starts_with("the clock only moves forward"));
        for nonsense in ["", "10", "1mo", "soon"] {
            assert!(
                told(serde_json::json!({ "advance": nonsense })).contains("is not a duration"),
                "{nonsense}"
            );
        }
        assert_eq!(
            told(serde_json::json!({ "advance": "9000y" })),
            r#""9000y" is not a duration such as 10d, 24h, 15m or 90s"#
        );
    }

    #[test]
    fn deletions_wait_for_the_next_full_minute() {
        assert_eq!(
            on_the_minute_after(at("2026-04-01T00:00:00Z")),
            Some(at("2026-04-01T00:01:00Z"))
        );
        assert_eq!(
            on_the_minute_after(at("2026-04-01T00:00:59Z")),
            Some(at("2026-04-01T00:01:00Z"))
        );
    }

    /// Puts an item into the table with a time to live.
    fn put(database: &Database, name: &str, expires_at: Timestamp) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let item = HashMap::from([
            ("pk".to_owned(), text(name)),
            ("sk".to_owned(), text(name)),
            (
                "expires_at".to_owned(),
                AttributeValue::N(expires_at.as_second().to_string()),
            ),
        ]);
        let table_name = "sessions".to_owned();
        database
            .put_item(PutItemRequest {
                table_name,
                item,
                ..PutItemRequest::default()
            })
            .unwrap();
    }

    /// The deletions that a function fed by the stream would be told of: who deleted, and when.
    fn deletions(database: &Database) -> Vec<(String, f64)> {
        let streams = database
            .list_streams(ListStreamsRequest::default())
            .unwrap()
            .streams;
        let stream_arn = streams[0].stream_arn.clone();
        let described = DescribeStreamRequest {
            stream_arn: stream_arn.clone(),
            ..Default::default()
        };
        let shard_id = database
            .describe_stream(described)
            .unwrap()
            .stream_description
            .shards[0]
            .shard_id
            .clone();
        let from = GetShardIteratorRequest {
            stream_arn,
            shard_id,
            shard_iterator_type: "TRIM_HORIZON".to_owned(),
            ..Default::default()
        };
        let shard_iterator = database.get_shard_iterator(from).unwrap().shard_iterator.unwrap();
        let records = database
            .get_records(GetRecordsRequest {
                shard_iterator,
                limit: None,
            })
            .unwrap()
            .records;
        let deletions = records.into_iter().filter(|record| record.event_name == "REMOVE");
        deletions
            .map(|it| {
                (
                    it.user_identity.unwrap().principal_id,
                    it.dynamodb.approximate_creation_date_time,
                )
            })
            .collect()
    }

    #[tokio::test]
    async fn what_expires_is_deleted_in_its_minute_and_stands_in_the_stream() {
        let clock = Clock::frozen(at("2026-04-01T00:00:00Z"));
        let showing = clock.clone();
        let embedded = Embedded::empty(Arc::new(move || showing.now())).unwrap();
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", port.local_addr().unwrap());
        tokio::spawn(embedded.clone().serve(port, std::future::pending()));
        let tables = Template::project().unwrap().tables;
        tables::create_missing(&url, &tables).await.unwrap();
        let database = embedded.database().clone();
        put(&database, "FIRST", at("2026-04-02T00:00:00Z"));
        put(&database, "SECOND", at("2026-04-20T12:30:15Z"));
        let time = Time::new(clock, None, Some(embedded), tables);

        time.change(&Move::Set(at("2026-04-01T23:59:59Z"))).await.unwrap();
        assert_eq!(deletions(&database), []);
        // One walk over both: each is deleted at its own minute, not at the end.
        time.change(&Move::Advance("30d".into())).await.unwrap();
        let deleted = |minute| {
            (
                "dynamodb.amazonaws.com".to_owned(),
                at(minute).as_duration().as_secs_f64(),
            )
        };
        assert_eq!(
            deletions(&database),
            [deleted("2026-04-02T00:01:00Z"), deleted("2026-04-20T12:31:00Z")]
        );
        assert_eq!(time.now(), at("2026-05-01T23:59:59Z"));
    }
}
