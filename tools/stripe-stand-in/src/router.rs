//! Method and path → operation. One line each; parameters are the operation's own business.

use serde_json::Value;

use crate::params::Params;
use crate::refusal::Refusal;
use crate::rules::{
    Moment, accounts, billing_modes, checkout, coupons, credit_notes, customers, disputes, events,
    invoice_items, invoices, meters, payment_methods, payments, preview, prices, products, promotion_codes,
    refunds, schedules, subscription_creation, subscription_items, subscription_updates, subscriptions,
    taxes, test_clocks, webhook_endpoints,
};

/// Makes of one table what runs an operation and what tells which there are.
macro_rules! operations {
    (|$at:ident, $params:ident| { $(($method:literal, [$($segment:tt),*]) => $operation:expr,)* }) => {
        /// Runs the operation that a request names; `segments` is the path after `/v1/`. None when there is no such operation.
        pub(crate) fn dispatch(
            $at: &mut Moment<'_>,
            method: &str,
            segments: &[&str],
            $params: &Params<'_>,
        ) -> Option<Result<Value, Refusal>> {
            Some(match (method, segments) {
                $(($method, [$($segment),*]) => $operation,)*
                _ => return None,
            })
        }

        const OPERATIONS: &[(&str, &[&str])] = &[$(($method, &[$(stringify!($segment)),*])),*];
    };
}

/// What operations there are: `GET /v1/customers/{id}`.
pub(crate) fn operations() -> Vec<String> {
    let segment = |text: &&str| match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(fixed) => format!("/{fixed}"),
        None => format!("/{{{text}}}"),
    };
    OPERATIONS
        .iter()
        .map(|(method, segments)| format!("{method} /v1{}", segments.iter().map(segment).collect::<String>()))
        .collect()
}

operations! {
    |at, params| {
        ("POST", ["customers"]) => customers::create(at, params),
        ("GET", ["customers"]) => customers::list(at, params),
        ("GET", ["customers", id]) => customers::get(at, id, params),
        ("POST", ["customers", id]) => customers::update(at, id, params),
        ("DELETE", ["customers", id]) => customers::delete(at, id, params),

        ("POST", ["test_helpers", "test_clocks"]) => test_clocks::create(at, params),
        ("GET", ["test_helpers", "test_clocks", id]) => test_clocks::get(at, id, params),
        ("POST", ["test_helpers", "test_clocks", id, "advance"]) => test_clocks::advance(at, id, params),

        ("POST", ["products"]) => products::create(at, params),
        ("GET", ["products"]) => products::list(at, params),
        ("GET", ["products", id]) => products::get(at, id, params),
        ("POST", ["products", id]) => products::update(at, id, params),

        ("POST", ["prices"]) => prices::create(at, params),
        ("GET", ["prices"]) => prices::list(at, params),
        ("GET", ["prices", id]) => prices::get(at, id, params),
        ("POST", ["prices", id]) => prices::update(at, id, params),

        ("POST", ["coupons"]) => coupons::create(at, params),
        ("GET", ["coupons"]) => coupons::list(at, params),
        ("GET", ["coupons", id]) => coupons::get(at, id, params),
        ("DELETE", ["coupons", id]) => coupons::delete(at, id, params),

        ("POST", ["promotion_codes"]) => promotion_codes::create(at, params),
        ("GET", ["promotion_codes"]) => promotion_codes::list(at, params),
        ("GET", ["promotion_codes", id]) => promotion_codes::get(at, id, params),
        ("POST", ["promotion_codes", id]) => promotion_codes::update(at, id, params),

        ("POST", ["billing", "meters"]) => meters::create(at, params),
        ("GET", ["billing", "meters"]) => meters::list(at, params),
        ("GET", ["billing", "meters", id]) => meters::get(at, id, params),
        ("GET", ["billing", "meters", id, "event_summaries"]) => meters::summaries(at, id, params),
        ("POST", ["billing", "meter_events"]) => meters::record(at, params),

        ("GET", ["payment_methods"]) => payment_methods::list(at, params),
        ("GET", ["payment_methods", id]) => payment_methods::get(at, id, params),
        ("POST", ["payment_methods", id, "attach"]) => payment_methods::attach(at, id, params),
        ("POST", ["payment_methods", id, "detach"]) => payment_methods::detach(at, id, params),

        ("POST", ["checkout", "sessions"]) => checkout::create(at, params),
        ("GET", ["checkout", "sessions"]) => checkout::list(at, params),
        ("GET", ["checkout", "sessions", id]) => checkout::get(at, id, params),
        ("POST", ["checkout", "sessions", id]) => checkout::update(at, id, params),
        ("POST", ["checkout", "sessions", id, "expire"]) => checkout::expire(at, id, params),
        ("GET", ["checkout", "sessions", id, "line_items"]) => checkout::list_items(at, id, params),

        ("POST", ["subscriptions"]) => subscription_creation::create(at, params),
        ("GET", ["subscriptions"]) => subscriptions::list(at, params),
        ("GET", ["subscriptions", id]) => subscriptions::get(at, id, params),
        ("POST", ["subscriptions", id]) => subscription_updates::update(at, id, params),
        ("POST", ["subscriptions", id, "migrate"]) => billing_modes::migrate(at, id, params),
        ("DELETE", ["subscriptions", id]) => subscriptions::cancel(at, id, params),
        ("POST", ["subscription_items"]) => subscription_items::create(at, params),
        ("GET", ["subscription_items"]) => subscription_items::list(at, params),
        ("GET", ["subscription_items", id]) => subscription_items::get(at, id, params),
        ("POST", ["subscription_items", id]) => subscription_items::update(at, id, params),
        ("DELETE", ["subscription_items", id]) => subscription_items::delete(at, id, params),

        ("POST", ["subscription_schedules"]) => schedules::create(at, params),
        ("GET", ["subscription_schedules"]) => schedules::list(at, params),
        ("GET", ["subscription_schedules", id]) => schedules::get(at, id, params),
        ("POST", ["subscription_schedules", id]) => schedules::update(at, id, params),
        ("POST", ["subscription_schedules", id, "release"]) => schedules::release(at, id, params),
        ("POST", ["subscription_schedules", id, "cancel"]) => schedules::cancel(at, id, params),

        ("GET", ["invoices"]) => invoices::list(at, params),
        ("POST", ["invoices", "create_preview"]) => preview::create(at, params),
        ("GET", ["invoices", id]) => invoices::get(at, id, params),
        ("GET", ["invoices", id, "lines"]) => invoices::list_lines(at, id, params),
        ("POST", ["invoices", id, "finalize"]) => invoices::finalize_now(at, id, params),
        ("POST", ["invoices", id, "pay"]) => invoices::pay(at, id, params),
        ("POST", ["invoices", id, "void"]) => invoices::void(at, id, params),
        ("GET", ["invoice_payments"]) => invoices::list_payments(at, params),

        ("POST", ["invoiceitems"]) => invoice_items::create(at, params),
        ("GET", ["invoiceitems"]) => invoice_items::list(at, params),
        ("GET", ["invoiceitems", id]) => invoice_items::get(at, id, params),
        ("POST", ["credit_notes"]) => credit_notes::create(at, params),
        ("GET", ["credit_notes"]) => credit_notes::list(at, params),
        ("GET", ["credit_notes", id]) => credit_notes::get(at, id, params),

        ("POST", ["refunds"]) => refunds::create(at, params),
        ("GET", ["refunds"]) => refunds::list(at, params),
        ("GET", ["disputes"]) => disputes::list(at, params),
        ("GET", ["disputes", id]) => disputes::get(at, id, params),
        ("GET", ["payment_intents", id]) => payments::get_intent(at, id, params),
        ("GET", ["charges", id]) => payments::get_charge(at, id, params),

        ("GET", ["events"]) => events::list(at, params),
        ("GET", ["events", id]) => events::get(at, id, params),

        ("POST", ["webhook_endpoints"]) => webhook_endpoints::create(at, params),
        ("GET", ["webhook_endpoints"]) => webhook_endpoints::list(at, params),
        ("GET", ["webhook_endpoints", id]) => webhook_endpoints::get(at, id, params),
        ("POST", ["webhook_endpoints", id]) => webhook_endpoints::update(at, id, params),
        ("DELETE", ["webhook_endpoints", id]) => webhook_endpoints::delete(at, id, params),

        ("GET", ["tax", "settings"]) => taxes::settings(params),
        ("GET", ["account"]) => accounts::get_own(at, params),
        ("POST", ["accounts"]) => accounts::create(at, params),
        ("GET", ["accounts", id]) => accounts::get(at, id, params),
        ("POST", ["accounts", id]) => accounts::update(at, id, params),
    }
}
