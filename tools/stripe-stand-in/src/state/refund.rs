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

/// A charge, or a part of it, that its payer's bank asks back, takes back, or asks about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: DisputeId,
    pub(crate) created: Timestamp,
    pub(crate) charge: ChargeId,
    /// None for all of the charge.
    #[serde(default)]
    pub(crate) amount: Option<i64>,
    #[serde(default)]
    pub(crate) case_type: CaseType,
    pub(crate) reason: String,
    pub(crate) status: DisputeStatus,
}

row!(Dispute, DisputeId, "dispute");

/// What the payer's bank wants, in Stripe's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseType {
    /// The money, which it takes at once.
    #[default]
    Chargeback,
    /// To know more; no money moves.
    Inquiry,
    /// The money, by a rule that the merchant has agreed to beforehand: it is decided at once.
    Resolution,
    /// Nothing: it was convinced before it disputed anything.
    Block,
}

impl CaseType {
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("block", Self::Block),
        ("chargeback", Self::Chargeback),
        ("inquiry", Self::Inquiry),
        ("resolution", Self::Resolution),
    ];

    /// Whether the money leaves the merchant when the case is opened.
    pub(crate) fn takes_money(self) -> bool {
        matches!(self, Self::Chargeback | Self::Resolution)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DisputeStatus {
    NeedsResponse,
    Won,
    Lost,
    AppealNeedsResponse,
    Prevented,
    WarningNeedsResponse,
    WarningClosed,
}

impl DisputeStatus {
    pub(crate) const WORDS: [(&'static str, Self); 7] = [
        ("appeal_needs_response", Self::AppealNeedsResponse),
        ("lost", Self::Lost),
        ("needs_response", Self::NeedsResponse),
        ("prevented", Self::Prevented),
        ("warning_closed", Self::WarningClosed),
        ("warning_needs_response", Self::WarningNeedsResponse),
        ("won", Self::Won),
    ];
}
