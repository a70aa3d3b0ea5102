//! Landing an event: its account, and what Stripe's word changes about it.

use billing_core::account::Account;
use billing_core::id::{AccountId, CustomerId};
use billing_core::landing::{self, Evidence, Facts};
use billing_core::subscription::Subscription;
use billing_store::{CustomerOf, unless_conflict};
use billing_stripe::webhook::Event;

use super::EventOutcome;
use super::contracts;
use super::errand::Errand;
use super::facts::{self, FetchedFacts};
use super::let_go;
use crate::call::Call;
use crate::problem::Problem;

/// Does an event's errand, in as many rounds as it takes.
pub(super) async fn run(call: &Call<'_>, event: &Event, errand: &Errand) -> Result<EventOutcome, Problem> {
    let mut taken = EventOutcome::OfNobody;
    for errand in facts::apart(call, errand).await? {
        match find_owner(call, event, &errand).await? {
            Some((CustomerOf::Account(account), evidence)) => {
                do_for(call, &account, &errand, evidence).await?
            }
            Some((CustomerOf::Organisation, _)) => contracts::run(call, &errand).await?,
            None => continue,
        }
        taken = EventOutcome::Done;
    }
    Ok(taken)
}

/// Does an errand of an account that is known.
pub(super) async fn run_for(call: &Call<'_>, account: &AccountId, errand: &Errand) -> Result<(), Problem> {
    do_for(call, account, errand, Evidence::Object).await
}

async fn do_for(
    call: &Call<'_>,
    account: &AccountId,
    errand: &Errand,
    evidence: Evidence,
) -> Result<(), Problem> {
    let Landed::Ended(customer) = land_at_last(call, account, errand, evidence).await? else {
        return Ok(());
    };
    // One that an operator made beside it was not taken: it goes on billing, and the account has to see it, and may not buy another.
    if let Some(other) = call.stripe().await?.live_subscription(&customer).await? {
        land_at_last(call, account, &Errand::Subscription(other), evidence).await?;
    }
    Ok(())
}

/// What landing came to.
enum Landed {
    /// What the errand was about is written.
    Whole,
    /// The same, and the account's subscription is over: it has none, of this customer's.
    Ended(CustomerId),
}

/// Lands in as many rounds as it takes.
async fn land_at_last(
    call: &Call<'_>,
    account: &AccountId,
    errand: &Errand,
    evidence: Evidence,
) -> Result<Landed, Problem> {
    let mut rounds = call.rounds();
    loop {
        if let Some(landed) = land(call, errand, account, evidence).await? {
            return Ok(landed);
        }
        rounds.lost().await?;
    }
}

/// Whom an event is about, and what says so: its customer's pointer; before that is written, our objects of themselves. None
/// when there is nothing to do for anybody, or for nobody we know.
async fn find_owner(
    call: &Call<'_>,
    event: &Event,
    errand: &Errand,
) -> Result<Option<(CustomerOf, Evidence)>, Problem> {
    let recorded = |owner| (owner, Evidence::Record);
    if let Some(customer) = &event.customer
        && let Some(owner) = call.store.owner_of_customer(customer).await?
    {
        return Ok(Some(recorded(owner)));
    }
    let Some(FetchedFacts { facts, account, .. }) = facts::find(call, errand).await? else {
        return Ok(None);
    };
    let owner = call.store.owner_of_customer(&facts.customer).await?;
    let named = account.map(|account| (CustomerOf::Account(account), Evidence::Object));
    let owner = owner.map(recorded).or(named);
    if owner.is_none() {
        // Somebody else's customer on the same Stripe account.
        call.count("UnknownCustomers", 1);
    }
    Ok(owner)
}

/// One round; none when somebody else wrote first.
async fn land(
    call: &Call<'_>,
    errand: &Errand,
    id: &AccountId,
    evidence: Evidence,
) -> Result<Option<Landed>, Problem> {
    // First what we have, then what Stripe has: see `billing_core::landing`.
    let (account, reservation) = tokio::try_join!(call.store.account(id), call.store.reservation(id))?;
    let Some(mut account) = account else {
        call.count("UnknownCustomers", 1);
        return Ok(Some(Landed::Whole));
    };
    let Some(found) = facts::find(call, errand).await? else {
        return Ok(Some(Landed::Whole));
    };
    let bill = let_go::Bill {
        is_live: found
            .facts
            .subscription
            .as_ref()
            .is_some_and(Subscription::is_live),
        was_given_up: found.was_given_up,
        is_refunded: false,
        paid: &found.facts.paid,
        reversal: found.facts.reversal.as_ref(),
        left: found.left,
    };
    if let_go::give_back(call, &bill).await? {
        return Ok(Some(Landed::Whole));
    }
    let Some(facts) = with_change(call, &mut account, found).await? else {
        return Ok(None);
    };
    let customer = facts.customer.clone();
    // What a customer that was replaced has had says nothing of what the account has.
    let is_own = account
        .profile
        .customer
        .as_ref()
        .is_none_or(|own| *own == customer);
    let told = facts.subscription.as_ref().filter(|_| is_own);
    let told = told.map(|told| told.id.clone());
    let landing = match landing::land(&account, reservation.as_ref(), facts, evidence) {
        Ok(landing) => landing,
        Err(foreign) => {
            tracing::warn!(account = %id, customer = %foreign.0, "an event of a customer that the account no longer has");
            call.count("ForeignCustomers", 1);
            return Ok(Some(Landed::Whole));
        }
    };
    if let Some(reversal) = &landing.reversal {
        let (invoice, full) = (&reversal.invoice, reversal.is_full());
        tracing::warn!(account = %id, %invoice, full, disputed = reversal.disputed, "money of an invoice went back");
        call.count("Reversals", 1);
        if full {
            call.count("Withdrawals", 1);
        }
        if reversal.disputed {
            call.count("Disputes", 1);
        }
    }
    if let Some(second) = &landing.second {
        let own = account.subscription.as_ref().map(|own| own.id.as_str());
        tracing::error!(account = %id, subscription = %second, own, "a second live subscription: cancel one at Stripe");
        call.count("SecondSubscriptions", 1);
    }
    // Also when there is nothing to change: whoever read Stripe earlier and writes later has to look again.
    let landed = unless_conflict(call.store.land(&account.profile, &landing).await)?;
    let has = landing.subscription.as_ref().or(account.subscription.as_ref());
    let has_ended = has.is_some_and(|has| !has.is_live() && Some(&has.id) == told.as_ref());
    // An invoice of more lines than one transaction takes needs another round, and so does a paid one that was let go in this.
    Ok(landed.filter(|()| !landing.more).map(|()| match has_ended {
        true => Landed::Ended(customer),
        false => Landed::Whole,
    }))
}

/// The facts, with what became of the change that the profile remembers, after what was left of it is done. None when somebody else
/// wrote first.
async fn with_change(
    call: &Call<'_>,
    account: &mut Account,
    found: FetchedFacts,
) -> Result<Option<Facts>, Problem> {
    let FetchedFacts { facts, standing, .. } = found;
    // Somebody else's customer is for the landing to refuse.
    let own = account.profile.customer.as_ref() == Some(&facts.customer);
    let (Some(change), Some(standing), true) = (&account.profile.change, standing, own) else {
        return Ok(Some(facts));
    };
    let finished = call.finish_change(&account.profile, change, standing).await?;
    Ok(finished.map(|finished| {
        account.profile = finished.profile;
        Facts {
            subscription: Some(finished.standing.subscription),
            change: finished.step,
            ..facts
        }
    }))
}
