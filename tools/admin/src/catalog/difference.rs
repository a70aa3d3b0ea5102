//! What a catalog file changes about what is stored. Nothing is written here, and Stripe is not asked.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use billing_core::catalog::{BusinessEntity, Buyer, Plan, Price, Product};
use billing_core::contact::Name;
use billing_core::id::{BuyerId, OfferedId};
use billing_core::organisation::Organisation;
use billing_store::{Store, StoredPlan};
use serde::Serialize;

use super::file::{CatalogFile, Named};
use crate::Failure;
use crate::report::Report;

/// Everything that a file changes, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What is changed; empty when the file says what is stored.
    pub entries: Vec<Entry>,
}

/// One thing that is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Whether it is added, changed or withdrawn.
    pub act: Act,
    /// What it is: `organisation`, `plan`, `customer`, `business entity`.
    pub what: &'static str,
    /// Its name in the file; its id, when the file does not have it or has no name for it.
    pub name: String,
    /// What exactly, one sentence each.
    pub details: Vec<String>,
}

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// It is new.
    Add,
    /// It is there and becomes something else.
    Change,
    /// It is there, and is no longer offered.
    Withdraw,
}

impl Difference {
    /// As it is printed.
    pub(crate) fn report(&self) -> Report {
        let mut text = String::new();
        for entry in &self.entries {
            let sign = match entry.act {
                Act::Add => '+',
                Act::Change => '~',
                Act::Withdraw => '-',
            };
            text.push_str(&format!("{sign} {} {}\n", entry.what, entry.name));
            for detail in &entry.details {
                text.push_str(&format!("    {detail}\n"));
            }
        }
        if self.entries.is_empty() {
            text.push_str("nothing to change\n");
        }
        Report {
            text,
            json: serde_json::json!(self.entries),
        }
    }
}

/// What is stored of the things that a file is about.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) organisation: Option<Organisation>,
    pub(super) business_entities: Vec<BusinessEntity>,
    pub(super) customers: BTreeMap<BuyerId, Buyer>,
    pub(super) plans: Vec<StoredPlan>,
    /// The latest version of the price of each product, also of one that its plan has lost and gets back.
    pub(super) versions: BTreeMap<OfferedId, u32>,
}

impl Stored {
    pub(super) async fn read(store: &Store, file: &CatalogFile) -> Result<Self, Failure> {
        let organisation = &file.organisation;
        let mut stored = Self::default();
        // Versions before plans: what somebody else stores in between is then in the plan, and is not taken for an earlier one.
        for product in file.plans.iter().flat_map(|plan| &plan.it.products) {
            if let Some(latest) = store.latest_price(organisation, &product.id).await? {
                stored.versions.insert(product.id.clone(), latest.price.version);
            }
        }
        stored.organisation = store.organisation(organisation).await?;
        stored.business_entities = store.business_entities(organisation).await?;
        stored.plans = store.plans(organisation).await?;
        for customer in &file.customers {
            if let Some(buyer) = store.buyer(organisation, &customer.it.id).await? {
                stored.customers.insert(buyer.id.clone(), buyer);
            }
        }
        Ok(stored)
    }

    pub(super) fn plan(&self, wanted: &Plan) -> Option<&StoredPlan> {
        self.plans.iter().find(|stored| stored.plan.id == wanted.id)
    }

    /// A plan of the file with the versions of its prices: those that it has where nothing changes, the next ones otherwise. What
    /// Stripe has of it is kept.
    pub(super) fn with_versions(&self, wanted: &Plan) -> Plan {
        let known = self.plan(wanted).map(|stored| &stored.plan);
        let products = wanted.products.iter().map(|product| {
            let before = known.and_then(|plan| plan.product(&product.id));
            let latest = self.versions.get(&product.id).copied().unwrap_or(0);
            let next = || latest.max(before.map_or(0, |before| before.price.version)) + 1;
            Product {
                price: match kept(known, wanted, product) {
                    Some(price) => price.clone(),
                    None => Price {
                        version: next(),
                        ..product.price.clone()
                    },
                },
                stripe_product: before.and_then(|before| before.stripe_product.clone()),
                ..product.clone()
            }
        });
        Plan {
            products: products.collect(),
            ..wanted.clone()
        }
    }
}

/// The price that a product has, if it is still the same: an amount in another currency or for another period is another price.
fn kept<'a>(known: Option<&'a Plan>, wanted: &Plan, product: &Product) -> Option<&'a Price> {
    let known = known.filter(|known| known.currency == wanted.currency && known.cadence == wanted.cadence)?;
    let price = &known.product(&product.id)?.price;
    (price.pricing == product.price.pricing).then_some(price)
}

/// What applying a file would change in the tables.
pub async fn difference(store: &Store, file: &CatalogFile) -> Result<Difference, Failure> {
    let stored = Stored::read(store, file).await?;
    let mut entries = Vec::from_iter(of_organisation(&stored, file));
    for entity in &file.business_entities {
        entries.extend(of_entity(&stored, entity));
    }
    for customer in &file.customers {
        entries.extend(of_customer(&stored, customer));
    }
    for plan in &file.plans {
        let before = stored.plan(&plan.it).map(|stored| &stored.plan);
        entries.extend(of_plan(&plan.name, before, &stored.with_versions(&plan.it)));
    }
    entries.extend(withdrawn(&stored, file).map(|stored| of_withdrawal(&stored.plan)));
    Ok(Difference { entries })
}

/// The plans that are offered and that the file does not have.
pub(super) fn withdrawn<'a>(
    stored: &'a Stored,
    file: &'a CatalogFile,
) -> impl Iterator<Item = &'a StoredPlan> {
    let has = |stored: &StoredPlan| file.plans.iter().any(|plan| plan.it.id == stored.plan.id);
    stored
        .plans
        .iter()
        .filter(move |stored| !stored.plan.withdrawn && !has(stored))
}

pub(super) fn of_organisation(stored: &Stored, wanted: &CatalogFile) -> Option<Entry> {
    let known = stored.organisation.as_ref();
    let mut details = Details::default();
    if let Some(known) = known {
        let before = known.name.as_ref().map_or("none", Name::as_str);
        details.changed("name", before, wanted.organisation_name.as_str());
    }
    details.entry(known.is_none(), "organisation", wanted.organisation.as_str())
}

pub(super) fn of_entity(stored: &Stored, wanted: &Named<BusinessEntity>) -> Option<Entry> {
    let known = stored
        .business_entities
        .iter()
        .find(|known| known.id == wanted.it.id);
    let mut details = Details::default();
    if let Some(known) = known {
        details.changed("name", known.name.as_str(), wanted.it.name.as_str());
        details.changed("time zone", &known.time_zone, &wanted.it.time_zone);
    }
    details.entry(known.is_none(), "business entity", &wanted.name)
}

pub(super) fn of_customer(stored: &Stored, wanted: &Named<Buyer>) -> Option<Entry> {
    let known = stored.customers.get(&wanted.it.id);
    let mut details = Details::default();
    if let Some(known) = known {
        details.changed("name", known.name.as_str(), wanted.it.name.as_str());
        if known.email != wanted.it.email {
            // Addresses of people are not printed.
            details.0.push("e-mail address".to_owned());
        }
        details.changed(
            "business entity",
            &known.business_entity,
            &wanted.it.business_entity,
        );
    }
    details.entry(known.is_none(), "customer", &wanted.name)
}

pub(super) fn of_plan(name: &str, before: Option<&Plan>, after: &Plan) -> Option<Entry> {
    let mut details = Details::default();
    if let Some(before) = before {
        details.changed("name", &before.name, &after.name);
        details.changed("currency", before.currency, after.currency);
        details.changed("cadence", before.cadence, after.cadence);
        if before.anchor != after.anchor {
            details.0.push("anchor".to_owned());
        }
        if before.withdrawn && !after.withdrawn {
            details.0.push("is offered again".to_owned());
        }
        for product in &before.products {
            if after.product(&product.id).is_none() {
                details.0.push(format!("loses product {:?}", product.name));
            }
        }
    }
    for product in &after.products {
        match before.and_then(|before| before.product(&product.id)) {
            None => details.0.push(format!(
                "gets product {:?} at price version {}",
                product.name, product.price.version
            )),
            Some(known) => details.of_product(known, product),
        }
    }
    if before.is_some_and(|before| is_reordered(before, after)) {
        details.0.push("order of the products".to_owned());
    }
    details.entry(before.is_none(), "plan", name)
}

pub(super) fn of_withdrawal(plan: &Plan) -> Entry {
    Entry {
        act: Act::Withdraw,
        what: "plan",
        name: format!("{:?} ({})", plan.name, plan.id),
        details: vec!["is no longer offered; its contracts go on".to_owned()],
    }
}

/// Whether the products that both have come in another order.
fn is_reordered(before: &Plan, after: &Plan) -> bool {
    let common = |plan: &Plan, other: &Plan| -> Vec<OfferedId> {
        let ids = plan.products.iter().map(|product| product.id.clone());
        ids.filter(|id| other.product(id).is_some()).collect()
    };
    common(before, after) != common(after, before)
}

/// What changes about one thing.
#[derive(Default)]
struct Details(Vec<String>);

impl Details {
    fn changed<T: PartialEq + Display>(&mut self, what: &str, before: T, after: T) {
        if before != after {
            self.0.push(format!("{what}: {before} → {after}"));
        }
    }

    fn of_product(&mut self, before: &Product, after: &Product) {
        let mut told = String::new();
        let mut tell = |what: fmt::Arguments<'_>| {
            let separator = if told.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(told, "{separator}{what}");
        };
        if before.name != after.name {
            tell(format_args!("name → {:?}", after.name));
        }
        if before.price.version != after.price.version {
            tell(format_args!(
                "price version {} → {}",
                before.price.version, after.price.version
            ));
        }
        if before.required != after.required {
            tell(format_args!("required → {}", after.required));
        }
        let bounds = |product: &Product| {
            let max = product
                .max
                .map_or_else(|| "any".to_owned(), |max| max.to_string());
            format!("{} of {} to {max}", product.default_quantity, product.min)
        };
        if bounds(before) != bounds(after) {
            tell(format_args!("quantity {} → {}", bounds(before), bounds(after)));
        }
        if before.dimensions != after.dimensions {
            tell(format_args!("dimensions"));
        }
        if !told.is_empty() {
            self.0.push(format!("product {:?}: {told}", before.name));
        }
    }

    fn entry(self, is_new: bool, what: &'static str, name: &str) -> Option<Entry> {
        (is_new || !self.0.is_empty()).then(|| Entry {
            act: if is_new { Act::Add } else { Act::Change },
            what,
            name: name.to_owned(),
            details: self.0,
        })
    }
}
