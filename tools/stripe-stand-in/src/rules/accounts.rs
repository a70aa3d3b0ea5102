//! Connected accounts, created by the platform. Their worlds come to be when they are first spoken to.

use serde_json::Value;

use super::{Moment, named};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render;
use crate::state::{Account, Row};

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    const KINDS: [(&str, &str); 3] = [
        ("custom", "custom"),
        ("express", "express"),
        ("standard", "standard"),
    ];
    let kind = params.choice("type", &KINDS)?;
    let country = params.text("country")?;
    let email = params.text("email")?;
    let business_type = params.text("business_type")?;
    let default_currency = params.text("default_currency")?;
    let metadata = params.metadata()?;
    params.inert(&[
        "business_profile",
        "capabilities",
        "company",
        "controller",
        "individual",
        "settings",
        "tos_acceptance",
    ]);
    params.finish()?;
    let account = Account {
        id: at.world.ids.make(),
        created: at.now,
        // An account made with `controller` instead of `type` has none of the old types.
        kind: kind.unwrap_or("none").to_owned(),
        country: country.unwrap_or_else(|| "US".to_owned()),
        email,
        business_type,
        default_currency: default_currency.unwrap_or_else(|| "usd".to_owned()),
        metadata,
    };
    let id = at.world.accounts.insert(account);
    Ok(render::account(&at.world.accounts[&id]))
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    match at.world.accounts.find(id) {
        Some(account) => Ok(render::account(account)),
        None if id == render::own_account_id(at.world) => Ok(render::own_account(at.world)),
        None => Err(Refusal::account_invalid(id)),
    }
}

/// The account that the key belongs to (or that `Stripe-Account` names).
pub(crate) fn get_own(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::own_account(at.world))
}

pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut account = named(&at.world.accounts, id, "account")?.clone();
    params.change("email")?.apply(&mut account.email);
    params.metadata_into(&mut account.metadata)?;
    params.finish()?;
    let id = account.id().clone();
    at.world.accounts[&id] = account;
    Ok(render::account(&at.world.accounts[&id]))
}
