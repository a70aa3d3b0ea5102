//! Making what is stored, and what Stripe has, as a catalog file says.
//!
//! # If it fails half-way
//! Stripe comes first: a price that is there and that no plan names costs nobody anything, and is found by the next attempt. A
//! plan that names a price which is not there could not be sold.

use std::collections::{BTreeMap, HashMap};

use billing_core::catalog::{Buyer, Plan, Product};
use billing_core::contact::Email;
use billing_core::id::{BuyerId, OrganisationId};
use billing_core::organisation::Organisation;
use billing_store::{BuyerWrite, Store, StoreError, StoredPlan, StoredPrice};
use billing_stripe::{FoundPrice, PriceVersion, Stripe, Upkeep, native};
use jiff::Timestamp;

use super::difference::{self, Act, Difference, Entry, Stored};
use super::file::{CatalogFile, Named};
use crate::Failure;

/// How often versions are counted up because their lookup keys are taken by prices that nobody stored.
const MOST_SKIPS: u32 = 20;

/// Writes everything that differs, and notes it in `done`. A conflict means that somebody else was writing too.
pub(super) async fn once(
    store: &Store,
    stripe: &Stripe,
    file: &CatalogFile,
    now: Timestamp,
    done: &mut Difference,
) -> Result<(), Failure> {
    let organisation = &file.organisation;
    let stored = Stored::read(store, file).await?;
    if let Some(entry) = difference::of_organisation(&stored, file) {
        put_organisation(store, file, stored.organisation.as_ref(), now).await?;
        done.entries.push(entry);
    }
    for entity in &file.business_entities {
        if let Some(entry) = difference::of_entity(&stored, entity) {
            store.put_business_entity(organisation, &entity.it).await?;
            done.entries.push(entry);
        }
    }
    let customers = free_addresses(store, file, &stored).await?;
    for customer in &file.customers {
        if let Some(entry) = difference::of_customer(&stored, customer) {
            put_customer(store, file, customers.get(&customer.it.id), customer).await?;
            done.entries.push(entry);
        }
    }
    let work = Work {
        store,
        stripe,
        organisation,
        now,
    };
    for plan in &file.plans {
        let before = stored.plan(&plan.it);
        let entry = work
            .plan(&plan.name, before, stored.with_versions(&plan.it))
            .await?;
        done.entries.extend(entry);
    }
    for before in difference::withdrawn(&stored, file) {
        let new = StoredPlan {
            plan: Plan {
                withdrawn: true,
                ..before.plan.clone()
            },
            edition: before.edition + 1,
        };
        store.put_plan(organisation, &new, &[]).await?;
        done.entries.push(difference::of_withdrawal(&before.plan));
    }
    Ok(())
}

async fn put_organisation(
    store: &Store,
    file: &CatalogFile,
    read: Option<&Organisation>,
    now: Timestamp,
) -> Result<(), StoreError> {
    match read {
        Some(read) => store.rename_organisation(read, &file.organisation_name).await,
        None => {
            let new = Organisation {
                id: file.organisation.clone(),
                name: Some(file.organisation_name.clone()),
                created_at: now,
            };
            store.create_organisation(&new).await
        }
    }
}

/// Takes from the file's customers the addresses that it gives to others of them, so that it does not matter who comes first. Answers the
/// customers as they are stored then. Dying here leaves customers without an address, which the next attempt gives them.
async fn free_addresses(
    store: &Store,
    file: &CatalogFile,
    stored: &Stored,
) -> Result<BTreeMap<BuyerId, Buyer>, Failure> {
    let mut customers = stored.customers.clone();
    for read in stored.customers.values() {
        let Some(hash) = read.email.as_ref().map(hash) else {
            continue;
        };
        let moves = file.customers.iter().any(|Named { it: other, .. }| {
            other.id != read.id && other.email.as_ref().map(self::hash).as_ref() == Some(&hash)
        });
        if !moves {
            continue;
        }
        let freed = Buyer {
            email: None,
            ..read.clone()
        };
        let write = BuyerWrite {
            new: &freed,
            email_hash: None,
            read: Some(read),
            read_email_hash: Some(&hash),
        };
        store.put_buyer(&file.organisation, write).await?;
        customers.insert(freed.id.clone(), freed);
    }
    Ok(customers)
}

async fn put_customer(
    store: &Store,
    file: &CatalogFile,
    read: Option<&Buyer>,
    customer: &Named<Buyer>,
) -> Result<(), Failure> {
    let email_hash = customer.it.email.as_ref().map(hash);
    let read_email_hash = read.and_then(|read| read.email.as_ref()).map(hash);
    if let Some(hash) = &email_hash
        && let Some(owner) = store.buyer_of_email(&file.organisation, hash).await?
        && owner != customer.it.id
    {
        return Err(Failure::AddressTaken {
            customer: customer.name.clone(),
            owner,
        });
    }
    let write = BuyerWrite {
        new: &customer.it,
        email_hash: email_hash.as_deref(),
        read,
        read_email_hash: read_email_hash.as_deref(),
    };
    Ok(store.put_buyer(&file.organisation, write).await?)
}

/// Under which a customer is found by its address. Case does not matter.
fn hash(email: &Email) -> String {
    billing_edge::key::hash(&email.as_str().to_ascii_lowercase())
}

/// Where plans are made.
struct Work<'a> {
    store: &'a Store,
    stripe: &'a Stripe,
    organisation: &'a OrganisationId,
    now: Timestamp,
}

impl Work<'_> {
    /// Has a plan sold as it is wanted. None when it is already, here and at Stripe.
    async fn plan(
        &self,
        name: &str,
        before: Option<&StoredPlan>,
        wanted: Plan,
    ) -> Result<Option<Entry>, Failure> {
        let edition = before.map_or(0, |before| before.edition) + 1;
        let known = before.map(|before| &before.plan);
        let mut upkeep = Vec::new();
        let wanted = self.at_stripe(known, wanted, edition, &mut upkeep).await?;
        let change = |details| Entry {
            act: Act::Change,
            what: "plan",
            name: name.to_owned(),
            details,
        };
        if known == Some(&wanted) {
            return Ok((!upkeep.is_empty()).then(|| change(upkeep)));
        }
        let mut prices = Vec::new();
        for product in &wanted.products {
            let was = known.and_then(|plan| plan.product(&product.id));
            if was.is_none_or(|was| was.price != product.price) {
                prices.push(self.stored_price(&wanted, product).await?);
            }
        }
        let made_anew = || change(vec!["is made anew at Stripe".to_owned()]);
        let mut entry = difference::of_plan(name, known, &wanted).unwrap_or_else(made_anew);
        entry.details.append(&mut upkeep);
        let new = StoredPlan {
            plan: wanted,
            edition,
        };
        self.store.put_plan(self.organisation, &new, &prices).await?;
        Ok(Some(entry))
    }

    async fn stored_price(&self, plan: &Plan, product: &Product) -> Result<StoredPrice, Failure> {
        let version = product.price.version;
        let earlier = self.store.price(self.organisation, &product.id, version).await?;
        Ok(StoredPrice {
            product: product.id.clone(),
            plan: plan.id.clone(),
            currency: plan.currency,
            cadence: plan.cadence,
            price: product.price.clone(),
            created_at: earlier.map_or(self.now, |earlier| earlier.created_at),
        })
    }

    /// The plan with what Stripe has of it, made where it is missing. What somebody had done to it there by hand, and is put right, is told in
    /// `upkeep`.
    async fn at_stripe(
        &self,
        before: Option<&Plan>,
        mut plan: Plan,
        edition: u64,
        upkeep: &mut Vec<String>,
    ) -> Result<Plan, Failure> {
        for product in &mut plan.products {
            let made = self
                .stripe
                .ensure_product(self.organisation, &product.id, &product.name, edition)
                .await?;
            let was = before.and_then(|before| before.product(&product.id));
            let is_renamed_by_the_file = was.is_none_or(|was| was.name != product.name);
            let name = &product.name;
            match made.upkeep {
                Upkeep::SoldAgain => upkeep.push(format!(
                    "product \"{name}\" was archived at Stripe, and is sold again"
                )),
                Upkeep::Renamed if !is_renamed_by_the_file => upkeep.push(format!(
                    "product \"{name}\" was renamed at Stripe, and has its name again"
                )),
                Upkeep::Renamed | Upkeep::Nothing => {}
            }
            product.stripe_product = Some(made.id);
        }
        for _ in 0..MOST_SKIPS {
            let found = self.stripe.prices_of(&self.lookup_keys(&plan)).await?;
            if self.prices(before, &mut plan, (&found, edition), upkeep).await? {
                return Ok(plan);
            }
        }
        Err(Failure::Contended)
    }

    fn lookup_keys(&self, plan: &Plan) -> Vec<String> {
        let sold = plan
            .products
            .iter()
            .filter(|it| native(&it.price.pricing).is_some());
        sold.map(|product| self.version(plan, product).lookup_key())
            .collect()
    }

    fn version<'a>(&'a self, plan: &Plan, product: &'a Product) -> PriceVersion<'a> {
        PriceVersion {
            organisation: self.organisation,
            product: &product.id,
            version: product.price.version,
            currency: plan.currency,
            cadence: plan.cadence,
            pricing: &product.price.pricing,
        }
    }

    /// Gives every product its price at Stripe. False when a lookup key turned out to be taken, so that it has to be looked again.
    async fn prices(
        &self,
        before: Option<&Plan>,
        plan: &mut Plan,
        (found, edition): (&HashMap<String, FoundPrice>, u64),
        upkeep: &mut Vec<String>,
    ) -> Result<bool, Failure> {
        let mut complete = true;
        for at in 0..plan.products.len() {
            let product = &plan.products[at];
            let Some(native) = native(&product.price.pricing) else {
                plan.products[at].price.stripe_price = None;
                continue;
            };
            let version = self.version(plan, product);
            let was = before.and_then(|before| before.product(&product.id));
            let is_new = was.is_none_or(|was| was.price.version != product.price.version);
            let price = match found.get(&version.lookup_key()) {
                Some(price) if price.is_of(&version) => {
                    if !price.is_active {
                        self.stripe.activate_price(&price.id, edition).await?;
                        upkeep.push(format!(
                            "price version {} of product \"{}\" was archived at Stripe, and is sold again",
                            product.price.version, product.name
                        ));
                    }
                    Some(price.id.clone())
                }
                // Made by an attempt that stored nothing, of a file that said something else. Nobody was sold it.
                Some(_) if is_new => {
                    plan.products[at].price.version += 1;
                    None
                }
                Some(_) => return Err(Failure::OtherPrice(version.lookup_key())),
                None => match &product.stripe_product {
                    Some(sold) => self.stripe.create_price(&version, &native, sold).await?,
                    None => None,
                },
            };
            complete &= price.is_some();
            plan.products[at].price.stripe_price = price;
        }
        Ok(complete)
    }
}
