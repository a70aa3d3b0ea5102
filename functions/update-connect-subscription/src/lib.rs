//! `PUT /v1/public/stripe/connect/accounts/{accountId}/subscriptions/{subscriptionId}`: changes what was sold, before it begins and
//! while it runs.
//!
//! # How it works
//! What is wanted is compared with what Stripe has; the difference ([`billing_core::connect::amendment`]) is written down under a
//! number and asked of Stripe step by step. Asking for what is there already asks Stripe for nothing.
//!
//! # If it fails half-way
//! Whoever finds the change does the rest of it: the next call, whatever it wants, or the event of the step that was taken.

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::connect::amendment::{Difference, Refusal};
use billing_core::connect::contract::{Contract, Stage};
use billing_core::connect::order::{self, Tax};
use billing_core::connect::sale::{Sale, Terms};
use billing_core::id::{AgencyId, ConnectedAccountId, ProductId};
use billing_core::invalid::Invalid;
use billing_edge::connect::{ConnectAnswer, Fields, Named, NotAmended};
use billing_edge::{Call, Function, Problem, Reply};
use billing_store::unless_conflict;

const NAME: &str = "update-connect-subscription";
/// What the members are called that Stripe may object to.
const FIELDS: Fields = Fields {
    product: Some("data.productId"),
    start: Some("data.startDate"),
    coupon: None,
    country: Some("data.taxSettings.country"),
};

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(update(call)));

/// What the caller asked for.
struct Wish {
    product: Option<ProductId>,
    start: Option<Timestamp>,
    tax: Option<Tax>,
    ends: Option<bool>,
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let owner = call.authenticate_agency().await?.owner()?;
    let account = call.connected_account(owner.agency()).await?;
    let named = call.named_subscription()?;
    call.once(owner.agency(), NAME, amend(call, &owner, &account, &named))
        .await
}

async fn amend(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    account: &ConnectedAccountId,
    named: &Named,
) -> Result<Reply, Problem> {
    let wish = read_wish(call)?;
    let mut rounds = call.rounds();
    loop {
        if let Some((sale, contract)) = attempt(call, owner, account, named, &wish).await? {
            return Ok(Reply::ok(&ConnectAnswer::of(&sale, &contract)));
        }
        rounds.lost().await?;
    }
}

fn read_wish(call: &Call<'_>) -> Result<Wish, Problem> {
    let mut members = call.members()?;
    let wish = members.required_object("data", |data| {
        let product = data.optional("productId", |id| match id.parse::<ProductId>() {
            Ok(product) if id.starts_with("prod_") => Ok(product),
            _ => Err("must be a product id (prod_…)"),
        });
        Some(Wish {
            product,
            start: data.present_or_new_start_date(call.now),
            tax: data.tax_settings(),
            ends: data.optional_flag("cancelAtPeriodEnd"),
        })
    });
    members.finish()?;
    wish.ok_or_else(|| Problem::internal("a required member was neither read nor refused"))
}

/// One attempt on fresh facts; none when somebody else wrote first, or left something that had to be done first.
async fn attempt(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    account: &ConnectedAccountId,
    named: &Named,
    wish: &Wish,
) -> Result<Option<(Sale, Contract)>, Problem> {
    let (sale, contract) = call.sale_to_change(account, named).await?;
    if let Some(left) = &sale.amendment {
        if left.is_fresh(call.now) {
            // What it was refused for is nothing to this caller.
            match call.amend(&sale, left, contract, &Fields::NONE).await {
                Err(NotAmended::Failed(problem)) => return Err(problem),
                Ok(_) | Err(NotAmended::Refused(_)) => {}
            }
        } else {
            call.give_up(&sale, left, &contract).await?;
        }
        return Ok(None);
    }
    must_not_be_over(call, wish, &contract)?;
    let wanted = Difference {
        terms: terms(call, account, wish, (&sale, &contract)).await?,
        start: wish.start,
        tax: wish.tax.clone(),
        ends: wish.ends,
        ..Difference::default()
    };
    let difference = wanted.from(&contract, call.now).map_err(refuse)?;
    if difference.is_nothing() {
        return Ok(Some((sale, contract)));
    }
    let difference = located(call, &sale, difference).await?;
    let amendment = sale.amend(owner, difference, call.now);
    let begun = unless_conflict(call.store.begin_amendment(&sale, &amendment).await)?;
    let Some(sale) = begun else {
        return Ok(None);
    };
    Ok(call.amend(&sale, &amendment, contract, &FIELDS).await?)
}

/// A start that lies behind is the one that there is, or a fault.
fn must_not_be_over(call: &Call<'_>, wish: &Wish, contract: &Contract) -> Result<(), Problem> {
    match wish.start {
        Some(start) if contract.start != Some(start) => order::start(start.as_second(), call.now)
            .map(drop)
            .map_err(|fault| invalid("data.startDate", fault.to_string())),
        _ => Ok(()),
    }
}

/// What another product is charged at, if another is wanted and can be sold in the way of this sale.
async fn terms(
    call: &Call<'_>,
    account: &ConnectedAccountId,
    wish: &Wish,
    (sale, contract): (&Sale, &Contract),
) -> Result<Option<Terms>, Problem> {
    let present = contract.flat().map(|line| &line.price.product);
    let is_other = |asked: &&ProductId| present.is_none_or(|present| *present != **asked);
    let Some(product) = wish.product.as_ref().filter(is_other) else {
        return Ok(None);
    };
    let stripe = call.stripe_of(account).await?;
    let offer = call.offer(&stripe, product, sale.order.metric).await?;
    let offer = offer.map_err(|fault| invalid("data.productId", fault.to_string()))?;
    let Some(flat) = contract.flat().map(|line| &line.price) else {
        return Ok(Some(Terms::of(&offer)));
    };
    let same_currency = flat.currency == offer.flat.currency;
    // What has not begun is written anew; what runs goes on in its periods.
    let fault = match contract.stage() {
        Stage::Waiting(_) if same_currency => None,
        Stage::Waiting(_) => Some("must be charged in the same currency"),
        _ if same_currency && flat.cadence == offer.flat.cadence => None,
        _ => Some("must be charged in the same currency and at the same interval"),
    };
    if let Some(fault) = fault {
        return Err(invalid("data.productId", fault));
    }
    Ok(Some(Terms::of(&offer)))
}

/// The difference, its postal code in the client's country. Taxes need to know where the client is.
async fn located(call: &Call<'_>, sale: &Sale, difference: Difference) -> Result<Difference, Problem> {
    let says_less = |tax: &&Tax| tax.country.is_none() && (tax.enabled || tax.postal_code.is_some());
    let Some(tax) = difference.tax.as_ref().filter(says_less) else {
        return Ok(difference);
    };
    let buyer = call
        .store
        .connected_buyer(&sale.account, &sale.order.client)
        .await?;
    let known = buyer.and_then(|buyer| buyer.country);
    if tax.enabled && known.is_none() {
        return Err(invalid(
            "data.taxSettings.country",
            "is required until the client's country is known",
        ));
    }
    Ok(Difference {
        tax: Some(tax.clone().placed(known.as_ref())),
        ..difference
    })
}

fn invalid(field: &str, fault: impl Into<String>) -> Problem {
    let mut invalid = Invalid::default();
    invalid.field(field, fault);
    Problem::invalid(invalid)
}

fn refuse(refusal: Refusal) -> Problem {
    Problem::conflict(refusal.to_string())
}
