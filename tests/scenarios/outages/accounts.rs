//! What an account does.

use billing_tests::{Account, World};
use serde_json::{Value, json};

use super::{Ask, Deed, NOW, subscriber, survives};

/// Starts a checkout, as a new account.
struct Checkout<'w>(&'w World);

impl<'w> Deed<'w> for Checkout<'w> {
    type To = Account<'w>;
    const FUNCTION: &'static str = "create-subscription-checkout";

    async fn sets_up(world: &'w World) -> Self {
        Self(world)
    }

    async fn prepares(&mut self, _: usize) -> Account<'w> {
        self.0.account(1).await
    }

    fn ask(&self, ada: &Account<'w>) -> Ask {
        Ask::request(ada.checkout_request(&json!({ "interval": "monthly" })))
    }

    async fn is_done(&self, ada: &Account<'w>, told: &Value, context: &str) {
        let payable = self.0.stripe.payable_sessions(ada).await;
        assert_eq!(payable.len(), 1, "{context}");
        assert_eq!(payable[0]["client_secret"], told["clientSecret"], "{context}");
        assert_eq!(self.0.stripe.customers(ada).await.len(), 1, "{context}");
    }
}

#[tokio::test]
async fn a_checkout_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Checkout<'_>>(&world).await;
}

/// Replaces the session that is open by one for a year.
struct Replacement<'w>(&'w World);

impl<'w> Deed<'w> for Replacement<'w> {
    type To = Account<'w>;
    const FUNCTION: &'static str = "create-subscription-checkout";

    async fn sets_up(world: &'w World) -> Self {
        Self(world)
    }

    async fn prepares(&mut self, _: usize) -> Account<'w> {
        let ada = self.0.account(1).await;
        ada.starts_checkout("monthly").await.client_secret();
        ada
    }

    fn ask(&self, ada: &Account<'w>) -> Ask {
        Ask::request(ada.checkout_request(&json!({ "interval": "annual" })))
    }

    async fn is_whole(&self, ada: &Account<'w>, context: &str) {
        assert!(self.0.stripe.payable_sessions(ada).await.len() <= 1, "{context}");
    }

    async fn is_done(&self, ada: &Account<'w>, told: &Value, context: &str) {
        let payable = self.0.stripe.payable_sessions(ada).await;
        assert_eq!(payable.len(), 1, "{context}");
        assert_eq!(payable[0]["client_secret"], told["clientSecret"], "{context}");
        assert_eq!(payable[0]["amount_total"], 9600, "{context}");
    }
}

#[tokio::test]
async fn replacing_a_checkout_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Replacement<'_>>(&world).await;
}

/// Changes from a month to a year: 1 × 1000 is paid, and 9600 − 1000 are to pay in the first second. It is charged once, whatever happened.
struct Change<'w>(&'w World);

impl<'w> Deed<'w> for Change<'w> {
    type To = Account<'w>;
    const FUNCTION: &'static str = "change-subscription-interval";

    async fn sets_up(world: &'w World) -> Self {
        Self(world)
    }

    async fn prepares(&mut self, _: usize) -> Account<'w> {
        subscriber(self.0).await
    }

    fn ask(&self, ada: &Account<'w>) -> Ask {
        Ask::request(ada.change_request(&json!({ "interval": "annual" })))
    }

    async fn is_whole(&self, ada: &Account<'w>, context: &str) {
        let billing = ada.billing().await;
        let (interval, until) = (
            &billing.body["subscription"]["interval"],
            &billing.body["coveredUntil"],
        );
        let paid = self.0.stripe.payments(ada).await.len();
        if until == "2027-04-01T00:00:00Z" {
            assert_eq!((interval, paid), (&json!("annual"), 2), "{context}: {billing}");
        } else {
            assert_eq!(until, "2026-05-01T00:00:00Z", "{context}: {billing}");
        }
    }

    async fn is_done(&self, ada: &Account<'w>, _: &Value, context: &str) {
        self.0.stripe.stand_in().settle().await;
        assert_eq!(self.0.stripe.payments(ada).await, [1000, 8600], "{context}");
        let stored = ada.stored().await;
        assert_eq!(
            (stored.ledger.len(), stored.profile.change),
            (2, None),
            "{context}"
        );
        assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z", "{context}");
    }
}

#[tokio::test]
async fn a_change_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Change<'_>>(&world).await;
}

/// Has the subscription end, or takes that back: what the same accounts do again and again.
struct Ending<'w, const CANCELS: bool> {
    world: &'w World,
    accounts: Vec<Account<'w>>,
}

impl<'w, const CANCELS: bool> Deed<'w> for Ending<'w, CANCELS> {
    type To = usize;
    const FUNCTION: &'static str = if CANCELS {
        "cancel-subscription"
    } else {
        "resume-subscription"
    };

    async fn sets_up(world: &'w World) -> Self {
        let accounts = Vec::new();
        Self { world, accounts }
    }

    async fn prepares(&mut self, at: usize) -> usize {
        if self.accounts.len() == at {
            self.accounts.push(subscriber(self.world).await);
        }
        let ada = &self.accounts[at];
        let opposite = if CANCELS {
            ada.resumes().await
        } else {
            ada.cancels().await
        };
        assert_eq!(opposite.body["cancelAtPeriodEnd"], !CANCELS, "{opposite}");
        at
    }

    fn ask(&self, at: &usize) -> Ask {
        let path = if CANCELS { "cancel" } else { "resume" };
        Ask::request(self.accounts[*at].end_request(path))
    }

    async fn is_done(&self, at: &usize, told: &Value, context: &str) {
        assert_eq!(told["cancelAtPeriodEnd"], CANCELS, "{context}");
        let ada = &self.accounts[*at];
        let subscription = self.world.stripe.subscription(ada).await;
        assert_eq!(subscription["cancel_at_period_end"], CANCELS, "{context}");
        // What nobody could write down is written by the event.
        self.world.stripe.stand_in().settle().await;
        let billing = ada.billing().await;
        let told = &billing.body["subscription"]["cancelAtPeriodEnd"];
        assert_eq!(told, CANCELS, "{context}: {billing}");
    }
}

#[tokio::test]
async fn a_cancellation_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Ending<'_, true>>(&world).await;
}

#[tokio::test]
async fn a_resumption_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Ending<'_, false>>(&world).await;
}

/// Reads: it fails as a whole or not at all, and changes nothing.
struct Reading<'w, const PREVIEWS: bool> {
    world: &'w World,
    ada: Account<'w>,
}

impl<'w, const PREVIEWS: bool> Deed<'w> for Reading<'w, PREVIEWS> {
    type To = ();
    const FUNCTION: &'static str = if PREVIEWS {
        "preview-subscription-change"
    } else {
        "get-billing"
    };

    async fn sets_up(world: &'w World) -> Self {
        let ada = subscriber(world).await;
        Self { world, ada }
    }

    async fn prepares(&mut self, _: usize) {}

    fn ask(&self, (): &()) -> Ask {
        Ask::request(if PREVIEWS {
            self.ada.preview_request(&json!({ "interval": "annual" }))
        } else {
            self.ada.request("GET", "/api/v1/billing", &Value::Null)
        })
    }

    async fn is_done(&self, (): &(), told: &Value, context: &str) {
        if PREVIEWS {
            assert_eq!(told["amountDueCents"], 8600, "{context}");
        } else {
            assert_eq!(told["coveredUntil"], "2026-05-01T00:00:00Z", "{context}");
        }
        assert_eq!(self.world.stripe.payments(&self.ada).await, [1000], "{context}");
    }
}

#[tokio::test]
async fn reading_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Reading<'_, false>>(&world).await;
    survives::<Reading<'_, true>>(&world).await;
}
