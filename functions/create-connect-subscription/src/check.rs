//! What is wrong with an order beyond its form: what is not the agency's, and what the account does not sell.

use billing_core::Timestamp;
use billing_core::asked::is_key_kept;
use billing_core::connect::buyer::Buyer;
use billing_core::connect::offer::Offer;
use billing_core::connect::order::{Fault, Order};
use billing_core::connect::sale::{NamedAgent, Sale};
use billing_core::connect::{Agent, Client};
use billing_core::id::ConnectedAccountId;
use billing_core::invalid::Invalid;
use billing_edge::connect::OTHER_CURRENCY;
use billing_edge::{Call, Problem};
use billing_store::SoldBefore;
use billing_stripe::Connected;

use crate::{FIELDS, refused};

/// How many bytes the names of a sale's agents may have together. An item of DynamoDB has at most 400 KB, and a body holds some 2,400
/// agents, whose ids take half of that.
const LONGEST_NAMES: usize = 200_000;

/// Client and agents, if they are the agency's; somebody else's are told as those that do not exist. With them, why a sale cannot start when
/// it is to.
pub(crate) fn own(
    order: &Order,
    client: Option<Client>,
    agents: Vec<Agent>,
    start: Result<(), Fault>,
) -> Result<(Client, Vec<NamedAgent>), Problem> {
    let mut invalid = Invalid::default();
    invalid.take(
        FIELDS.start.unwrap_or_default(),
        start.map_err(|fault| fault.to_string()),
    );
    let client = match client {
        None => {
            invalid.field("data.clientId", "does not exist");
            None
        }
        Some(client) if client.admin_email.is_none() => {
            invalid.field("data.clientId", "has no admin member with an e-mail address");
            None
        }
        client => client,
    };
    let mut named = Vec::new();
    for id in &order.agents {
        match agents.iter().find(|agent| agent.id == *id) {
            Some(agent) => named.push(NamedAgent {
                id: agent.id.clone(),
                name: agent.name.clone(),
            }),
            None => invalid.field("data.agentIds", format!("agent {id} does not exist")),
        }
    }
    let names: usize = named.iter().map(|agent| agent.name.as_str().len()).sum();
    if names > LONGEST_NAMES {
        invalid.field("data.agentIds", "are too many for one order");
    }
    match client {
        Some(client) if invalid.is_empty() => Ok((client, named)),
        _ => Err(Problem::invalid(invalid)),
    }
}

/// What the product offers, if it is sold on the account in this way; product, coupon and tax are told together.
pub(crate) async fn sellable(
    call: &Call<'_>,
    account: &ConnectedAccountId,
    before: SoldBefore<'_>,
    order: &Order,
) -> Result<Offer, Problem> {
    let buyer = before.buyer;
    let stripe = call.stripe_of(account).await?;
    let coupon = async {
        match &order.coupon {
            Some(id) => Ok(Some(
                stripe.coupon(id).await.map_err(|error| refused(error, &FIELDS))?,
            )),
            None => Ok(None),
        }
    };
    let (offer, coupon) = tokio::try_join!(call.offer(&stripe, &order.product, order.metric), coupon)?;
    let mut invalid = Invalid::default();
    let product = FIELDS.product.unwrap_or_default();
    let offer = invalid.take(product, offer.map_err(|fault| fault.to_string()));
    match (coupon, &offer) {
        (Some(None), _) => invalid.field("data.couponId", "does not exist"),
        (Some(Some(coupon)), _) if !coupon.valid => {
            invalid.field("data.couponId", "is not valid any more");
        }
        (Some(Some(coupon)), Some(offer)) if !coupon.applies_to(&offer.product, offer.flat.currency) => {
            invalid.field("data.couponId", "does not apply to this product");
        }
        _ => {}
    }
    let located = |buyer: &Buyer| buyer.country.is_some();
    let tax = order.tax.as_ref().filter(|tax| tax.enabled);
    if tax.is_some_and(|tax| tax.country.is_none()) && !buyer.is_some_and(located) {
        invalid.field(
            "data.taxSettings.country",
            "is required until the client's country is known",
        );
    }
    if let Some(offer) = &offer
        && pays_otherwise(&stripe, before, (order, offer), call.now).await?
    {
        invalid.field(product, OTHER_CURRENCY);
    }
    match offer {
        Some(offer) if invalid.is_empty() => Ok(offer),
        _ => Err(Problem::invalid(invalid)),
    }
}

/// Whether the client pays for something in another currency, which Stripe will not have beside this. Stripe says so itself, but only once the
/// client has been told to be in another country, where what runs would be taxed then: so it is found out before, where it would be.
async fn pays_otherwise(
    stripe: &Connected,
    before: SoldBefore<'_>,
    (order, offer): (&Order, &Offer),
    now: Timestamp,
) -> Result<bool, Problem> {
    let Some(buyer) = before.buyer else {
        return Ok(false);
    };
    let told = order.tax.as_ref().and_then(|tax| tax.country.as_ref());
    let moves = told.is_some() && buyer.country.is_some() && told != buyer.country.as_ref();
    let currency = offer.flat.currency;
    let pays_in_another = |sale: &Sale| {
        // One that nothing has come of by now cannot be finished any more.
        let is_over = match &sale.state {
            Some(state) => state.is_over(),
            None => sale.schedule.is_none() && !is_key_kept(sale.asked_at, now),
        };
        !is_over && sale.terms.currency.is_some_and(|known| known != currency)
    };
    let Some(customer) = buyer.customer.as_ref().filter(|_| moves) else {
        return Ok(false);
    };
    if !before.sales.iter().any(pays_in_another) {
        return Ok(false);
    }
    let there = stripe.buyer(customer).await;
    let there = there.map_err(|error| refused(error, &FIELDS))?;
    Ok(there.currency.is_some_and(|known| known != currency))
}
