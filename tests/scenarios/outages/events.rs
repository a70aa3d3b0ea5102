//! What comes as an event: payments that are heard of, reservations that were deleted, the hour of the schedule.

use billing_store::ReceiptStatus;
use billing_tests::{Account, Agency, World, path_of};
use serde_json::{Value, json};

use super::{Ask, Deed, NOW, subscriber, survives};

/// Hears of an account's payment: it lands with a later delivery, once.
struct Payment<'w>(&'w World);

impl<'w> Deed<'w> for Payment<'w> {
    type To = (Account<'w>, String);
    const FUNCTION: &'static str = "stripe-webhook";
    const LEASE: Option<&'static str> = Some("1m");

    async fn sets_up(world: &'w World) -> Self {
        world.stripe.holds_events(true).await;
        Self(world)
    }

    async fn prepares(&mut self, _: usize) -> Self::To {
        let ada = self.0.account(1).await;
        let secret = ada.starts_checkout("monthly").await.client_secret();
        self.0.stripe.checks_out(&secret, "succeed").await;
        let paid = self.0.stripe.event("invoice.paid");
        (ada, paid)
    }

    fn ask(&self, (_, event): &Self::To) -> Ask {
        Ask::request(self.0.stripe.signed_event(event))
    }

    async fn is_whole(&self, (ada, _): &Self::To, context: &str) {
        let ledger = ada.ledger().await.len();
        let covered = ada.covered_until().await;
        assert_eq!(ledger == 1, !covered.is_empty(), "{context}: {covered}");
    }

    async fn is_done(&self, (ada, event): &Self::To, _: &Value, context: &str) {
        assert_eq!(ada.ledger().await.len(), 1, "{context}");
        assert_eq!(
            self.0.receipt(event).await.status,
            ReceiptStatus::Done,
            "{context}"
        );
        assert_ne!(ada.covered_until().await, "", "{context}");
    }
}

#[tokio::test]
async fn a_payment_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Payment<'_>>(&world).await;
}

/// Hears of a schedule on a connected account.
struct Sold<'w> {
    world: &'w World,
    north: Agency<'w>,
    schedule: String,
}

impl<'w> Deed<'w> for Sold<'w> {
    type To = String;
    const FUNCTION: &'static str = "stripe-webhook";
    const LEASE: Option<&'static str> = Some("1m");

    async fn sets_up(world: &'w World) -> Self {
        let north = world.agency().await;
        let sold = north.sells(&north.order("2026-05-01T00:00:00Z")).await;
        let schedule = sold.body["id"].as_str().unwrap().to_owned();
        world.stripe.holds_events(true).await;
        Self {
            world,
            north,
            schedule,
        }
    }

    async fn prepares(&mut self, _: usize) -> String {
        let path = format!("/v1/subscription_schedules/{}", self.schedule);
        self.north.at_stripe("POST", &path, "metadata[seen]=yes").await;
        self.world.stripe.event("subscription_schedule.updated")
    }

    fn ask(&self, event: &String) -> Ask {
        Ask::request(self.world.stripe.signed_event(event))
    }

    async fn is_done(&self, event: &String, _: &Value, context: &str) {
        let receipt = self.world.receipt_on(&self.north.account, event).await;
        assert_eq!(receipt.status, ReceiptStatus::Done, "{context}");
        let state = self.north.sales().await.remove(0).state.unwrap();
        assert_eq!(state.status, "not_started", "{context}");
    }
}

#[tokio::test]
async fn an_event_of_a_connected_account_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Sold<'_>>(&world).await;
}

/// Settles a reservation that was deleted.
struct Expiry<'w>(&'w World);

impl<'w> Deed<'w> for Expiry<'w> {
    type To = (Account<'w>, Value);
    const FUNCTION: &'static str = "expire-checkouts";

    async fn sets_up(world: &'w World) -> Self {
        Self(world)
    }

    async fn prepares(&mut self, _: usize) -> Self::To {
        let ada = self.0.account(1).await;
        ada.starts_checkout("monthly").await.client_secret();
        let record = self.0.expired_reservation(&ada).await;
        (ada, record)
    }

    fn ask(&self, (_, record): &Self::To) -> Ask {
        Ask::Event(record.clone())
    }

    async fn is_done(&self, (ada, _): &Self::To, told: &Value, context: &str) {
        assert_eq!(told["batchItemFailures"], json!([]), "{context}");
        assert!(self.0.stripe.payable_sessions(ada).await.is_empty(), "{context}");
        assert_eq!(ada.stored().await.profile.open_session, None, "{context}");
    }
}

#[tokio::test]
async fn an_expiry_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Expiry<'_>>(&world).await;
}

/// Finds an event that never arrived: an operator's cancellation, of one account after the other.
struct Reconciliation<'w> {
    world: &'w World,
    ada: Account<'w>,
    ends: bool,
}

impl<'w> Deed<'w> for Reconciliation<'w> {
    type To = (String, bool);
    const FUNCTION: &'static str = "reconcile";
    const AT_ONCE: usize = 1;
    const LEASE: Option<&'static str> = Some("15m");

    async fn sets_up(world: &'w World) -> Self {
        let ada = subscriber(world).await;
        world.stripe.holds_events(true).await;
        world.advance("1h").await;
        let ends = false;
        Self { world, ada, ends }
    }

    async fn prepares(&mut self, _: usize) -> Self::To {
        self.ends = !self.ends;
        let subscription = self.world.stripe.subscription(&self.ada).await;
        let path = path_of(&subscription);
        let form = format!("cancel_at_period_end={}", self.ends);
        self.world.stripe.operator("POST", &path, &form).await;
        let updated = self.world.stripe.events("customer.subscription.updated").pop();
        self.world.advance("10m").await;
        (updated.unwrap(), self.ends)
    }

    fn ask(&self, _: &Self::To) -> Ask {
        Ask::Event(json!({ "detail-type": "Scheduled Event", "source": "aws.events" }))
    }

    async fn is_done(&self, (event, _): &Self::To, told: &Value, context: &str) {
        assert_eq!(told["complete"], true, "{context}: {told}");
        assert_eq!(
            self.world.receipt(event).await.status,
            ReceiptStatus::Done,
            "{context}"
        );
        let billing = self.ada.billing().await;
        let ends = &billing.body["subscription"]["cancelAtPeriodEnd"];
        assert_eq!(ends, self.ends, "{context}: {billing}");
    }
}

#[tokio::test]
async fn a_reconciliation_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Reconciliation<'_>>(&world).await;
}
