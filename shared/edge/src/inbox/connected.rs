//! Events of connected accounts: what became of what was sold there.
//!
//! # How it works
//! As with our own: an event says that something happened, and what is there now is read again. The object names its sale; the
//! sale is read, then the object once more, and what it says is written under the sale's version. A change that somebody left
//! unfinished is finished on the way.
//!
//! Not here: coverage. What a client of an agency has paid for is the agency's business.

use billing_core::connect::contract::Stage;
use billing_core::connect::sale::ReadSale;
use billing_core::id::{ConnectedAccountId, InvoiceId, NotAnId};
use billing_store::{FoundSale, Listener, Unfinished, unless_conflict};
use billing_stripe::webhook::Event;

use super::EventOutcome;
use crate::call::Call;
use crate::connect::{Fields, Named, NotAmended, refused};
use crate::problem::Problem;

/// Every type of event that means something on a connected account: what the endpoint for connected accounts has to be registered
/// with, and what is looked for in their lists, which hold all that an agency does by itself.
pub const CONNECTED_EVENT_TYPES: &[&str] = &[
    "subscription_schedule.created",
    "subscription_schedule.updated",
    "subscription_schedule.released",
    "subscription_schedule.canceled",
    "subscription_schedule.completed",
    "subscription_schedule.aborted",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
    "invoice.payment_failed",
];

/// An object on a connected account that has to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConnectedErrand {
    /// A schedule or a subscription that changed.
    Sold(Named),
    /// An invoice of a subscription.
    Invoice(InvoiceId),
}

impl ConnectedErrand {
    /// The errand of an event; none for a type that means nothing here.
    pub(super) fn of(event: &Event) -> Option<Result<Self, NotAnId>> {
        // A preview of an invoice to come is no invoice, say, and has no id.
        if !CONNECTED_EVENT_TYPES.contains(&event.kind.as_str()) {
            return None;
        }
        let object = event.object.as_deref().unwrap_or_default();
        let (kind, _) = event.kind.rsplit_once('.')?;
        match kind {
            "subscription_schedule" => Some(object.parse().map(|id| Self::Sold(Named::Schedule(id)))),
            "customer.subscription" => Some(object.parse().map(|id| Self::Sold(Named::Subscription(id)))),
            "invoice" => Some(object.parse().map(Self::Invoice)),
            _ => None,
        }
    }
}

/// Refreshes the sale that an event is about.
pub(super) async fn run(
    call: &Call<'_>,
    account: &ConnectedAccountId,
    errand: &ConnectedErrand,
) -> Result<EventOutcome, Problem> {
    let named = match errand {
        ConnectedErrand::Sold(named) => named.clone(),
        ConnectedErrand::Invoice(invoice) => {
            let stripe = call.stripe_of(account).await?;
            let billed = stripe.subscription_of_invoice(invoice).await;
            match billed.map_err(|error| refused(error, &Fields::NONE))? {
                Some(subscription) => Named::Subscription(subscription),
                // An invoice of something else.
                None => return Ok(EventOutcome::OfNobody),
            }
        }
    };
    let mut rounds = call.rounds();
    loop {
        if let Some(taken) = refresh(call, account, &named).await? {
            return Ok(taken);
        }
        rounds.lost().await?;
    }
}

/// One round; none when somebody else wrote first.
async fn refresh(
    call: &Call<'_>,
    account: &ConnectedAccountId,
    named: &Named,
) -> Result<Option<EventOutcome>, Problem> {
    // What the agency made by itself is no sale of ours.
    let Some(ReadSale { sale, .. }) = call.find_sale(account, named).await? else {
        return Ok(Some(EventOutcome::OfNobody));
    };
    // First what we have, then what Stripe has: see `docs/architecture.md`. A look through the schedule finds its subscription.
    let schedule = match (&sale.schedule, named) {
        (Some(schedule), _) => Named::Schedule(schedule.clone()),
        (None, named) => named.clone(),
    };
    let Some(contract) = call.contract_of(&sale, &schedule).await? else {
        return Ok(Some(EventOutcome::Done));
    };
    if let Some(left) = sale.amendment.clone().filter(|left| left.is_fresh(call.now))
        // Of what is over nothing is left to do but to have its client be where it was.
        && (contract.stage() != Stage::Over || left.moved.is_some())
    {
        let read = ReadSale { sale, contract };
        return Ok(match call.amend(read, &left, &Fields::NONE).await {
            Ok(amended) => amended.map(|_| EventOutcome::Done),
            Err(NotAmended::Failed(problem)) => return Err(problem),
            // What there is has to be looked at once more.
            Err(NotAmended::Refused(_)) => None,
        });
    }
    if sale.schedule.is_none() {
        call.record_place_of(&sale).await?;
    }
    // A schedule that was made and not recorded: its maker died.
    let made = match named {
        Named::Schedule(id) => Some(id),
        Named::Subscription(_) => contract.schedule.as_ref(),
    };
    // Also when there is nothing to change: whoever read Stripe earlier and writes later has to look again.
    let found = FoundSale {
        schedule: made,
        contract: &contract,
        amendment: Unfinished::Stays,
        listener: Listener::Other,
    };
    let landed = call.store.land_sale(&sale, &found).await;
    Ok(unless_conflict(landed)?.map(|_| EventOutcome::Done))
}
