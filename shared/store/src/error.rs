//! What can go wrong between us and DynamoDB, told apart by what to do about it.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first: what was decided must be decided again, on what is stored now.
    #[error("what was read has changed meanwhile")]
    Conflict,
    /// The table is over its capacity. Later it will go through.
    #[error("dynamodb is throttling")]
    Throttled,
    /// No usable answer. A write may have taken effect; its condition makes finding out safe.
    #[error("dynamodb is unavailable: {0}")]
    Unavailable(String),
    /// An item that cannot be what it should be. It is left as it is.
    #[error("the item {key} is corrupt: {reason}")]
    Corrupt {
        /// Which one.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn corrupt(key: impl Into<String>, reason: impl ToString) -> Self {
        Self::Corrupt {
            key: key.into(),
            reason: reason.to_string(),
        }
    }
}

/// None for a conflict, upon which the caller decides again; every other error stays one.
pub fn unless_conflict<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

impl<E, R> From<SdkError<E, R>> for StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some("ConditionalCheckFailedException" | "TransactionConflictException") => Self::Conflict,
            Some(
                "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded",
            ) => Self::Throttled,
            Some(code) => Self::Unavailable(code.to_owned()),
            None => Self::Unavailable(told(&error)),
        }
    }
}

/// A cancelled transaction says why for each of its items; one answer is enough: throttled only when nothing else is wrong.
pub(crate) fn cancelled<R: std::fmt::Debug>(error: SdkError<TransactWriteItemsError, R>) -> StoreError {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
    else {
        return error.into();
    };
    let codes = || {
        cancelled
            .cancellation_reasons()
            .iter()
            .filter_map(|reason| reason.code())
    };
    if codes().any(|code| {
        matches!(
            code,
            "ConditionalCheckFailed" | "TransactionConflict" | "DuplicateItem"
        )
    }) {
        StoreError::Conflict
    } else if codes().any(|code| matches!(code, "ThrottlingError" | "ProvisionedThroughputExceeded")) {
        StoreError::Throttled
    } else {
        StoreError::Unavailable(format!(
            "transaction cancelled: {}",
            codes().collect::<Vec<_>>().join(", ")
        ))
    }
}

/// An error with its causes, which the SDK keeps apart.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
