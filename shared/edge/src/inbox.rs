//! Stripe's events, each done once: for the webhook that is told of them, and for whoever looks for those that it was not told of.
//!
//! # How it works
//! An event says *that* something happened; *what* is re-read from Stripe. The event is claimed, the account found, and then in
//! rounds: read the account, read Stripe, decide ([`billing_core::landing`]), write under the version that was read first. A
//! round that somebody else overtook starts over, so nothing older ever overwrites something newer. A change of the interval that
//! waited for its payment is finished here once it took effect.
//!
//! # If it fails half-way
//! The claim's lease runs out, or is given back with the reason; the next delivery does the work, once: the ledger's keys are
//! invoice lines.

/// Which object an event sends us to.
mod errand;
/// What Stripe says of that object now.
mod facts;
/// What that changes about its account.
mod landing;
/// What was sold on connected accounts.
mod connected;
/// What that changes about a contract.
mod contracts;
/// What is paid for nothing, and goes back.
mod let_go;

use billing_core::access::Mode;
use billing_core::id::{AccountId, ConnectedAccountId, NotAnId, SessionId};
use billing_store::{Claim, EventClaim, EventKey, FailedAttempt};
use billing_stripe::webhook::Event;

use crate::call::Call;
use crate::problem::Problem;
pub use connected::CONNECTED_EVENT_TYPES;
use connected::ConnectedErrand;
pub use errand::EVENT_TYPES;
use errand::Errand;

/// What became of an event that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// Its work is done.
    Done,
    /// Its work is done: it is about nobody whom this deployment knows.
    OfNobody,
    /// Its work was done before.
    DoneBefore,
    /// There is nothing to do for it here.
    NotOurs,
    /// The account that it happened on was disconnected. It is marked as failed, and done when there is access again.
    Disconnected,
}

impl Call<'_> {
    /// Whether an event is of this deployment's world, and of a type that means something here.
    #[must_use]
    pub fn is_ours(&self, event: &Event) -> bool {
        let same_mode = event.livemode == (self.app.config.mode == Mode::Live);
        let means_something = match event.connected_account {
            None => Errand::of(event).is_some(),
            Some(_) => ConnectedErrand::of(event).is_some(),
        };
        same_mode && means_something
    }

    /// Settles a checkout session whose time is up: one that is still open is made unpayable, and what became of it lands as if
    /// its event had come.
    pub async fn end_session(&self, account: &AccountId, session: &SessionId) -> Result<(), Problem> {
        facts::end_session(self, session).await?;
        landing::run_for(self, account, &Errand::Session(session.clone())).await
    }

    /// Does an event's work, unless it was done before. 409 while somebody else is at it; any other problem is marked on the
    /// event, and the next delivery tries again.
    pub async fn take_event(&self, event: &Event) -> Result<EventOutcome, Problem> {
        // Test events of a shared endpoint.
        if event.livemode != (self.app.config.mode == Mode::Live) {
            return Ok(EventOutcome::NotOurs);
        }
        // Types that mean nothing here, other people's worlds.
        let Some(errand) = self.errand(event).await? else {
            return Ok(EventOutcome::NotOurs);
        };
        let key = EventKey {
            connected_account: event.connected_account.clone(),
            event: event.id.clone(),
        };
        let holder = self.claim_token()?;
        let claim = EventClaim {
            kind: &event.kind,
            holder: &holder,
            now: self.now,
            lease_until: self.lease()?,
        };
        let (attempts, failed_before) = match self.store.claim_event(&key, &claim).await? {
            Claim::Mine {
                attempts,
                failed_before,
            } => (attempts, failed_before),
            Claim::Done => return Ok(EventOutcome::DoneBefore),
            Claim::Busy => {
                return Err(Problem::busy("this event is being handled"));
            }
        };
        let outcome = match errand {
            Ok(Work::Own(errand)) => landing::run(self, event, &errand).await,
            Ok(Work::Connected(account, errand)) => connected::run(self, &account, &errand).await,
            Err(unreadable) => Err(Problem::internal(unreadable.to_string())),
        };
        match outcome {
            Ok(taken) => {
                self.store.finish_event(&key, failed_before, self.now).await?;
                Ok(taken)
            }
            Err(problem) => {
                let attempt = FailedAttempt {
                    kind: &event.kind,
                    holder: &holder,
                    attempts,
                    error: &problem.logged,
                    now: self.now,
                };
                // Without this mark the lease has to run out; the problem is told either way.
                let marked = self.store.fail_event(&key, &attempt).await;
                if let Err(error) = &marked {
                    tracing::warn!(event = %key.event, %error, "a failed event could not be marked");
                }
                // Nothing is wrong here; marked, it is not forgotten.
                if problem.no_access && marked.is_ok() {
                    return Ok(EventOutcome::Disconnected);
                }
                Err(problem)
            }
        }
    }

    /// What an event sends us to; none when it is nothing of ours.
    async fn errand(&self, event: &Event) -> Result<Option<Result<Work, NotAnId>>, Problem> {
        let Some(account) = &event.connected_account else {
            return Ok(Errand::of(event).map(|errand| errand.map(Work::Own)));
        };
        if self.store.connected_account(account).await?.is_none() {
            self.count("UnknownConnectedAccounts", 1);
            return Ok(None);
        }
        let errand = ConnectedErrand::of(event);
        Ok(errand.map(|errand| errand.map(|errand| Work::Connected(account.clone(), errand))))
    }
}

/// What an event sends us to.
enum Work {
    /// Something on our own Stripe account.
    Own(Errand),
    /// Something on a connected one.
    Connected(ConnectedAccountId, ConnectedErrand),
}
