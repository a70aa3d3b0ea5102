//! What the functions log, in every scenario: each line is searched for what must not be in a log.
//!
//! A line that has it fails the test whose world ends next: the functions run on threads that nobody is waiting on.

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Mutex, Once};

use tracing_subscriber::fmt::MakeWriter;

/// What the secrets of every world look like: API keys, Stripe's keys, the webhook's secrets, client secrets, whatever a header carries, what
/// callers write into `Idempotency-Key` here; and people: addresses, telephone numbers, the numbers of Stripe's test cards.
const FORBIDDEN: [&str; 12] = [
    "sk_test_",
    "sk_live_",
    "rk_test_",
    "rk_live_",
    "whsec_",
    "_secret_",
    "Bearer",
    "intent-",
    "@",
    "+1555",
    "42424242",
    "4000000000",
];

/// The lines that have something of that.
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    /// What was logged on this thread, on which the whole world of a test runs; none where nobody wants to know.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on every line is searched. The form of the lines is that of the functions in AWS.
pub(crate) fn is_searched() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let lines = tracing_subscriber::fmt().json().flatten_event(true);
        lines.with_writer(Log).init();
    });
}

/// What must not be in that line, and is.
#[must_use]
pub fn trespass(line: &str) -> Option<&'static str> {
    FORBIDDEN.into_iter().find(|forbidden| line.contains(forbidden))
}

/// Searches a line that goes to a log.
pub(crate) fn search(line: &str) {
    if trespass(line).is_some() {
        FOUND.lock().unwrap().push(line.to_owned());
    }
}

/// That nothing was found so far.
///
/// # Panics
/// With everything that was.
pub(crate) fn is_clean() {
    let found = FOUND.lock().unwrap();
    assert!(found.is_empty(), "in a log, where it must not be: {found:#?}");
}

/// From now on what is logged on this thread is kept.
pub fn keeps() {
    KEPT.set(Some(String::new()));
}

/// What was kept since.
#[must_use]
pub fn kept() -> String {
    KEPT.take().unwrap_or_default()
}

/// Everybody's log: a line is written at once, by the thread that it happens on.
#[derive(Clone, Copy)]
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        search(&line);
        KEPT.with_borrow_mut(|kept| {
            if let Some(kept) = kept {
                kept.push_str(&line);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}
