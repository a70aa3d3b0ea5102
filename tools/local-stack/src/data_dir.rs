//! `--data DIR`: what one start of the stack leaves to the next.
//!
//! DynamoDB, the stand-in and the clock belong together (a customer in one is a customer in the other), so they are written
//! together: to new files first, which then take the old ones' names, the stand-in's before DynamoDB's. A crash between the two
//! leaves a Stripe that knows more than DynamoDB, which the real one may do as well; never one that knows less.
//!
//! One stack at a time: each would write over what the other has done.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stripe_stand_in::Clock;

use crate::catalog::{Endpoint, Prices};
use crate::stripe::Connected;
use crate::world::Names;

/// A directory that outlives the stack, and is its alone until this is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Locked by the process against other stacks, and in it against another save meanwhile.
    lock: Mutex<File>,
}

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
    /// The directory, made if it is not there; refused while another stack uses it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |reason: &dyn ToString| unusable(path, reason);
        fs::create_dir_all(path).map_err(|error| failed(&error))?;
        let lock = File::create(path.join("lock")).map_err(|error| failed(&error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                lock: Mutex::new(lock),
            }),
            Err(TryLockError::WouldBlock) => Err(failed(&"it is in use by another local stack")),
            Err(TryLockError::Error(error)) => Err(failed(&error)),
        }
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
        self.path.join("dynamodb.sqlite")
    }

    /// Replaces what is kept. `write_database` writes DynamoDB to a file that is not there yet; none when it is outside. `kept`
    /// tells the rest, and is asked once DynamoDB is written.
    pub fn save<D: ToString, E: ToString>(
        &self,
        write_database: Option<impl FnOnce(&Path) -> Result<(), D>>,
        kept: impl FnOnce() -> Result<Kept, E>,
    ) -> Result<(), DataDirError> {
        let _alone = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let new_database = match write_database {
            Some(write) => {
                let file = self.path.join("dynamodb.sqlite.new");
                // A crash while saving may have left one.
                if let Err(error) = fs::remove_file(&file)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    return Err(self.unusable(&error));
                }
                write(&file).map_err(|error| self.unusable(&error))?;
                Some(file)
            }
            None => None,
        };
        let kept = kept().map_err(|error| self.unusable(&error))?;
        let text = serde_json::to_vec(&kept).map_err(|error| self.unusable(&error))?;
        let new_state = self.path.join("stack.json.new");
        fs::write(&new_state, text).map_err(|error| self.unusable(&error))?;
        fs::rename(new_state, self.state()).map_err(|error| self.unusable(&error))?;
        match new_database {
            Some(file) => fs::rename(file, self.database()).map_err(|error| self.unusable(&error)),
            None => Ok(()),
        }
    }

    fn state(&self) -> PathBuf {
        self.path.join("stack.json")
    }

    fn unusable(&self, reason: &dyn ToString) -> DataDirError {
        unusable(&self.path, reason)
    }
}

fn unusable(path: &Path, reason: &dyn ToString) -> DataDirError {
    DataDirError {
        path: path.display().to_string(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(account: &str) -> Result<Kept, String> {
        let names = serde_json::json!({ "account": account, "empty_account": "empty" });
        Ok(Kept {
            clock_ahead: SignedDuration::ZERO,
            names: serde_json::from_value(names).unwrap(),
            stand_in: None,
        })
    }

    /// Whatever happens between the two, and wherever it stops, Stripe knows no less than DynamoDB.
    #[test]
    fn dynamodb_is_copied_before_the_stand_in_and_put_in_place_after_it() {
        let path = std::env::temp_dir().join(format!("local-stack-order-{}", std::process::id()));
        let data = DataDir::open(&path).unwrap();
        // A directory in its place stops DynamoDB's file from taking its name.
        fs::create_dir_all(data.database().join("in the way")).unwrap();
        let written = path.join("dynamodb.sqlite.new");
        let was_copied = || written.exists();
        let saved = data.save(
            Some(|file: &Path| fs::write(file, "a copy").map_err(|error| error.to_string())),
            || {
                assert!(was_copied(), "the stand-in was asked first");
                kept("first")
            },
        );
        assert!(saved.is_err() && was_copied(), "{saved:?}");
        let names = data.load().unwrap().unwrap().names;
        assert_eq!(names.account.as_str(), "first", "the stand-in stayed behind");
        fs::remove_dir_all(path).unwrap();
    }
}
