//! What every function does before and after its own work: configuration, who is calling, reading the body, telling problems,
//! logging. The only crate that reads the clock, makes ids and reads the environment.
//!
//! A function is a [`Function`]: a name and a handler from a [`Call`] to a [`Reply`] or a [`Problem`]. [`boot`] runs it on
//! Lambda; the local stack and the tests call [`Function::answer`] with the same requests.

/// A function: its name and what it does.
mod function;
/// One request: who, when, with what.
mod call;
/// What all requests of a process share.
mod app;
/// The environment, read once.
mod config;
/// The time, and nothing but the time.
mod clock;
/// API keys: made, hashed, recognised.
pub mod key;
/// Who is calling.
mod auth;
/// JSON bodies, with everything that is wrong with them.
mod body;
/// The same request under the same key, once.
mod idempotency;
/// What goes well.
mod reply;
/// What goes wrong: what is told, what is logged.
mod problem;
/// What Stripe's refusal of a purchase means for the caller.
mod refused;
/// One log line and one metrics line per request.
mod telemetry;
/// Secrets, from the environment or from Secrets Manager.
mod secret;
/// Prices as they are shown, cached.
mod prices;
/// Whether the period that a subscription is in was paid for.
mod arrears;
/// What is left of a change, for the call and for the webhook.
mod changes;
/// What a request for a checkout session wants, and what that is priced on.
mod wishes;
/// What becomes of a sale at Stripe.
mod sales;
/// What a contract is paid by after a sale.
mod payers;
/// A session whose time has run out.
mod settling;
/// Ending a subscription and taking that back.
mod endings;
/// Promotion codes, for previews and for changes.
mod promotions;
/// Stripe's events, each done once.
mod inbox;
/// What is sold on connected accounts, for the functions and for the events.
pub mod connect;
/// What an administrator's checks need of a deployment.
mod checkup;
/// A function on the Lambda runtime.
mod boot;

pub use app::{App, transport};
pub use body::Members;
pub use boot::{boot, prepare};
pub use call::{Call, Rounds};
pub use changes::Finished;
pub use clock::Clock;
pub use config::{Config, ConfigError, WrongKey, is_of_other_mode};
pub use function::{Function, Outcome, Trigger};
pub use inbox::{CONNECTED_EVENT_TYPES, EVENT_TYPES, EventOutcome};
pub use prices::ShownPrices;
pub use problem::Problem;
pub use promotions::{Redemption, Reread};
pub use reply::Reply;
pub use sales::{InvoiceFacts, Landed};
pub use secret::{NoSecret, Secret};
pub use settling::Page;
pub use wishes::{NewSession, ToldSession, WishFacts};
