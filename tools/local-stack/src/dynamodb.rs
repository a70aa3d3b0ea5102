//! The DynamoDB inside this process: dynoxide, on the stack's clock.
//!
//! Its tables are made as in any other DynamoDB, over the wire ([`crate::tables`]); here is what only an embedded one can
//! do: be kept in a file, and delete what has expired when it is told to. An outside DynamoDB deletes by its own clock.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use dynoxide::actions::scan::ScanRequest;
use dynoxide::{AttributeValue, Database};
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::template::Table;

/// What the stack's clock shows.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why the embedded DynamoDB cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the embedded DynamoDB failed: {0}")]
pub struct DynamoDbError(String);

impl DynamoDbError {
    pub(crate) fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// A DynamoDB inside this process. Cloning it gives another handle of the same one.
#[derive(Clone)]
pub struct Embedded(Database);

/// The stack's clock as the database reads it.
struct DatabaseClock(Now);

impl dynoxide::storage_backend::Clock for DatabaseClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from((self.0)().as_second()).unwrap_or_default()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        (self.0)().as_duration().as_secs_f64()
    }
}

impl Embedded {
    /// An empty database in memory.
    pub fn empty(now: Now) -> Result<Self, DynamoDbError> {
        let clock = Arc::new(DatabaseClock(now));
        Database::memory_with_clock(clock)
            .map(Self)
            .map_err(DynamoDbError::new)
    }

    /// Answers DynamoDB's own interface until `end` comes.
    pub async fn serve(self, listener: TcpListener, end: impl Future<Output = ()> + Send + 'static) {
        // It fails only where accepting connections does for good, and then everybody who needs it says so.
        dynoxide::server::serve_with_shutdown(listener, self.0, end)
            .await
            .unwrap_or_default();
    }

    /// The database itself, for who wants to look past DynamoDB's interface.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.0
    }

    /// Replaces what is there by what [`save`](Self::save) wrote.
    pub fn restore(&self, file: &Path) -> Result<(), DynamoDbError> {
        self.0
            .restore_from(&file.to_string_lossy())
            .map_err(DynamoDbError::new)
    }

    /// Writes everything to a file, which must not exist yet.
    pub fn save(&self, file: &Path) -> Result<(), DynamoDbError> {
        self.0
            .vacuum_into(&file.to_string_lossy())
            .map_err(DynamoDbError::new)
    }

    /// Deletes what has expired by the stack's clock. Each deletion stands in its table's stream, with DynamoDB as its
    /// author, where a function that is fed by the stream finds it.
    pub async fn delete_expired(&self) -> Result<usize, DynamoDbError> {
        let database = self.0.clone();
        // The sweep waits for requests that queue behind it, so it must not sit on a thread that serves them.
        let sweep = tokio::task::spawn_blocking(move || database.sweep_ttl());
        sweep
            .await
            .map_err(DynamoDbError::new)?
            .map_err(DynamoDbError::new)
    }

    /// When the next item of these tables expires after `now`; none when none will.
    pub fn next_expiry(&self, tables: &[Table], now: Timestamp) -> Result<Option<Timestamp>, DynamoDbError> {
        let mut next = None;
        for (table, attribute) in tables
            .iter()
            .filter_map(|it| Some((it, it.ttl_attribute.as_ref()?)))
        {
            let mut exclusive_start_key = None;
            loop {
                let table_name = table.name.clone();
                let page = ScanRequest {
                    table_name,
                    exclusive_start_key,
                    ..ScanRequest::default()
                };
                let page = self.0.scan(page).map_err(DynamoDbError::new)?;
                let expiries = page
                    .items
                    .iter()
                    .flatten()
                    .filter_map(|item| match item.get(attribute) {
                        Some(AttributeValue::N(seconds)) => {
                            Timestamp::from_second(seconds.parse().ok()?).ok()
                        }
                        // DynamoDB never deletes an item whose expiry is no number.
                        _ => None,
                    });
                next = next
                    .into_iter()
                    .chain(expiries.filter(|expiry| *expiry > now))
                    .min();
                exclusive_start_key = page.last_evaluated_key;
                if exclusive_start_key.is_none() {
                    break;
                }
            }
        }
        Ok(next)
    }
}
