//! What was given back of a paid invoice: refunds, credit notes, disputes that were lost.
//!
//! An invoice whose money was all given back counts as if it had never been paid: its entries in the ledger cover nothing, and
//! what it credited is covered again. Short of that its coverage stays, and the reversal is there for people to see. No entry is
//! ever rewritten: a reversal stands beside them, under the invoice's id, also before the invoice itself has landed.
//!
//! # If it fails half-way
//! A reversal is what Stripe says of the invoice now, whole: landing it again changes nothing, in whatever order events come.

use serde::{Deserialize, Serialize};

use crate::coverage::Entry;
use crate::id::InvoiceId;
use crate::money::Money;

/// What was given back of an invoice. Amounts are in minor units of the currency of `paid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    /// The invoice.
    pub invoice: InvoiceId,
    /// What it was settled with: payments, and the customer's balance.
    pub paid: Money,
    /// What was taken off the bill by credit notes before it was paid.
    #[serde(default)]
    pub forgiven: i64,
    /// What was given back since, by refunds and by credit notes in any form.
    #[serde(default)]
    pub given_back: i64,
    /// What disputes took back: those that are lost, for as long as they are.
    #[serde(default)]
    pub lost: i64,
    /// Whether a payment of it is or was disputed.
    #[serde(default)]
    pub disputed: bool,
}

impl Reversal {
    /// What went back of the payment, however.
    #[must_use]
    pub fn back(&self) -> i64 {
        self.given_back.saturating_add(self.lost)
    }

    /// Whether nothing is left of the payment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self.paid.minor {
            // A free invoice has nothing to give back; one that was forgiven was never paid.
            ..=0 => self.forgiven > 0,
            paid => self.back() >= paid,
        }
    }

    /// Whether there is anything to say.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let Self {
            forgiven,
            given_back,
            lost,
            disputed,
            ..
        } = self;
        *forgiven == 0 && *given_back == 0 && *lost == 0 && !*disputed
    }
}

/// The reversal to store beside those that are; none when it says nothing new.
#[must_use]
pub fn news(stored: &[Reversal], fetched: Reversal) -> Option<Reversal> {
    let stored = stored.iter().find(|stored| stored.invoice == fetched.invoice);
    let is_news = match stored {
        Some(stored) => *stored != fetched,
        None => !fetched.is_nothing(),
    };
    is_news.then_some(fetched)
}

/// The entries whose invoices still count as paid.
#[must_use]
pub fn standing(ledger: &[Entry], reversals: &[Reversal]) -> Vec<Entry> {
    let withdrawn = |entry: &&Entry| {
        let mut of_invoice = reversals
            .iter()
            .filter(|reversal| reversal.invoice == entry.invoice);
        of_invoice.any(Reversal::is_full)
    };
    ledger.iter().filter(|entry| !withdrawn(entry)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reversal(paid: i64, forgiven: i64, given_back: i64, lost: i64) -> Reversal {
        Reversal {
            invoice: "in_1".parse().unwrap(),
            paid: Money {
                minor: paid,
                currency: "usd".parse().unwrap(),
            },
            forgiven,
            given_back,
            lost,
            disputed: false,
        }
    }

    #[test]
    fn an_invoice_is_reversed_when_all_it_was_paid_with_is_back() {
        for (paid, forgiven, given_back, lost, full) in [
            (3000, 0, 2999, 0, false),
            (3000, 0, 3000, 0, true),
            (3000, 0, 2000, 1000, true),
            (3000, 0, 0, 3000, true),
            // Given back, and disputed all the same.
            (3000, 0, 3000, 3000, true),
            // 1000 were taken off before; 2000 were paid.
            (2000, 1000, 0, 0, false),
            (2000, 1000, 2000, 0, true),
            // A trial's invoice, and one of which everything was forgiven.
            (0, 0, 0, 0, false),
            (0, 3000, 0, 0, true),
            (i64::MAX, 0, i64::MAX, i64::MAX, true),
        ] {
            let reversal = reversal(paid, forgiven, given_back, lost);
            assert_eq!(reversal.is_full(), full, "{reversal:?}");
        }
    }

    /// A refund that failed, and a dispute that was lost and is won on an appeal.
    #[test]
    fn what_came_back_after_all_is_news() {
        let stored = reversal(3000, 0, 2500, 500);
        let later = reversal(3000, 0, 0, 0);
        assert_eq!(news(std::slice::from_ref(&stored), later.clone()), Some(later));
        assert_eq!(news(std::slice::from_ref(&stored), stored.clone()), None);
    }

    #[test]
    fn a_dispute_alone_is_something_to_say() {
        let quiet = reversal(3000, 0, 0, 0);
        assert!(quiet.is_nothing());
        let disputed = Reversal {
            disputed: true,
            ..quiet
        };
        assert!(!disputed.is_nothing() && !disputed.is_full());
    }
}
