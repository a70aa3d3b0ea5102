//! What a request for a session has to say, and which kind of session that makes it.
//!
//! The kind is detected and never sent: a plan alone begins a contract; a contract and a plan change its plan; a contract and choices
//! of products change its quantities. Everything that is missing or contradicts the rest is told at once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Guest, When};
use crate::calendar::Zone;
use crate::id::{BusinessEntityId, BuyerId, ContractId, PlanId};
use crate::invalid::Invalid;
use crate::offer::Override;
use crate::return_url::ReturnUrl;

/// Which kind of session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new contract.
    PlanBased,
    /// A contract gets another plan.
    PlanChange,
    /// Products of a contract are taken, dropped, or counted anew.
    QuantityUpdate,
}

/// The members of a request, each good by itself and not yet held against the others.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each is the member of its name")]
pub struct WishMembers {
    pub plan: Option<PlanId>,
    pub contract: Option<ContractId>,
    pub start: Option<When>,
    pub end: Option<When>,
    pub buyer: Option<BuyerId>,
    pub business_entity: Option<BusinessEntityId>,
    pub guest_checkout: bool,
    pub guest: Option<Guest>,
    pub expires_at: Option<Timestamp>,
    pub success_url: Option<ReturnUrl>,
    pub cancel_url: Option<ReturnUrl>,
    pub overrides: Vec<Override>,
    /// Members that are there and wrong: what they mean is not known, but they are not missing.
    pub faulty: Vec<String>,
}

/// What somebody wants: two requests that want the same are one session while it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Which kind it is.
    pub kind: Kind,
    /// The plan to begin or to change to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanId>,
    /// The contract to amend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractId>,
    /// Who buys, if it is no guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<BuyerId>,
    /// Who sells, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_entity: Option<BusinessEntityId>,
    /// Who buys without being a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<Guest>,
    /// When it is to begin, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<When>,
    /// When it is to end, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<When>,
    /// Choices of products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Until when it is to live, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Where a payer returns to after paying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_url: Option<ReturnUrl>,
    /// Where a payer returns to without having paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<ReturnUrl>,
}

impl Wish {
    /// When a contract begins that is asked for now: as it was said, or today where it is sold. And what is wrong with that; it is not to be over
    /// by then, either.
    #[must_use]
    pub fn start(&self, zone: &Zone, now: Timestamp) -> (When, Invalid) {
        let today = zone.date(now);
        let start = self.start.unwrap_or(When::Day(today));
        let mut invalid = Invalid::default();
        if start.day(zone) != today {
            // What lies in the past would be charged for time that nobody was served; what lies ahead, before it begins.
            invalid.field("start_date", "must be today, where it is sold");
        } else if matches!(start, When::Instant(at) if at > now) {
            invalid.field("start_date", "must not be in the future");
        }
        // An end that is not even after the start is told as that.
        if let Some(Ok(end)) = self.end.map(|end| end.instant(zone))
            && end <= now
            && start.instant(zone).is_ok_and(|start| start < end)
        {
            invalid.field("end_date", "must be in the future");
        }
        (start, invalid)
    }

    /// Until when a session of it would live that is made now; of a session that there is, the same wish names it still.
    pub fn open_until(&self, now: Timestamp) -> Result<Timestamp, Invalid> {
        super::open_until(self.expires_at, now).map_err(|bad| {
            let mut invalid = Invalid::default();
            invalid.field("expires_at", bad.to_string());
            invalid
        })
    }
}

impl WishMembers {
    /// The wish, if the members go together; otherwise everything that is missing or contradicts.
    pub fn wish(self) -> Result<Wish, Invalid> {
        let mut invalid = Invalid::default();
        let kind = self.kind(&mut invalid);
        match kind {
            Some(Kind::PlanBased) => self.check_buyer(&mut invalid),
            Some(Kind::PlanChange | Kind::QuantityUpdate) => self.check_amendment(&mut invalid),
            None => {}
        }
        let Some(kind) = kind.filter(|_| invalid.is_empty()) else {
            return Err(invalid);
        };
        Ok(Wish {
            kind,
            plan: self.plan,
            contract: self.contract,
            buyer: self.buyer,
            business_entity: self.business_entity,
            guest: self.guest,
            start: self.start,
            end: self.end,
            overrides: self.overrides,
            expires_at: self.expires_at,
            success_url: self.success_url,
            cancel_url: self.cancel_url,
        })
    }

    fn kind(&self, invalid: &mut Invalid) -> Option<Kind> {
        let has = |name: &str, present: bool| present || self.faulty.iter().any(|faulty| faulty == name);
        let plan = has("plan_id", self.plan.is_some());
        let contract = has("contract_id", self.contract.is_some());
        let overrides = has("product_overrides", !self.overrides.is_empty());
        match (contract, plan, overrides) {
            (false, true, _) => Some(Kind::PlanBased),
            (true, true, _) => Some(Kind::PlanChange),
            (true, false, true) => Some(Kind::QuantityUpdate),
            (true, false, false) => {
                invalid.field("plan_id", "is required to change the plan of a contract");
                invalid.field(
                    "product_overrides",
                    "is required to change the quantities of a contract",
                );
                None
            }
            (false, false, _) => {
                invalid.field("plan_id", "is required for a new contract");
                invalid.field("contract_id", "is required to amend a contract");
                None
            }
        }
    }

    fn check_buyer(&self, invalid: &mut Invalid) {
        let has = |name: &str, present: bool| present || self.faulty.iter().any(|faulty| faulty == name);
        let buyer = has("customer_id", self.buyer.is_some());
        let guest = has("customer_data", self.guest.is_some());
        let entity = has("business_entity_id", self.business_entity.is_some());
        if self.guest_checkout {
            if buyer {
                invalid.field("customer_id", "contradicts guest_checkout");
            }
            if !guest {
                invalid.field("customer_data", "is required for a guest checkout");
            }
            if !entity {
                invalid.field("business_entity_id", "is required for a guest checkout");
            }
            return;
        }
        if !buyer && !has("guest_checkout", false) {
            invalid.field("customer_id", "is required unless guest_checkout is true");
        }
        if guest && !has("guest_checkout", false) {
            invalid.field("customer_data", "is for a guest checkout only");
        }
    }

    fn check_amendment(&self, invalid: &mut Invalid) {
        if self.guest_checkout {
            invalid.field("guest_checkout", "contradicts contract_id");
        }
        if self.guest.is_some() {
            invalid.field("customer_data", "contradicts contract_id");
        }
        if self.start.is_some() {
            invalid.field("start_date", "is for a new contract only");
        }
        if self.end.is_some() {
            invalid.field("end_date", "is for a new contract only");
        }
    }
}
