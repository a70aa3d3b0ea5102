//! Disputes, which take a charge back without being asked, or ask about it.
//!
//! A payer may dispute one charge several times, a part of it each time. What it means for an invoice is for whoever hears of it:
//! Stripe leaves the invoice `paid`. What was lost can be appealed, and won after all.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::{Moment, named};
use crate::id::{ChargeId, DisputeId, Id};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{CaseType, ChargeStatus, Dispute, DisputeStatus, World};

/// A dispute to be opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct NewDispute {
    /// Why, in Stripe's words.
    pub reason: String,
    /// How much of the charge; none for all of it.
    pub amount: Option<i64>,
    /// What the bank wants.
    pub case_type: CaseType,
}

impl Default for NewDispute {
    fn default() -> Self {
        Self {
            reason: "fraudulent".to_owned(),
            amount: None,
            case_type: CaseType::default(),
        }
    }
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::dispute(
        at.world,
        named(&at.world.disputes, id, "dispute")?,
    ))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let charge = params.text("charge")?;
    let intent = params.text("payment_intent")?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    let is = |own: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| wanted == own);
    let world = &at.world;
    listing::page(
        &world.disputes,
        &paging,
        "/v1/disputes",
        |row| render::dispute(world, row),
        |row| {
            is(row.charge.as_str(), &charge)
                && is(world.charges[&row.charge].payment_intent.as_str(), &intent)
                && created.contains(row.created)
        },
    )
}

/// Whether a bank has taken of a charge what has not come back: no more is refunded of it.
pub(crate) fn is_charged_back(world: &World, charge: &ChargeId) -> bool {
    let mut disputes = world.disputes.iter().filter(|row| row.charge == *charge);
    disputes.any(|row| row.case_type.takes_money() && row.status != DisputeStatus::Won)
}

/// A cardholder disputes a charge, or what is left of it.
pub(crate) fn open(at: &mut Moment<'_>, charge: &str, new: &NewDispute) -> Result<DisputeId, Refusal> {
    let charge = named(&at.world.charges, charge, "charge")?;
    if charge.status != ChargeStatus::Succeeded {
        return Err(Refusal::state(format!(
            "The charge {} has not succeeded.",
            charge.id
        )));
    }
    let disputed: i64 = at
        .world
        .disputes
        .iter()
        .filter(|row| row.charge == charge.id)
        .map(|row| row.amount.unwrap_or(charge.amount))
        .sum();
    if new.amount.unwrap_or(charge.amount) > charge.amount - disputed {
        return Err(Refusal::state(format!(
            "The charge {} is disputed already.",
            charge.id
        )));
    }
    let dispute = Dispute {
        created: at.now,
        charge: charge.id.clone(),
        amount: new.amount,
        case_type: new.case_type,
        reason: new.reason.clone(),
        status: match new.case_type {
            CaseType::Chargeback => DisputeStatus::NeedsResponse,
            CaseType::Inquiry => DisputeStatus::WarningNeedsResponse,
            CaseType::Resolution | CaseType::Block => DisputeStatus::Prevented,
        },
        id: at.world.ids.make(),
    };
    let id = at.world.disputes.insert(dispute);
    at.emit("charge.dispute.created", &Object::Dispute(id.clone()));
    if new.case_type.takes_money() {
        at.emit("charge.dispute.funds_withdrawn", &Object::Dispute(id.clone()));
    }
    Ok(id)
}

/// The bank has decided, for the first time or on an appeal.
pub(crate) fn close(at: &mut Moment<'_>, id: &str, won: bool) -> Result<DisputeId, Refusal> {
    let dispute = named(&at.world.disputes, id, "dispute")?;
    let (id, case_type) = (dispute.id.clone(), dispute.case_type);
    at.world.disputes[&id].status = match (case_type, won) {
        (CaseType::Inquiry, _) => DisputeStatus::WarningClosed,
        (CaseType::Resolution | CaseType::Block, _) => {
            return Err(Refusal::state(format!("The dispute {id} was prevented.")));
        }
        (CaseType::Chargeback, true) => DisputeStatus::Won,
        (CaseType::Chargeback, false) => DisputeStatus::Lost,
    };
    at.emit("charge.dispute.closed", &Object::Dispute(id.clone()));
    if won && case_type.takes_money() {
        at.emit("charge.dispute.funds_reinstated", &Object::Dispute(id.clone()));
    }
    Ok(id)
}

/// What was lost is appealed: until that is decided, the money stays where it is.
pub(crate) fn appeal(at: &mut Moment<'_>, id: &str) -> Result<DisputeId, Refusal> {
    let dispute = named(&at.world.disputes, id, "dispute")?;
    if dispute.status != DisputeStatus::Lost {
        return Err(Refusal::state(format!("The dispute {id} is not lost.")));
    }
    let id = dispute.id.clone();
    let object = Object::Dispute(id.clone());
    let before = at.picture(&object);
    at.world.disputes[&id].status = DisputeStatus::AppealNeedsResponse;
    at.emit_updated("charge.dispute.updated", &object, &before);
    Ok(id)
}
