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
use billing_core::connect::sale::{ReadSale, Terms};
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
    let (caller, account) = call.authenticate_agency().await?;
    let (owner, account) = (caller.owner()?, account?);
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
    let mut sale = call.sale_of(account, named).await?.sale;
    let mut rounds = call.rounds();
    loop {
        let read = ReadSale {
            contract: call.contract_there(&sale, named).await?,
            sale: sale.clone(),
        };
        if let Some(ReadSale { sale, contract }) = attempt(call, owner, &wish, read).await? {
            return Ok(Reply::ok(&ConnectAnswer::of(&sale, &contract)));
        }
        rounds.lost().await?;
        sale = call.sale_anew(&sale).await?;
    }
}

fn read_wish(call: &Call<'_>) -> Result<Wish, Problem> {
    let mut members = call.members()?;
    let mut start = None;
    let wish = members.required_object("data", |data| {
        let product = data.optional("productId", |id| match id.parse::<ProductId>() {
            Ok(product) if id.starts_with("prod_") => Ok(product),
            _ => Err("must be a product id (prod_…)"),
        });
        start = data.optional_start_date();
        Some(Wish {
            product,
            start,
            tax: data.tax_settings(),
            ends: data.optional_flag("cancelAtPeriodEnd"),
        })
    });
    members.finish_with_start(wish, "data.startDate", start, call.now)
}

/// One attempt on fresh facts; none when somebody else wrote first, or left something that had to be done first.
async fn attempt(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    wish: &Wish,
    read: ReadSale,
) -> Result<Option<ReadSale>, Problem> {
    let ReadSale { sale, contract } = &read;
    if let Some(left) = sale.amendment.clone() {
        if left.is_fresh(call.now) {
            // What it was refused for is nothing to this caller.
            match call.amend(read, &left, &Fields::NONE).await {
                Err(NotAmended::Failed(problem)) => return Err(problem),
                Ok(_) | Err(NotAmended::Refused(_)) => {}
            }
        } else {
            call.give_up(&read, &left).await?;
        }
        return Ok(None);
    }
    if contract.stage() == Stage::Over {
        return Err(refuse(Refusal::Over));
    }
    let wanted = judged(call, wish, &read).await?;
    let difference = wanted.from(contract, call.now).map_err(refuse)?;
    if difference.is_nothing() {
        return Ok(Some(read));
    }
    let amendment = sale.amend(owner, difference, call.now);
    let begun = unless_conflict(call.store.begin_amendment(sale, &amendment).await)?;
    let Some(sale) = begun else {
        return Ok(None);
    };
    let begun = ReadSale { sale, ..read };
    Ok(call.amend(begun, &amendment, &FIELDS).await?)
}

/// What is wanted, if nothing is wrong with it; all that is wrong is told together.
async fn judged(call: &Call<'_>, wish: &Wish, read: &ReadSale) -> Result<Difference, Problem> {
    let mut invalid = Invalid::default();
    let (terms, tax) = tokio::try_join!(terms(call, wish, read), located(call, wish, read))?;
    let start = start(call, wish, &read.contract);
    let start = invalid.take("data.startDate", start.map_err(|fault| fault.to_string()));
    let terms = invalid.take("data.productId", terms);
    let tax = invalid.take("data.taxSettings.country", tax);
    if !invalid.is_empty() {
        return Err(Problem::invalid(invalid));
    }
    Ok(Difference {
        terms: terms.flatten(),
        start: start.flatten(),
        tax: tax.flatten(),
        ends: wish.ends,
        ..Difference::default()
    })
}

/// A start that cannot be had is the one that there is, or a fault.
fn start(call: &Call<'_>, wish: &Wish, contract: &Contract) -> Result<Option<Timestamp>, order::Fault> {
    match wish.start {
        Some(start) if contract.start != Some(start) => order::start(start, call.now)?,
        _ => {}
    }
    Ok(wish.start)
}

/// What another product is charged at, if another is wanted; why it cannot be sold in the way of this sale.
async fn terms(
    call: &Call<'_>,
    wish: &Wish,
    ReadSale { sale, contract }: &ReadSale,
) -> Result<Result<Option<Terms>, String>, Problem> {
    let present = contract.flat().map(|line| &line.price.product);
    let is_other = |asked: &&ProductId| present.is_none_or(|present| *present != **asked);
    let Some(product) = wish.product.as_ref().filter(is_other) else {
        return Ok(Ok(None));
    };
    let stripe = call.stripe_of(&sale.account).await?;
    let offer = match call.offer(&stripe, product, sale.order.metric).await? {
        Ok(offer) => offer,
        Err(fault) => return Ok(Err(fault.to_string())),
    };
    let Some(flat) = contract.flat().map(|line| &line.price) else {
        return Ok(Ok(Some(Terms::of(&offer))));
    };
    let same_currency = flat.currency == offer.flat.currency;
    // What has not begun is written anew; what runs goes on in its periods.
    let fault = match contract.stage() {
        Stage::Waiting(_) if same_currency => None,
        Stage::Waiting(_) => Some("must be charged in the same currency"),
        _ if same_currency && flat.cadence == offer.flat.cadence => None,
        _ => Some("must be charged in the same currency and at the same interval"),
    };
    Ok(match fault {
        Some(fault) => Err(fault.to_owned()),
        None => Ok(Some(Terms::of(&offer))),
    })
}

/// The tax that is wanted, its postal code in the client's country. Taxes need to know where the client is, unless they are what there is already.
async fn located(
    call: &Call<'_>,
    wish: &Wish,
    ReadSale { sale, contract }: &ReadSale,
) -> Result<Result<Option<Tax>, &'static str>, Problem> {
    let says_less = |tax: &&Tax| tax.country.is_none() && (tax.enabled || tax.postal_code.is_some());
    let is_judged = |tax: &&Tax| says_less(tax) && tax.is_news_to(contract);
    let Some(tax) = wish.tax.as_ref().filter(is_judged) else {
        return Ok(Ok(wish.tax.clone()));
    };
    let buyer = call.buyer_of(sale).await?;
    let known = buyer.and_then(|buyer| buyer.country);
    Ok(if tax.enabled && known.is_none() {
        Err("is required until the client's country is known")
    } else {
        Ok(Some(tax.clone().placed(known.as_ref())))
    })
}

fn refuse(refusal: Refusal) -> Problem {
    Problem::conflict(refusal.to_string())
}
