//! `catalog.toml`: what it says, held to the rules.
//!
//! Names in the file (`[plans.team]`) are for the file: the API knows ids. An id that is not given is made of the organisation and
//! the name, so the same file always means the same things, and a renamed table means another one.

use billing_core::calendar::{AnchorRule, Cadence, Day, Month, Zone};
use billing_core::catalog::{BusinessEntity, Buyer, Plan, Price, Product};
use billing_core::contact::{Email, Name};
use billing_core::decimal::Quantity;
use billing_core::id::{BusinessEntityId, OrganisationId};
use billing_core::pricing::{Dimensions, Pricing};
use toml::de::DeTable;

use super::pricing;
use super::source::{Fault, Member, Source, Table};

/// The largest plan, in bytes of JSON: twenty products of some fifty tiers each. A contract that is being amended holds it four times,
/// and an item of DynamoDB has at most 400 KB.
const LARGEST_PLAN: usize = 80_000;

/// The longest id of an organisation that leaves room in Stripe's lookup keys (200 characters).
const LONGEST_ORGANISATION: usize = 150;

/// A name that stands in for one that cannot be read.
const UNREAD: &str = "unread";

/// What a catalog file declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogFile {
    /// Whose catalog it is.
    pub organisation: OrganisationId,
    /// What the organisation is called.
    pub organisation_name: Name,
    /// Its business entities, by their names in the file.
    pub business_entities: Vec<Named<BusinessEntity>>,
    /// Its customers, by their names in the file.
    pub customers: Vec<Named<Buyer>>,
    /// Its plans, by their names in the file. All prices are of version 0: which they are, only the store knows.
    pub plans: Vec<Named<Plan>>,
}

/// Something, and what the file calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<T> {
    /// Its name in the file.
    pub name: String,
    /// What it is.
    pub it: T,
}

impl CatalogFile {
    /// Reads a file. Answers everything that is wrong with it, in the order of its lines.
    pub fn read(text: &str) -> Result<Self, Vec<Fault>> {
        Self::read_as(text, None)
    }

    /// Reads a file as the catalog of another organisation than the one that it names.
    pub fn read_for(text: &str, organisation: &OrganisationId) -> Result<Self, Vec<Fault>> {
        Self::read_as(text, Some(organisation))
    }

    fn read_as(text: &str, organisation: Option<&OrganisationId>) -> Result<Self, Vec<Fault>> {
        let source = Source::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            source.fault(at, "", error.message());
        }
        // What cannot be parsed is not looked into: what it would say is a guess.
        let file = if errors.is_empty() {
            read(&Table::root(&source, &table), organisation)
        } else {
            None
        };
        match (file, source.into_faults()) {
            (Some(file), faults) if faults.is_empty() => Ok(file),
            (_, faults) => Err(faults),
        }
    }
}

fn read(root: &Table<'_, '_>, of: Option<&OrganisationId>) -> Option<CatalogFile> {
    let organisation = root.required("organisation", organisation);
    let organisation = organisation.map(|(id, name)| (of.cloned().unwrap_or(id), name));
    // Without knowing whose they are, things can still be looked at; their ids do not matter then.
    let (id, name) = match &organisation {
        Some((id, name)) => (Some(id), Some(name)),
        None => (None, None),
    };
    let ids = Ids(id.map_or("", OrganisationId::as_str));
    let business_entities = each(root, "business_entities", |name, table| {
        business_entity(&ids, name, table)
    });
    let customers = each(root, "customers", |name, table| {
        customer(&ids, &business_entities, name, table)
    });
    let plans = each(root, "plans", |name, table| plan(&ids, name, table));
    root.finish();
    check_ids(
        root,
        "business_entities",
        "business entity",
        &business_entities,
        |it| &it.id,
    );
    check_ids(root, "customers", "customer", &customers, |it| &it.id);
    check_addresses(root, &customers);
    check_products(root, &plans);
    check_ids(root, "plans", "plan", &plans, |it| &it.id);
    Some(CatalogFile {
        organisation: id?.clone(),
        organisation_name: name?.clone(),
        business_entities,
        customers,
        plans,
    })
}

fn organisation(member: &Member<'_, '_>) -> Option<(OrganisationId, Name)> {
    let table = member.table()?;
    let id = table.required("id", |member| {
        let id: OrganisationId = member.parsed()?;
        if id.as_str().len() > LONGEST_ORGANISATION {
            return member.none("must be at most 150 characters");
        }
        Some(id)
    });
    let name = table.required("name", Member::parsed);
    table.finish();
    Some((id?, name?))
}

fn business_entity(ids: &Ids<'_>, name: &str, table: &Table<'_, '_>) -> Option<BusinessEntity> {
    let id = ids.read(table, &["entity", name]);
    let called = table.required("name", Member::parsed);
    let time_zone = table.optional("time_zone", Zone::UTC, Member::parsed);
    Some(BusinessEntity {
        id: id?,
        name: called.or_else(stand_in)?,
        time_zone: time_zone.unwrap_or(Zone::UTC),
    })
}

fn customer(
    ids: &Ids<'_>,
    entities: &[Named<BusinessEntity>],
    name: &str,
    table: &Table<'_, '_>,
) -> Option<Buyer> {
    let id = ids.read(table, &["customer", name]);
    let called = table.required("name", Member::parsed);
    let email: Option<Option<Email>> = table.optional("email", None, |member| member.parsed().map(Some));
    let business_entity: Option<BusinessEntityId> = table.required("business_entity", |member| {
        let named = member.text()?;
        match entities.iter().find(|entity| entity.name == named) {
            Some(entity) => Some(entity.it.id.clone()),
            None => member.none("must be the name of one of the business_entities"),
        }
    });
    Some(Buyer {
        id: id?,
        business_entity: business_entity.or_else(|| ids.make(&["entity"]).parse().ok())?,
        name: called.or_else(stand_in)?,
        email: email.flatten(),
        customer: None,
        customer_asked_at: None,
        lost_customers: 0,
    })
}

/// A name, where the one that is given is none.
fn stand_in() -> Option<Name> {
    UNREAD.parse().ok()
}

fn plan(ids: &Ids<'_>, name: &str, table: &Table<'_, '_>) -> Option<Plan> {
    let unread = table.unread();
    let id = ids.read(table, &["plan", name]);
    let called = table.required("name", |member| member.text().map(str::to_owned));
    let currency = table.required("currency", Member::parsed);
    let cadence: Option<Cadence> = table.required("cadence", Member::parsed);
    let anchor = table.optional("anchor", AnchorRule::Start, anchor);
    let mut paths = Vec::new();
    let products = table.required("products", |member| {
        let products = member.table()?;
        let read: Vec<_> = products
            .entries()
            .into_iter()
            .map(|(product, member)| {
                paths.push(format!("products.{product}"));
                let table = named(product, &member).and_then(|()| member.table());
                let read = self::product(ids, name, product, table.as_ref());
                if let Some(table) = table {
                    table.finish();
                }
                read
            })
            .collect();
        read.into_iter().collect::<Option<Vec<Product>>>()
    });
    let is_whole = table.unread() == unread;
    let plan = Plan {
        id: id?,
        name: called.unwrap_or_else(|| UNREAD.to_owned()),
        currency: currency.or_else(|| "usd".parse().ok())?,
        // By which no anchor is out of place.
        cadence: cadence.unwrap_or(Cadence::P1Y),
        anchor: anchor.unwrap_or(AnchorRule::Start),
        products: products.unwrap_or_default(),
        withdrawn: false,
    };
    if is_whole && serde_json::to_vec(&plan).is_ok_and(|plan| plan.len() > LARGEST_PLAN) {
        table.fault_of(
            "products",
            "must have fewer tiers and values: a plan may have 80,000 bytes",
        );
    }
    // What the products come to is known once each of them is.
    let uncharged = plan.uncharged().into_iter();
    let uncharged = uncharged.filter(|fault| is_whole || fault.member != "products");
    for fault in plan.faults().into_iter().chain(uncharged) {
        // The rules count products; the file names them.
        let member = match fault
            .member
            .strip_prefix("products[")
            .and_then(|rest| rest.split_once(']'))
        {
            Some((at, rest)) => {
                let path = at.parse().ok().and_then(|at: usize| paths.get(at));
                format!("{}{rest}", path.map_or("products", String::as_str))
            }
            None => fault.member.clone(),
        };
        table.fault_of(&member, fault.fault);
    }
    Some(plan)
}

/// `"start"`, `{ day_of_month = 1 }` or `{ month = 1, day = 1 }`.
fn anchor(member: &Member<'_, '_>) -> Option<AnchorRule> {
    const FORMS: &str = r#"must be "start", { day_of_month = 1 } or { month = 1, day = 1 }"#;
    if member.is_text() {
        return match member.text()? {
            "start" => Some(AnchorRule::Start),
            _ => member.none(FORMS),
        };
    }
    let day = |member: &Member<'_, '_>| {
        let number: u8 = member.whole()?;
        member.noted(Day::try_from(number))
    };
    let table = member.table()?;
    if table.get("day_of_month").is_some() {
        let rule = table.required("day_of_month", day).map(AnchorRule::DayOfMonth);
        table.finish();
        return rule;
    }
    let month = table.required("month", |member| {
        let number: u8 = member.whole()?;
        member.noted(Month::try_from(number))
    });
    let day = table.required("day", day);
    table.finish();
    Some(AnchorRule::DayOfYear {
        month: month?,
        day: day?,
    })
}

/// A product; of what is no table nothing is known.
fn product(ids: &Ids<'_>, plan: &str, name: &str, table: Option<&Table<'_, '_>>) -> Option<Product> {
    let names = ["product", plan, name];
    let Some(table) = table else {
        return Some(Product {
            id: ids.make(&names).parse().ok()?,
            name: UNREAD.to_owned(),
            required: false,
            default_quantity: Quantity::ZERO,
            min: Quantity::ZERO,
            max: None,
            dimensions: Dimensions::new(),
            price: priced(pricing::free()?),
            stripe_product: None,
        });
    };
    let id = ids.read(table, &names);
    let called = table.required("name", |member| member.text().map(str::to_owned));
    let required = table.optional("required", false, Member::boolean);
    let one = Quantity::whole(1);
    let default_quantity = table.optional("default_quantity", one, Member::decimal);
    let min = table.optional("min", Quantity::ZERO, Member::decimal);
    let max = table.optional("max", None, |member| member.decimal().map(Some));
    let dimensions: Option<Dimensions> = table.optional("dimensions", Dimensions::new(), pricing::dimensions);
    let pricing = table.required("pricing", |member| pricing::read(&member.table()?));
    Some(Product {
        id: id?,
        name: called.unwrap_or_else(|| UNREAD.to_owned()),
        required: required.unwrap_or(false),
        default_quantity: default_quantity.unwrap_or(Quantity::ZERO),
        min: min.unwrap_or(Quantity::ZERO),
        max: max.flatten(),
        dimensions: dimensions.unwrap_or_default(),
        price: priced(pricing.or_else(pricing::free)?),
        stripe_product: None,
    })
}

/// A price that only the store knows the version of.
fn priced(pricing: Pricing) -> Price {
    Price {
        version: 0,
        pricing,
        stripe_price: None,
    }
}

/// An id means one thing.
fn check_ids<T, I: PartialEq>(
    root: &Table<'_, '_>,
    table: &str,
    what: &str,
    all: &[Named<T>],
    id: impl Fn(&T) -> &I,
) {
    for (at, one) in all.iter().enumerate() {
        if all[..at].iter().any(|other| id(&other.it) == id(&one.it)) {
            root.fault_of(
                &format!("{table}.{}.id", one.name),
                format!("is another {what}'s already"),
            );
        }
    }
}

/// An address is one customer's.
fn check_addresses(root: &Table<'_, '_>, customers: &[Named<Buyer>]) {
    let address = |buyer: &Buyer| {
        let email = buyer.email.as_ref();
        email.map(|email| email.as_str().to_ascii_lowercase())
    };
    let mut addresses = std::collections::BTreeSet::new();
    for customer in customers {
        if address(&customer.it).is_some_and(|email| !addresses.insert(email)) {
            root.fault_of(
                &format!("customers.{}.email", customer.name),
                "is another customer's already",
            );
        }
    }
}

/// A product is one plan's.
fn check_products(root: &Table<'_, '_>, plans: &[Named<Plan>]) {
    let mut seen = std::collections::BTreeSet::new();
    for plan in plans {
        for product in &plan.it.products {
            if !seen.insert(&product.id) {
                let of_plan = plan.it.products.iter().filter(|other| other.id == product.id);
                // Within a plan the plan's own rules say so.
                if of_plan.count() == 1 {
                    let member = format!("plans.{}.products", plan.name);
                    root.fault_of(
                        &member,
                        format!("product {} is another plan's already", product.id),
                    );
                }
            }
        }
    }
}

/// The tables of a table, each read by `read`; what is wrong is noted.
fn each<T>(
    root: &Table<'_, '_>,
    name: &'static str,
    read: impl Fn(&str, &Table<'_, '_>) -> Option<T>,
) -> Vec<Named<T>> {
    let table = root.get(name).and_then(|member| member.table());
    let entries = table.map(|table| table.entries()).unwrap_or_default();
    let all = entries.into_iter().filter_map(|(name, member)| {
        named(name, &member)?;
        let table = member.table()?;
        let it = read(name, &table);
        table.finish();
        Some(Named {
            name: name.to_owned(),
            it: it?,
        })
    });
    all.collect()
}

/// Names are plain, so that they can be written in paths and on command lines.
fn named(name: &str, member: &Member<'_, '_>) -> Option<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.len() <= 100 && name.bytes().all(plain) {
        Some(())
    } else {
        member.none("a name is 1 to 100 letters, digits, dashes and underscores")
    }
}

/// Makes ids of the names of an organisation.
struct Ids<'a>(&'a str);

impl Ids<'_> {
    /// The member `id`, or one that is made, also where the member is none.
    fn read<T>(&self, table: &Table<'_, '_>, names: &[&str]) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let given = table.get("id").and_then(|member| member.parsed());
        given.or_else(|| self.make(names).parse().ok())
    }

    /// A UUID of version 8 (RFC 9562: made as one likes), from a hash of organisation, kind and names.
    fn make(&self, names: &[&str]) -> String {
        // No name contains a slash.
        let hash = billing_edge::key::hash(&format!("billing-catalog/{}/{}", self.0, names.join("/")));
        format!(
            "{}-{}-8{}-8{}-{}",
            &hash[..8],
            &hash[8..12],
            &hash[13..16],
            &hash[17..20],
            &hash[20..32]
        )
    }
}
