//! What runs a function besides a request: records of a table's stream, and schedules, as `template.yaml` declares them.
//!
//! # How it works
//! Records are read from the embedded DynamoDB's own stream after each of its deletions, filtered by the patterns of the
//! template, and handed over as Lambda would. What a function reports as failed is handed over again when the clock has moved,
//! as often as the template says; then it lies among the dead letters. A schedule that falls due runs its function. While the clock
//! is walked over days it runs once a day and not at every hour: nothing happens in between that it would find earlier.

use std::collections::{BTreeMap, VecDeque};

use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::{GetRecordsRequest, Record};
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use dynoxide::{Database, DynoxideError};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::dynamodb::{DynamoDbError, Embedded};
use crate::gateway::Gateway;
use crate::template::{StreamSource, Template};

/// How many records a function gets at once.
const BATCH: usize = 10;
/// How long a schedule rests at least while the clock is walked.
const PACE: SignedDuration = SignedDuration::from_hours(24);

/// Streams and schedules of a stack.
pub struct Triggers {
    gateway: Gateway,
    database: Option<Embedded>,
    feeds: Vec<Mutex<Feed>>,
    schedules: Vec<Mutex<Schedule>>,
}

/// A function that is fed by a table's stream.
struct Feed {
    function: String,
    source: StreamSource,
    /// The last record of each shard that was read.
    read: BTreeMap<String, String>,
    /// What is to be handed over, with how often it was.
    waiting: VecDeque<(Value, u32)>,
    dead: Vec<Value>,
}

/// A function that is run by the clock.
struct Schedule {
    function: String,
    every: SignedDuration,
    ran: Timestamp,
}

impl Triggers {
    /// Those of a template, with schedules that fall due from `now` on, if they are to run at all.
    #[must_use]
    pub fn new(
        template: &Template,
        gateway: Gateway,
        database: Option<Embedded>,
        scheduled: bool,
        now: Timestamp,
    ) -> Self {
        let mut feeds = Vec::new();
        let mut schedules = Vec::new();
        for function in &template.functions {
            feeds.extend(function.streams.iter().map(|source| {
                Mutex::new(Feed {
                    function: function.name.clone(),
                    source: source.clone(),
                    read: BTreeMap::new(),
                    waiting: VecDeque::new(),
                    dead: Vec::new(),
                })
            }));
            let wanted = function.schedules.iter().filter(|_| scheduled);
            schedules.extend(wanted.map(|every| {
                Mutex::new(Schedule {
                    function: function.name.clone(),
                    every: *every,
                    ran: now,
                })
            }));
        }
        Self {
            gateway,
            database,
            feeds,
            schedules,
        }
    }

    /// When a schedule falls due next, at the pace of a clock that is walked.
    pub(crate) async fn next_due(&self) -> Option<Timestamp> {
        let mut next = None;
        for schedule in &self.schedules {
            let schedule = schedule.lock().await;
            let due = schedule.ran.checked_add(schedule.every.max(PACE)).ok();
            next = next.into_iter().chain(due).min();
        }
        next
    }

    /// Hands over what stands in the streams, and runs what has fallen due.
    pub(crate) async fn run(&self, now: Timestamp) -> Result<(), DynamoDbError> {
        for feed in &self.feeds {
            feed.lock()
                .await
                .run(self.database.as_ref(), &self.gateway)
                .await?;
        }
        for schedule in &self.schedules {
            let mut schedule = schedule.lock().await;
            if now.duration_since(schedule.ran) >= schedule.every {
                schedule.ran = now;
                // It runs again at its next hour; its failure is in the log.
                drop(self.gateway.deliver(&schedule.function, &scheduled(now)).await);
            }
        }
        Ok(())
    }

    /// The records that a function could not settle, for as long as the stack runs.
    pub async fn dead_letters(&self) -> Vec<Value> {
        let mut letters = Vec::new();
        for feed in &self.feeds {
            letters.extend(feed.lock().await.dead.iter().cloned());
        }
        letters
    }
}

impl Feed {
    async fn run(&mut self, database: Option<&Embedded>, gateway: &Gateway) -> Result<(), DynamoDbError> {
        if let Some(database) = database {
            self.read_on(database).await?;
        }
        let mut again = VecDeque::new();
        while !self.waiting.is_empty() {
            let batch: Vec<_> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
            let records: Vec<&Value> = batch.iter().map(|(record, _)| record).collect();
            let answer = gateway
                .deliver(&self.function, &json!({ "Records": records }))
                .await;
            for (record, tries) in batch.into_iter().filter(|(record, _)| failed(&answer, record)) {
                if tries < self.source.retries {
                    again.push_back((record, tries + 1));
                } else {
                    self.dead.push(record);
                }
            }
        }
        self.waiting = again;
        Ok(())
    }

    async fn read_on(&mut self, database: &Embedded) -> Result<(), DynamoDbError> {
        let (database, table) = (database.database().clone(), self.source.table.clone());
        let read = std::mem::take(&mut self.read);
        // A read waits for requests that queue before it, so it must not sit on a thread that serves them.
        let reading = tokio::task::spawn_blocking(move || records(&database, &table, read));
        let (records, read) = reading
            .await
            .map_err(DynamoDbError::new)?
            .map_err(DynamoDbError::new)?;
        self.read = read;
        let told = records
            .into_iter()
            .filter_map(|record| serde_json::to_value(record).ok());
        let wanted = told.filter(|record| self.source.wants(record));
        self.waiting.extend(wanted.map(|record| (record, 0)));
        Ok(())
    }
}

/// Whether a record is to be handed over again: the function named it, or told nothing at all.
fn failed(answer: &Result<Value, String>, record: &Value) -> bool {
    match answer {
        Err(_) => true,
        Ok(answer) => {
            let mut failures = answer["batchItemFailures"].as_array().into_iter().flatten();
            failures.any(|failure| failure["itemIdentifier"] == record["dynamodb"]["SequenceNumber"])
        }
    }
}

type Read = BTreeMap<String, String>;

/// The records of a table's stream that come after those that were read.
fn records(database: &Database, table: &str, mut read: Read) -> Result<(Vec<Record>, Read), DynoxideError> {
    let of_table = ListStreamsRequest {
        table_name: Some(table.to_owned()),
        ..ListStreamsRequest::default()
    };
    let mut found = Vec::new();
    for stream in database.list_streams(of_table)?.streams {
        let wanted = DescribeStreamRequest {
            stream_arn: stream.stream_arn.clone(),
            ..Default::default()
        };
        for shard in database.describe_stream(wanted)?.stream_description.shards {
            let last = read.get(&shard.shard_id).cloned();
            let from = GetShardIteratorRequest {
                stream_arn: stream.stream_arn.clone(),
                shard_id: shard.shard_id.clone(),
                shard_iterator_type: if last.is_some() {
                    "AFTER_SEQUENCE_NUMBER"
                } else {
                    "TRIM_HORIZON"
                }
                .to_owned(),
                sequence_number: last,
            };
            let mut iterator = database.get_shard_iterator(from)?.shard_iterator;
            while let Some(shard_iterator) = iterator {
                let page = database.get_records(GetRecordsRequest {
                    shard_iterator,
                    limit: None,
                })?;
                let Some(last) = page.records.last() else { break };
                read.insert(shard.shard_id.clone(), last.dynamodb.sequence_number.clone());
                iterator = page.next_shard_iterator;
                found.extend(page.records);
            }
        }
    }
    Ok((found, read))
}

/// What EventBridge hands over.
fn scheduled(now: Timestamp) -> Value {
    json!({
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": "us-east-1",
        "resources": [],
        "detail": {},
    })
}
