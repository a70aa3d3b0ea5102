//! The one list of the product's functions, and the one binary that is deployed as each of them.
//!
//! Every Lambda of `template.yaml` is this binary under another `Handler`, which is the function's name: one link, one package,
//! while route, permissions, environment, alarms and log stay each function's own (decision 0009). The local stack and the tests
//! take the functions from here too, so a new one is entered here and nowhere else.

use billing_edge::Function;

/// Every function, in alphabetical order.
pub const ALL: &[&Function] = &[
    &cancel_connect_subscription::FUNCTION,
    &cancel_subscription::FUNCTION,
    &change_subscription_interval::FUNCTION,
    &confirm_checkout_session::FUNCTION,
    &create_checkout_session::FUNCTION,
    &create_connect_subscription::FUNCTION,
    &create_subscription_checkout::FUNCTION,
    &expire_checkouts::FUNCTION,
    &get_billing::FUNCTION,
    &get_checkout_session::FUNCTION,
    &get_connect_subscription::FUNCTION,
    &list_connect_subscription::FUNCTION,
    &preview_checkout_session::FUNCTION,
    &preview_subscription_change::FUNCTION,
    &reconcile::FUNCTION,
    &resume_subscription::FUNCTION,
    &stripe_webhook::FUNCTION,
    &update_connect_subscription::FUNCTION,
];

/// The function of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Function> {
    ALL.iter().copied().find(|function| function.name == name)
}
