//! What disputes have taken of a charge.
//!
//! A payer may dispute one charge several times, each time a part of it. What was lost can be won on an appeal, months later. So
//! all disputes of a charge are read anew, whichever of them an event told of.

use std::collections::HashMap;

use serde::Deserialize;
use stripe_client_core::{RequestBuilder, StripeMethod};

use crate::client::Stripe;
use crate::error::StripeError;
use crate::pages::Listed;

/// What the disputes of a charge come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Disputed {
    /// What they have taken, in the charge's currency.
    pub(crate) lost: i64,
    /// Whether there is one that somebody had to answer.
    pub(crate) any: bool,
    /// Whether a bank has taken something of it, and has not decided yet.
    pub(crate) is_undecided: bool,
}

#[derive(Deserialize)]
struct Dispute {
    id: String,
    amount: i64,
    status: String,
    #[serde(default)]
    balance_transactions: Vec<Movement>,
}

/// Money that left our balance at Stripe, or came back, in the currency of that balance.
#[derive(Deserialize)]
struct Movement {
    amount: i64,
}

impl Dispute {
    /// Whether the payer has the money, by the word of its bank. While that has not decided, it has not; while its decision is appealed, it
    /// has. A dispute is `prevented` in two ways: the payer gave in, or had its money by a rule that was agreed to beforehand, and
    /// only the movements tell which.
    fn is_lost(&self) -> bool {
        match self.status.as_str() {
            "lost" | "appeal_needs_response" | "appeal_under_review" => true,
            "prevented" => {
                let moved: i64 = self.balance_transactions.iter().map(|it| it.amount).sum();
                moved < 0
            }
            _ => false,
        }
    }

    /// Whether the payer's bank has the money until it has decided. One that merely asks has taken nothing.
    fn is_undecided(&self) -> bool {
        matches!(self.status.as_str(), "needs_response" | "under_review")
    }

    /// Whether somebody has, or had, to answer it.
    fn is_to_be_answered(&self) -> bool {
        self.status != "prevented"
    }
}

fn sum(disputes: &[Dispute]) -> Disputed {
    let lost = disputes.iter().filter(|dispute| dispute.is_lost());
    Disputed {
        lost: lost.map(|dispute| dispute.amount).sum(),
        any: disputes.iter().any(Dispute::is_to_be_answered),
        is_undecided: disputes.iter().any(Dispute::is_undecided),
    }
}

impl Listed for Dispute {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// What the disputes of a charge come to now.
    pub(crate) async fn disputed(&self, charge: &str) -> Result<Disputed, StripeError> {
        let list = RequestBuilder::new(StripeMethod::Get, "/disputes");
        let disputes = self
            .pages(list.query(&HashMap::from([("charge", charge)])))
            .all()
            .await?;
        Ok(sum(&disputes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispute(status: &str, moved: &[i64]) -> Dispute {
        Dispute {
            id: "du_1".to_owned(),
            amount: 3000,
            status: status.to_owned(),
            balance_transactions: moved.iter().map(|&amount| Movement { amount }).collect(),
        }
    }

    /// What the payer's bank decided, and what it has not decided, or decided for us; and what no bank was asked about.
    #[test]
    fn what_a_dispute_has_taken_depends_on_its_decision() {
        for (status, moved, lost) in [
            ("lost", &[-3000][..], true),
            ("lost", &[], true),
            ("appeal_needs_response", &[-3000], true),
            ("appeal_under_review", &[-3000], true),
            ("won", &[-3000, 3000], false),
            ("needs_response", &[-3000], false),
            ("under_review", &[-3000], false),
            ("warning_needs_response", &[], false),
            ("warning_closed", &[], false),
            ("prevented", &[-3000], true),
            ("prevented", &[], false),
            ("a word of tomorrow", &[-3000], false),
        ] {
            assert_eq!(dispute(status, moved).is_lost(), lost, "{status} {moved:?}");
        }
    }

    /// What is to be decided, what is decided, and what only asks.
    #[test]
    fn a_dispute_is_undecided_until_the_bank_has_spoken() {
        for (status, undecided) in [
            ("needs_response", true),
            ("under_review", true),
            ("warning_needs_response", false),
            ("warning_under_review", false),
            ("won", false),
            ("lost", false),
            ("appeal_under_review", false),
            ("prevented", false),
        ] {
            assert_eq!(sum(&[dispute(status, &[])]).is_undecided, undecided, "{status}");
        }
    }

    #[test]
    fn several_disputes_of_one_charge_add_up() {
        let disputes = [dispute("lost", &[]), dispute("won", &[]), dispute("lost", &[])];
        let expected = Disputed {
            lost: 6000,
            any: true,
            is_undecided: false,
        };
        assert_eq!(sum(&disputes), expected);
        assert_eq!(sum(&[dispute("prevented", &[])]), Disputed::default());
    }
}
