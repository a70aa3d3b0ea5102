//! The hosted page of a sale: for a payer without a payment method, or one who has to authenticate.
//!
//! # If it fails half-way
//! The page is asked for under the sale's key and recorded before its address is handed out. Whoever finds a sale with a page asks
//! Stripe what has become of it.

use billing_core::contract::Contract;
use billing_core::id::SessionId;
use billing_core::sale::Sale;
use billing_core::session::{Session, Status};
use billing_core::{SignedDuration, Timestamp};
use billing_edge::{Call, Page, Problem};
use billing_store::{SessionWrite, unless_conflict};
use billing_stripe::{AskedSale, NewPage, SessionStatus, StripeError};

use crate::claim::Claimed;
use crate::customer;
use crate::outcome::{self, Step};

/// The shortest life of a page, and what clocks and calls may take more. Source: Stripe, 30 minutes.
const SHORTEST: SignedDuration = SignedDuration::from_mins(31);

/// The longest life of a page, less what clocks and calls may take. Source: Stripe, 24 hours.
const LONGEST: SignedDuration = SignedDuration::from_mins(24 * 60 - 1);

/// Whether there is anything to pay: Stripe's page takes a subscription that costs nothing too, and nobody needs it then.
pub(crate) fn is_needed(sale: &Sale) -> bool {
    sale.offer.estimates.current_invoice.amount_due > 0
}

/// Until when a page can be paid: as long as its session lives and what is sold on it does, but no shorter and no longer than Stripe allows. By the
/// moment of the sale, so that asking again is the same request.
fn expires_at(sale: &Sale) -> Timestamp {
    let after = |life| sale.asked_at.saturating_add(life).unwrap_or(Timestamp::MAX);
    let ends_at = sale.offer.ends_at.unwrap_or(Timestamp::MAX);
    sale.open_until
        .min(ends_at)
        .clamp(after(SHORTEST), after(LONGEST))
}

/// Opens the page of a sale, records it, and answers the session with its address. None when somebody else wrote first, or it has to be
/// opened under the next number.
pub(crate) fn open<'a>(call: &'a Call<'_>, claimed: &'a Claimed, asked: &'a AskedSale<'a>) -> Step<'a> {
    Box::pin(async move {
        let (session, contract, sale) = (&claimed.session, &claimed.stored.contract, asked.sale);
        let new = NewPage {
            asked,
            success_url: session
                .wish
                .success_url
                .as_ref()
                .unwrap_or(&call.app.config.return_url),
            cancel_url: session.wish.cancel_url.as_ref(),
            expires_at: expires_at(sale),
        };
        let stripe = call.stripe().await?;
        let page = match stripe.open_contract_page(&new).await {
            Ok(page) => page,
            Err(error) if customer::is_lost(&error) => {
                return customer::replace(call, claimed, asked.customer).await;
            }
            // Whoever wrote the sale down died over it, and by now its page would be too short: the next number's is not.
            Err(StripeError::Refused(refusal))
                if refusal.param.as_deref() == Some("expires_at")
                    && claimed.is_old()
                    && !claimed.is_of_another(call.now) =>
            {
                call.release_sale(contract).await?;
                return Ok(None);
            }
            Err(error @ StripeError::Refused(_)) => {
                let told = match unreachable(session, &error) {
                    Some(member) => Problem::unreachable(member),
                    None => outcome::unsold(error),
                };
                return outcome::forget(call, claimed, told).await;
            }
            // It may have been opened all the same, but nobody has seen its address: the next number opens another.
            Err(StripeError::Spent { .. }) => {
                call.release_sale(contract).await?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(total) = page.total else {
            let reason = format!("the page {} of a sale has no total", page.id);
            return Err(StripeError::Unexpected { reason }.into());
        };
        if total != sale.offer.estimates.current_invoice.total {
            // Nobody has seen its address yet.
            stripe.expire_checkout_session(&page.id).await?;
            let charge = billing_core::quote::Charge {
                amount_due: total,
                total,
                currency: sale.offer.estimates.current_invoice.currency,
            };
            outcome::check_preview(call, claimed, Ok(charge), false).await?;
            return Ok(None);
        }
        let shown = Session {
            version: session.version + 1,
            status: Status::Pending,
            url: page.url.clone(),
            updated_at: call.now,
            ..session.clone()
        };
        let recorded = Contract {
            sale: Some(Sale {
                page: Some(page.id),
                ..sale.clone()
            }),
            updated_at: call.now,
            ..contract.clone()
        };
        let write = SessionWrite {
            read: session,
            new: &shown,
        };
        let written = call.store.claim_sale(write, Some(contract), &recorded).await;
        Ok(unless_conflict(written)?.map(|()| shown))
    })
}

/// The member of a session's wish that Stripe does not take for an address to return to. That of the deployment is nobody's to put right who
/// calls.
fn unreachable(session: &Session, error: &StripeError) -> Option<&'static str> {
    let StripeError::Refused(refusal) = error else {
        return None;
    };
    if !refusal.is_about_the_return_address() {
        return None;
    }
    let wish = &session.wish;
    match refusal.param.as_deref() {
        Some("cancel_url") => wish.cancel_url.as_ref().map(|_| "cancel_url"),
        _ => wish.success_url.as_ref().map(|_| "success_url"),
    }
}

/// What has become of the page of a sale; with another payment method at hand it is closed, unless it was paid. None when the session
/// has to be looked at again.
pub(crate) fn resume<'a>(
    call: &'a Call<'_>,
    claimed: &'a Claimed,
    page: &'a SessionId,
    other: bool,
) -> Step<'a> {
    Box::pin(async move {
        let stored = &claimed.stored;
        let ended = if other {
            call.close_page(stored, page).await?
        } else {
            let page = call.read_page(page).await?;
            if page
                .as_ref()
                .is_some_and(|page| page.status == SessionStatus::Open)
            {
                return Ok(Some(claimed.session.clone()));
            }
            call.end_page(stored, page).await?
        };
        Ok(match ended {
            Page::Paid(landed) => landed.session,
            Page::Unpaid | Page::Overtaken => None,
        })
    })
}
