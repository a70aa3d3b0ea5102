//! How Stripe words an amount and an invoice line.
//!
//! Words only; the amounts come from [`super::pricing`].

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::state::{Currency, Interval, Price, PriceAmounts, Recurrence, TiersMode};

/// Currencies that Stripe counts without decimals.
const ZERO_DECIMAL: [&str; 15] = [
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
];
/// Currencies that Stripe counts with three.
const THREE_DECIMAL: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// `3 × Phone number (at $10.00 / month)`.
pub(crate) fn line(product: &str, price: &Price, quantity: Option<u64>) -> String {
    let quantity = quantity.unwrap_or(0);
    let cadence = price
        .recurring
        .as_ref()
        .map_or(String::new(), |recurrence| format!(" / {}", cadence(recurrence)));
    match &price.amounts {
        PriceAmounts::PerUnit(unit) => {
            let unit = unit.minor().map_or_else(
                || format!("{unit} {}", price.currency.as_str().to_ascii_uppercase()),
                |minor| money(minor, &price.currency),
            );
            format!("{quantity} × {product} (at {unit}{cadence})")
        }
        PriceAmounts::Tiered {
            mode: TiersMode::Graduated | TiersMode::Volume,
            ..
        } => {
            format!("{quantity} × {product} (tiered{cadence})")
        }
    }
}

/// `3 × Phone number`, or `Phone number` when there is one.
pub(crate) fn counted(product: &str, quantity: Option<u64>) -> String {
    match quantity {
        None | Some(1) => product.to_owned(),
        Some(several) => format!("{several} × {product}"),
    }
}

/// What a line of a trial says, in the words of each billing mode.
pub(crate) fn trial(product: &str, quantity: Option<u64>, is_flexible: bool) -> String {
    if is_flexible {
        format!("Free trial for {} × {product}", quantity.unwrap_or(1))
    } else {
        format!("Trial period for {product}")
    }
}

/// `02 Dec 2026`, in UTC.
pub(crate) fn date(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%d %b %Y").to_string()
}

/// `month`, `3 months`.
fn cadence(recurrence: &Recurrence) -> String {
    let unit = match recurrence.interval {
        Interval::Day => "day",
        Interval::Week => "week",
        Interval::Month => "month",
        Interval::Year => "year",
    };
    match recurrence.interval_count {
        1 => unit.to_owned(),
        several => format!("{several} {unit}s"),
    }
}

/// `$10.00`, `¥500`, `1.250 KWD`.
pub(crate) fn money(minor: i64, currency: &Currency) -> String {
    let code = currency.as_str();
    let decimals = if ZERO_DECIMAL.contains(&code) {
        0
    } else if THREE_DECIMAL.contains(&code) {
        3
    } else {
        2
    };
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let amount = if decimals == 0 {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    };
    match code {
        "usd" => format!("{sign}${amount}"),
        "eur" => format!("{sign}€{amount}"),
        "gbp" => format!("{sign}£{amount}"),
        "jpy" => format!("{sign}¥{amount}"),
        other => format!("{sign}{amount} {}", other.to_ascii_uppercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        let worded = |minor, code: &str| money(minor, &code.parse().unwrap());
        assert_eq!(worded(1000, "usd"), "$10.00");
        assert_eq!(worded(5, "eur"), "€0.05");
        assert_eq!(worded(500, "jpy"), "¥500");
        assert_eq!(worded(1250, "kwd"), "1.250 KWD");
        assert_eq!(worded(-2000, "usd"), "-$20.00");
    }
}
