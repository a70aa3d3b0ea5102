//! How long an estimate takes, and what it allocates: a plan with 20 products of 10 tiers each, at quantities from ten to ten
//! millions. `docs/performance.md` has the figures.
//!
//! `cargo bench -p billing-core`

use billing_core::Timestamp;
use billing_core::calendar::Zone;
use billing_core::estimate::{Standing, change, first_invoice};
use billing_core::offer::Configuration;
use divan::{AllocProfiler, Bencher};
use serde_json::json;

/// Counts allocations beside the time.
#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Units of each product. The last tier begins at ten thousand.
const QUANTITIES: [u64; 4] = [10, 1_000, 100_000, 10_000_000];

fn main() {
    divan::main();
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// 20 products of 10 graduated tiers each, with free units and a discount, on the first of the month.
fn configuration(quantity: u64) -> Configuration {
    let tiers: Vec<_> = (1..=10)
        .map(|tier| {
            let up_to = (tier < 10).then_some(tier * 1000);
            json!({ "up_to": up_to, "unit_amount": format!("{}.25", 1000 - tier), "flat_amount": 5 })
        })
        .collect();
    let products: Vec<_> = (0..20)
        .map(|product| {
            let pricing = json!({
                "pricing_type": "tiered", "tiers": tiers, "free_units": 3, "discount": { "percent": "12.5" },
            });
            json!({
                "id": format!("00000000-0000-4000-8000-{product:012}"), "name": format!("Product {product}"),
                "required": true, "default_quantity": quantity, "min": 0,
                "price": { "version": 1, "pricing": pricing },
            })
        })
        .collect();
    let plan = json!({
        "id": "00000000-0000-4000-8000-00000000000f", "name": "Large", "currency": "usd", "cadence": "P1M",
        "anchor": { "day_of_month": 1 }, "products": products,
    });
    Configuration::of(&serde_json::from_value(plan).expect("a plan"))
}

fn standing(configuration: &Configuration) -> Standing {
    let first = first_invoice(configuration, &Zone::UTC, at("2026-11-01T00:00:00Z"));
    first.expect("an estimate").standing
}

/// What every line costs, without a line being made: the arithmetic alone.
#[divan::bench(args = QUANTITIES)]
fn full_price(bencher: Bencher<'_, '_>, quantity: u64) {
    let configuration = configuration(quantity);
    bencher.bench(|| billing_core::estimate::full_price(divan::black_box(&configuration)));
}

/// A first period that an anchor cuts short: 20 lines.
#[divan::bench(args = QUANTITIES)]
fn first_period(bencher: Bencher<'_, '_>, quantity: u64) {
    let configuration = configuration(quantity);
    let start = at("2026-11-11T09:30:00Z");
    bencher.bench(|| first_invoice(divan::black_box(&configuration), &Zone::UTC, start));
}

/// Every quantity changes: 20 credits and 20 charges.
#[divan::bench(args = QUANTITIES)]
fn quantity_update(bencher: Bencher<'_, '_>, quantity: u64) {
    let (before, after) = (standing(&configuration(quantity)), configuration(quantity + 1));
    let instant = at("2026-11-11T09:30:00Z");
    bencher.bench(|| change(divan::black_box(&before), divan::black_box(&after), instant));
}
