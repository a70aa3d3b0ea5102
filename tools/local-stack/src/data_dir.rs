//! `--data DIR`: what one start of the stack leaves to the next.
//!
//! DynamoDB, the stand-in and the clock belong together (a customer in one is a customer in the other), so they are written
//! together: to new files first, which then take the old ones' names. Between the two renames a crash could part them; a
//! developer's tool may leave it at that.

use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stripe_stand_in::Clock;

use crate::catalog::{Endpoint, Prices};
use crate::stripe::Connected;
use crate::world::Names;

/// A directory that outlives the stack.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// What is kept besides DynamoDB.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    /// By how much the stack's clock is ahead of the system's.
    pub clock_ahead: SignedDuration,
    /// The demo accounts.
    pub names: Names,
    /// The stand-in; none when Stripe was outside.
    pub stand_in: Option<KeptStandIn>,
}

/// What the stand-in knows, and what we know of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptStandIn {
    /// The prices that are sold.
    pub prices: Prices,
    /// Where it delivers its events.
    pub endpoint: Endpoint,
    /// What there is for connected accounts.
    #[serde(default)]
    pub connected: Option<Connected>,
    /// Everything that it knows.
    pub snapshot: serde_json::Value,
}

impl Kept {
    /// What is kept of a stack by this clock.
    #[must_use]
    pub fn new(clock: &Clock, names: Names, stand_in: Option<KeptStandIn>) -> Self {
        Self {
            clock_ahead: clock.now().duration_since(system_now()),
            names,
            stand_in,
        }
    }

    /// Sets a clock as far ahead as the one was that was kept.
    pub fn set(&self, clock: &Clock) {
        clock.set(
            system_now()
                .saturating_add(self.clock_ahead)
                .unwrap_or(Timestamp::MAX),
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a clock is kept by how far it is ahead of the system's"
)]
fn system_now() -> Timestamp {
    Timestamp::now()
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} to keep data: {reason}")]
pub struct DataDirError {
    path: String,
    reason: String,
}

impl DataDir {
    /// The directory, made if it is not there.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let dir = Self(path.to_owned());
        fs::create_dir_all(path).map_err(|error| dir.unusable(&error))?;
        Ok(dir)
    }

    /// What an earlier start has left; none at the first.
    pub fn load(&self) -> Result<Option<Kept>, DataDirError> {
        let text = match fs::read(self.state()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable(&error)),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| self.unusable(&error))
    }

    /// Where DynamoDB is kept.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join("dynamodb.sqlite")
    }

    /// Replaces what is kept. `write_database` writes DynamoDB to a file that is not there yet; none when it is outside.
    pub fn save<E: ToString>(
        &self,
        kept: &Kept,
        write_database: Option<impl FnOnce(&Path) -> Result<(), E>>,
    ) -> Result<(), DataDirError> {
        let new_state = self.0.join("stack.json.new");
        let text = serde_json::to_vec(kept).map_err(|error| self.unusable(&error))?;
        fs::write(&new_state, text).map_err(|error| self.unusable(&error))?;
        if let Some(write) = write_database {
            let new_database = self.0.join("dynamodb.sqlite.new");
            // A crash while saving may have left one.
            if let Err(error) = fs::remove_file(&new_database)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(self.unusable(&error));
            }
            write(&new_database).map_err(|error| self.unusable(&error))?;
            fs::rename(new_database, self.database()).map_err(|error| self.unusable(&error))?;
        }
        fs::rename(new_state, self.state()).map_err(|error| self.unusable(&error))
    }

    fn state(&self) -> PathBuf {
        self.0.join("stack.json")
    }

    fn unusable(&self, reason: &impl ToString) -> DataDirError {
        DataDirError {
            path: self.0.display().to_string(),
            reason: reason.to_string(),
        }
    }
}
