//! The items of a subscription as a request wants them: changed, added, taken away.
//!
//! What that costs is for [`super::billing`].

use super::{Moment, lifecycle, limits, referred};
use crate::id::{Id, PriceId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::state::{Currency, Metadata, Price, Row, Subscription, SubscriptionItem, UsageType};

/// Stripe's limit.
const MOST_ITEMS: usize = 20;

/// One element of `items`, read and not yet looked up.
pub(crate) struct ItemChange {
    /// Its name in errors.
    pub(crate) param: String,
    pub(crate) id: Option<String>,
    pub(crate) price: Option<String>,
    pub(crate) quantity: Option<u64>,
    pub(crate) deleted: bool,
    pub(crate) metadata: Metadata,
}

pub(crate) fn read(params: &Params<'_>) -> Result<Vec<ItemChange>, Refusal> {
    params.children("items")?.iter().map(read_one).collect()
}

fn read_one(params: &Params<'_>) -> Result<ItemChange, Refusal> {
    params.unsupported(&["billing_thresholds", "discounts", "price_data", "tax_rates"])?;
    params.inert(&["clear_usage"]);
    Ok(ItemChange {
        param: params.name_of("price"),
        id: params.text("id")?,
        price: params.text("price")?,
        quantity: params.count("quantity", 0)?,
        deleted: params.boolean("deleted")?.unwrap_or(false),
        metadata: params.metadata()?,
    })
}

/// The items after the changes. Their periods are those of the subscription, also for items that are new.
pub(crate) fn apply(
    at: &mut Moment<'_>,
    subscription: &Subscription,
    changes: &[ItemChange],
) -> Result<Vec<SubscriptionItem>, Refusal> {
    let mut items = subscription.items.clone();
    for change in changes {
        match &change.id {
            Some(id) if change.deleted => {
                position(&items, id, change).map(|position| items.remove(position))?;
            }
            Some(id) => {
                let position = position(&items, id, change)?;
                items[position] = changed(at, &items[position], change)?;
            }
            None => {
                let new = added(at, subscription, change)?;
                items.push(new);
            }
        }
    }
    check(at, &subscription.currency, items.iter().map(|item| &item.price))?;
    Ok(items)
}

/// A price, and how many of it; a metered one has no quantity.
pub(crate) type Ordered = (PriceId, Option<u64>);

/// The prices and quantities of a subscription that is to be begun, and their currency. They are of products that are for sale: what runs goes on
/// without that. Source: Stripe's words in stripe/stripe-go#1031.
pub(crate) fn new_items(
    at: &Moment<'_>,
    changes: &[ItemChange],
) -> Result<(Vec<Ordered>, Currency), Refusal> {
    let mut items: Vec<Ordered> = Vec::new();
    for change in changes {
        let id = change
            .price
            .as_ref()
            .ok_or_else(|| Refusal::missing(&change.param))?;
        let price = recurring(at, id, &change.param)?;
        if !at.world.products[&price.product].active {
            let message = format!(
                "The product {} is marked as inactive, and thus no new subscriptions can be created to any plans of this \
                 product. You provided the plan {id}.",
                price.product
            );
            return Err(Refusal::invalid(&change.param, message));
        }
        items.push((price.id().clone(), quantity(at, price, (change, None))?));
    }
    let (first, _) = items.first().ok_or_else(|| Refusal::missing("items"))?;
    let currency = at.world.prices[first].currency.clone();
    check(at, &currency, items.iter().map(|(price, _)| price))?;
    Ok((items, currency))
}

fn position(items: &[SubscriptionItem], id: &str, change: &ItemChange) -> Result<usize, Refusal> {
    items
        .iter()
        .position(|item| item.id.as_str() == id)
        .ok_or_else(|| Refusal::no_such("subscription item", id, &change.param.replace("[price]", "[id]")))
}

fn changed(
    at: &Moment<'_>,
    item: &SubscriptionItem,
    change: &ItemChange,
) -> Result<SubscriptionItem, Refusal> {
    let mut item = item.clone();
    if let Some(price) = &change.price {
        let price = recurring(at, price, &change.param)?;
        if *price.id() != item.price {
            item.metered_since = Some(at.now);
            // So Stripe's page on changing prices: whoever wants to keep the quantity has to say so.
            item.quantity = None;
        }
        item.price = price.id().clone();
    }
    let price = &at.world.prices[&item.price];
    item.quantity = quantity(at, price, (change, item.quantity))?;
    for (key, value) in &change.metadata {
        item.metadata.insert(key.clone(), value.clone());
    }
    Ok(item)
}

fn added(
    at: &mut Moment<'_>,
    subscription: &Subscription,
    change: &ItemChange,
) -> Result<SubscriptionItem, Refusal> {
    let price = change
        .price
        .as_ref()
        .ok_or_else(|| Refusal::missing(&change.param))?;
    let price = recurring(at, price, &change.param)?;
    let quantity = quantity(at, price, (change, None))?;
    let price = price.id().clone();
    let period = subscription.items.first();
    Ok(SubscriptionItem {
        id: at.world.ids.make(),
        created: at.now,
        price,
        quantity,
        current_period_start: period.map_or(at.now, |item| item.current_period_start),
        current_period_end: period.map_or(at.now, |item| item.current_period_end),
        whole_period_start: period.and_then(|item| item.whole_period_start),
        whole_period_end: period.and_then(|item| item.whole_period_end),
        metered_since: Some(at.now),
        charged: None,
        metadata: change.metadata.clone(),
    })
}

/// An active price that is paid again and again.
pub(crate) fn recurring<'a>(at: &'a Moment<'_>, id: &str, param: &str) -> Result<&'a Price, Refusal> {
    let price = referred(&at.world.prices, id, param)?;
    if !price.active {
        let message = "The price specified is inactive. This field only accepts active prices.";
        return Err(Refusal::invalid(param, message));
    }
    if price.recurring.is_none() {
        let message = format!(
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`: {id}"
        );
        return Err(Refusal::invalid(param, message));
    }
    Ok(price)
}

/// A metered item has none; a licensed one keeps what it had of the same price, or has one.
fn quantity(
    at: &Moment<'_>,
    price: &Price,
    (change, present): (&ItemChange, Option<u64>),
) -> Result<Option<u64>, Refusal> {
    let param = || match change.param.strip_suffix("price]") {
        Some(path) => format!("{path}quantity]"),
        None => "quantity".to_owned(),
    };
    match lifecycle::recurrence(price).usage_type {
        UsageType::Licensed => {
            let quantity = Some(change.quantity.or(present).unwrap_or(1));
            limits::check_quantity(at.world.settings, price, quantity, &param())?;
            Ok(quantity)
        }
        UsageType::Metered if change.quantity.is_some() => {
            let message = "Quantity should not be specified where usage_type is `metered`.";
            Err(Refusal::invalid(&param(), message))
        }
        UsageType::Metered => Ok(None),
    }
}

/// What Stripe wants of a subscription's prices together.
fn check<'a>(
    at: &Moment<'_>,
    currency: &Currency,
    prices: impl Iterator<Item = &'a PriceId>,
) -> Result<(), Refusal> {
    let prices: Vec<&Price> = prices.map(|id| &at.world.prices[id]).collect();
    let Some(first) = prices.first() else {
        let message = "A subscription must have at least one active plan. In order to cancel a subscription, please use \
                       the cancel endpoint.";
        return Err(Refusal::invalid("items", message));
    };
    if prices.len() > MOST_ITEMS {
        let message = format!("A subscription can have up to {MOST_ITEMS} items.");
        return Err(Refusal::invalid("items", message));
    }
    let cycle = |price: &Price| {
        let recurrence = lifecycle::recurrence(price);
        (recurrence.interval, recurrence.interval_count)
    };
    for (position, price) in prices.iter().enumerate() {
        if prices[..position].iter().any(|other| other.id == price.id) {
            let message = format!(
                "Cannot add multiple subscription items with the same plan: {}",
                price.id
            );
            return Err(Refusal::invalid("items", message));
        }
        if price.currency != *currency || cycle(price) != cycle(first) {
            let message = "Currency and interval fields must match across all plans on this subscription. Found mismatch \
                           in interval or currency field.";
            return Err(Refusal::invalid("items", message));
        }
    }
    Ok(())
}
