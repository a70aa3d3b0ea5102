//! `doctor`: whether a deployment is what the functions need, in words.
//!
//! It is told what the functions are told, asks DynamoDB, Secrets Manager and Stripe as they would, and changes nothing. Each thing is
//! looked at even when another is wrong. It deliberately mends nothing: what is wrong is mostly a choice of somebody's.

/// The two tables.
mod tables;
/// The secrets, the prices and the webhook endpoint.
mod stripe;
/// The clock of this machine.
mod clock;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use billing_edge::{App, Clock, Config};
use jiff::Timestamp;
use serde_json::json;

use crate::report::Report;

/// The variables that the functions are told, by name.
pub type Variables = BTreeMap<String, String>;

/// What the doctor looks at.
#[derive(Debug)]
pub struct Patient<'a> {
    /// What the functions are told.
    pub told: &'a Variables,
    /// Where Stripe is to send its events, when that is known.
    pub webhook_url: Option<&'a str>,
    /// The time by this machine's clock.
    pub now: Timestamp,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Well,
    /// It could not be found out.
    Unknown,
    /// Not as it should be.
    Wrong,
}

/// What the doctor says of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `accounts table`.
    pub subject: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// The same in words, with what follows from it.
    pub words: String,
}

impl Finding {
    fn well(subject: &'static str, words: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Well, words)
    }

    fn unknown(subject: &'static str, words: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Unknown, words)
    }

    fn wrong(subject: &'static str, words: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Wrong, words)
    }

    fn new(subject: &'static str, verdict: Verdict, words: impl Into<String>) -> Self {
        Self {
            subject,
            verdict,
            words: words.into(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Well => "well",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        })
    }
}

/// Looks at everything.
pub async fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    const SUBJECT: &str = "configuration";
    let clocks = clock::examine(patient);
    let config = match Config::read(&|name| patient.told.get(name).cloned()) {
        Ok(config) => config,
        // No function starts with it, and nothing else can be asked.
        Err(fault) => {
            let mut findings = vec![Finding::wrong(SUBJECT, format!("{fault}: no function starts"))];
            findings.extend(clocks.await);
            return findings;
        }
    };
    let mode = config.mode;
    let app = App::new(config, Clock::system());
    let (tables, stripe, clocks) =
        tokio::join!(tables::examine(&app), stripe::examine(&app, patient), clocks);
    let mut findings = vec![Finding::well(SUBJECT, format!("complete, for {mode} mode"))];
    findings.extend(tables);
    findings.extend(stripe);
    findings.extend(clocks);
    findings
}

/// The findings, for people and for programs.
pub(crate) fn report(findings: &[Finding]) -> Report {
    let text = findings
        .iter()
        .map(|it| format!("{:<8} {:<18} {}\n", it.verdict.to_string(), it.subject, it.words))
        .collect();
    let told: Vec<_> = findings
        .iter()
        .map(|it| json!({ "subject": it.subject, "verdict": it.verdict.to_string(), "words": it.words }))
        .collect();
    Report {
        text,
        json: json!({ "well": wrongs(findings) == 0, "findings": told }),
    }
}

/// How many things are wrong.
pub(crate) fn wrongs(findings: &[Finding]) -> usize {
    findings.iter().filter(|it| it.verdict == Verdict::Wrong).count()
}
