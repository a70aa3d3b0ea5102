//! `POST /api/v1/billing/subscription/change`: moves the subscription to the other interval, paid first.
//!
//! Coverage is not granted here: it begins when the invoice is paid, and only the webhook says so.
//!
//! # How it works
//! The subscription is re-read at Stripe and judged ([`billing_core::change`]); a quote is held against a fresh preview
//! ([`billing_core::quote`]); the change is written into the profile under a number, which makes Stripe's idempotency key; Stripe
//! bills it at once and applies it when it is paid. What is left then (a scheduled cancellation to take back) is done here when
//! it is paid at once, else by the webhook.
//!
//! # If it fails half-way
//! Every step can be repeated by anyone: Stripe is re-read before it is asked, and whoever finds a change that took effect does
//! what is left of it.

/// Holding a change to its quote.
mod quote;
/// What becomes of a change at Stripe, and what is left to do.
mod outcome;

use std::time::Duration;

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::account::{Account, Profile};
use billing_core::change::{self, Change, Facts, Next, Refusal, Unchangeable, Wish};
use billing_core::invalid::Invalid;
use billing_core::plan::Interval;
use billing_core::promotion::{PromotionCode, Word};
use billing_core::subscription::Standing;
use billing_edge::{Call, Function, Problem, Redemption, Reply};
use billing_store::unless_conflict;
use billing_stripe::StripeError;

use crate::outcome::Answer;

const NAME: &str = "change-subscription-interval";
/// When to come back to a subscription that somebody is changing.
const BUSY: Duration = Duration::from_secs(5);

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(change_interval(call)));

async fn change_interval(call: &Call<'_>) -> Result<Reply, Problem> {
    let owner = call.authenticate().await?.owner()?;
    call.once(owner.account(), NAME, change_of(call, &owner)).await
}

async fn change_of(call: &Call<'_>, owner: &Owner) -> Result<Reply, Problem> {
    let wish = read_wish(call)?;
    let mut rounds = call.rounds();
    let mut spent = None;
    loop {
        if let Some(answer) = attempt(call, owner, &wish, &mut spent).await? {
            return Ok(Reply::ok(&answer));
        }
        rounds.lost().await?;
    }
}

fn read_wish(call: &Call<'_>) -> Result<Wish, Problem> {
    let mut members = call.members()?;
    let interval = members.required("interval", |word| {
        Interval::parse(word).ok_or("must be \"monthly\" or \"annual\"")
    });
    let code = members.optional("promotionCode", str::parse::<Word>);
    let proration_date = members.optional_integer("prorationDate", |seconds| {
        Timestamp::from_second(seconds).map_err(|_| "must be unix seconds")
    });
    members.finish()?;
    match interval {
        Some(interval) => Ok(Wish {
            interval,
            code,
            proration_date,
        }),
        None => Err(Problem::internal(
            "a required member was neither read nor refused",
        )),
    }
}

/// One attempt on fresh facts; none when somebody else wrote first. `spent` is the number of a change that Stripe will not take
/// any more.
async fn attempt(
    call: &Call<'_>,
    owner: &Owner,
    wish: &Wish,
    spent: &mut Option<u64>,
) -> Result<Option<Answer>, Problem> {
    let account = call.store.account(owner.account()).await?;
    let account = account.ok_or_else(|| Problem::unauthorised("the key's account does not exist"))?;
    let stored = account.subscription.as_ref().filter(|stored| stored.is_live());
    let stored = stored.ok_or_else(|| refuse(Unchangeable::NoSubscription.into()))?;
    let (standing, codes) = call.reread(&stored.id, wish.code.as_ref()).await?;
    let known = account.profile.change.as_ref();
    let known = known.filter(|change| *spent != Some(change.number));
    let joined = match change::next(known, &standing, wish, call.now).map_err(refuse)? {
        Next::AlreadyThere => return Ok(Some(Answer::unchanged(wish.interval))),
        Next::Finish(change) => {
            outcome::settle(call, &account.profile, &change, standing).await?;
            return Ok(Some(Answer::changed(wish.interval)));
        }
        Next::Settle(change) => {
            outcome::settle(call, &account.profile, &change, standing).await?;
            return Ok(None);
        }
        Next::Await(change) => {
            let settled = outcome::settle(call, &account.profile, &change, standing).await?;
            return outcome::answer(call, &change, settled).await.map(Some);
        }
        Next::Join(change) => Some(change),
        Next::Begin => None,
    };
    let planned = plan(call, owner, wish, &account, &standing, &codes).await?;
    let begun = match joined {
        Some(change) if change.asks_the_same(&planned) => Some((account.profile.clone(), change)),
        // What it stood on has moved since, and it may be on its way all the same.
        Some(_) => return Err(refuse(Refusal::Busy)),
        None => begin(call, &account, planned).await?,
    };
    let Some((profile, change)) = begun else {
        return Ok(None);
    };
    match outcome::ask(call, owner, &change).await {
        Ok(standing) => {
            let settled = outcome::settle(call, &profile, &change, standing).await?;
            outcome::answer(call, &change, settled).await.map(Some)
        }
        // Stripe keeps a failure under this number; what became of the subscription it tells when it is read again.
        Err(StripeError::Spent { .. }) => {
            *spent = Some(change.number);
            Ok(None)
        }
        Err(error @ StripeError::Refused(_)) => {
            outcome::forget(call, &profile).await?;
            Err(outcome::refused(error, wish))
        }
        Err(error) => Err(error.into()),
    }
}

/// The change that the wish comes to, if nothing that was asked for stands in its way.
async fn plan(
    call: &Call<'_>,
    owner: &Owner,
    wish: &Wish,
    account: &Account,
    standing: &Standing,
    codes: &[PromotionCode],
) -> Result<Change, Problem> {
    let item = change::changeable(standing).map_err(|unchangeable| refuse(unchangeable.into()))?;
    if let Some(at) = wish.proration_date {
        change::check_date(at, standing.subscription.period, call.now).map_err(|bad| {
            let mut invalid = Invalid::default();
            invalid.field("prorationDate", bad.to_string());
            Problem::invalid(invalid)
        })?;
    }
    let price = call.app.config.prices.of(wish.interval);
    let promotion_code = match &wish.code {
        Some(word) => {
            let redemption = Redemption {
                account,
                standing,
                price,
                quantity: standing.subscription.quantity,
            };
            Some(call.promotion_code(word, codes, &redemption).await?)
        }
        None => None,
    };
    let facts = Facts {
        number: account.profile.changes + 1,
        standing,
        item,
        price,
        promotion_code,
    };
    Ok(Change::plan(owner, wish, facts, call.now))
}

/// Holds the change to its quote and writes it down; none when somebody else wrote first.
async fn begin(
    call: &Call<'_>,
    account: &Account,
    planned: Change,
) -> Result<Option<(Profile, Change)>, Problem> {
    let change = Change {
        quoted: quote::hold(call, &planned).await?,
        ..planned
    };
    let begun = unless_conflict(call.store.begin_change(&account.profile, &change).await)?;
    Ok(begun.map(|profile| (profile, change)))
}

fn refuse(refusal: Refusal) -> Problem {
    let problem = Problem::conflict(refusal.to_string());
    match refusal {
        Refusal::Busy => problem.after(BUSY),
        Refusal::Unchangeable(_) | Refusal::AwaitingPayment => problem,
    }
}
