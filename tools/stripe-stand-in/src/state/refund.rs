//! Money that goes back, or is to: refunds, credit notes, disputes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{Currency, Metadata};
use crate::id::{
    ChargeId, CreditNoteId, CreditNoteLineId, CustomerId, DisputeId, InvoiceId, InvoiceLineId,
    PaymentIntentId, RefundId,
};

/// Money given back of a charge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: RefundId,
    pub(crate) created: Timestamp,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) charge: ChargeId,
    pub(crate) payment_intent: PaymentIntentId,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: Metadata,
    /// Why it failed after all; none for one that did not.
    #[serde(default)]
    pub(crate) failure: Option<String>,
}

row!(Refund, RefundId, "refund");

/// What is taken back of an invoice that is final.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CreditNote {
    pub(crate) id: CreditNoteId,
    pub(crate) created: Timestamp,
    pub(crate) number: String,
    pub(crate) invoice: InvoiceId,
    pub(crate) customer: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) lines: Vec<CreditNoteLine>,
    /// Taken off what is still to be paid.
    pub(crate) before_payment: i64,
    /// Given back of what is paid: by a refund, to the customer's balance, or by other ways.
    pub(crate) refund: Option<RefundId>,
    pub(crate) refund_amount: i64,
    pub(crate) credit_amount: i64,
    pub(crate) out_of_band_amount: i64,
    pub(crate) reason: Option<String>,
    pub(crate) memo: Option<String>,
    pub(crate) metadata: Metadata,
}

row!(CreditNote, CreditNoteId, "credit note");

impl CreditNote {
    pub(crate) fn amount(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }

    pub(crate) fn after_payment(&self) -> i64 {
        self.amount() - self.before_payment
    }
}

/// One line of a credit note.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CreditNoteLine {
    pub(crate) id: CreditNoteLineId,
    pub(crate) amount: i64,
    pub(crate) description: Option<String>,
    pub(crate) quantity: Option<u64>,
    /// None for a line of its own.
    pub(crate) invoice_line: Option<InvoiceLineId>,
}

/// A charge that its payer's bank takes back until it is settled who is right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: DisputeId,
    pub(crate) created: Timestamp,
    pub(crate) charge: ChargeId,
    pub(crate) reason: String,
    pub(crate) status: DisputeStatus,
}

row!(Dispute, DisputeId, "dispute");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DisputeStatus {
    NeedsResponse,
    Won,
    Lost,
}

impl DisputeStatus {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("lost", Self::Lost),
        ("needs_response", Self::NeedsResponse),
        ("won", Self::Won),
    ];
}
