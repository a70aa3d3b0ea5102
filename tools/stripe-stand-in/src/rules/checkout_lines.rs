//! The lines of a checkout session: which prices, how many, and whether they go together.

use super::{Moment, pricing, referred};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::state::{Currency, Price, Recurrence, SessionItem, UsageType};

/// A line as asked for.
pub(crate) struct Line {
    param: String,
    price: String,
    quantity: Option<u64>,
    quantity_param: String,
}

pub(crate) fn read(params: &Params<'_>) -> Result<Line, Refusal> {
    params.unsupported(&["price_data", "tax_rates"])?;
    params.inert(&["adjustable_quantity", "metadata"]);
    Ok(Line {
        price: params.required_text("price")?,
        param: params.name_of("price"),
        quantity: params.count("quantity", 1)?,
        quantity_param: params.name_of("quantity"),
    })
}

/// Looks the prices up and holds them to what a subscription needs: recurring, one currency, one interval.
pub(crate) fn priced(at: &mut Moment<'_>, lines: Vec<Line>) -> Result<(Vec<SessionItem>, Currency), Refusal> {
    let mut items = Vec::new();
    let mut common: Option<(Currency, Recurrence)> = None;
    for line in lines {
        let price = referred(&at.world.prices, &line.price, &line.param)?;
        let recurrence = check_price(at, price, &line)?;
        let (currency, every) = common.get_or_insert_with(|| (price.currency.clone(), recurrence.clone()));
        if *currency != price.currency {
            return Err(Refusal::invalid(
                &line.param,
                "All prices on a Checkout Session must be in the same currency.",
            ));
        }
        if (every.interval, every.interval_count) != (recurrence.interval, recurrence.interval_count) {
            let message = "Checkout does not support multiple prices with different billing intervals.";
            return Err(Refusal::invalid(&line.param, message));
        }
        let quantity = match recurrence.usage_type {
            UsageType::Licensed => line.quantity,
            UsageType::Metered => None,
        };
        let amount = quantity.map_or(0, |quantity| pricing::amount(price, quantity));
        let price = price.id.clone();
        items.push(SessionItem {
            id: at.world.ids.make(),
            price,
            quantity,
            amount,
            amount_discount: 0,
            amount_tax: 0,
        });
    }
    let (currency, _) = common.ok_or_else(|| Refusal::missing("line_items"))?;
    Ok((items, currency))
}

fn check_price(at: &Moment<'_>, price: &Price, line: &Line) -> Result<Recurrence, Refusal> {
    if !price.active {
        return Err(Refusal::invalid(
            &line.param,
            "The price specified is inactive. This field only accepts active prices.",
        ));
    }
    if !at.world.products[&price.product].active {
        let message = format!(
            "Price `{}` is not available to be purchased because its product is not active.",
            price.id
        );
        return Err(Refusal::invalid(&line.param, message));
    }
    let Some(recurrence) = &price.recurring else {
        let message =
            "You must provide at least one recurring price in `subscription` mode when using prices.";
        return Err(Refusal::invalid(&line.param, message));
    };
    match (recurrence.usage_type, line.quantity) {
        (UsageType::Licensed, None) => Err(Refusal::missing(&line.quantity_param)),
        (UsageType::Metered, Some(_)) => Err(Refusal::invalid(
            &line.quantity_param,
            "Quantity should not be specified where usage_type is `metered`.",
        )),
        _ => Ok(recurrence.clone()),
    }
}
