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

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::account::{Account, Profile};
use billing_core::change::{self, Change, Facts, Next, Refusal, Unchangeable, Wish};
use billing_core::invalid::Invalid;
use billing_core::plan::Interval;
use billing_core::promotion::{PromotionCode, Word};
use billing_core::subscription::Standing;
use billing_edge::{Call, Function, Problem, Redemption, Reply, Reread};
use billing_store::unless_conflict;
use billing_stripe::{Asked, StripeError};

use crate::outcome::Answer;

const NAME: &str = "change-subscription-interval";

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(change_interval(call)));

async fn change_interval(call: &Call<'_>) -> Result<Reply, Problem> {
    let owner = call.authenticate().await?.owner()?;
    call.once(owner.account(), NAME, change_of(call, &owner)).await
}

async fn change_of(call: &Call<'_>, owner: &Owner) -> Result<Reply, Problem> {
    let wish = read_wish(call)?;
    let mut rounds = call.rounds();
    let mut course = Course::default();
    loop {
        if let Some(answer) = attempt(call, owner, &wish, &mut course).await? {
            return Ok(Reply::ok(&answer));
        }
        rounds.lost().await?;
    }
}

/// What this call has learnt so far; it goes through several attempts while others write first.
#[derive(Default)]
struct Course {
    /// The number of a change that Stripe will not take any more.
    spent: Option<u64>,
    /// The number of a change that others may be making, and whose amount is not what was quoted any more.
    stale: Option<u64>,
    /// Whether Stripe has refused a change that seemed possible.
    refused: bool,
    /// Whether Stripe has taken the change from this very call.
    taken: bool,
}

impl Course {
    /// What Stripe refuses, and the caller can do nothing about: the subscription may have been ended, overdue, given to a schedule or to be
    /// paid by something else since it was read. Once more, and if so it says so.
    fn was_refused<T>(&mut self, problem: Problem) -> Result<Option<T>, Problem> {
        if self.refused {
            return Err(problem);
        }
        self.refused = true;
        Ok(None)
    }

    /// The same where a quote could not be held.
    fn looks_again<T>(&mut self, problem: Problem) -> Result<Option<T>, Problem> {
        if problem.is_bad_gateway() {
            self.was_refused(problem)
        } else {
            Err(problem)
        }
    }
}

fn read_wish(call: &Call<'_>) -> Result<Wish, Problem> {
    let mut members = call.members()?;
    let interval = members.required("interval", str::parse::<Interval>);
    let code = members.optional("promotionCode", str::parse::<Word>);
    let proration_date = members.optional_integer("prorationDate", |seconds| {
        Timestamp::from_second(seconds).map_err(|_| "must be unix seconds")
    });
    Ok(Wish {
        interval: members.finish_with(interval)?,
        code,
        proration_date,
    })
}

/// One attempt on fresh facts; none when they have moved since.
async fn attempt(
    call: &Call<'_>,
    owner: &Owner,
    wish: &Wish,
    course: &mut Course,
) -> Result<Option<Answer>, Problem> {
    let account = call.account(owner.account()).await?;
    let stored = account.live_subscription();
    let stored = stored.ok_or_else(|| refuse(Unchangeable::NoSubscription.into()))?;
    let Reread { standing, codes } = call.reread(&stored.id, wish.code.as_ref()).await?;
    let known = account.profile.change.as_ref();
    let begun = match change::next(known, &standing, wish, call.now).map_err(refuse)? {
        // It is this call that brought it there. Somebody else did the rest, or has moved on since: it is not done twice.
        Next::AlreadyThere | Next::Begin if course.taken => return Ok(Some(Answer::changed(wish.interval))),
        // Stripe told a failure and made it all the same, and its event has landed it by now: nobody has begun another since.
        Next::AlreadyThere if course.spent == Some(account.profile.changes) => {
            return Ok(Some(Answer::changed(wish.interval)));
        }
        Next::AlreadyThere => return Ok(Some(Answer::unchanged(wish.interval))),
        Next::Finish(change) => {
            let settled = outcome::settle(call, &account.profile, &change, standing).await?;
            return Ok(settled.map(|_| Answer::changed(wish.interval)));
        }
        Next::Settle(change) => {
            outcome::settle(call, &account.profile, &change, standing).await?;
            return Ok(None);
        }
        Next::Await(change) => {
            let Some((profile, change)) = ask_again(call, account.profile, change, &standing).await? else {
                return Ok(None);
            };
            return outcome::settle_and_tell(call, &profile, &change, standing).await;
        }
        Next::Join(change) if course.spent != Some(change.number) => {
            let joined = join(call, account, change, &standing, course).await;
            joined.or_else(|problem| course.looks_again(problem))?
        }
        // One whose number is spent, and that did not take effect, has to be another.
        Next::Join(_) | Next::Begin => {
            let planned = plan(call, owner, wish, &account, &standing, &codes).await?;
            if standing.ends_by_date() {
                // A new period would end on that date, and be billed up to there.
                call.end_with_period(owner, &account.profile, &stored.id).await?;
                return Ok(None);
            }
            let begun = begin(call, &account, &standing, planned).await;
            begun.or_else(|problem| course.looks_again(problem))?
        }
    };
    let Some((profile, change)) = begun else {
        return Ok(None);
    };
    match outcome::ask(call, owner, &change).await {
        // Whoever asked for it before died, and it has been dropped or undone since: it is not asked for a second time at once.
        Ok(Asked::Before(now)) if !now.pending && !change.took_effect(&now) => Err(refuse(Refusal::Busy)),
        Ok(Asked::Now(standing) | Asked::Before(standing)) => {
            course.taken = true;
            outcome::settle_and_tell(call, &profile, &change, standing).await
        }
        // Stripe keeps a failure under this number; what became of the subscription it tells when it is read again.
        Err(StripeError::Spent { .. }) => {
            course.spent = Some(change.number);
            Ok(None)
        }
        Err(StripeError::Refused(refusal)) => {
            outcome::forget(call, &profile, &change).await?;
            let is_state = refusal.is_about_waiting();
            let problem = outcome::refused(refusal, wish, standing.payer);
            if problem.is_client_error() && !is_state {
                return Err(problem);
            }
            course.was_refused(problem)
        }
        Err(error) => Err(error.into()),
    }
}

/// The change that is asked for once more, after it was written down that it takes back what was cancelled meanwhile. None when somebody else
/// wrote first.
async fn ask_again(
    call: &Call<'_>,
    profile: Profile,
    change: Change,
    standing: &Standing,
) -> Result<Option<(Profile, Change)>, Problem> {
    let Some(change) = change.asked_again(standing) else {
        return Ok(Some((profile, change)));
    };
    let begun = unless_conflict(call.store.begin_change(&profile, &change).await)?;
    Ok(begun.map(|profile| (profile, change)))
}

/// The change that was written down a moment ago and that may be on its way; whoever wrote it down may have died over it, so its
/// quote is held once more. None when that tells another amount, which may be so because it was just made.
async fn join(
    call: &Call<'_>,
    account: Account,
    change: Change,
    standing: &Standing,
    course: &mut Course,
) -> Result<Option<(Profile, Change)>, Problem> {
    // What it stood on has moved since, and it may be on its way all the same. So has an end on a date, which an operator, or the portal, has set
    // since: Stripe would bill up to there.
    if course.stale == Some(change.number)
        || !change.still_fits(standing, call.app.config.prices.of(change.interval), call.now)
        || change::goes_on(standing, change.interval, call.now).is_err()
        || standing.ends_by_date()
    {
        return Err(refuse(Refusal::Busy));
    }
    // Another period may have begun since it was written down.
    refuse_owed(call, &account, standing).await?;
    quote::refuse_overdrawn(call, &account, &change, standing).await?;
    match quote::check(call, &change, standing).await {
        Ok(_) => ask_again(call, account.profile, change, standing).await,
        Err(problem) if problem.is_client_error() => {
            course.stale = Some(change.number);
            Ok(None)
        }
        Err(problem) => Err(problem),
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
    // Only of what is to begin: what was asked for by a card that was replaced since goes on.
    change::payable(standing.payer.as_ref()).map_err(|unchangeable| refuse(unchangeable.into()))?;
    change::goes_on(standing, wish.interval, call.now).map_err(|unchangeable| refuse(unchangeable.into()))?;
    if let Some(at) = wish.proration_date {
        let now = call.not_before(at, change::CLOCK_LEAD).await?;
        let in_period = change::check_date(at, standing.subscription.period, now);
        let checked = in_period.and_then(|()| change::check_new_period(at, standing, wish.interval, now));
        checked.map_err(|bad| {
            let mut invalid = Invalid::default();
            invalid.field("prorationDate", bad.to_string());
            Problem::invalid(invalid)
        })?;
    }
    refuse_owed(call, account, standing).await?;
    let price = call.app.config.prices.of(wish.interval);
    let promotion_code = match &wish.code {
        Some(word) => {
            let redemption = Redemption {
                account,
                standing,
                price,
            };
            call.promotion_code(word, codes, &redemption).await?
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

/// 409 where nobody has paid for the time that a change would give back.
async fn refuse_owed(call: &Call<'_>, account: &Account, standing: &Standing) -> Result<(), Problem> {
    let latest = standing.latest_invoice.as_ref().map(|invoice| &invoice.time);
    let subscription = &standing.subscription.id;
    let billed = standing.billed().after(&account.reversals);
    match call.is_owed(subscription, &billed, latest).await? {
        true => Err(refuse(Unchangeable::Owed.into())),
        false => Ok(()),
    }
}

/// Holds the change to its quote and writes it down; none when somebody else wrote first.
async fn begin(
    call: &Call<'_>,
    account: &Account,
    standing: &Standing,
    planned: Change,
) -> Result<Option<(Profile, Change)>, Problem> {
    quote::refuse_overdrawn(call, account, &planned, standing).await?;
    let quoted = match quote::check(call, &planned, standing).await {
        // Another request may have made a change in between, and this amount is what one more would cost.
        Err(problem) if problem.is_client_error() => {
            let now = call.account(&planned.account).await?;
            return match now.profile.changes == account.profile.changes {
                true => Err(problem),
                false => Ok(None),
            };
        }
        quoted => quoted?,
    };
    let change = Change { quoted, ..planned };
    let begun = unless_conflict(call.store.begin_change(&account.profile, &change).await)?;
    Ok(begun.map(|profile| (profile, change)))
}

fn refuse(refusal: Refusal) -> Problem {
    let told = refusal.to_string();
    match refusal {
        Refusal::Busy => Problem::busy(told),
        Refusal::Unchangeable(_) | Refusal::AwaitingPayment => Problem::conflict(told),
    }
}
