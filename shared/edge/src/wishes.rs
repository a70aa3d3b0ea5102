//! What a request for a checkout session wants, what that is priced on, and how a session is told.
//!
//! Shared by creating, previewing and confirming: the same request is the same wish, and the same wish at the same instant the same
//! offer.

use billing_core::Timestamp;
use billing_core::calendar::whole_second;
use billing_core::catalog::{BusinessEntity, Buyer, Plan};
use billing_core::contact::Address;
use billing_core::contract::{Obstacle, Status};
use billing_core::decimal::{NotADecimal, Quantity};
use billing_core::id::{CheckoutId, OrganisationId};
use billing_core::invalid::Invalid;
use billing_core::offer::{Configuration, Override};
use billing_core::return_url::ReturnUrl;
use billing_core::sale::{self, Amended, Estimates, NewContract, NoOffer, Offer};
use billing_core::session::{self, Guest, Kind, Session, When, Wish, WishMembers};
use billing_store::{StoreError, StoredContract};
use serde::Serialize;
use serde_json::Value;

use crate::body::{Members, integer};
use crate::call::Call;
use crate::problem::Problem;

/// What a caller is told of a session that is not theirs, or is none.
const NO_SESSION: &str = "no such checkout session";

/// What a wish is priced on: read anew for each request.
#[derive(Debug)]
pub struct WishFacts {
    /// The plan, as it is offered now.
    pub plan: Option<Plan>,
    /// Who sells.
    pub entity: BusinessEntity,
    /// Who buys; none for a guest.
    pub buyer: Option<Buyer>,
    /// The contract to amend.
    pub stored: Option<StoredContract>,
}

/// What a session would be that is made of a wish now.
#[derive(Debug)]
pub struct NewSession {
    /// When the contract begins.
    pub start: When,
    /// What it comes to.
    pub offer: Offer,
    /// Until when it can be confirmed.
    pub open_until: Timestamp,
}

/// The body of a session, to the letter of the contract.
#[derive(Debug, Serialize)]
pub struct ToldSession<'a> {
    id: &'a str,
    organisation_id: &'a str,
    #[serde(rename = "type")]
    kind: Kind,
    checkout_status: session::Status,
    plan_id: Option<&'a str>,
    contract_id: Option<&'a str>,
    customer_id: Option<&'a str>,
    business_entity_id: &'a str,
    guest_checkout: bool,
    customer_data: Option<&'a Guest>,
    start_date: When,
    end_date: Option<When>,
    effective_at: Timestamp,
    product_overrides: &'a [Override],
    estimates: &'a Estimates,
    expires_at: Timestamp,
    success_url: Option<&'a str>,
    cancel_url: Option<&'a str>,
    url: Option<&'a str>,
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> ToldSession<'a> {
    /// A session as it is at an instant.
    #[must_use]
    pub fn of(session: &'a Session, now: Timestamp) -> Self {
        let wish = &session.wish;
        Self {
            id: session.id.as_str(),
            organisation_id: session.organisation.as_str(),
            kind: wish.kind,
            checkout_status: session.status_at(now),
            plan_id: wish.plan.as_ref().map(|plan| plan.as_str()),
            contract_id: session.told_contract().map(|contract| contract.as_str()),
            customer_id: session.buyer.as_ref().map(|buyer| buyer.as_str()),
            business_entity_id: session.business_entity.as_str(),
            guest_checkout: wish.guest.is_some(),
            customer_data: wish.guest.as_ref(),
            start_date: session.start,
            end_date: wish.end,
            effective_at: session.offer.effective_at,
            product_overrides: &wish.overrides,
            estimates: &session.offer.estimates,
            expires_at: session.open_until,
            success_url: wish.success_url.as_ref().map(ReturnUrl::as_str),
            cancel_url: wish.cancel_url.as_ref().map(ReturnUrl::as_str),
            url: session.url_at(now),
            version: session.version,
            // To the second, as everything else: what is stored is to the nanosecond.
            created_at: whole_second(session.created_at),
            updated_at: whole_second(session.updated_at),
        }
    }
}

impl Call<'_> {
    /// The checkout session that the path names; 404 for what can be no id of one.
    pub fn named_checkout(&self) -> Result<CheckoutId, Problem> {
        let named = self.path("checkoutId").and_then(|id| id.parse().ok());
        named.ok_or_else(|| Problem::not_found(NO_SESSION))
    }

    /// That session as it is stored; 404 for another organisation's as for none. An id is no secret: whose it is decides.
    pub async fn named_session(&self, organisation: &OrganisationId) -> Result<Session, Problem> {
        let session = self.store.checkout_session(&self.named_checkout()?).await?;
        let own = session.filter(|session| session.organisation == *organisation);
        own.ok_or_else(|| Problem::not_found(NO_SESSION))
    }

    /// The wish of a request's body. Everything that is wrong with it is told at once.
    pub fn read_wish(&self) -> Result<Wish, Problem> {
        let mut members = self.members()?;
        let policy = &self.app.config.return_policy;
        let url = |text: &str| match text {
            "" => Err("must not be empty".to_owned()),
            text => ReturnUrl::parse(text, policy).map_err(|refused| refused.to_string()),
        };
        let mut asked = WishMembers {
            plan: members.optional("plan_id", str::parse),
            contract: members.optional("contract_id", str::parse),
            start: members.optional("start_date", str::parse),
            end: members.optional("end_date", str::parse),
            buyer: members.optional("customer_id", str::parse),
            business_entity: members.optional("business_entity_id", str::parse),
            guest_checkout: members.optional_flag("guest_checkout").unwrap_or(false),
            guest: members.optional_object("customer_data", guest),
            expires_at: members.optional("expires_at", |text| {
                text.parse::<Timestamp>()
                    .map_err(|_| "must be a date-time with an offset (2026-04-01T00:00:00Z)")
            }),
            success_url: members.optional("success_url", url),
            cancel_url: members.optional("cancel_url", url),
            overrides: overrides(&mut members),
            faulty: Vec::new(),
        };
        let expires_at = asked.expires_at;
        asked.faulty = members.faulty();
        // Under whichever name they are given: what is there and wrong is not missing.
        if asked.faulty.iter().any(|name| name == OLDER_OVERRIDES) {
            asked.faulty.push(OVERRIDES.to_owned());
        }
        let wish = match asked.wish() {
            Ok(wish) if members.faulty().is_empty() => return Ok(wish),
            wish => wish,
        };
        // No session was ever made of this body, so that a life which cannot be had now is one fault more.
        if let Err(bad) = session::open_until(expires_at, self.now) {
            members.fault("expires_at", bad.to_string());
        }
        if let Err(invalid) = wish {
            members.and(invalid);
        }
        members.finish()?;
        Err(Problem::internal("a wish was refused without a reason"))
    }

    /// What a wish is priced on, of a session that there is. 400 when it names what is not there.
    pub async fn wish_facts(&self, organisation: &OrganisationId, wish: &Wish) -> Result<WishFacts, Problem> {
        self.look_up(organisation, wish).await?.facts()
    }

    /// What a wish is priced on that is told now. 400 with everything that is wrong with it when it names what is not there; 409 and 503 for a
    /// contract that cannot be amended as it stands.
    pub async fn new_wish_facts(
        &self,
        organisation: &OrganisationId,
        wish: &Wish,
    ) -> Result<WishFacts, Problem> {
        let mut named = self.look_up(organisation, wish).await?;
        if !named.invalid.is_empty() {
            named.judge_the_rest(wish, self.now);
        }
        let facts = named.facts()?;
        if let Some(obstacle) = facts.obstacle(self.now) {
            return Err(Problem::conflict(obstacle.to_string()));
        }
        facts.check_period(self.now)?;
        Ok(facts)
    }

    /// What a session of a wish would be that is made now. 400 with everything that is wrong with its dates, its choices and its life; 409 for a
    /// change that the contract's end cuts short.
    pub fn new_session(&self, wish: &Wish, facts: &WishFacts) -> Result<NewSession, Problem> {
        let (start, mut invalid) = wish.start(&facts.entity.time_zone, self.now);
        let offer = match facts.offer(wish, start, self.now) {
            Ok(offer) => Some(offer),
            Err(NoOffer::Invalid(more)) => {
                invalid.and(more);
                None
            }
            // Of a start that is wrong it does not matter what it would cost.
            Err(_) if !invalid.is_empty() => None,
            Err(NoOffer::NoEstimate(why)) => {
                invalid.and(Invalid::form(why.to_string()));
                None
            }
            Err(cut_short @ NoOffer::CutShort(_)) => return Err(cut_short.into()),
        };
        let open_until = invalid.gather(wish.open_until(self.now));
        match (offer, open_until) {
            (Some(offer), Some(open_until)) if invalid.is_empty() => Ok(NewSession {
                start,
                offer,
                open_until,
            }),
            _ => Err(Problem::invalid(invalid)),
        }
    }

    async fn look_up(&self, organisation: &OrganisationId, wish: &Wish) -> Result<Named, Problem> {
        let mut invalid = Invalid::default();
        // What the wish names is read at once. What follows from that is usually among it.
        let (plan, stored, named_buyer, named_entity) = tokio::try_join!(
            named(&wish.plan, async |id| self.store.plan(organisation, id).await),
            named(&wish.contract, async |id| self
                .store
                .contract(organisation, id)
                .await),
            named(&wish.buyer, async |id| self.store.buyer(organisation, id).await),
            named(&wish.business_entity, async |id| {
                self.store.business_entity(organisation, id).await
            }),
        )?;
        let plan = plan.map(|stored| stored.plan).filter(|plan| !plan.withdrawn);
        if wish.plan.is_some() && plan.is_none() {
            invalid.field("plan_id", "is not a plan that is offered");
        }
        let stored = stored.filter(|stored| stored.contract.status != Status::Pending);
        let stored = stored.map(in_billed_period).transpose()?;
        if wish.contract.is_some() && stored.is_none() {
            invalid.field("contract_id", "is not a contract of the organisation");
        }
        let buyer = match (&stored, &wish.buyer) {
            (Some(stored), Some(asked)) if stored.contract.buyer != *asked => {
                invalid.field("customer_id", "is not the customer of the contract");
                None
            }
            (Some(stored), None) => self.store.buyer(organisation, &stored.contract.buyer).await?,
            (_, Some(_)) | (None, None) => named_buyer,
        };
        if wish.buyer.is_some() && buyer.is_none() && !invalid.blames("customer_id") {
            invalid.field("customer_id", "is not a customer of the organisation");
        }
        let entity = match (&buyer, &wish.business_entity) {
            (Some(buyer), Some(asked)) if buyer.business_entity != *asked => {
                invalid.field("business_entity_id", "is not the customer's");
                None
            }
            (Some(buyer), None) => {
                self.store
                    .business_entity(organisation, &buyer.business_entity)
                    .await?
            }
            (_, Some(_)) | (None, None) => named_entity,
        };
        if wish.business_entity.is_some() && entity.is_none() && !invalid.blames("business_entity_id") {
            invalid.field(
                "business_entity_id",
                "is not a business entity of the organisation",
            );
        }
        Ok(Named {
            plan,
            entity,
            buyer,
            stored,
            invalid,
        })
    }
}

/// A contract in the period that Stripe bills, as far as that is known.
fn in_billed_period(stored: StoredContract) -> Result<StoredContract, Problem> {
    let contract = stored.contract.in_billed_period();
    let contract = contract.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(StoredContract { contract, ..stored })
}

/// What a wish names, read; none when it names nothing.
async fn named<I, T>(
    id: &Option<I>,
    read: impl AsyncFnOnce(&I) -> Result<Option<T>, StoreError>,
) -> Result<Option<T>, StoreError> {
    match id {
        // On the heap: four of them at once are large.
        Some(id) => Box::pin(read(id)).await,
        None => Ok(None),
    }
}

/// What a wish names, as far as it is there.
struct Named {
    plan: Option<Plan>,
    entity: Option<BusinessEntity>,
    buyer: Option<Buyer>,
    stored: Option<StoredContract>,
    /// What is wrong with the names, and with the rest once that is judged.
    invalid: Invalid,
}

impl Named {
    /// Adds what is wrong with the rest of a wish that is told now, as far as that can be said without what is not there.
    fn judge_the_rest(&mut self, wish: &Wish, now: Timestamp) {
        let invalid = &mut self.invalid;
        if let Some(entity) = &self.entity {
            let zone = &entity.time_zone;
            let (start, wrong) = wish.start(zone, now);
            invalid.and(wrong);
            if let Ok(at) = start.instant(zone) {
                invalid.gather(sale::end(wish.end, zone, at));
            }
        }
        match (&self.stored, &self.plan) {
            (Some(stored), plan) if plan.is_some() == wish.plan.is_some() => {
                let before = &stored.contract.standing.configuration;
                invalid.gather(sale::becomes(before, plan.as_ref(), &wish.overrides));
            }
            (_, Some(plan)) => {
                invalid.gather(Configuration::of(plan).with(&wish.overrides));
            }
            (_, None) => {}
        }
        invalid.gather(wish.open_until(now));
    }

    fn facts(self) -> Result<WishFacts, Problem> {
        if !self.invalid.is_empty() {
            return Err(Problem::invalid(self.invalid));
        }
        let entity = self.entity;
        Ok(WishFacts {
            entity: entity.ok_or_else(|| Problem::internal("a customer has no business entity"))?,
            plan: self.plan,
            buyer: self.buyer,
            stored: self.stored,
        })
    }
}

impl WishFacts {
    /// When a contract of this wish begins that is asked for now: as it was said, or today where it is sold. It is not to be over by
    /// then.
    pub fn start(&self, wish: &Wish, now: Timestamp) -> Result<When, Problem> {
        let (start, invalid) = wish.start(&self.entity.time_zone, now);
        if invalid.is_empty() {
            Ok(start)
        } else {
            Err(Problem::invalid(invalid))
        }
    }

    /// What the wish comes to, for a contract that begins at `start`, or for one that is amended at `at`.
    pub fn offer(&self, wish: &Wish, start: When, at: Timestamp) -> Result<Offer, NoOffer> {
        match (&self.stored, &self.plan) {
            (None, Some(plan)) => sale::begin(&NewContract {
                plan,
                overrides: &wish.overrides,
                zone: &self.entity.time_zone,
                start,
                end: wish.end,
                now: at,
            }),
            (Some(stored), plan) => sale::amend(&Amended {
                standing: &stored.contract.standing,
                ends_at: stored.contract.ends_at,
                plan: plan.as_ref(),
                overrides: &wish.overrides,
                at,
            }),
            (None, None) => {
                let mut invalid = Invalid::default();
                invalid.field("plan_id", "is not a plan that is offered");
                Err(NoOffer::Invalid(invalid))
            }
        }
    }

    /// The contract to amend, where it [is lapsed](billing_core::contract::Contract::is_lapsed).
    #[must_use]
    pub fn lapsed(&self, now: Timestamp) -> Option<&StoredContract> {
        let stored = self.stored.as_ref();
        stored.filter(|stored| stored.contract.is_lapsed(now))
    }

    /// Whether the contract can be priced as it is stored: 503 while the news of its renewal, or its end, is on its way.
    pub fn check_period(&self, now: Timestamp) -> Result<(), Problem> {
        match self.lapsed(now) {
            None => Ok(()),
            Some(_) => Err(Problem::unavailable(
                "the contract's period or trial is over, and what came after has not arrived",
            )),
        }
    }

    /// Why the contract cannot be amended as it stands, if it cannot.
    #[must_use]
    pub fn obstacle(&self, now: Timestamp) -> Option<Obstacle> {
        self.stored.as_ref()?.contract.obstacle(now)
    }
}

impl From<NoOffer> for Problem {
    fn from(none: NoOffer) -> Self {
        match none {
            NoOffer::Invalid(invalid) => Self::invalid(invalid),
            NoOffer::NoEstimate(why) => Self::invalid(Invalid::form(why.to_string())),
            NoOffer::CutShort(why) => Self::conflict(why.to_string()),
        }
    }
}

fn guest(members: &mut Members) -> Option<Guest> {
    let name = members.required("name", str::parse);
    let email = members.required("email", str::parse);
    let address = members.optional_object("address", |members| {
        Some(Address {
            line1: members.optional("line1", str::parse),
            line2: members.optional("line2", str::parse),
            city: members.optional("city", str::parse),
            postal_code: members.optional("postal_code", str::parse),
            state: members.optional("state", str::parse),
            country: members.optional("country", str::parse),
        })
    });
    Some(Guest {
        name: name?,
        email: email?,
        address,
    })
}

/// The member with the choices.
const OVERRIDES: &str = "product_overrides";

/// The same by its older name, which callers may use still.
const OLDER_OVERRIDES: &str = "product_quantities";

/// The choices, under either name.
fn overrides(members: &mut Members) -> Vec<Override> {
    if members.member(OVERRIDES).is_some() && members.member(OLDER_OVERRIDES).is_some() {
        members.fault(
            OLDER_OVERRIDES,
            "is the older name of product_overrides: give one of them",
        );
        return Vec::new();
    }
    let name = if members.member(OLDER_OVERRIDES).is_some() {
        OLDER_OVERRIDES
    } else {
        OVERRIDES
    };
    members.optional_list(name, one_override).unwrap_or_default()
}

fn one_override(members: &mut Members) -> Option<Override> {
    let product_id = members.required("product_id", str::parse);
    let is_enabled = members.optional_flag("is_enabled");
    let quantity = match members.member("quantity").cloned() {
        None => None,
        Some(given) => match quantity(&given) {
            Some(quantity) if !quantity.is_negative() => Some(quantity),
            _ => {
                members.fault("quantity", quantity_fault(&given));
                None
            }
        },
    };
    let dimensions = match members.member("dimensions").cloned() {
        None => None,
        Some(given) => match serde_json::from_value(given) {
            Ok(dimensions) => Some(dimensions),
            Err(_) => {
                members.fault("dimensions", "must be an object of texts");
                None
            }
        },
    };
    if quantity.is_none() && is_enabled.is_none() && dimensions.is_none() && members.faulty().is_empty() {
        members.fault("quantity", "is required unless is_enabled is given");
    }
    Some(Override {
        product_id: product_id?,
        quantity,
        is_enabled,
        dimensions,
    })
}

/// A quantity as it was given. `5.0` is a whole number like any other; of a fraction a float has lost what was meant.
fn quantity(given: &Value) -> Option<Quantity> {
    match integer(given) {
        Some(whole) => serde_json::from_value(whole.into()).ok(),
        None if given.is_f64() => None,
        None => serde_json::from_value(given.clone()).ok(),
    }
}

fn quantity_fault(given: &Value) -> String {
    let text = match given {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return "must be a number".to_owned(),
    };
    match text.parse::<Quantity>() {
        Err(NotADecimal::TooLarge) => "must have at most 15 digits before the point".to_owned(),
        Err(NotADecimal::TooFine { places }) if given.is_string() => {
            format!("must have at most {places} decimals")
        }
        _ => "must be 0 or more, a fraction as a text (\"0.5\")".to_owned(),
    }
}
