//! Landing an event of an organisation's customer: its contract, and what Stripe's word changes about it.
//!
//! # How it works
//! As for accounts: the contract is read first, then the object at Stripe, and what they differ in is written under the contract's
//! version ([`crate::sales`]). Which contract it is, the subscription's pointer says; before that is written, what our objects at
//! Stripe say of themselves.

use billing_core::access::Mode;
use billing_core::contract::{ContractKey, Status};
use billing_core::id::{InvoiceId, ScheduleId, SessionId, SubscriptionId};
use billing_stripe::{ReadContract, ReversedInvoice, SessionStatus, StripeError};

use super::errand::Errand;
use super::let_go;
use crate::call::Call;
use crate::problem::Problem;
use crate::sales::InvoiceFacts;

/// What Stripe says of the object of an errand.
enum FetchedObject {
    /// A contract's subscription, with what is told of a bill of it.
    Subscription(Box<ReadContract>, InvoiceFacts),
    /// A page that nobody paid.
    Unpaid(SessionId, ContractKey),
}

/// Does an event's errand, in as many rounds as it takes.
pub(super) async fn run(call: &Call<'_>, errand: &Errand) -> Result<(), Problem> {
    let Some(of) = subject(call, errand).await? else {
        return Ok(());
    };
    let mut rounds = call.rounds();
    while land(call, errand, &of).await?.is_none() {
        rounds.lost().await?;
    }
    Ok(())
}

/// What an errand is about.
struct Subject {
    contract: ContractKey,
    /// Whether the contract has recorded the subscription, before it is read: if it says nothing of it by then, that was an earlier sale's.
    is_recorded: bool,
}

/// What an errand is about; none when that is something else of the same customer.
async fn subject(call: &Call<'_>, errand: &Errand) -> Result<Option<Subject>, Problem> {
    let recorded = |contract| Subject {
        contract,
        is_recorded: true,
    };
    let named = |contract| Subject {
        contract,
        is_recorded: false,
    };
    if let Errand::Subscription(subscription) = errand
        && let Some(of) = pointed(call, subscription).await?
    {
        return Ok(Some(recorded(of)));
    }
    match find(call, errand).await? {
        Some(FetchedObject::Subscription(read, _)) => {
            let pointed = pointed(call, &read.read.billing.subscription).await?;
            Ok(pointed.map(recorded).or(read.of.map(named)))
        }
        Some(FetchedObject::Unpaid(_, of)) => Ok(Some(named(of))),
        None => Ok(None),
    }
}

async fn pointed(call: &Call<'_>, subscription: &SubscriptionId) -> Result<Option<ContractKey>, Problem> {
    Ok(call.store.contract_of_subscription(subscription).await?)
}

/// One round; none when somebody else wrote first.
async fn land(call: &Call<'_>, errand: &Errand, of: &Subject) -> Result<Option<()>, Problem> {
    let Subject {
        contract: of,
        is_recorded,
    } = of;
    // First what we have, then what Stripe has: see `billing_core::landing`.
    let stored = call.store.contract(&of.organisation, &of.contract).await?;
    let Some(found) = find(call, errand).await? else {
        return Ok(Some(()));
    };
    if let FetchedObject::Subscription(read, bill) = &found {
        let to_give_back = let_go::Bill {
            is_live: read.read.billing.status.is_live(),
            was_given_up: bill.was_given_up,
            is_refunded: stored
                .as_ref()
                .is_some_and(|stored| stored.contract.status == Status::Refunded),
            paid: &bill.paid,
            reversal: bill.reversal.as_ref(),
            left: bill.left,
        };
        if let_go::give_back(call, &to_give_back).await? {
            return Ok(Some(()));
        }
    }
    let (Some(stored), ContractKey { contract: id, .. }) = (stored, of) else {
        // A sale that came to nothing and was forgotten; one that was paid all the same must be seen.
        if let FetchedObject::Subscription(read, bill) = &found
            && (read.read.billing.status.is_live() || bill.costs_money())
        {
            let subscription = &read.read.billing.subscription;
            let live = read.read.billing.status.is_live();
            tracing::error!(contract = %of.contract, %subscription, live, "a subscription of a contract that is not there is live, or was paid");
            call.count("UnknownContracts", 1);
        }
        return Ok(Some(()));
    };
    match found {
        FetchedObject::Subscription(read, bill) => {
            let known = stored.contract.billing.as_ref().map(|known| &known.subscription);
            let second = &read.read.billing.subscription;
            let is_live = read.read.billing.status.is_live();
            let is_other = known != Some(second);
            // What an earlier sale has left is not in the way of the one that is under way, and says nothing about it.
            let is_anew = is_live && stored.contract.left_behind().is_some();
            let is_earlier = *is_recorded && !is_live;
            if is_other && (is_earlier || known.is_some() && !is_anew) {
                if is_live || bill.costs_money() {
                    let own = known.map(tracing::field::display);
                    tracing::error!(contract = %id, subscription = %second, own, live = is_live, "a second subscription is live, or was paid");
                    call.count("SecondSubscriptions", 1);
                }
                return Ok(Some(()));
            }
            let landed = call.land_contract(&stored, read.read, bill).await?;
            Ok(landed.map(|_| ()))
        }
        FetchedObject::Unpaid(page, _) => {
            let own = stored.contract.sale.as_ref();
            if own.is_some_and(|sale| sale.page.as_ref() == Some(&page)) {
                return call.release_sale(&stored.contract).await;
            }
            Ok(Some(()))
        }
    }
}

/// Reads the object again; none when it says nothing that would change a contract.
async fn find(call: &Call<'_>, errand: &Errand) -> Result<Option<FetchedObject>, Problem> {
    let found = match errand {
        Errand::Session(id) => page(call, id).await,
        Errand::Invoice { id, is_told } => invoice(call, id, *is_told).await,
        Errand::Subscription(id) => subscription(call, id, InvoiceFacts::default()).await,
        Errand::Schedule(id) => schedule(call, id).await,
        Errand::Reversed(invoice) => reversal(call, invoice).await,
        // Told invoice by invoice.
        Errand::Reversal(_) => Ok(None),
    };
    match found {
        // As for accounts: what Stripe does not know was test data that somebody erased. Where real money moves, the work is not done.
        Err(Unread::Stripe(StripeError::Refused(refusal)))
            if refusal.is_not_found() && call.app.config.mode == Mode::Test =>
        {
            tracing::warn!(?errand, "an event named an object that is not there");
            Ok(None)
        }
        Err(Unread::Stripe(error)) => Err(error.into()),
        Err(Unread::Problem(problem)) => Err(problem),
        Ok(found) => Ok(found),
    }
}

enum Unread {
    Stripe(StripeError),
    Problem(Problem),
}

impl From<StripeError> for Unread {
    fn from(error: StripeError) -> Self {
        Self::Stripe(error)
    }
}

impl From<Problem> for Unread {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

async fn subscription(
    call: &Call<'_>,
    id: &SubscriptionId,
    bill: InvoiceFacts,
) -> Result<Option<FetchedObject>, Unread> {
    let read = call.stripe().await?.contract_subscription(id).await?;
    Ok(Some(FetchedObject::Subscription(Box::new(read), bill)))
}

async fn page(call: &Call<'_>, id: &SessionId) -> Result<Option<FetchedObject>, Unread> {
    let page = call.stripe().await?.contract_page(id).await?;
    match (page.status, page.subscription, page.of) {
        (_, Some(bought), _) => subscription(call, &bought, InvoiceFacts::default()).await,
        (SessionStatus::Expired, None, Some(of)) => Ok(Some(FetchedObject::Unpaid(page.id, of))),
        _ => Ok(None),
    }
}

async fn invoice(call: &Call<'_>, id: &InvoiceId, is_told: bool) -> Result<Option<FetchedObject>, Unread> {
    let stripe = call.stripe().await?;
    let invoice = stripe.invoice(id).await?;
    let Some(billed) = &invoice.subscription else {
        return Ok(None);
    };
    // As for accounts: what was forgiven before is called paid as well, and what went back since may be told by nothing else.
    let reversal = match invoice.paid && (invoice.is_forgiven || is_told) {
        true => Some(stripe.reversal(id).await?),
        false => None,
    };
    // What is not paid grants nothing, and leaves alone what was paid for before.
    let bill = InvoiceFacts {
        paid: if invoice.paid { invoice.service } else { Vec::new() },
        was_given_up: invoice.was_given_up,
        left: reversal.as_ref().map(|reversed| reversed.left),
        reversal: reversal.map(|reversed| reversed.reversal),
    };
    subscription(call, billed, bill).await
}

async fn reversal(call: &Call<'_>, invoice: &InvoiceId) -> Result<Option<FetchedObject>, Unread> {
    let ReversedInvoice {
        subscription: Some(billed),
        was_given_up,
        reversal,
        left,
    } = call.stripe().await?.reversal(invoice).await?
    else {
        return Ok(None);
    };
    let bill = InvoiceFacts {
        paid: Vec::new(),
        was_given_up,
        reversal: Some(reversal),
        left: Some(left),
    };
    subscription(call, &billed, bill).await
}

async fn schedule(call: &Call<'_>, id: &ScheduleId) -> Result<Option<FetchedObject>, Unread> {
    match call.stripe().await?.subscription_of_schedule(id).await? {
        Some(id) => subscription(call, &id, InvoiceFacts::default()).await,
        None => Ok(None),
    }
}
