//! What a product offers: exactly one flat recurring price, and at most one metered price for what is used beyond it.
//!
//! # Minutes are counted in seconds
//! A meter whose events are called `seconds` (or end in `_seconds`) counts seconds, and its price is one for minutes: either a price
//! per second (`0.25` for `15` a minute; with tiers, the first of which is free, the included minutes times 60), or one that
//! Stripe divides by 60, rounded up. Here both become minutes: an allowance and an overage a minute, and a usage in begun minutes.
//!
//! # Packages
//! Stripe may divide a quantity by any number before it prices it (5.00 for each 1,000 interactions). What one more costs is its share of that.

use std::num::NonZeroU64;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::order::Metric;
use crate::decimal::UnitAmount;
use crate::id::{BilledPriceId, BilledProductId, MeterId};
use crate::money::Currency;

/// How many seconds a minute has.
const MINUTE: u64 = 60;

/// How often something is charged, in Stripe's words: every `count` of `interval`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cadence {
    /// `day`, `week`, `month` or `year`.
    pub interval: String,
    /// How many of them.
    pub count: u64,
}

/// What a price is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Usage {
    /// Paid in advance, whatever is used.
    Licensed,
    /// Paid for what a meter counted. Prices without a meter are of an older kind, which nothing counts for.
    Metered(Option<MeterId>),
}

/// A recurring price as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Stripe's id, in whatever form: what runs can be moved there to any price.
    pub id: BilledPriceId,
    /// What it is a price of.
    pub product: BilledProductId,
    /// The currency.
    pub currency: Currency,
    /// How often it is charged.
    pub cadence: Cadence,
    /// What for.
    pub usage: Usage,
    /// For one unit, in whole minor units; none for a price of tiers or of fractions.
    pub unit_amount: Option<i64>,
    /// For one unit, as a decimal of minor units; none for a price of tiers.
    pub unit_decimal: Option<UnitAmount>,
    /// The tiers, where there are any.
    pub tiers: Vec<Tier>,
    /// Whether all units are charged at the tier of the last one, rather than each at its own.
    pub by_volume: bool,
    /// By how much a quantity is divided before it is priced.
    pub divide_by: Option<NonZeroU64>,
}

impl Cadence {
    /// When a period ends that begins then, by Stripe's calendar (UTC; the last of a month that is too short). None for an interval that is not
    /// known, or beyond all time.
    #[must_use]
    pub fn end_of_period(&self, start: Timestamp) -> Option<Timestamp> {
        let count = i64::try_from(self.count).ok()?;
        let span = match self.interval.as_str() {
            "day" => Span::new().try_days(count),
            "week" => Span::new().try_weeks(count),
            "month" => Span::new().try_months(count),
            "year" => Span::new().try_years(count),
            _ => return None,
        };
        let end = start.to_zoned(TimeZone::UTC).checked_add(span.ok()?).ok()?;
        Some(end.timestamp())
    }
}

impl Price {
    /// What one unit comes to, as a decimal of minor units: with tiers, in the first.
    #[must_use]
    pub fn of_one(&self) -> UnitAmount {
        let whole = self.unit_decimal.or(self.unit_amount.map(UnitAmount::whole));
        let tiered = || self.tiers.first().map(Tier::of_one);
        whole.or_else(tiered).unwrap_or_default()
    }

    /// What so many units come to, as a decimal of minor units. Of a price of tiers or of packages, whose quantity only Stripe prices, what one does.
    #[must_use]
    pub fn of(&self, quantity: u64) -> UnitAmount {
        let by_the_unit = self.is_by_the_unit();
        self.of_one().times(if by_the_unit { quantity } else { 1 })
    }

    /// Whether every unit costs the same: not in tiers, nor in packages.
    pub(crate) fn is_by_the_unit(&self) -> bool {
        self.tiers.is_empty() && self.divide_by.is_none()
    }
}

/// One step of a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// The last unit of it; none for the last tier.
    pub up_to: Option<u64>,
    /// For one unit of it, as a decimal of minor units.
    pub unit_decimal: Option<UnitAmount>,
    /// For reaching it, however many units of it there are, as a decimal of minor units.
    pub flat_decimal: Option<UnitAmount>,
}

impl Tier {
    fn of_one(&self) -> UnitAmount {
        let (unit, flat) = (self.unit_decimal, self.flat_decimal);
        unit.unwrap_or_default().plus(flat.unwrap_or_default())
    }

    fn is_free(&self) -> bool {
        let free = |amount: Option<UnitAmount>| amount.unwrap_or_default() == UnitAmount::ZERO;
        free(self.unit_decimal) && free(self.flat_decimal)
    }
}

/// A metered price with what its meter counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// The price.
    pub price: Price,
    /// Its meter.
    pub meter: MeterId,
    /// What the meter's events are called.
    pub event_name: String,
}

/// What can be sold of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The product.
    pub product: BilledProductId,
    /// What it is called.
    pub name: String,
    /// Charged in advance, every time.
    pub flat: Price,
    /// Charged afterwards, for what was used.
    pub metered: Option<Metered>,
}

/// The prices that a product is sold at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenPrices {
    /// Charged in advance, every time.
    pub flat: Price,
    /// Charged afterwards, for what was used.
    pub metered: Option<Price>,
}

/// Why a product cannot be sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsellable {
    /// The account has no such product.
    #[error("does not exist")]
    Missing,
    /// Archived.
    #[error("is not active")]
    Inactive,
    /// None, several, or one that is no whole amount for one unit.
    #[error("must have exactly one active flat recurring price")]
    FlatPrice,
    /// Several.
    #[error("must not have more than one active metered price")]
    MeteredPrices,
    /// Stripe charges both together, so they go by one calendar and one currency.
    #[error("must have its metered price in the currency and at the interval of its flat price")]
    Mismatch,
    /// The meter counts something else.
    #[error("does not count what is asked for")]
    Metric,
}

/// What a product is sold at, out of its active recurring prices.
pub fn choose(prices: Vec<Price>) -> Result<ChosenPrices, Unsellable> {
    let (mut licensed, mut metered): (Vec<_>, Vec<_>) = prices
        .into_iter()
        .partition(|price| price.usage == Usage::Licensed);
    let flat = licensed.pop().filter(|price| price.unit_amount.is_some());
    let (Some(flat), true) = (flat, licensed.is_empty()) else {
        return Err(Unsellable::FlatPrice);
    };
    let metered = match (metered.pop(), metered.is_empty()) {
        (_, false) => return Err(Unsellable::MeteredPrices),
        (metered, true) => metered,
    };
    match &metered {
        Some(metered) if (&metered.currency, &metered.cadence) != (&flat.currency, &flat.cadence) => {
            Err(Unsellable::Mismatch)
        }
        _ => Ok(ChosenPrices { flat, metered }),
    }
}

/// What a meter counts, by what its events are called: `minutes`, or anything that ends in `_minutes`; likewise for the others.
#[must_use]
pub fn counted(event_name: &str) -> Option<Metric> {
    let word = event_name.rsplit('_').next().unwrap_or(event_name);
    match word {
        "seconds" => Some(Metric::Minutes),
        _ => Metric::parse(word).ok(),
    }
}

impl Offer {
    /// Whether usage, if there is a price for it, is counted in this.
    pub fn counts(&self, metric: Metric) -> Result<(), Unsellable> {
        match &self.metered {
            Some(metered) if counted(&metered.event_name) != Some(metric) => Err(Unsellable::Metric),
            _ => Ok(()),
        }
    }
}

impl Metered {
    /// How many units of the meter are one unit of the metric.
    fn unit(&self) -> u64 {
        let seconds = self.event_name.rsplit('_').next() == Some("seconds");
        if seconds { MINUTE } else { 1 }
    }

    /// How much is included: the end of a first tier that costs nothing. Nothing is, where there is none, or where the units of it are
    /// charged once there are more.
    #[must_use]
    pub fn allowance(&self) -> u64 {
        let first = self.price.tiers.first().filter(|_| !self.price.by_volume);
        let free = first.filter(|tier| tier.is_free());
        free.and_then(|tier| tier.up_to)
            .map_or(0, |last| last / self.unit())
    }

    /// What one more costs, as a decimal of minor units: `15`. With tiers, in the first that costs something; of a price for packages, its share,
    /// to twelve decimals.
    #[must_use]
    pub fn overage(&self) -> String {
        let of_tiers = self.price.tiers.iter().filter_map(|tier| tier.unit_decimal);
        let unit = of_tiers
            .chain(self.price.unit_decimal)
            .find(|unit| *unit != UnitAmount::ZERO);
        let of_all = unit.unwrap_or_default().times(self.unit());
        let of_one = match self.price.divide_by {
            Some(size) => of_all.share(size),
            None => of_all,
        };
        of_one.to_string()
    }

    /// A meter's count in units of the metric; one that has begun counts whole.
    #[must_use]
    pub fn used(&self, counted: u64) -> u64 {
        counted.div_ceil(self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(id: &str, usage: Usage) -> Price {
        Price {
            id: id.parse().unwrap(),
            product: "prod_1".parse().unwrap(),
            currency: "usd".parse().unwrap(),
            cadence: Cadence {
                interval: "month".into(),
                count: 1,
            },
            usage,
            unit_amount: Some(2999),
            unit_decimal: Some(UnitAmount::whole(2999)),
            tiers: vec![],
            by_volume: false,
            divide_by: None,
        }
    }

    fn metered(event_name: &str, price: Price) -> Metered {
        Metered {
            price,
            meter: "mtr_1".parse().unwrap(),
            event_name: event_name.into(),
        }
    }

    fn tiered(free_up_to: u64, beyond: &str) -> Price {
        let tier = |up_to, unit: &str| Tier {
            up_to,
            unit_decimal: Some(unit.parse().unwrap()),
            flat_decimal: None,
        };
        Price {
            unit_amount: None,
            unit_decimal: None,
            tiers: vec![tier(Some(free_up_to), "0"), tier(None, beyond)],
            ..price("price_o", Usage::Metered(None))
        }
    }

    #[test]
    fn a_product_has_one_flat_price_and_at_most_one_for_usage() {
        let flat = || price("price_f", Usage::Licensed);
        let over = || price("price_o", Usage::Metered(None));
        let told = |prices| choose(prices).map(|chosen| (chosen.flat.id, chosen.metered.map(|it| it.id)));
        assert_eq!(told(vec![flat()]), Ok((flat().id, None)));
        assert_eq!(told(vec![over(), flat()]), Ok((flat().id, Some(over().id))));
        assert_eq!(told(vec![over()]), Err(Unsellable::FlatPrice));
        assert_eq!(told(vec![flat(), flat()]), Err(Unsellable::FlatPrice));
        let fractions = Price {
            unit_amount: None,
            ..flat()
        };
        assert_eq!(told(vec![fractions]), Err(Unsellable::FlatPrice));
        assert_eq!(told(vec![flat(), over(), over()]), Err(Unsellable::MeteredPrices));
        let euros = Price {
            currency: "eur".parse().unwrap(),
            ..over()
        };
        assert_eq!(told(vec![flat(), euros]), Err(Unsellable::Mismatch));
    }

    #[test]
    fn a_meter_counts_what_its_events_are_called() {
        for (name, counts) in [
            ("minutes", Some(Metric::Minutes)),
            ("agent_seconds", Some(Metric::Minutes)),
            ("voice_interactions", Some(Metric::Interactions)),
            ("conversations", Some(Metric::Conversations)),
            ("tokens", None),
        ] {
            assert_eq!(counted(name), counts, "{name}");
        }
    }

    #[test]
    fn what_is_billed_by_usage_is_counted_by_its_own_meter() {
        let usage = |name| Some(metered(name, price("price_o", Usage::Metered(None))));
        for (metered, is_sold) in [
            (usage("agent_seconds"), true),
            (usage("interactions"), false),
            (usage("tokens"), false),
            (None, true),
        ] {
            let offer = Offer {
                product: "prod_1".parse().unwrap(),
                name: "Voice".into(),
                flat: price("price_f", Usage::Licensed),
                metered,
            };
            let told = offer.counts(Metric::Minutes);
            assert_eq!(told.is_ok(), is_sold, "{offer:?}");
        }
    }

    /// 100 minutes are included: 6000 seconds. 0.25 a second is 15 a minute.
    #[test]
    fn minutes_are_billed_from_seconds() {
        let by_the_second = metered("agent_seconds", tiered(6000, "0.25"));
        assert_eq!(
            (by_the_second.allowance(), by_the_second.overage().as_str()),
            (100, "15")
        );
        assert_eq!(
            [0, 1, 60, 61].map(|seconds| by_the_second.used(seconds)),
            [0, 1, 1, 2]
        );
        let divided = Price {
            divide_by: NonZeroU64::new(60),
            unit_decimal: Some(UnitAmount::whole(15)),
            ..price("price_o", Usage::Metered(None))
        };
        let by_the_minute = metered("seconds", divided);
        assert_eq!(
            (
                by_the_minute.allowance(),
                by_the_minute.overage().as_str(),
                by_the_minute.used(61)
            ),
            (0, "15", 2)
        );
    }

    /// 5.00 for each 1,000: half a cent for one. By the second, 0.30 for a package of five minutes is 6 cents a minute, and 0.10 for one of
    /// seven interactions no decimal.
    #[test]
    fn one_of_a_package_costs_its_share() {
        for (event_name, cents, size, told) in [
            ("interactions", 500, 1000, "0.5"),
            ("agent_seconds", 30, 300, "6"),
            ("interactions", 10, 7, "1.428571428571"),
        ] {
            let of_packages = Price {
                divide_by: NonZeroU64::new(size),
                unit_decimal: Some(UnitAmount::whole(cents)),
                ..price("price_o", Usage::Metered(None))
            };
            assert_eq!(metered(event_name, of_packages).overage(), told);
        }
    }

    #[test]
    fn one_unit_of_a_flat_price_is_told_whatever_its_form() {
        let flat = price("price_f", Usage::Licensed);
        let of_fractions = Price {
            unit_amount: None,
            unit_decimal: "2999.5".parse().ok(),
            ..flat.clone()
        };
        let mut of_tiers = tiered(10, "1.5");
        of_tiers.tiers[0].flat_decimal = Some(UnitAmount::whole(500));
        let told = [flat, of_fractions, of_tiers].map(|price| price.of_one().to_string());
        assert_eq!(told, ["2999", "2999.5", "500"]);
    }

    #[test]
    fn several_units_come_to_as_many_times_one() {
        let flat = price("price_f", Usage::Licensed);
        let of_fractions = Price {
            unit_amount: None,
            unit_decimal: "2999.5".parse().ok(),
            ..flat.clone()
        };
        let of_packages = Price {
            divide_by: NonZeroU64::new(10),
            ..flat.clone()
        };
        let prices = [flat, of_fractions, of_packages, tiered(10, "1.5")];
        let told = |quantity| prices.each_ref().map(|price| price.of(quantity).to_string());
        assert_eq!(told(3), ["8997", "8998.5", "2999", "0"]);
        assert_eq!(told(0)[0], "0");
    }

    #[test]
    fn a_period_ends_by_the_calendar() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (interval, count, start, end) in [
            ("day", 3, "2026-01-30T12:00:00Z", Some("2026-02-02T12:00:00Z")),
            ("week", 1, "2026-01-30T12:00:00Z", Some("2026-02-06T12:00:00Z")),
            ("month", 1, "2026-01-31T12:00:00Z", Some("2026-02-28T12:00:00Z")),
            ("year", 1, "2028-02-29T00:00:00Z", Some("2029-02-28T00:00:00Z")),
            ("moon", 1, "2026-01-30T12:00:00Z", None),
        ] {
            let cadence = Cadence {
                interval: interval.into(),
                count,
            };
            assert_eq!(cadence.end_of_period(at(start)), end.map(at), "{interval}");
        }
    }

    /// 5.00 for the first tier, whatever is used of it; or all units at the price of the last.
    #[test]
    fn what_is_charged_for_is_not_included() {
        let mut with_flat = tiered(500, "1.5");
        with_flat.tiers[0].flat_decimal = Some(UnitAmount::whole(500));
        let by_volume = Price {
            by_volume: true,
            ..tiered(500, "1.5")
        };
        for price in [with_flat, by_volume] {
            assert_eq!(metered("interactions", price).allowance(), 0);
        }
    }

    #[test]
    fn whatever_else_is_counted_is_counted_as_it_is() {
        let calls = metered("interactions", tiered(500, "1.5"));
        assert_eq!(
            (calls.allowance(), calls.overage().as_str(), calls.used(501)),
            (500, "1.5", 501)
        );
    }
}
