//! What was measured: how long each kind of request took, and how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

/// Of one caller, or of all.
#[derive(Default)]
pub(crate) struct Tally {
    took: BTreeMap<&'static str, Vec<Duration>>,
    ended: BTreeMap<(&'static str, u16), usize>,
}

impl Tally {
    /// One request.
    pub(crate) fn note(&mut self, operation: &'static str, status: u16, took: Duration) {
        self.took.entry(operation).or_default().push(took);
        *self.ended.entry((operation, status)).or_default() += 1;
    }

    /// Another caller's.
    pub(crate) fn add(&mut self, other: Self) {
        for (operation, took) in other.took {
            self.took.entry(operation).or_default().extend(took);
        }
        for (end, count) in other.ended {
            *self.ended.entry(end).or_default() += count;
        }
    }

    /// Answers that nothing the callers do may lead to.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failed = self.ended.iter().filter(|((_, status), _)| *status >= 500);
        failed
            .map(|((operation, status), count)| format!("{operation} was answered {status}, {count} times"))
            .collect()
    }

    /// A table, and the sum.
    pub(crate) fn print(&mut self, over: Duration) {
        println!(
            "| operation | requests | a second | p50 | p99 | slowest | answers |\n| --- | --- | --- | --- | --- | --- | --- |"
        );
        let mut sum = 0;
        for (operation, took) in &mut self.took {
            took.sort();
            sum += took.len();
            let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_micros();
            let answers: Vec<_> = self
                .ended
                .iter()
                .filter(|((of, _), _)| of == operation)
                .map(|((_, status), count)| format!("{count} × {status}"))
                .collect();
            println!(
                "| {operation} | {} | {} | {} µs | {} µs | {} µs | {} |",
                took.len(),
                per_second(took.len(), over),
                at(50),
                at(99),
                at(100),
                answers.join(", ")
            );
        }
        println!("{sum} requests, {} a second", per_second(sum, over));
    }
}

fn per_second(count: usize, over: Duration) -> u128 {
    u128::try_from(count).unwrap() * 1000 / over.as_millis().max(1)
}
