//! Accounts as Stripe answers them.

use serde_json::{Value, json};

use super::seconds;
use crate::id::Id;
use crate::state::{Account, PLATFORM, World};

pub(crate) fn account(account: &Account) -> Value {
    json!({
        "id": account.id.as_str(),
        "object": "account",
        "business_profile": {
            "annual_revenue": null,
            "estimated_worker_count": null,
            "mcc": null,
            "minority_owned_business_designation": null,
            "name": null,
            "product_description": null,
            "support_address": null,
            "support_email": null,
            "support_phone": null,
            "support_url": null,
            "url": null,
        },
        "business_type": account.business_type,
        "capabilities": { "card_payments": "active", "transfers": "active" },
        "charges_enabled": true,
        "controller": { "type": "application" },
        "country": account.country,
        "created": seconds(account.created),
        "default_currency": account.default_currency,
        "details_submitted": true,
        "email": account.email,
        "metadata": account.metadata,
        "payouts_enabled": true,
        "type": account.kind,
    })
}

/// The account whose world this is: the connected one, or the platform.
pub(crate) fn own_account(world: &World) -> Value {
    json!({
        "id": own_account_id(world),
        "object": "account",
        "capabilities": { "card_payments": "active", "transfers": "active" },
        "charges_enabled": true,
        "controller": { "type": "account" },
        "country": "US",
        "default_currency": "usd",
        "details_submitted": true,
        "email": null,
        "metadata": {},
        "payouts_enabled": true,
        "type": "standard",
    })
}

pub(crate) fn own_account_id(world: &World) -> &str {
    world.account.as_ref().map_or(PLATFORM, Id::as_str)
}
