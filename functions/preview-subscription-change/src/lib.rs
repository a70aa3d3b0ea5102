//! `POST /api/v1/billing/subscription/preview`: what a change would be invoiced at today.
//!
//! The figures are Stripe's, from the engine that bills; nothing is computed here, and an error is never told as nothing due.
//! Writes nothing at Stripe. Also while impersonating.
//!
//! # How it works
//! The subscription is re-read at Stripe, the promotion code is found, Stripe previews the invoice as of this second, and the
//! amount is kept as a quote: a change that names the second is held to it.
//!
//! # If it fails half-way
//! Nothing has happened. A quote that could not be kept is not told.

use billing_core::Timestamp;
use billing_core::access::Scope;
use billing_core::change::{self, Unchangeable};
use billing_core::invalid::Invalid;
use billing_core::money::Currency;
use billing_core::plan::Interval;
use billing_core::promotion::Word;
use billing_core::quote::{self, Quote, QuoteRequest};
use billing_edge::{Call, Function, Problem, Redemption, Reply, Reread};
use billing_stripe::{Preview, PreviewLine, PreviewedChange, StripeError};
use serde::Serialize;

/// What another program sold, at a price whose id no price is given any more.
const OF_AN_OLD_PLAN: &str =
    "the subscription is billed by an old plan: only a change of its interval can be previewed";

/// What another program sold may be billed by its usage.
const METERED: &str = "cannot be told of a subscription that is billed by its usage";

/// This Lambda.
pub const FUNCTION: Function = Function::new("preview-subscription-change", |call| Box::pin(preview(call)));

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    amount_due_cents: i64,
    currency: Currency,
    /// Unix seconds, as a change takes it.
    proration_date: i64,
    discount_cents: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_cents: Option<i64>,
    lines: Vec<ShownLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownLine {
    description: Option<String>,
    amount_cents: i64,
    quantity: Option<u64>,
    proration: bool,
    period_start: Timestamp,
    period_end: Timestamp,
}

/// What the caller asks about; whatever is left out is as it is.
struct Question {
    interval: Option<Interval>,
    quantity: Option<u64>,
    code: Option<Word>,
}

async fn preview(call: &Call<'_>) -> Result<Reply, Problem> {
    let caller = call.authenticate().await?.with(Scope::BillingRead)?;
    let question = read_question(call)?;
    let account = call.account(caller.account()).await?;
    let stored = account.live_subscription();
    let stored = stored.ok_or_else(|| refuse(Unchangeable::NoSubscription))?;
    let Reread { standing, codes } = call.reread(&stored.id, question.code.as_ref()).await?;
    let item = change::changeable(&standing).map_err(refuse)?;

    let present = &standing.subscription;
    let price = match question.interval {
        Some(interval) if present.interval != Some(interval) => call.app.config.prices.of(interval).clone(),
        // Nobody asks Stripe for a price that it calls what no price is called any more.
        _ => {
            let present = present.price.as_str().parse();
            present.map_err(|_| Problem::bad_request(OF_AN_OLD_PLAN))?
        }
    };
    let quantity = question.quantity.unwrap_or(present.quantity);
    let promotion_code = match &question.code {
        Some(word) => {
            let redemption = Redemption {
                account: &account,
                standing: &standing,
                price: &price,
            };
            call.promotion_code(word, &codes, &redemption).await?
        }
        None => None,
    };
    let proration_date = change::proration_date_in(present.period, call.now);
    // Of what is there already Stripe would preview the next renewal. That nothing is due is a quote as well.
    let preview = if present.price == price && quantity == present.quantity {
        Preview::nothing(standing.currency)
    } else {
        if let Some(interval) = question.interval.or(present.interval) {
            change::goes_on(&standing, interval, call.now).map_err(refuse)?;
        }
        let previewed = PreviewedChange {
            subscription: &present.id,
            item,
            price: &price,
            quantity,
            promotion_code: promotion_code.as_ref(),
            proration_date,
            trial_end: standing.trial_end(),
            ends_by_date: standing.ends_by_date(),
            currency: standing.currency,
        };
        match call.stripe().await?.preview_change(&previewed).await {
            Ok(preview) => preview,
            // By the deployment's own prices it is no fault of the caller's.
            Err(StripeError::Refused(refusal))
                if refusal.is_about_a_metered_quantity() && present.price == price =>
            {
                let mut invalid = Invalid::default();
                invalid.field("quantity", METERED);
                return Err(Problem::invalid(invalid));
            }
            Err(error) => {
                let problem = Problem::refused(error, question.code.as_ref());
                if problem.is_bad_gateway() {
                    // Stripe refused it. It may have been ended since it was read; if so that is told, and not Stripe's refusal of it.
                    let standing = call.reread(&stored.id, None).await?.standing;
                    change::changeable(&standing).map_err(refuse)?;
                    // Or it was renewed, and the moment that was asked about is of the period before.
                    if standing.subscription.period != present.period {
                        let logged = "another period began while a change was previewed";
                        return Err(Problem::unavailable(logged));
                    }
                }
                return Err(problem);
            }
        }
    };
    let quote = Quote {
        account: account.profile.id.clone(),
        proration_date,
        asked: QuoteRequest {
            price,
            // As many as there are is what a change of the interval asks for, whether it was said or not.
            quantity: Some(quantity).filter(|quantity| *quantity != present.quantity),
            promotion_code,
        },
        charge: preview.charge,
        quantity,
        expires_at: quote::expiry(present.period.end),
    };
    call.store.put_quote(&quote).await?;
    Ok(Reply::ok(&answer(preview, proration_date)))
}

fn read_question(call: &Call<'_>) -> Result<Question, Problem> {
    let mut members = call.members()?;
    let interval = members.optional("interval", str::parse::<Interval>);
    let quantity = members.optional_integer("quantity", |quantity| match u32::try_from(quantity) {
        Ok(quantity) if quantity >= 1 => Ok(u64::from(quantity)),
        Ok(_) => Err("must be at least 1"),
        Err(_) if quantity < 1 => Err("must be at least 1"),
        Err(_) => Err("must be at most 4294967295"),
    });
    let code = members.optional("promotionCode", str::parse::<Word>);
    members.finish()?;
    Ok(Question {
        interval,
        quantity,
        code,
    })
}

fn answer(preview: Preview, proration_date: Timestamp) -> Answer {
    Answer {
        amount_due_cents: preview.charge.amount_due,
        currency: preview.charge.currency,
        proration_date: proration_date.as_second(),
        discount_cents: preview.discount,
        tax_cents: preview.tax,
        lines: preview.lines.into_iter().map(show).collect(),
    }
}

fn show(line: PreviewLine) -> ShownLine {
    ShownLine {
        description: line.description,
        amount_cents: line.amount,
        quantity: line.quantity,
        proration: line.proration,
        period_start: line.period.start,
        period_end: line.period.end,
    }
}

/// A preview needs an active subscription (400); one that is active and that nobody but an operator can change is a conflict.
fn refuse(unchangeable: Unchangeable) -> Problem {
    match unchangeable {
        Unchangeable::NoSubscription
        | Unchangeable::Incomplete
        | Unchangeable::PastDue
        | Unchangeable::Unpaid
        | Unchangeable::Paused
        | Unchangeable::Unknown => Problem::bad_request(unchangeable.to_string()),
        Unchangeable::Scheduled
        | Unchangeable::EndsOn(_)
        | Unchangeable::Sent
        | Unchangeable::CollectionPaused
        | Unchangeable::PaidBy(_)
        | Unchangeable::Owed
        | Unchangeable::GivenBack
        | Unchangeable::NothingPays
        | Unchangeable::Items(_) => Problem::conflict(unchangeable.to_string()),
    }
}
