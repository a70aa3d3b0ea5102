//! The two tables: that they are there, and have what keeps what is stored safe.

use billing_edge::App;
use billing_store::{StoreError, TableState};

use super::Finding;

const ACCOUNTS: &str = "accounts table";
const SESSIONS: &str = "sessions table";

/// What is demanded of a table, and what it means when it is not so.
struct Demand {
    met: Option<bool>,
    otherwise: &'static str,
}

impl Demand {
    /// What it lacks, without what follows from it.
    fn lack(&self) -> &'static str {
        self.otherwise.split(':').next().unwrap_or(self.otherwise)
    }
}

pub(super) async fn examine(app: &App) -> Vec<Finding> {
    let store = app.store();
    let (accounts, sessions) = tokio::join!(store.inspect_accounts(), store.inspect_sessions());
    let mut findings = judge(ACCOUNTS, accounts, of_accounts);
    findings.extend(judge(SESSIONS, sessions, |table| {
        vec![
            Demand {
                met: Some(table.expires_by.as_deref() == Some("expires_at")),
                otherwise: "has no time to live on expires_at: it grows for ever, and nothing expires by itself; deploy again, or aws dynamodb update-time-to-live",
            },
            Demand {
                met: Some(table.stream.as_deref() == Some("OLD_IMAGE")),
                otherwise: "has no stream of OLD_IMAGE: nobody learns what expired; deploy again, which reads from a new stream",
            },
        ]
    }));
    findings
}

fn of_accounts(table: &TableState) -> Vec<Demand> {
    vec![
        Demand {
            met: table.point_in_time_recovery,
            otherwise: "has no point-in-time recovery: what is overwritten by mistake is gone; deploy again, or aws dynamodb update-continuous-backups",
        },
        Demand {
            met: table.deletion_protection,
            otherwise: "has no deletion protection: one command deletes every account; deploy again, or aws dynamodb update-table --deletion-protection-enabled",
        },
        Demand {
            met: Some(table.expires_by.is_none()),
            otherwise: "has a time to live: accounts would be deleted; switch it off at once, by aws dynamodb update-time-to-live",
        },
    ]
}

fn judge(
    subject: &'static str,
    state: Result<Option<TableState>, StoreError>,
    demands: impl Fn(&TableState) -> Vec<Demand>,
) -> Vec<Finding> {
    let table = match state {
        Ok(Some(table)) => table,
        Ok(None) => {
            let words = "does not exist in this region: every request is answered 503; take name and region from the deployment's environment, or deploy";
            return vec![Finding::wrong(subject, words)];
        }
        Err(error) => return vec![Finding::wrong(subject, format!("cannot be described: {error}"))],
    };
    let keys = Demand {
        met: Some(table.keys == ["pk", "sk"]),
        otherwise: "has other keys than pk and sk: it is another program's; take the name from the stack's outputs",
    };
    let demands: Vec<_> = [keys].into_iter().chain(demands(&table)).collect();
    let name = &table.name;
    let mut findings = Vec::new();
    for demand in &demands {
        match demand.met {
            Some(true) => {}
            Some(false) => findings.push(Finding::wrong(subject, format!("{name} {}", demand.otherwise))),
            None => findings.push(Finding::unknown(
                subject,
                format!("this DynamoDB does not tell whether {name} {}", demand.lack()),
            )),
        }
    }
    if findings.is_empty() {
        findings.push(Finding::well(subject, format!("{name} is as it should be")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only Amazon's own tells of point-in-time recovery.
    #[test]
    fn a_table_without_recovery_is_named() {
        let table = |recovery| TableState {
            name: "accounts".to_owned(),
            keys: vec!["pk".to_owned(), "sk".to_owned()],
            expires_by: None,
            stream: None,
            deletion_protection: Some(true),
            point_in_time_recovery: recovery,
        };
        let told = |recovery| judge(ACCOUNTS, Ok(Some(table(recovery))), of_accounts).remove(0);
        assert_eq!(told(Some(true)).words, "accounts is as it should be");
        assert!(
            told(Some(false))
                .words
                .starts_with("accounts has no point-in-time recovery")
        );
        assert_eq!(told(None).verdict, crate::doctor::Verdict::Unknown);
        assert!(told(None).words.ends_with(" has no point-in-time recovery"));
    }
}
