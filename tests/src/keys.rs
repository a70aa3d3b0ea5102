//! The idempotency keys that Stripe was asked with, in every scenario: each is one of those that `docs/architecture.md` lists.
//!
//! What makes a request safe to repeat is what its key is made of, so the list is where somebody looks when something happened twice. A key
//! that is not on it has been forgotten there, or is made of what it should not be.

use std::sync::LazyLock;

use crate::project;

/// The heading of the list, and how the text after it begins.
const LIST: (&str, &str) = ("### Idempotency keys sent to Stripe", "\nStripe keeps a key");

/// The list's patterns: `change/{account}/{number}`. In one line of it, what begins with a slash goes on from the line's first.
static LISTED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let text = project::architecture();
    let (_, list) = text.split_once(LIST.0).unwrap();
    let (list, _) = list.split_once(LIST.1).unwrap();
    let mut patterns = Vec::new();
    for line in list.lines().filter(|line| line.starts_with("| `")) {
        let cell = line.split('|').nth(1).unwrap();
        let mut quoted = cell.split('`').skip(1).step_by(2);
        let first = quoted.next().unwrap();
        patterns.push(first.to_owned());
        for pattern in quoted {
            patterns.push(match pattern.strip_prefix('/') {
                Some(rest) => format!("{first}/{rest}"),
                None => pattern.to_owned(),
            });
        }
    }
    patterns
});

/// That each of them is on the list.
///
/// # Panics
/// With the first that is not.
pub(crate) fn are_listed<'k>(keys: impl Iterator<Item = &'k str>) {
    for key in keys {
        let is_listed = LISTED.iter().any(|pattern| fits(pattern, key));
        assert!(is_listed, "{key} is no idempotency key of docs/architecture.md");
    }
}

/// Whether a key is of a pattern. What stands in braces is anything without a slash.
fn fits(pattern: &str, key: &str) -> bool {
    let Some((literal, rest)) = pattern.split_once('{') else {
        return pattern == key;
    };
    let Some(key) = key.strip_prefix(literal) else {
        return false;
    };
    let (_, rest) = rest.split_once('}').unwrap();
    let longest = key.find('/').unwrap_or(key.len());
    (1..=longest).any(|end| key.is_char_boundary(end) && fits(rest, &key[end..]))
}
