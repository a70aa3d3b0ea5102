//! Checkout sessions: created, listed, expired. How one is completed is in [`super::completion`].

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::checkout_discounts::{self, Given};
use super::checkout_lines::{self, Line};
use super::listing::{self, Paging, Range};
use super::{Moment, billing_modes, checkout_taxes, customers, limits, named, redemption};
use crate::id::{CheckoutSessionId, Id};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{
    BillingModeKind, CheckoutSession, Customer, Due, Metadata, PaymentStatus, SessionStatus, Settings, UiMode,
};

const SHORTEST: SignedDuration = SignedDuration::from_mins(30);
/// Also how long a session lives when nothing is said.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Of what a session may be called by whoever makes it.
const LONGEST_REFERENCE: usize = 200;

/// Parameters that change looks or ask for more of the customer: nothing that the stand-in's page would show.
const INERT: [&str; 15] = [
    "after_expiration",
    "billing_address_collection",
    "branding_settings",
    "consent_collection",
    "custom_text",
    "customer_creation",
    "excluded_payment_method_types",
    "integration_identifier",
    "name_collection",
    "origin_context",
    "payment_method_collection",
    "payment_method_options",
    "phone_number_collection",
    "saved_payment_method_options",
    "wallet_options",
];

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    read_mode(params)?;
    let ui_mode = params
        .choice("ui_mode", &UiMode::WORDS)?
        .unwrap_or(UiMode::Hosted);
    let addresses = read_addresses(params, ui_mode)?;
    let expires_at = read_expiry(at.now, params)?;
    let customer = params.text("customer")?;
    let customer_email = params.text("customer_email")?;
    let client_reference_id = params.text("client_reference_id")?;
    if client_reference_id
        .as_ref()
        .is_some_and(|id| id.len() > LONGEST_REFERENCE)
    {
        let message = "Invalid string: must be at most 200 characters";
        return Err(Refusal::invalid("client_reference_id", message));
    }
    let metadata = params.metadata()?;
    let of_subscription = read_subscription_data(params)?;
    let given = Given {
        discounts: redemption::read(params, "discounts")?,
        allow_promotion_codes: params.boolean("allow_promotion_codes")?,
    };
    let payment_method_types = params.texts("allowed_payment_method_types")?;
    let locale = params.text("locale")?;
    let adaptive_pricing = read_adaptive_pricing(at.world.settings, params)?;
    let lines = params
        .children("line_items")?
        .iter()
        .map(checkout_lines::read)
        .collect::<Result<Vec<Line>, Refusal>>()?;
    let taxes = checkout_taxes::read(params)?;
    params.inert(&INERT);
    params.unsupported(&[
        "currency",
        "optional_items",
        "custom_fields",
        "invoice_creation",
        "payment_intent_data",
    ])?;
    params.finish()?;

    if customer.is_some() && customer_email.is_some() {
        return Err(Refusal::invalid(
            "customer",
            "You may only specify one of these parameters: customer, customer_email.",
        ));
    }
    let customer = match customer {
        None => None,
        Some(id) => Some(customers::live(at, &id, "customer")?.id.clone()),
    };
    let (mut items, currency) = checkout_lines::priced(at, lines)?;
    if let Some(customer) = &customer {
        customers::pays_in(at, customer, &currency)?;
    }
    let discounts = checkout_discounts::granted(at, &given, customer.as_ref(), (&items, &currency))?;
    checkout_discounts::take_off(at.world, &discounts, &mut items, &currency);
    let automatic_tax = checkout_taxes::check(at, &taxes, customer.as_ref())?;
    let known = customer.as_ref().map(|id| &at.world.customers[id]);
    if automatic_tax && known.is_some_and(Customer::is_located) {
        checkout_taxes::work_out(&mut items, &at.world.settings);
    }
    limits::check_session(
        at.world.settings,
        items.iter().map(|item| item.amount - item.amount_discount),
        &currency,
    )?;
    let id: CheckoutSessionId = at.world.ids.make();
    let embedded = ui_mode == UiMode::Embedded;
    let session = CheckoutSession {
        created: at.now,
        expires_at,
        status: SessionStatus::Open,
        payment_status: PaymentStatus::Unpaid,
        ui_mode,
        adaptive_pricing,
        client_secret: embedded.then(|| at.world.ids.text(&format!("{id}_secret_"), 32)),
        url: (!embedded).then(|| format!("{}/checkout/{id}", at.world.base_url)),
        return_url: addresses.return_url,
        success_url: addresses.success_url,
        cancel_url: addresses.cancel_url,
        redirect_on_completion: addresses.redirect_on_completion,
        customer,
        customer_email,
        client_reference_id,
        metadata,
        subscription_billing_mode: of_subscription.billing_mode,
        subscription_metadata: of_subscription.metadata,
        subscription_description: of_subscription.description,
        discounts,
        items,
        currency,
        automatic_tax,
        allow_promotion_codes: given.allow_promotion_codes,
        payment_method_types: if payment_method_types.is_empty() {
            vec!["card".to_owned()]
        } else {
            payment_method_types
        },
        locale,
        subscription: None,
        invoice: None,
        attempt: None,
        begun: None,
        id: id.clone(),
    };
    at.world.sessions.insert(session);
    at.world.remind(expires_at, Due::SessionExpiry(id.clone()));
    Ok(at.picture(&Object::CheckoutSession(id)))
}

fn read_mode(params: &Params<'_>) -> Result<(), Refusal> {
    const WORDS: [(&str, bool); 3] = [("payment", false), ("setup", false), ("subscription", true)];
    match params.choice("mode", &WORDS)? {
        None => Err(Refusal::missing("mode")),
        Some(true) => Ok(()),
        Some(false) => Err(Refusal::invalid(
            "mode",
            "The stand-in supports the mode `subscription` only.",
        )),
    }
}

/// Where the customer is sent afterwards.
struct Addresses {
    return_url: Option<String>,
    success_url: Option<String>,
    cancel_url: Option<String>,
    redirect_on_completion: Option<String>,
}

fn read_addresses(params: &Params<'_>, ui_mode: UiMode) -> Result<Addresses, Refusal> {
    const REDIRECTS: [(&str, &str); 3] = [
        ("always", "always"),
        ("if_required", "if_required"),
        ("never", "never"),
    ];
    let return_url = read_address(params, "return_url")?;
    let success_url = read_address(params, "success_url")?;
    let cancel_url = read_address(params, "cancel_url")?;
    let redirect = params.choice("redirect_on_completion", &REDIRECTS)?;
    let forbidden = |param: &str, word: &str| {
        Refusal::invalid(
            param,
            format!("`{param}` is not allowed when `ui_mode` is `{word}`."),
        )
    };
    match ui_mode {
        UiMode::Embedded => {
            for (param, given) in [("success_url", &success_url), ("cancel_url", &cancel_url)] {
                if given.is_some() {
                    return Err(forbidden(param, "embedded_page"));
                }
            }
            if return_url.is_none() && redirect != Some("never") {
                return Err(Refusal::missing("return_url"));
            }
            if return_url.is_some() && redirect == Some("never") {
                let message = "`return_url` is not allowed when `redirect_on_completion` is `never`.";
                return Err(Refusal::invalid("return_url", message));
            }
        }
        UiMode::Hosted => {
            if return_url.is_some() {
                return Err(forbidden("return_url", "hosted_page"));
            }
            if redirect.is_some() {
                return Err(forbidden("redirect_on_completion", "hosted_page"));
            }
            if success_url.is_none() {
                return Err(Refusal::missing("success_url"));
            }
        }
    }
    let redirect_on_completion =
        (ui_mode == UiMode::Embedded).then(|| redirect.unwrap_or("always").to_owned());
    Ok(Addresses {
        return_url,
        success_url,
        cancel_url,
        redirect_on_completion,
    })
}

fn read_address(params: &Params<'_>, member: &str) -> Result<Option<String>, Refusal> {
    let Some(address) = params.text(member)? else {
        return Ok(None);
    };
    let absolute = url::Url::parse(&address).is_ok_and(|url| url.has_host() || !url.cannot_be_a_base());
    if absolute && is_plain(&address) {
        Ok(Some(address))
    } else {
        Err(Refusal::invalid_code("url_invalid", member, "Not a valid URL"))
    }
}

/// Whether an address holds nothing but what RFC 3986 has a place for: Stripe does not escape what it is given. What exactly it refuses it does
/// not document. Braces are its own placeholder's.
fn is_plain(address: &str) -> bool {
    let raw = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`|".contains(&byte);
    let mut escapes = address.split('%').skip(1);
    let escaped = escapes.all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    address.bytes().all(raw) && escaped && address.matches('#').count() <= 1
}

fn read_expiry(now: Timestamp, params: &Params<'_>) -> Result<Timestamp, Refusal> {
    let after = |lifetime: SignedDuration| now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
    let Some(expires_at) = params.timestamp("expires_at")? else {
        return Ok(after(LONGEST));
    };
    let refusal = |bound: &str| {
        Refusal::invalid(
            "expires_at",
            format!("The `expires_at` timestamp must be {bound} from Checkout Session creation."),
        )
    };
    if expires_at < after(SHORTEST) {
        return Err(refusal("at least 30 minutes"));
    }
    if expires_at > after(LONGEST) {
        return Err(refusal("less than 24 hours"));
    }
    Ok(expires_at)
}

/// What the subscription is to be.
struct OfSubscription {
    billing_mode: BillingModeKind,
    metadata: Metadata,
    description: Option<String>,
}

fn read_subscription_data(params: &Params<'_>) -> Result<OfSubscription, Refusal> {
    let Some(data) = params.child("subscription_data")? else {
        return Ok(OfSubscription {
            billing_mode: BillingModeKind::Flexible,
            metadata: Metadata::new(),
            description: None,
        });
    };
    let of_subscription = OfSubscription {
        billing_mode: billing_modes::read(&data)?,
        metadata: data.metadata()?,
        description: data.text("description")?,
    };
    data.inert(&["invoice_settings"]);
    data.unsupported(&[
        "trial_end",
        "trial_period_days",
        "trial_settings",
        "billing_cycle_anchor",
        "proration_behavior",
        "application_fee_percent",
        "default_tax_rates",
        "on_behalf_of",
        "transfer_data",
    ])?;
    Ok(of_subscription)
}

/// What the account is set to, unless the session says otherwise.
fn read_adaptive_pricing(settings: Settings, params: &Params<'_>) -> Result<bool, Refusal> {
    let said = match params.child("adaptive_pricing")? {
        None => None,
        Some(pricing) => pricing.boolean("enabled")?,
    };
    Ok(said.unwrap_or(settings.adaptive_pricing))
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::checkout_session(
        at.world,
        named(&at.world.sessions, id, "session")?,
    ))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.text("customer")?;
    let subscription = params.text("subscription")?;
    let status = params.choice("status", &SessionStatus::WORDS)?;
    let email = match params.child("customer_details")? {
        None => None,
        Some(details) => Some(details.required_text("email")?),
    };
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    let world = &at.world;
    let render = |session: &CheckoutSession| render::checkout_session(world, session);
    listing::page(
        &world.sessions,
        &paging,
        "/v1/checkout/sessions",
        render,
        |session| {
            customer
                .as_ref()
                .is_none_or(|id| session.customer.as_ref().is_some_and(|own| own.as_str() == id))
                && subscription.as_ref().is_none_or(|id| {
                    session
                        .subscription
                        .as_ref()
                        .is_some_and(|own| own.as_str() == id)
                })
                && status.is_none_or(|status| session.status == status)
                && email
                    .as_ref()
                    .is_none_or(|email| session.customer_email.as_ref() == Some(email))
                && created.contains(session.created)
        },
    )
}

pub(crate) fn list_items(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    Paging::read(params)?;
    params.finish()?;
    Ok(render::session_items(
        at.world,
        named(&at.world.sessions, id, "session")?,
    ))
}

pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let session = named(&at.world.sessions, id, "session")?;
    let id = session.id.clone();
    let mut metadata = session.metadata.clone();
    params.metadata_into(&mut metadata)?;
    params.unsupported(&["line_items", "collected_information", "shipping_options"])?;
    params.finish()?;
    at.world.sessions[&id].metadata = metadata;
    Ok(at.picture(&Object::CheckoutSession(id)))
}

pub(crate) fn expire(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    let session = named(&at.world.sessions, id, "session")?;
    let id = session.id.clone();
    let word = match session.status {
        SessionStatus::Open => {
            expire_if_open(at, &id);
            return Ok(at.picture(&Object::CheckoutSession(id)));
        }
        SessionStatus::Complete => "complete",
        SessionStatus::Expired => "expired",
    };
    Err(Refusal::state(format!(
        "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of `{word}`."
    )))
}

/// By the call or by the clock.
pub(crate) fn expire_if_open(at: &mut Moment<'_>, id: &CheckoutSessionId) {
    let session = &mut at.world.sessions[id];
    if session.status != SessionStatus::Open {
        return;
    }
    session.status = SessionStatus::Expired;
    let begun = session.begun.take();
    let attempt = session.attempt.clone();
    if let Some(attempt) = attempt {
        super::payments::cancel(at, &attempt);
    }
    if let Some((subscription, _)) = begun {
        super::lifecycle::expire_unpaid(at, &subscription);
    }
    at.emit("checkout.session.expired", &Object::CheckoutSession(id.clone()));
}
