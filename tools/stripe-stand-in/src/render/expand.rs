//! `expand`: replaces ids in an answer by their objects, and adds members that are left out unless asked for.
//!
//! What may be expanded is a table, so that an id-like text in metadata never is.

use serde_json::{Map, Value};

use super::{by_id, invoice, session_items};
use crate::refusal::Refusal;
use crate::state::World;

/// Stripe's limit on the depth of an expansion.
const DEEPEST: usize = 4;

/// Members that hold the id of an object, by kind of object.
const EXPANDABLE: [(&str, &[&str]); 11] = [
    (
        "checkout.session",
        &["customer", "subscription", "invoice", "payment_intent"],
    ),
    ("customer", &["default_source"]),
    ("invoice", &["customer", "default_payment_method", "discounts"]),
    ("subscription_details", &["subscription"]),
    ("line_item", &["subscription", "discounts"]),
    ("price_details", &["price"]),
    ("invoice_payment", &["invoice"]),
    ("payment", &["payment_intent", "charge"]),
    ("payment_intent", &["customer", "latest_charge", "payment_method"]),
    ("charge", &["customer", "payment_intent"]),
    ("price", &["product"]),
];

/// More of them, for objects that have many.
const EXPANDABLE_TOO: [(&str, &[&str]); 14] = [
    (
        "subscription",
        &[
            "customer",
            "latest_invoice",
            "default_payment_method",
            "default_source",
            "schedule",
            "discounts",
        ],
    ),
    ("discount", &["customer", "promotion_code"]),
    ("promotion_code", &["customer"]),
    ("subscription_schedule", &["customer", "subscription"]),
    ("phases", &["default_payment_method"]),
    ("items", &["price", "plan"]),
    // Members of objects that have no kind of their own.
    ("source", &["coupon"]),
    ("promotion", &["coupon"]),
    ("discount_amounts", &["discount"]),
    ("total_discount_amounts", &["discount"]),
    ("product", &["default_price"]),
    ("payment_method", &["customer"]),
    ("invoice_settings", &["default_payment_method"]),
    ("plan", &["product"]),
];

/// Expands every path in an answer.
pub(crate) fn expand(world: &World, answer: &mut Value, paths: &[String]) -> Result<(), Refusal> {
    for path in paths {
        let segments: Vec<&str> = path.split('.').collect();
        let depth = segments.len() - usize::from(segments.first() == Some(&"data"));
        if depth > DEEPEST {
            let message =
                format!("You cannot expand more than {DEEPEST} levels of a property (property: {path}).");
            return Err(Refusal::invalid("expand", message));
        }
        let refusal = || {
            let message = format!("This property cannot be expanded ({path}).");
            Refusal::invalid("expand", message)
        };
        along(world, answer, "", &segments).ok_or_else(refusal)?;
    }
    Ok(())
}

/// Follows a path; `name` is the member that `value` was found under. None when there is nothing of that name to expand.
fn along(world: &World, value: &mut Value, name: &str, segments: &[&str]) -> Option<()> {
    let Some((segment, rest)) = segments.split_first() else {
        return Some(());
    };
    match value {
        Value::Array(elements) => {
            for element in elements {
                along(world, element, name, segments)?;
            }
            Some(())
        }
        Value::Object(members) => {
            let kind = kind_of(members, name);
            include(world, members, &kind, segment);
            if is_includable(&kind, segment) && !members.contains_key(*segment) {
                // It has none.
                return Some(());
            }
            if members.get("deleted") == Some(&Value::Bool(true)) && !members.contains_key(*segment) {
                // What was deleted has nothing left.
                return Some(());
            }
            let member = members.get_mut(*segment)?;
            if may_expand(&kind, segment) {
                expand_member(world, member)?;
            } else if rest.is_empty() && !is_includable(&kind, segment) {
                return None;
            }
            along(world, member, segment, rest)
        }
        // A member that is null has nothing to expand, and that is fine.
        Value::Null => Some(()),
        _ => None,
    }
}

/// Replaces an id, or each of a list of ids, by its object.
fn expand_member(world: &World, member: &mut Value) -> Option<()> {
    match member {
        Value::String(id) => *member = by_id(world, id)?,
        Value::Array(elements) => {
            for element in elements {
                expand_member(world, element)?;
            }
        }
        _ => {}
    }
    Some(())
}

fn kind_of(members: &Map<String, Value>, name: &str) -> String {
    members
        .get("object")
        .and_then(Value::as_str)
        .unwrap_or(name)
        .to_owned()
}

fn may_expand(kind: &str, member: &str) -> bool {
    EXPANDABLE
        .iter()
        .chain(&EXPANDABLE_TOO)
        .any(|(of, members)| *of == kind && members.contains(&member))
}

/// Members that are left out unless they are asked for.
fn is_includable(kind: &str, member: &str) -> bool {
    matches!(
        (kind, member),
        ("checkout.session", "line_items")
            | ("price", "tiers")
            | ("invoice", "payments" | "confirmation_secret")
            | ("customer", "subscriptions" | "sources" | "tax")
            | ("subscription", "pending_setup_intent")
            | ("coupon", "applies_to" | "currency_options")
            | ("restrictions", "currency_options")
    )
}

fn include(world: &World, members: &mut Map<String, Value>, kind: &str, member: &str) {
    let Some(id) = members.get("id").and_then(Value::as_str) else {
        return;
    };
    let included = match (kind, member) {
        ("checkout.session", "line_items") => world
            .sessions
            .find(id)
            .map(|session| session_items(world, session)),
        ("price", "tiers") => world.prices.find(id).and_then(super::catalog::tiers),
        ("invoice", "payments") => world.invoices.find(id).map(|row| invoice::payments(world, row)),
        ("invoice", "confirmation_secret") => world
            .invoices
            .find(id)
            .and_then(|row| invoice::confirmation_secret(world, row)),
        ("customer", "subscriptions") => world
            .customers
            .find(id)
            .map(|customer| super::subscription::of_customer(world, &customer.id)),
        ("coupon", "applies_to") => world.coupons.find(id).and_then(super::discount::applies_to),
        ("coupon", "currency_options") => world.coupons.find(id).and_then(super::discount::coupon_options),
        // What is asked for is a member of them, and they have no id.
        ("promotion_code", "restrictions") => world
            .promotion_codes
            .find(id)
            .map(super::discount::restrictions_in_full),
        _ => None,
    };
    if let Some(included) = included {
        members.insert(member.to_owned(), included);
    }
}
