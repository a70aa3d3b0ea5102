//! Sales by number: one for each order, however often it is asked for.
//!
//! # How it works
//! What is sold to a client on a connected account is written down under a number before Stripe is asked, with all that Stripe is
//! told; the number makes Stripe's idempotency key. The same order within [`REPEAT`](crate::connect::sale::REPEAT) is the same sale. A sale that is not
//! finished (its machine died, its answer was lost) is finished by whoever orders the same, for as long as Stripe keeps the key.
//!
//! # If it fails half-way
//! A schedule that Stripe made and nobody recorded names its sale: its event has it recorded.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::amendment::Amendment;
use super::contract::{Contract, State};
use super::offer::{Cadence, Offer};
use super::order::{Country, Order};
use crate::change::IN_FLIGHT;
use crate::contact::Name;
use crate::id::{
    AgencyId, AgentId, ClientId, ConnectedAccountId, CustomerId, PriceId, ProductId, ScheduleId,
};
use crate::money::Currency;

/// For how long the same order again is a repetition and no second order: a double click, a retried call, a user who is not
/// sure and starts over.
pub const REPEAT: SignedDuration = SignedDuration::from_mins(10);
/// For how long a sale that is not finished can be: Stripe keeps idempotency keys for a day at least, and clocks differ.
pub const KEY_KEPT: SignedDuration = SignedDuration::from_hours(20);

/// A client as a connected account knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// On which account.
    pub account: ConnectedAccountId,
    /// Who.
    pub client: ClientId,
    /// Counts the writes that a decision could rest on.
    pub version: u64,
    /// The client's one customer there, once its creation is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// When Stripe was first asked for that customer: from then on it may exist without our knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_asked_at: Option<Timestamp>,
    /// How many customers it had there before and lost: an operator deleted them. Names the next one's creation.
    #[serde(default)]
    pub lost_customers: u64,
    /// How many sales were ever begun; the number of the latest.
    #[serde(default)]
    pub sales: u64,
    /// The country that Stripe was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
}

/// An agent as it was called when it was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedAgent {
    /// Its id.
    pub id: AgentId,
    /// What it was called.
    pub name: Name,
}

/// What is charged for a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The product.
    pub product: ProductId,
    /// What it was called.
    pub name: String,
    /// The flat price.
    pub flat: PriceId,
    /// The metered one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<PriceId>,
    /// How often.
    pub cadence: Cadence,
    /// In which currency; not told of what builds before this one sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

/// Something sold, or about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// By whom.
    pub agency: AgencyId,
    /// On which account.
    pub account: ConnectedAccountId,
    /// Which of the client's sales there it is, from 1.
    pub number: u64,
    /// What was asked for.
    pub order: Order,
    /// Whether it begins at once, rather than at its start.
    pub at_once: bool,
    /// The agents, by name.
    pub agents: Vec<NamedAgent>,
    /// What is charged.
    pub terms: Terms,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Counts the writes to this sale.
    pub version: u64,
    /// The schedule that Stripe made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
    /// What Stripe said of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// How many changes were ever asked of Stripe; the number of the latest.
    #[serde(default)]
    pub amendments: u64,
    /// The latest change, until it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amendment: Option<Amendment>,
}

/// What a sale begins with.
#[derive(Debug)]
pub struct NewSale<'a> {
    /// By whom.
    pub agency: &'a AgencyId,
    /// On which account.
    pub account: &'a ConnectedAccountId,
    /// Which of the client's sales there it is, from 1.
    pub number: u64,
    /// What was asked for.
    pub order: Order,
    /// The agents, by name.
    pub agents: Vec<NamedAgent>,
    /// What is charged.
    pub terms: Terms,
}

/// Which sale: the client's, by its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SaleKey {
    /// On which account.
    pub account: ConnectedAccountId,
    /// Whose.
    pub client: ClientId,
    /// Which of the client's sales there it is, from 1.
    pub number: u64,
}

/// What an order comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A sale of its own.
    Begin,
    /// The same order was begun and not finished.
    Finish(Sale),
    /// The same order was made a moment ago.
    Repeat(Sale),
}

/// What an order comes to, given the client's sales on the account.
#[must_use]
pub fn next(sales: &[Sale], order: &Order, now: Timestamp) -> Next {
    let same = sales.iter().rev().find(|sale| {
        let age = now.duration_since(sale.asked_at);
        let memory = if sale.schedule.is_some() { REPEAT } else { KEY_KEPT };
        age < memory && sale.is_of(order, now)
    });
    match same {
        None => Next::Begin,
        Some(sale) if sale.schedule.is_some() => Next::Repeat(sale.clone()),
        Some(sale) => Next::Finish(sale.clone()),
    }
}

impl Sale {
    /// A sale to be begun at `now`.
    #[must_use]
    pub fn begin(new: NewSale<'_>, now: Timestamp) -> Self {
        Self {
            agency: new.agency.clone(),
            account: new.account.clone(),
            number: new.number,
            at_once: new.order.start <= now,
            order: new.order,
            agents: new.agents,
            terms: new.terms,
            asked_at: now,
            version: 0,
            schedule: None,
            state: None,
            amendments: 0,
            amendment: None,
        }
    }

    /// Which one it is.
    #[must_use]
    pub fn key(&self) -> SaleKey {
        SaleKey {
            account: self.account.clone(),
            client: self.order.client.clone(),
            number: self.number,
        }
    }

    /// Whether this is what is ordered: all of it the same, and the start too, or both at once (a second click is a second later).
    fn is_of(&self, order: &Order, now: Timestamp) -> bool {
        let otherwise_same = Order {
            start: self.order.start,
            ..order.clone()
        } == self.order;
        otherwise_same && (order.start == self.order.start || (self.at_once && order.start <= now))
    }

    /// Whether the machine that wrote it down may be waiting for Stripe's answer.
    #[must_use]
    pub fn is_in_flight(&self, now: Timestamp) -> bool {
        now.duration_since(self.asked_at) < IN_FLIGHT
    }

    /// Whether all that Stripe tells is written down already.
    #[must_use]
    pub fn knows(&self, contract: &Contract) -> bool {
        self.schedule.is_some() && self.state.as_ref() == Some(&contract.state())
    }

    /// The agents' names, as they are shown.
    #[must_use]
    pub fn agents_shown(&self) -> String {
        let names: Vec<&str> = self.agents.iter().map(|agent| agent.name.as_str()).collect();
        names.join(", ")
    }
}

impl Terms {
    /// The terms of an offer.
    #[must_use]
    pub fn of(offer: &Offer) -> Self {
        Self {
            product: offer.product.clone(),
            name: offer.name.clone(),
            flat: offer.flat.id.clone(),
            metered: offer.metered.as_ref().map(|metered| metered.price.id.clone()),
            cadence: offer.flat.cadence.clone(),
            currency: Some(offer.flat.currency),
        }
    }

    /// The terms that Stripe has; these, where it has no flat price. A product goes by the name that it was sold under.
    #[must_use]
    pub fn as_they_are(&self, contract: &Contract) -> Self {
        let Some(flat) = contract.flat() else {
            return self.clone();
        };
        let product = flat.price.product.clone();
        let name = if product == self.product {
            self.name.clone()
        } else {
            flat.name.clone().unwrap_or_else(|| product.to_string())
        };
        Self {
            product,
            name,
            flat: flat.price.id.clone(),
            metered: contract.metered().map(|line| line.price.id.clone()),
            cadence: flat.price.cadence.clone(),
            currency: Some(flat.price.currency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Metric;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn order(start: i64) -> Order {
        Order {
            client: "0123456789abcdef01234567".parse().unwrap(),
            agents: vec!["0123456789abcdef0123456a".parse().unwrap()],
            product: "prod_1".parse().unwrap(),
            metric: Metric::Minutes,
            coupon: None,
            tax: None,
            start: at(start),
        }
    }

    fn sale(start: i64, asked: i64, finished: bool) -> Sale {
        Sale {
            agency: "north".parse().unwrap(),
            account: "acct_1".parse().unwrap(),
            number: 1,
            at_once: start <= asked,
            order: order(start),
            agents: vec![],
            terms: Terms {
                product: "prod_1".parse().unwrap(),
                name: "Voice".into(),
                flat: "price_f".parse().unwrap(),
                metered: None,
                cadence: Cadence {
                    interval: "month".into(),
                    count: 1,
                },
                currency: None,
            },
            asked_at: at(asked),
            version: 0,
            schedule: finished.then(|| "sub_sched_1".parse().unwrap()),
            state: None,
            amendments: 0,
            amendment: None,
        }
    }

    #[test]
    fn the_same_order_is_a_repetition_for_ten_minutes() {
        let sold = sale(86_400, 0, true);
        for (now, next_is) in [
            (0, Next::Repeat(sold.clone())),
            (599, Next::Repeat(sold.clone())),
            (600, Next::Begin),
        ] {
            assert_eq!(
                next(std::slice::from_ref(&sold), &order(86_400), at(now)),
                next_is,
                "{now}"
            );
        }
        assert_eq!(next(&[sold], &order(86_401), at(1)), Next::Begin, "another start");
    }

    #[test]
    fn what_begins_at_once_is_the_same_a_second_later() {
        let sold = sale(0, 0, true);
        assert_eq!(
            next(std::slice::from_ref(&sold), &order(3), at(3)),
            Next::Repeat(sold.clone())
        );
        assert_eq!(
            next(&[sold], &order(900), at(3)),
            Next::Begin,
            "later is not at once"
        );
        // The clocks differed: the first click was for a moment ahead, and is repeated when that is over.
        let ahead = sale(2, 0, true);
        assert_eq!(
            next(std::slice::from_ref(&ahead), &order(2), at(3)),
            Next::Repeat(ahead)
        );
    }

    #[test]
    fn what_is_not_finished_is_finished_while_stripe_keeps_the_key() {
        let left = sale(864_000, 0, false);
        assert_eq!(
            next(std::slice::from_ref(&left), &order(864_000), at(7200)),
            Next::Finish(left.clone())
        );
        assert_eq!(next(&[left], &order(864_000), at(72_000)), Next::Begin);
    }
}
