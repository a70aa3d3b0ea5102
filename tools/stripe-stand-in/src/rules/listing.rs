//! How a list is cut: newest first, `limit`, `starting_after`, `ending_before`, and ranges such as `created[gte]`.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::id::Id;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::state::{Row, Table};

/// Which part of a list is wanted.
pub(crate) struct Paging {
    limit: usize,
    cursor: Cursor,
}

enum Cursor {
    Start,
    After(String),
    Before(String),
}

const DEFAULT_LIMIT: i64 = 10;

impl Paging {
    pub(crate) fn read(params: &Params<'_>) -> Result<Self, Refusal> {
        let limit = params.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
        let limit = match usize::try_from(limit) {
            Ok(limit @ 1..=100) => limit,
            _ => {
                let message = format!("Invalid limit: must be between 1 and 100, is {limit}");
                return Err(Refusal::invalid_code(
                    "parameter_invalid_integer",
                    "limit",
                    message,
                ));
            }
        };
        let cursor = match (params.text("starting_after")?, params.text("ending_before")?) {
            (None, None) => Cursor::Start,
            (Some(id), None) => Cursor::After(id),
            (None, Some(id)) => Cursor::Before(id),
            (Some(_), Some(_)) => {
                let message = "You cannot parameterize `starting_after` and `ending_before` together.";
                return Err(Refusal::invalid("starting_after", message));
            }
        };
        Ok(Self { limit, cursor })
    }
}

/// The wanted part of a table, as Stripe's list object.
pub(crate) fn page<T: Row>(
    table: &Table<T>,
    paging: &Paging,
    url: &str,
    render: impl Fn(&T) -> Value,
    keep: impl Fn(&T) -> bool,
) -> Result<Value, Refusal> {
    let rows: Vec<&T> = table.iter().rev().collect();
    cut(&rows, paging, url, render, keep)
}

/// The same for rows that are already at hand, in the order in which they are to be listed.
pub(crate) fn cut<T: Row>(
    rows: &[&T],
    paging: &Paging,
    url: &str,
    render: impl Fn(&T) -> Value,
    keep: impl Fn(&T) -> bool,
) -> Result<Value, Refusal> {
    let position = |id: &str, param: &str| {
        rows.iter()
            .position(|row| row.id().as_str() == id)
            .ok_or_else(|| Refusal::no_such(T::OBJECT, id, param))
    };
    let wanted = paging.limit + 1;
    let (mut found, backwards): (Vec<&T>, bool) = match &paging.cursor {
        Cursor::Start => (
            rows.iter()
                .copied()
                .filter(|row| keep(row))
                .take(wanted)
                .collect(),
            false,
        ),
        Cursor::After(id) => {
            let from = position(id, "starting_after")? + 1;
            (
                rows[from..]
                    .iter()
                    .copied()
                    .filter(|row| keep(row))
                    .take(wanted)
                    .collect(),
                false,
            )
        }
        Cursor::Before(id) => {
            let until = position(id, "ending_before")?;
            (
                rows[..until]
                    .iter()
                    .rev()
                    .copied()
                    .filter(|row| keep(row))
                    .take(wanted)
                    .collect(),
                true,
            )
        }
    };
    let has_more = found.len() > paging.limit;
    found.truncate(paging.limit);
    if backwards {
        found.reverse();
    }
    Ok(list_object(
        url,
        found.into_iter().map(render).collect(),
        has_more,
    ))
}

/// Stripe's list object.
pub(crate) fn list_object(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
}

/// A filter by time: one instant, or bounds.
#[derive(Default)]
pub(crate) struct Range {
    after: Option<Timestamp>,
    from: Option<Timestamp>,
    before: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Range {
    pub(crate) fn read(params: &Params<'_>, member: &str) -> Result<Self, Refusal> {
        if !params.is_object(member) {
            let exactly = params.timestamp(member)?;
            return Ok(Self {
                from: exactly,
                until: exactly,
                ..Self::default()
            });
        }
        let Some(bounds) = params.child(member)? else {
            return Ok(Self::default());
        };
        Ok(Self {
            after: bounds.timestamp("gt")?,
            from: bounds.timestamp("gte")?,
            before: bounds.timestamp("lt")?,
            until: bounds.timestamp("lte")?,
        })
    }

    pub(crate) fn contains(&self, at: Timestamp) -> bool {
        self.after.is_none_or(|bound| at > bound)
            && self.from.is_none_or(|bound| at >= bound)
            && self.before.is_none_or(|bound| at < bound)
            && self.until.is_none_or(|bound| at <= bound)
    }
}
