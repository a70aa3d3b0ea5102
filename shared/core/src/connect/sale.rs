//! Sales by number: one for each order, however often it is asked for.
//!
//! # How it works
//! What is sold to a client on a connected account is written down under a number before Stripe is asked, with all that Stripe is
//! told; the number makes Stripe's idempotency key. The same order within [`REPEAT`](crate::connect::sale::REPEAT) of its answer is the same sale. A
//! sale that is not finished (its machine died, its answer was lost) is finished by whoever orders the same, for as long as Stripe keeps the key. The
//! same order under the same `Idempotency-Key` is the same sale for as long as the key is one request.
//!
//! # If it fails half-way
//! A schedule that Stripe made and nobody recorded names its sale: its event has it recorded. Whoever ordered it has not been told then, and may
//! come back much later: until somebody is told, the sale is remembered like one that is not finished.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::amendment::Amendment;
use super::contract::{Contract, Sold, State};
use super::offer::{Cadence, Offer};
use super::order::{self, Order, Timeliness};
use super::place::Moved;
use crate::asked::{self, is_key_kept};
use crate::contact::Name;
use crate::id::{
    AgencyId, AgentId, BilledPriceId, BilledProductId, ClientId, ConnectedAccountId, ScheduleId,
};
use crate::money::Currency;

/// For how long the same order again is a repetition and no second order: a double click, a retried call, a user who is not
/// sure and starts over.
pub const REPEAT: SignedDuration = SignedDuration::from_mins(10);
/// For how long the same order under the same `Idempotency-Key` is the same sale, whatever became of its answer: that long a key is one request.
const SAME_KEY: SignedDuration = SignedDuration::from_hours(24);
/// Of how many `Idempotency-Key`s a sale knows: of more, which only somebody makes who repeats an order on and on, of the latest.
const MOST_KEYS: usize = 20;

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
    /// The product; its id is free text where what runs was moved to it at Stripe.
    pub product: BilledProductId,
    /// What it was called.
    pub name: String,
    /// The flat price.
    pub flat: BilledPriceId,
    /// The metered one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<BilledPriceId>,
    /// How often.
    pub cadence: Cadence,
    /// In which currency; not told of what builds before this one sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

/// Whether whoever ordered something was told what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledgement {
    /// A build before this one sold it, and did not say.
    #[default]
    Unsaid,
    /// Not yet: whoever comes back means this sale, however late.
    NotYet,
    /// At this moment, for the first time.
    At(Timestamp),
}

impl Acknowledgement {
    fn is_unsaid(&self) -> bool {
        *self == Self::Unsaid
    }
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
    /// Whether whoever asked for it was told what came of it. An event that has it recorded tells nobody.
    #[serde(default, skip_serializing_if = "Acknowledgement::is_unsaid")]
    pub told: Acknowledgement,
    /// The `Idempotency-Key`s that it was asked for under: their SHA-256, in hex, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Where the client was before it is told to be elsewhere for it, until something has come of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
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

/// A sale, and what Stripe has of it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSale {
    /// As it is written down.
    pub sale: Sale,
    /// What Stripe has.
    pub contract: Contract,
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
    /// Under which `Idempotency-Key`, hashed, if it has one.
    pub key: Option<&'a str>,
    /// The agents, by name.
    pub agents: Vec<NamedAgent>,
    /// What is charged.
    pub terms: Terms,
    /// Where the client is, if it is to be told that it is elsewhere.
    pub moved: Option<Moved>,
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

/// What an order comes to, given the client's sales on the account. `key` is its `Idempotency-Key`, hashed, if it has one: the request that a sale
/// was made for means that one, and not the same that was ordered again since.
#[must_use]
pub fn next(sales: &[Sale], order: &Order, key: Option<&str>, now: Timestamp) -> Next {
    let requested = |sale: &&Sale| sale.is_asked_under(key) && sale.order == *order && sale.keeps_keys(now);
    let repeated = |sale: &&Sale| sale.is_remembered(now) && sale.is_of(order, now);
    let latest_first = || sales.iter().rev();
    let same = latest_first()
        .find(requested)
        .or_else(|| latest_first().find(repeated));
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
            told: Acknowledgement::NotYet,
            keys: new.key.map(str::to_owned).into_iter().collect(),
            moved: new.moved,
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

    /// As what Stripe has of it names it.
    #[must_use]
    pub fn sold(&self) -> Sold {
        Sold {
            client: self.order.client.clone(),
            number: self.number,
        }
    }

    /// Whether this is the id of its schedule or of its subscription, as far as they are written down.
    #[must_use]
    pub fn goes_by(&self, id: &str) -> bool {
        let subscription = self.state.as_ref().and_then(|state| state.subscription.as_ref());
        self.schedule.as_ref().is_some_and(|known| known.as_str() == id)
            || subscription.is_some_and(|known| known.as_str() == id)
    }

    /// Whether this is what is ordered: all of it the same, and the start too, or both meant as now (a second click is a second later, by a clock
    /// that may be a little ahead).
    fn is_of(&self, order: &Order, now: Timestamp) -> bool {
        let otherwise_same = Order {
            start: self.order.start,
            ..order.clone()
        } == self.order;
        let both_now =
            || order::means_now(self.order.start, self.asked_at) && order::means_now(order.start, now);
        otherwise_same && (order.start == self.order.start || both_now())
    }

    /// Whether it was asked for under this `Idempotency-Key`, hashed; never without one.
    #[must_use]
    pub fn is_asked_under(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| self.keys.iter().any(|known| known == key))
    }

    /// Whether its `Idempotency-Key`s still mean it. Stripe has to know its own key where the sale is still to be finished.
    fn keeps_keys(&self, now: Timestamp) -> bool {
        match self.schedule {
            Some(_) => now.duration_since(self.asked_at) < SAME_KEY,
            None => is_key_kept(self.asked_at, now),
        }
    }

    /// Whether the same order is this one and no second.
    fn is_remembered(&self, now: Timestamp) -> bool {
        match (&self.schedule, self.told) {
            (None, _) | (Some(_), Acknowledgement::NotYet) => is_key_kept(self.asked_at, now),
            (Some(_), Acknowledgement::Unsaid) => now.duration_since(self.asked_at) < REPEAT,
            (Some(_), Acknowledgement::At(told)) => now.duration_since(told) < REPEAT,
        }
    }

    /// Whether somebody who orders it, under this `Idempotency-Key` if any, is written down already as one who was told.
    #[must_use]
    pub fn is_told(&self, key: Option<&str>) -> bool {
        self.told != Acknowledgement::NotYet && (key.is_none() || self.is_asked_under(key))
    }

    /// This sale, once somebody who ordered it, under this `Idempotency-Key` if any, is told what came of it.
    #[must_use]
    pub fn telling(&self, key: Option<&str>, now: Timestamp) -> Self {
        let mut telling = self.clone();
        if telling.told == Acknowledgement::NotYet {
            telling.told = Acknowledgement::At(now);
        }
        if let Some(key) = key.filter(|_| !self.is_asked_under(key)) {
            telling.keys.push(key.to_owned());
            let too_many = telling.keys.len().saturating_sub(MOST_KEYS);
            telling.keys.drain(..too_many);
        }
        telling
    }

    /// Whether the machine that wrote it down may be waiting for Stripe's answer.
    #[must_use]
    pub fn is_in_flight(&self, now: Timestamp) -> bool {
        asked::is_in_flight(self.asked_at, now)
    }

    /// Whether its schedule can still be asked for. What begins at once begins whenever Stripe is asked.
    #[must_use]
    pub fn timeliness(&self, now: Timestamp) -> Timeliness {
        if self.at_once {
            Timeliness::InTime
        } else {
            order::timeliness(self.order.start, now)
        }
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
            told: if finished {
                Acknowledgement::At(at(asked))
            } else {
                Acknowledgement::NotYet
            },
            keys: vec![],
            moved: None,
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
                next(std::slice::from_ref(&sold), &order(86_400), None, at(now)),
                next_is,
                "{now}"
            );
        }
        let other = next(&[sold], &order(86_401), None, at(1));
        assert_eq!(other, Next::Begin, "another start");
    }

    /// An event has it recorded; whoever ordered it has not been told, and comes back after half an hour, and five minutes after that. What a build
    /// before this one sold is remembered as it was.
    #[test]
    fn what_nobody_was_told_of_is_the_same_sale_until_somebody_is() {
        let recorded = Sale {
            told: Acknowledgement::NotYet,
            ..sale(86_400, 0, true)
        };
        let again = |sale: &Sale, now| next(std::slice::from_ref(sale), &order(86_400), None, at(now));
        assert_eq!(again(&recorded, 1800), Next::Repeat(recorded.clone()));
        let told = recorded.telling(None, at(1800));
        assert_eq!(told.told, Acknowledgement::At(at(1800)));
        assert_eq!(again(&told, 2399), Next::Repeat(told.clone()));
        assert_eq!(again(&told, 2400), Next::Begin);
        let unsaid = Sale {
            told: Acknowledgement::Unsaid,
            ..recorded
        };
        assert_eq!(again(&unsaid, 599), Next::Repeat(unsaid.clone()));
        assert_eq!(again(&unsaid, 600), Next::Begin);
    }

    /// Under its key it is that sale for a day, whatever was sold since under another or none; another order it is not.
    #[test]
    fn the_same_key_is_the_same_sale_for_a_day() {
        let first = sale(86_400, 0, true).telling(Some("k"), at(0));
        let second = Sale {
            number: 2,
            ..sale(86_400, 3600, true)
        };
        let sales = [first.clone(), second.clone()];
        let under = |key, order: &Order, now| next(&sales, order, key, at(now));
        assert_eq!(
            under(Some("k"), &order(86_400), 3601),
            Next::Repeat(first.clone())
        );
        assert_eq!(under(None, &order(86_400), 3601), Next::Repeat(second));
        assert_eq!(under(Some("k"), &order(86_400), 86_399), Next::Repeat(first));
        assert_eq!(under(Some("k"), &order(86_400), 86_400), Next::Begin);
        assert_eq!(
            under(Some("k"), &order(90_000), 7200),
            Next::Begin,
            "another order"
        );
        assert_eq!(under(Some("other"), &order(86_400), 7200), Next::Begin);
        let left = sale(864_000, 0, false).telling(Some("k"), at(0));
        let after = next(&[left], &order(864_000), Some("k"), at(72_000));
        assert_eq!(after, Next::Begin, "Stripe may have forgotten its own key");
    }

    #[test]
    fn a_sale_knows_its_latest_keys() {
        let mut sold = sale(0, 0, true);
        for number in 0..=MOST_KEYS {
            sold = sold.telling(Some(&number.to_string()), at(1));
        }
        assert_eq!(sold.keys.len(), MOST_KEYS);
        assert!(!sold.is_asked_under(Some("0")) && sold.is_asked_under(Some("1")));
        assert_eq!(sold.telling(Some("1"), at(2)), sold, "each once");
    }

    #[test]
    fn what_begins_at_once_is_never_too_late() {
        for (sale, told) in [
            (sale(0, 0, false), Timeliness::InTime),
            (sale(600, 0, false), Timeliness::Over),
        ] {
            assert_eq!(sale.timeliness(at(36_000)), told);
        }
    }

    /// The record of a build before this one.
    #[test]
    fn a_sale_without_the_new_members_is_read() {
        let mut record = serde_json::to_value(sale(0, 0, true)).unwrap();
        for member in ["told", "keys"] {
            record.as_object_mut().unwrap().remove(member);
        }
        let read: Sale = serde_json::from_value(record.clone()).unwrap();
        assert_eq!(read.told, Acknowledgement::Unsaid);
        assert_eq!(serde_json::to_value(read).unwrap(), record);
    }

    #[test]
    fn what_begins_at_once_is_the_same_a_second_later() {
        let sold = sale(0, 0, true);
        assert_eq!(
            next(std::slice::from_ref(&sold), &order(3), None, at(3)),
            Next::Repeat(sold.clone())
        );
        for (start, what) in [(900, "later is not at once"), (-298, "too old to be now")] {
            let other = next(std::slice::from_ref(&sold), &order(start), None, at(3));
            assert_eq!(other, Next::Begin, "{what}");
        }
        // The clocks differed: the first click was for a moment ahead, and is repeated when that is over, or by another second of that clock.
        let ahead = sale(2, 0, true);
        for (start, now) in [(2, 3), (3, 1), (590, 588)] {
            assert_eq!(
                next(std::slice::from_ref(&ahead), &order(start), None, at(now)),
                Next::Repeat(ahead.clone()),
                "{start} at {now}"
            );
        }
        let later = next(&[ahead], &order(40), None, at(1));
        assert_eq!(later, Next::Begin, "a date, and no now");
    }

    #[test]
    fn what_is_not_finished_is_finished_while_stripe_keeps_the_key() {
        let left = sale(864_000, 0, false);
        assert_eq!(
            next(std::slice::from_ref(&left), &order(864_000), None, at(7200)),
            Next::Finish(left.clone())
        );
        assert_eq!(next(&[left], &order(864_000), None, at(72_000)), Next::Begin);
    }

    /// It is called by its schedule until it has begun, and by its subscription then. Who orders it under a key is told once that is written down.
    #[test]
    fn a_sale_is_known_by_its_ids_and_by_who_was_told() {
        let mut begun = sale(0, 0, true).telling(Some("k"), at(0));
        assert!(begun.goes_by("sub_sched_1") && !begun.goes_by("sub_1"));
        begun.state = Some(State {
            status: "active".into(),
            subscription: "sub_1".parse().ok(),
            period: None,
            cancel_at_period_end: false,
            canceled_at: None,
        });
        assert!(begun.goes_by("sub_sched_1") && begun.goes_by("sub_1") && !begun.goes_by("sub_2"));
        assert!(!sale(0, 0, false).goes_by("sub_sched_1"));
        let told = [None, Some("k"), Some("l")].map(|key| begun.is_told(key));
        assert_eq!(told, [true, true, false]);
        assert!(!sale(0, 0, false).is_told(None));
        assert!(begun.is_in_flight(at(59)) && !begun.is_in_flight(at(60)));
    }
}
