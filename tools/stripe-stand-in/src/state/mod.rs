//! What the stand-in knows: one world per account, and what lies between worlds (deliveries, the settings of tests).
//!
//! Typed and serialisable, so that a snapshot is the whole of it. State decides nothing: that is for [`crate::rules`].

mod account;
mod agenda;
mod billing_mode;
mod catalog;
mod checkout;
mod customer;
mod delivery;
mod discount;
mod event;
mod invoice;
mod meter;
mod money;
mod payment;
mod refund;
mod reply;
mod schedule;
mod settings;
mod subscription;
mod table;
mod test_clock;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(crate) use account::Account;
pub(crate) use agenda::{Agenda, Due};
pub(crate) use billing_mode::{BillingMode, BillingModeKind};
pub(crate) use catalog::{
    Interval, Price, PriceAmounts, Product, Recurrence, RoundTo, Tier, TiersMode, TransformQuantity,
    UsageType,
};
pub(crate) use checkout::{CheckoutSession, PaymentStatus, SessionItem, SessionStatus, UiMode};
pub(crate) use customer::{Address, Customer};
pub(crate) use delivery::{Attempt, Deliveries, Delivery};
pub(crate) use discount::{
    Coupon, CouponDuration, CouponTerms, Discount, Grant, Off, Percent, PromotionCode,
};
pub(crate) use event::{Event, WebhookEndpoint};
pub(crate) use invoice::{
    BillingReason, DiscountAmount, Invoice, InvoiceItem, InvoiceLine, InvoicePayment, InvoicePaymentStatus,
    InvoiceStatus, Line,
};
pub(crate) use meter::{Aggregation, Meter, MeterEvent};
pub(crate) use money::{Currency, UnitAmount};
pub(crate) use payment::{
    Charge, ChargeStatus, Decline, MethodKind, Payer, PaymentIntent, PaymentIntentStatus, PaymentMethod,
};
pub use refund::CaseType;
pub(crate) use refund::{CreditNote, CreditNoteLine, Dispute, DisputeStatus, Refund};
pub(crate) use reply::{Reply, ReplyState};
pub(crate) use schedule::{
    EndBehavior, Phase, PhaseAnchor, PhaseItem, PhaseProrations, PhaseSettings, Schedule, ScheduleStatus,
};
pub use settings::{AfterLastRetry, NewPeriodStart, Settings};
pub(crate) use subscription::{
    AutomaticTax, CancellationReason, Charged, CollectionMethod, MissingPaymentMethod, PausedCollection,
    PendingUpdate, Subscription, SubscriptionItem, SubscriptionStatus, Terms,
};
pub(crate) use table::{Row, Table};
pub(crate) use test_clock::TestClock;

use crate::faults::Faults;
use crate::id::{AccountId, EventId, IdSource};

/// Stripe's free-form key-value pairs.
pub(crate) type Metadata = BTreeMap<String, String>;

/// The id of the platform account itself, the one the secret key belongs to.
pub(crate) const PLATFORM: &str = "acct_1StandInPlatform";

/// Everything there is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) platform: World,
    /// Created when a connected account is first spoken to.
    pub(crate) connected: BTreeMap<AccountId, World>,
    /// Accounts that have taken back the platform's access. Their worlds go on.
    #[serde(default)]
    pub(crate) disconnected: BTreeSet<AccountId>,
    pub(crate) deliveries: Deliveries,
    pub(crate) faults: Faults,
    /// Counts API requests; `request-id`s are made of it.
    pub(crate) request_ids: IdSource,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            platform: World::new(PLATFORM),
            connected: BTreeMap::new(),
            disconnected: BTreeSet::new(),
            deliveries: Deliveries::default(),
            faults: Faults::default(),
            request_ids: IdSource::new("requests"),
        }
    }

    /// Goes back to how everything was, but makes no id twice: whoever is outside may remember those that are gone.
    pub(crate) fn go_back_to(&mut self, baseline: &Self) {
        let gone = std::mem::replace(self, baseline.clone());
        self.request_ids = gone.request_ids;
        self.deliveries = gone.deliveries.forgotten();
        self.faults.clear();
        self.platform.carry_on_from(gone.platform);
        for (account, world) in gone.connected {
            // An account that is gone takes its id with it: nobody makes that one again either.
            if let Some(own) = self.world_mut(Some(&account)) {
                own.carry_on_from(world);
            }
        }
    }

    /// Makes other ids from here on, in every world. What sets apart those of an account that is connected later is its own id.
    pub(crate) fn salt_ids(&mut self, salt: &str) {
        let accounts: Vec<_> = self.platform.accounts.iter().map(|it| it.id.clone()).collect();
        for account in &accounts {
            // One that nobody has spoken to has no world yet, and would begin it without the salt.
            self.world_mut(Some(account));
        }
        self.worlds_mut().for_each(|world| world.salt_ids(salt));
    }

    /// The world of a connected account, or of the platform; `None` for an account that was never created.
    pub(crate) fn world_mut(&mut self, account: Option<&AccountId>) -> Option<&mut World> {
        match account {
            None => Some(&mut self.platform),
            Some(id) => {
                self.platform.accounts.get(id)?;
                let (base_url, settings) = (&self.platform.base_url, self.platform.settings);
                Some(self.connected.entry(id.clone()).or_insert_with(|| World {
                    account: Some(id.clone()),
                    base_url: base_url.clone(),
                    settings,
                    ..World::new(crate::id::Id::as_str(id))
                }))
            }
        }
    }

    pub(crate) fn world(&self, account: Option<&AccountId>) -> Option<&World> {
        match account {
            None => Some(&self.platform),
            Some(id) => self.connected.get(id),
        }
    }

    /// The platform's world and then those of the connected accounts.
    pub(crate) fn worlds(&self) -> impl Iterator<Item = &World> {
        std::iter::once(&self.platform).chain(self.connected.values())
    }

    pub(crate) fn worlds_mut(&mut self) -> impl Iterator<Item = &mut World> {
        std::iter::once(&mut self.platform).chain(self.connected.values_mut())
    }
}

/// Everything that belongs to one account. No object of one world is seen from another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct World {
    /// The connected account this is the world of; none for the platform's.
    pub(crate) account: Option<AccountId>,
    /// Where the stand-in listens, for the addresses of its pages.
    pub(crate) base_url: String,
    #[serde(default)]
    pub(crate) settings: Settings,
    pub(crate) ids: IdSource,
    /// Kept over a reset, as the endpoints are: an id must not be made twice.
    pub(crate) endpoint_ids: IdSource,
    pub(crate) accounts: Table<Account>,
    pub(crate) test_clocks: Table<TestClock>,
    pub(crate) customers: Table<Customer>,
    pub(crate) products: Table<Product>,
    pub(crate) prices: Table<Price>,
    pub(crate) payment_methods: Table<PaymentMethod>,
    pub(crate) coupons: Table<Coupon>,
    pub(crate) promotion_codes: Table<PromotionCode>,
    pub(crate) discounts: Table<Discount>,
    pub(crate) sessions: Table<CheckoutSession>,
    pub(crate) subscriptions: Table<Subscription>,
    pub(crate) schedules: Table<Schedule>,
    pub(crate) invoices: Table<Invoice>,
    /// The latest previews: their lines are listed page by page.
    #[serde(skip)]
    pub(crate) previews: Table<Invoice>,
    pub(crate) invoice_items: Table<InvoiceItem>,
    pub(crate) invoice_payments: Table<InvoicePayment>,
    pub(crate) payment_intents: Table<PaymentIntent>,
    pub(crate) charges: Table<Charge>,
    pub(crate) refunds: Table<Refund>,
    pub(crate) meters: Table<Meter>,
    pub(crate) meter_events: Vec<MeterEvent>,
    pub(crate) credit_notes: Table<CreditNote>,
    pub(crate) disputes: Table<Dispute>,
    pub(crate) events: Table<Event>,
    pub(crate) webhook_endpoints: Table<WebhookEndpoint>,
    /// What falls due, and when.
    pub(crate) agenda: Agenda,
    /// Events that have happened and were not yet handed to the deliveries.
    pub(crate) outbox: Vec<EventId>,
    /// Answers kept for idempotency keys.
    pub(crate) replies: BTreeMap<String, Reply>,
}

impl World {
    /// Takes over what must not go back when everything else does. An endpoint that there was stays as it is now: its address
    /// may have changed.
    fn carry_on_from(&mut self, gone: Self) {
        self.ids = gone.ids;
        self.endpoint_ids = gone.endpoint_ids;
        self.base_url = gone.base_url;
        for endpoint in self.webhook_endpoints.iter_mut() {
            if let Some(present) = gone.webhook_endpoints.get(&endpoint.id) {
                *endpoint = present.clone();
            }
        }
    }

    fn salt_ids(&mut self, salt: &str) {
        let account = self.account.as_ref().map_or(PLATFORM, crate::id::Id::as_str);
        let (ids, endpoint_ids) = (
            IdSource::new(&format!("{account} {salt}")),
            IdSource::new(&format!("{account} endpoints {salt}")),
        );
        (self.ids, self.endpoint_ids) = (ids, endpoint_ids);
    }

    /// A copy to try things out in, or to go back to, without the answers that are kept: they would be most of it.
    pub(crate) fn copy_without_replies(&mut self) -> Self {
        let replies = std::mem::take(&mut self.replies);
        let copy = self.clone();
        self.replies = replies;
        copy
    }

    /// A copy to try things out in, without what has been told either.
    pub(crate) fn copy_without_history(&mut self) -> Self {
        Self {
            events: Table::default(),
            ..self.copy_without_replies()
        }
    }

    /// Goes back to a copy that was made without the answers that are kept: those stay.
    pub(crate) fn go_back_to(&mut self, copy: Self) {
        let replies = std::mem::take(&mut self.replies);
        *self = Self { replies, ..copy };
    }

    fn new(account: &str) -> Self {
        Self {
            account: None,
            base_url: "http://127.0.0.1".to_owned(),
            settings: Settings::default(),
            ids: IdSource::new(account),
            endpoint_ids: IdSource::new(&format!("{account} endpoints")),
            accounts: Table::default(),
            test_clocks: Table::default(),
            customers: Table::default(),
            products: Table::default(),
            prices: Table::default(),
            payment_methods: Table::default(),
            coupons: Table::default(),
            promotion_codes: Table::default(),
            discounts: Table::default(),
            sessions: Table::default(),
            subscriptions: Table::default(),
            schedules: Table::default(),
            invoices: Table::default(),
            previews: Table::default(),
            invoice_items: Table::default(),
            invoice_payments: Table::default(),
            payment_intents: Table::default(),
            charges: Table::default(),
            refunds: Table::default(),
            meters: Table::default(),
            meter_events: Vec::new(),
            credit_notes: Table::default(),
            disputes: Table::default(),
            events: Table::default(),
            webhook_endpoints: Table::default(),
            agenda: Agenda::default(),
            outbox: Vec::new(),
            replies: BTreeMap::new(),
        }
    }
}
