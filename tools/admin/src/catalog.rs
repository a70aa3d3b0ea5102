//! The catalog: a file that declares what an organisation sells, and making it so.
//!
//! # How it works
//! [`CatalogFile::read`] checks the file alone. [`difference`] compares it with what is stored, and [`apply`] writes the difference:
//! Stripe's products and prices first, then, plan by plan, the plan with the new versions of its prices in one transaction.
//! Prices are never changed: one that costs something else is a new version, and contracts keep theirs. A plan that the file
//! does not have is withdrawn, which ends no contract; customers and business entities that it does not have are left alone.
//!
//! # If it fails half-way
//! What was changed is told, with the failure. What was made is found again: at Stripe by id and lookup key, in the tables by key. Applying once more does the rest, and
//! applying what is applied writes nothing. Of two that apply at once, the one that comes second to a plan reads it again and
//! decides again.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use billing_core::catalog::Plan;
use billing_store::{Store, StoreError};
use billing_stripe::Stripe;
use jiff::Timestamp;
use serde_json::json;

/// Making the difference so.
mod apply;
/// What a file changes about what is stored.
mod difference;
/// What a file says.
mod file;
/// The pricing of a product in a file.
mod pricing;
/// A file with its lines.
mod source;

pub use difference::{Difference, Entry, difference};
pub use file::{CatalogFile, Named};
pub use source::Fault;

use crate::Failure;
use crate::report::Report;

/// How often a catalog is decided again because somebody else was writing it.
const ROUNDS: u32 = 5;

/// The largest catalog file, in bytes: thousands of plans and customers. What is larger is something else, or has no end.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// Reads a catalog file from the disk.
pub fn read(path: &Path) -> Result<CatalogFile, Failure> {
    let text = read_text(path).map_err(|error| Failure::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    CatalogFile::read(&text).map_err(|faults| Failure::Faults {
        path: path.to_owned(),
        faults,
    })
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
    // Before it is read as text: the limit may be in the middle of a letter.
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_LIMIT) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "a catalog is at most 4 MiB",
        ));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Makes what is stored, and what Stripe has, as the file says; repeating changes nothing. Notes in `done` what it changed, also where it
/// fails half-way.
pub async fn apply(
    store: &Store,
    stripe: &Stripe,
    file: &CatalogFile,
    now: Timestamp,
    done: &mut Difference,
) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        match apply::once(store, stripe, file, now, done).await {
            // Somebody else has written meanwhile: what is left is decided on what is there now.
            Err(Failure::Store(StoreError::Conflict)) => {}
            other => return other,
        }
    }
    Err(Failure::Contended)
}

/// That a file is right, and what is in it: as JSON with the ids by which the API knows it.
pub(crate) fn checked(file: &CatalogFile) -> Report {
    let count: usize = file.plans.iter().map(|plan| plan.it.products.len()).sum();
    let products: serde_json::Map<_, _> = file.plans.iter().map(products_of).collect();
    let told_as_json = json!({
        "organisation": file.organisation,
        "businessEntities": ids(&file.business_entities, |it| it.id.to_string()),
        "customers": ids(&file.customers, |it| it.id.to_string()),
        "plans": ids(&file.plans, |it| it.id.to_string()),
        "products": products,
    });
    Report {
        text: format!(
            "the catalog of {} is right: {} with {}, {}, {}\n",
            file.organisation,
            told(file.plans.len(), "plan"),
            told(count, "product"),
            told(file.business_entities.len(), "business entity"),
            told(file.customers.len(), "customer"),
        ),
        json: told_as_json,
    }
}

/// A plan's products, in the order of the file, by what people call them.
fn products_of(plan: &Named<Plan>) -> (String, serde_json::Value) {
    let products = plan.it.products.iter();
    let products = products.map(|it| json!({ "id": it.id, "name": it.name }));
    (plan.name.clone(), products.collect())
}

/// The ids by the names of the file.
fn ids<T>(all: &[Named<T>], id: impl Fn(&T) -> String) -> serde_json::Map<String, serde_json::Value> {
    all.iter()
        .map(|named| (named.name.clone(), json!(id(&named.it))))
        .collect()
}

fn told(count: usize, one: &str) -> String {
    match (count, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests;
