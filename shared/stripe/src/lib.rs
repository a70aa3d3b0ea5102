//! Stripe as the billing API uses it: the calls it makes, the few members it reads of the answers, signed events.
//!
//! Requests are async-stripe's builders, which know Stripe's parameter names at one API version. The transport and the answers
//! are ours: connections are kept, retries carry the caller's idempotency key, and reading only the members that matter means
//! that a payment is not lost to a member that changed its type. Nobody else in the project names async-stripe.
//!
//! Not here: deciding anything. Stripe's words end in this crate; what leaves it are [`billing_core`]'s types.

/// The transport: time-outs, retries, idempotency keys.
mod client;
/// What can go wrong, with the unknown outcome as a case of its own.
mod error;
/// Members that Stripe spells in more than one way.
mod wire;
/// Lists, page by page.
mod pages;
/// The mode of the subscriptions that are made.
mod billing_mode;
/// Customers.
mod customers;
/// Checkout sessions.
mod checkout;
/// Subscriptions.
mod subscriptions;
/// What a subscription is paid by.
mod payers;
/// Writes to a subscription that exists.
mod changes;
/// Bills of a subscription, as an answer shows them.
mod bills;
/// Invoices.
mod invoices;
/// What was given back of an invoice.
mod reversals;
/// Giving back what an invoice was settled with.
mod returns;
/// What disputes have taken of a charge.
mod disputes;
/// What a change would be invoiced at.
mod previews;
/// Customers of organisations, and what they pay by.
mod buyers;
/// Prices that are made of an amount.
mod computed_prices;
/// The subscriptions of contracts.
mod contracts;
/// What they are paid by.
mod contract_payers;
/// How Stripe writes them.
mod contract_reads;
/// Contracts that change when their period ends.
mod contract_schedules;
/// What was said of a subscription at Stripe, and is said nowhere here.
mod other_terms;
/// What a sale would be billed at.
mod contract_previews;
/// The hosted page of a sale.
mod contract_pages;
/// Promotion codes.
mod promotions;
/// The catalog: products, and the versions of their prices.
mod catalog;
/// Prices.
mod prices;
/// Stripe on a connected account.
mod connected;
/// What an administrator's checks ask.
mod inspection;
/// The list of events.
mod events;
/// Signed events.
pub mod webhook;
/// Events of an operator's making.
mod synthetic;

pub use buyers::{AttachedMethod, NewBuyer};
pub use catalog::{EnsuredProduct, FoundPrice, Native, PriceVersion, Upkeep, native};
pub use changes::{Asked, EndOfSubscription, Payment};
pub use checkout::{CheckoutPage, CheckoutSession, NewCheckoutSession, SessionStatus};
pub use client::{Stripe, StripeConfig, Transport};
pub use connected::{
    BuyerThere, Connected, ConnectedObject, Coupon, Listed, NewSchedule, Product, Renewal, Shown,
};
pub use contract_pages::{ContractPage, NewPage};
pub use contract_reads::ReadContract;
pub use contracts::AskedSale;
pub use customers::NewCustomer;
pub use error::{Refusal, StripeError};
pub use events::{EventPage, EventWindow, MOST_EVENT_TYPES};
pub use inspection::{PriceState, Recurring, TaxSettings, WebhookEndpoint, api_version};
pub use invoices::{Invoice, OpenPayment, PayableInvoice};
pub use previews::{Preview, PreviewLine, PreviewedChange};
pub use prices::Price;
pub use returns::Returned;
pub use reversals::{Left, Reversed, ReversedInvoice};
pub use subscriptions::FetchedSubscription;
pub use synthetic::SyntheticEvent;
