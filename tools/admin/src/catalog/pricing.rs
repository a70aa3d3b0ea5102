//! The pricing of a product, as a catalog file writes it.

use billing_core::decimal::{Decimal, Percentage, Quantity, UnitAmount};
use billing_core::pricing::{Band, Cell, Dimensions, Discount, Features, Model, PercentBase, Pricing, Tier};

use super::source::{Member, Table};

/// Reads the members of a pricing out of a table of their own. Where one is wrong, a price of nothing stands in for it.
pub(super) fn read(table: &Table<'_, '_>) -> Option<Pricing> {
    let unread = table.unread();
    let model = model(table);
    let features = features(table);
    // Which members there are, the type says.
    if model.is_some() {
        table.finish();
    }
    // A type by which no feature is out of place.
    let model = model.unwrap_or(Model::PerUnit {
        unit_amount: UnitAmount::ZERO,
    });
    match Pricing::new(model, features) {
        Ok(pricing) if table.unread() == unread => return Some(pricing),
        Ok(_) => {}
        Err(faults) => {
            for fault in faults {
                table.fault_of(&fault.member, fault.fault);
            }
        }
    }
    table.not_read();
    free()
}

/// A price of nothing.
pub(super) fn free() -> Option<Pricing> {
    let unit_amount = UnitAmount::ZERO;
    Pricing::plain(Model::FlatFee { unit_amount }).ok()
}

fn model(table: &Table<'_, '_>) -> Option<Model> {
    const TYPES: &str = "must be flat_fee, per_unit, tiered, volume, step, package, percent or matrix";
    let Some(member) = table.get("pricing_type") else {
        table.missing("pricing_type");
        return None;
    };
    match member.text()? {
        "flat_fee" => Some(Model::FlatFee {
            unit_amount: unit_amount(table),
        }),
        "per_unit" => Some(Model::PerUnit {
            unit_amount: unit_amount(table),
        }),
        "tiered" => Some(Model::Tiered {
            tiers: list(table, "tiers", tier),
        }),
        "volume" => Some(Model::Volume {
            tiers: list(table, "tiers", tier),
        }),
        "step" => Some(Model::Step {
            tiers: list(table, "tiers", band),
        }),
        "package" => Some(Model::Package {
            package_size: table
                .required("package_size", Member::decimal)
                .unwrap_or(Quantity::ZERO),
            unit_amount: unit_amount(table),
        }),
        "percent" => percent(table),
        "matrix" => Some(matrix(table)),
        _ => member.none(TYPES),
    }
}

fn unit_amount(table: &Table<'_, '_>) -> UnitAmount {
    table.required("unit_amount", Member::decimal).unwrap_or_default()
}

/// A tier; of an element that is no table nothing is known.
fn tier(table: Option<&Table<'_, '_>>) -> Tier {
    let flat_amount =
        |table: &Table<'_, '_>| table.optional("flat_amount", None, |member| member.decimal().map(Some));
    Tier {
        up_to: table.and_then(up_to),
        unit_amount: table.map(unit_amount).unwrap_or_default(),
        flat_amount: table.and_then(flat_amount).flatten(),
    }
}

fn band(table: Option<&Table<'_, '_>>) -> Band {
    let flat_amount = |table: &Table<'_, '_>| table.required("flat_amount", Member::decimal);
    Band {
        up_to: table.and_then(up_to),
        flat_amount: table.and_then(flat_amount).unwrap_or_default(),
    }
}

/// The last tier has none.
fn up_to(table: &Table<'_, '_>) -> Option<Quantity> {
    let up_to = table.optional("up_to", None, |member| member.decimal().map(Some));
    up_to.flatten()
}

fn percent(table: &Table<'_, '_>) -> Option<Model> {
    let percentage = table.required("percentage", percentage);
    let base = table.optional("base", PercentBase::default(), |member| match member.text()? {
        "quantity" => Some(PercentBase::Quantity),
        "plan" => Some(PercentBase::Plan),
        _ => member.none("must be quantity or plan"),
    });
    let minimum = table.optional("minimum", None, |member| member.whole().map(Some));
    let maximum = table.optional("maximum", None, |member| member.whole().map(Some));
    Some(Model::Percent {
        // None of it is a percentage, too.
        percentage: percentage.or_else(|| Percentage::try_from(Decimal::ZERO).ok())?,
        base: base.unwrap_or_default(),
        minimum: minimum.flatten(),
        maximum: maximum.flatten(),
    })
}

fn matrix(table: &Table<'_, '_>) -> Model {
    let names = texts(table, "dimensions");
    let values = list(table, "values", cell);
    // Without the names, the values are held to one another's.
    let known = || values.iter().find(|cell| !cell.matches.is_empty());
    let others = || known().map(|cell| cell.matches.keys().cloned().collect());
    Model::Matrix {
        dimensions: names.or_else(others).unwrap_or_default(),
        values,
    }
}

fn percentage(member: &Member<'_, '_>) -> Option<Percentage> {
    let number: Decimal<4> = member.decimal()?;
    member.noted(Percentage::try_from(number))
}

fn cell(table: Option<&Table<'_, '_>>) -> Cell {
    let matches = |table: &Table<'_, '_>| table.required("match", dimensions);
    Cell {
        matches: table.and_then(matches).unwrap_or_default(),
        unit_amount: table.map(unit_amount).unwrap_or_default(),
    }
}

/// What a unit is: `{ region = "eu", size = "small" }`.
pub(super) fn dimensions(member: &Member<'_, '_>) -> Option<Dimensions> {
    let table = member.table()?;
    let mut dimensions = Dimensions::new();
    let mut good = true;
    for (name, value) in table.entries() {
        match value.text() {
            Some(text) => {
                dimensions.insert(name.to_owned(), text.to_owned());
            }
            None => good = false,
        }
    }
    if !good {
        table.not_read();
    }
    good.then_some(dimensions)
}

fn features(table: &Table<'_, '_>) -> Features {
    let free_units = table.optional("free_units", Quantity::ZERO, Member::decimal);
    let discount = table.optional("discount", None, |member| discount(member).map(Some));
    let minimum_commitment = table.optional("minimum_commitment", None, |member| member.whole().map(Some));
    Features {
        free_units: free_units.unwrap_or(Quantity::ZERO),
        discount: discount.flatten(),
        minimum_commitment: minimum_commitment.flatten(),
    }
}

fn discount(member: &Member<'_, '_>) -> Option<Discount> {
    let table = member.table()?;
    let percent = table.get("percent");
    let amount = table.get("amount");
    table.finish();
    match (percent, amount) {
        (Some(percent), None) => percentage(&percent).map(Discount::Percent),
        (None, Some(amount)) => amount.whole().map(Discount::Amount),
        _ => member.none("must have one of percent and amount"),
    }
}

fn texts(table: &Table<'_, '_>, name: &'static str) -> Option<Vec<String>> {
    let elements = table.required(name, Member::elements)?;
    // All of them are read, so that each fault is noted.
    let read: Vec<_> = elements
        .iter()
        .map(|element| element.text().map(str::to_owned))
        .collect();
    read.into_iter().collect()
}

/// What each element of an array is read as, also of one that is no table.
fn list<T>(table: &Table<'_, '_>, name: &'static str, read: impl Fn(Option<&Table<'_, '_>>) -> T) -> Vec<T> {
    let elements = table.required(name, Member::elements).unwrap_or_default();
    let read = elements.iter().map(|element| {
        let table = element.table();
        let read = read(table.as_ref());
        if let Some(table) = table {
            table.finish();
        }
        read
    });
    read.collect()
}
