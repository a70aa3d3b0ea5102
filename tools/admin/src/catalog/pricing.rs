//! The pricing of a product, as a catalog file writes it.

use billing_core::decimal::{Decimal, Percentage, Quantity, UnitAmount};
use billing_core::pricing::{Band, Cell, Dimensions, Discount, Features, Model, PercentBase, Pricing, Tier};

use super::source::{Member, Table};

/// Reads the members of a pricing out of a table of their own.
pub(super) fn read(table: &Table<'_, '_>) -> Option<Pricing> {
    let model = model(table);
    let features = features(table);
    table.finish();
    match Pricing::new(model?, features?) {
        Ok(pricing) => Some(pricing),
        Err(faults) => {
            for fault in faults {
                table.fault_of(&fault.member, fault.fault);
            }
            None
        }
    }
}

fn model(table: &Table<'_, '_>) -> Option<Model> {
    const TYPES: &str = "must be flat_fee, per_unit, tiered, volume, step, package, percent or matrix";
    let Some(member) = table.get("pricing_type") else {
        table.fault("pricing_type is missing");
        return None;
    };
    match member.text()? {
        "flat_fee" => Some(Model::FlatFee {
            unit_amount: unit_amount(table)?,
        }),
        "per_unit" => Some(Model::PerUnit {
            unit_amount: unit_amount(table)?,
        }),
        "tiered" => Some(Model::Tiered {
            tiers: list(table, "tiers", tier)?,
        }),
        "volume" => Some(Model::Volume {
            tiers: list(table, "tiers", tier)?,
        }),
        "step" => Some(Model::Step {
            tiers: list(table, "tiers", band)?,
        }),
        "package" => {
            let (size, amount) = (
                table.required("package_size", Member::decimal),
                unit_amount(table),
            );
            Some(Model::Package {
                package_size: size?,
                unit_amount: amount?,
            })
        }
        "percent" => percent(table),
        "matrix" => {
            let (dimensions, values) = (texts(table, "dimensions"), list(table, "values", cell));
            Some(Model::Matrix {
                dimensions: dimensions?,
                values: values?,
            })
        }
        _ => member.none(TYPES),
    }
}

fn unit_amount(table: &Table<'_, '_>) -> Option<UnitAmount> {
    table.required("unit_amount", Member::decimal)
}

fn tier(table: &Table<'_, '_>) -> Option<Tier> {
    let up_to = up_to(table);
    let unit_amount = unit_amount(table);
    let flat_amount = table.optional("flat_amount", None, |member| member.decimal().map(Some));
    Some(Tier {
        up_to: up_to?,
        unit_amount: unit_amount?,
        flat_amount: flat_amount?,
    })
}

fn band(table: &Table<'_, '_>) -> Option<Band> {
    let up_to = up_to(table);
    let flat_amount = table.required("flat_amount", Member::decimal);
    Some(Band {
        up_to: up_to?,
        flat_amount: flat_amount?,
    })
}

/// The last tier has none.
fn up_to(table: &Table<'_, '_>) -> Option<Option<Quantity>> {
    table.optional("up_to", None, |member| member.decimal().map(Some))
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
        percentage: percentage?,
        base: base?,
        minimum: minimum?,
        maximum: maximum?,
    })
}

fn percentage(member: &Member<'_, '_>) -> Option<Percentage> {
    let number: Decimal<4> = member.decimal()?;
    member.noted(Percentage::try_from(number))
}

fn cell(table: &Table<'_, '_>) -> Option<Cell> {
    let matches = table.required("match", dimensions);
    let unit_amount = unit_amount(table);
    Some(Cell {
        matches: matches?,
        unit_amount: unit_amount?,
    })
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
    good.then_some(dimensions)
}

fn features(table: &Table<'_, '_>) -> Option<Features> {
    let free_units = table.optional("free_units", Quantity::ZERO, Member::decimal);
    let discount = table.optional("discount", None, |member| discount(member).map(Some));
    let minimum_commitment = table.optional("minimum_commitment", None, |member| member.whole().map(Some));
    Some(Features {
        free_units: free_units?,
        discount: discount?,
        minimum_commitment: minimum_commitment?,
    })
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

fn list<T>(
    table: &Table<'_, '_>,
    name: &'static str,
    read: impl Fn(&Table<'_, '_>) -> Option<T>,
) -> Option<Vec<T>> {
    let elements = table.required(name, Member::elements)?;
    let read: Vec<_> = elements
        .iter()
        .map(|element| {
            let table = element.table()?;
            let read = read(&table);
            table.finish();
            read
        })
        .collect();
    read.into_iter().collect()
}
