//! Customers as Stripe answers them.

use serde_json::{Value, json};

use super::{maybe_id, seconds};
use crate::id::Id;
use crate::state::{Address, Customer};

pub(crate) fn customer(customer: &Customer) -> Value {
    if customer.deleted {
        return json!({ "id": customer.id.as_str(), "object": "customer", "deleted": true });
    }
    json!({
        "id": customer.id.as_str(),
        "object": "customer",
        "address": customer.address.as_ref().map(address),
        "balance": customer.balance,
        "created": seconds(customer.created),
        "currency": customer.currency.as_ref().map(crate::state::Currency::as_str),
        "customer_account": null,
        "default_source": null,
        "delinquent": customer.delinquent,
        "description": customer.description,
        "discount": null,
        "email": customer.email,
        "invoice_prefix": customer.invoice_prefix,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": maybe_id(customer.default_payment_method.as_ref()),
            "footer": null,
            "rendering_options": null,
        },
        "livemode": false,
        "metadata": customer.metadata,
        "name": customer.name,
        "next_invoice_sequence": customer.next_invoice_sequence,
        "phone": customer.phone,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": maybe_id(customer.test_clock.as_ref()),
    })
}

pub(super) fn address(address: &Address) -> Value {
    json!({
        "city": address.city,
        "country": address.country,
        "line1": address.line1,
        "line2": address.line2,
        "postal_code": address.postal_code,
        "state": address.state,
    })
}
