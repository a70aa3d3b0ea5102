//! What a test asks of the stand-in directly, without HTTP: pay, decline, look, deliver.
//!
//! Most of it is also a test route; what Stripe itself offers is in the API ([`StandIn::call`]) and not here.

use serde_json::Value;

use crate::api::{self, Begun, Call};
use crate::deliveries;
use crate::faults::Fault;
use crate::form::{self, Node};
use crate::id::{AccountId, Id};
use crate::refusal::Refusal;
use crate::render;
use crate::rules::completion::{self, Completion, Later, Payment};
use crate::rules::disputes::{self, NewDispute};
use crate::rules::invoice_page::{self, InvoiceAct};
use crate::rules::webhook_endpoints::{self, NewEndpoint};
use crate::rules::{Moment, checkout, payment_methods, refunds};
use crate::stand_in::{DeliveryOutcome, RequestRecord, StandIn, StandInError};
use crate::state::{Attempt, Metadata, Settings, State, World};

impl From<Refusal> for StandInError {
    fn from(refusal: Refusal) -> Self {
        let body = refusal.body("");
        Self(body["error"]["message"].as_str().unwrap_or("refused").to_owned())
    }
}

fn nothing(what: &str, id: &str) -> StandInError {
    StandInError(format!("no such {what}: {id}"))
}

/// Acting as a person does.
impl StandIn {
    /// Pays (or fails to pay) on a session's page, and waits for the deliveries that come of it. Answers the session.
    ///
    /// # Errors
    /// When there is no such session, or it is not open.
    pub async fn complete_session(&self, id: &str, how: &Completion) -> Result<Value, StandInError> {
        self.in_world_of(id, |at| completion::act(at, id, how).map_err(StandInError::from))?;
        self.settle().await;
        self.object(id).ok_or_else(|| nothing("session", id))
    }

    /// [`Self::complete_session`] with nothing but the payment's end.
    ///
    /// # Errors
    /// When there is no such session, or it is not open.
    pub async fn pay_session(&self, id: &str, payment: Payment) -> Result<Value, StandInError> {
        self.complete_session(
            id,
            &Completion {
                payment,
                ..Completion::default()
            },
        )
        .await
    }

    /// Ends a delayed payment now instead of three days after it was made. Answers the session.
    ///
    /// # Errors
    /// When there is no such session, or no payment of it is under way.
    pub async fn settle_session(&self, id: &str, later: Later) -> Result<Value, StandInError> {
        self.in_world_of(id, |at| {
            completion::settle_now(at, id, later).map_err(StandInError::from)
        })?;
        self.settle().await;
        self.object(id).ok_or_else(|| nothing("session", id))
    }

    /// Lets an open session expire now. Answers the session.
    ///
    /// # Errors
    /// When there is no such session.
    pub async fn expire_session(&self, id: &str) -> Result<Value, StandInError> {
        self.in_world_of(id, |at| {
            let session = at.world.sessions.find(id).map(|session| session.id.clone());
            checkout::expire_if_open(at, &session.ok_or_else(|| nothing("session", id))?);
            Ok(())
        })?;
        self.settle().await;
        self.object(id).ok_or_else(|| nothing("session", id))
    }

    /// Pays an open invoice as the customer would on its page: with a card that works. Answers the invoice.
    ///
    /// # Errors
    /// When there is no such invoice, or it is not open.
    pub async fn pay_invoice(&self, id: &str) -> Result<Value, StandInError> {
        self.act_on_invoice(id, &InvoiceAct::default()).await
    }

    /// Pays (or fails to pay) an open invoice on its page. Answers the invoice.
    ///
    /// # Errors
    /// When there is no such invoice or payment method, or the invoice is not open.
    pub async fn act_on_invoice(&self, id: &str, act: &InvoiceAct) -> Result<Value, StandInError> {
        self.in_world_of(id, |at| Ok(invoice_page::act(at, id, act)?))?;
        self.settle().await;
        self.object(id).ok_or_else(|| nothing("invoice", id))
    }

    /// Gives an open invoice up as uncollectible, as the account's owner may. Answers the invoice.
    ///
    /// # Errors
    /// When there is no such invoice, or it is not open.
    pub async fn write_off_invoice(&self, id: &str) -> Result<Value, StandInError> {
        self.in_world_of(id, |at| Ok(invoice_page::write_off(at, id)?))?;
        self.settle().await;
        self.object(id).ok_or_else(|| nothing("invoice", id))
    }

    /// A cardholder disputes a charge. Answers the dispute.
    ///
    /// # Errors
    /// When there is no such charge, or so much of it is disputed already.
    pub async fn dispute_charge(&self, charge: &str, new: &NewDispute) -> Result<Value, StandInError> {
        let id = self.in_world_of(charge, |at| Ok(disputes::open(at, charge, new)?))?;
        self.settle().await;
        self.object(id.as_str())
            .ok_or_else(|| nothing("dispute", id.as_str()))
    }

    /// A refund fails after all: the money is the merchant's again. Answers it.
    ///
    /// # Errors
    /// When there is no such refund, or it has failed already.
    pub async fn fail_refund(&self, refund: &str, reason: &str) -> Result<Value, StandInError> {
        self.in_world_of(refund, |at| Ok(refunds::fail(at, refund, reason)?))?;
        self.settle().await;
        self.object(refund).ok_or_else(|| nothing("refund", refund))
    }

    /// The bank decides on a dispute. Answers it.
    ///
    /// # Errors
    /// When there is no such dispute, or it was prevented.
    pub async fn close_dispute(&self, dispute: &str, won: bool) -> Result<Value, StandInError> {
        self.in_world_of(dispute, |at| Ok(disputes::close(at, dispute, won)?))?;
        self.settle().await;
        self.object(dispute).ok_or_else(|| nothing("dispute", dispute))
    }

    /// A dispute that was lost is appealed. Answers it.
    ///
    /// # Errors
    /// When there is no such dispute, or it is not lost.
    pub async fn appeal_dispute(&self, dispute: &str) -> Result<Value, StandInError> {
        self.in_world_of(dispute, |at| Ok(disputes::appeal(at, dispute)?))?;
        self.settle().await;
        self.object(dispute).ok_or_else(|| nothing("dispute", dispute))
    }

    /// Gives a customer another card, for invoices to come: one of Stripe's test payment methods, such as
    /// `pm_card_chargeCustomerFail`. It becomes the default of the customer and of all their subscriptions.
    ///
    /// # Errors
    /// When there is no such customer or payment method.
    pub fn set_card(&self, customer: &str, token: &str) -> Result<(), StandInError> {
        self.in_world_of(customer, |at| {
            let id = at
                .world
                .customers
                .find(customer)
                .ok_or_else(|| nothing("customer", customer))?
                .id
                .clone();
            let card = payment_methods::attachable(at, token, "payment_method")?;
            let card = payment_methods::attach_to(at, card, &id);
            at.world.customers[&id].default_payment_method = Some(card.clone());
            for subscription in at.world.subscriptions.iter_mut().filter(|row| row.customer == id) {
                subscription.default_payment_method = Some(card.clone());
            }
            Ok(())
        })
    }

    /// Works in the world that an object is in, whichever it is.
    fn in_world_of<T>(
        &self,
        id: &str,
        work: impl FnOnce(&mut Moment<'_>) -> Result<T, StandInError>,
    ) -> Result<T, StandInError> {
        self.with_state(|state, now| {
            let world = state
                .worlds_mut()
                .find(|world| render::by_id(world, id).is_some());
            let world = world.ok_or_else(|| nothing("object", id))?;
            let time = world.time_of(id).unwrap_or(now);
            work(&mut Moment {
                world,
                now: time,
                told_at: now,
                cause: None,
            })
        })
    }
}

/// Looking.
impl StandIn {
    /// An object by its id, as the API would answer it, from whichever world it is in.
    #[must_use]
    pub fn object(&self, id: &str) -> Option<Value> {
        self.look(|state| state.worlds().find_map(|world| render::by_id(world, id)))
    }

    /// The checkout sessions of a customer, oldest first.
    #[must_use]
    pub fn sessions_of(&self, customer: &str) -> Vec<Value> {
        self.gather(|world| {
            let own = world
                .sessions
                .iter()
                .filter(|row| row.customer.as_ref().is_some_and(|id| id.as_str() == customer));
            own.map(|row| render::checkout_session(world, row)).collect()
        })
    }

    /// The lines of a checkout session.
    #[must_use]
    pub fn session_lines(&self, id: &str) -> Vec<Value> {
        self.gather(|world| {
            let lines = world
                .sessions
                .find(id)
                .map(|session| render::session_items(world, session));
            lines
                .and_then(|list| list["data"].as_array().cloned())
                .unwrap_or_default()
        })
    }

    /// The invoice that a payment intent pays.
    pub(crate) fn invoice_of_intent(&self, id: &str) -> Option<String> {
        self.look(|state| {
            let intent = state.worlds().find_map(|world| world.payment_intents.find(id))?;
            intent.invoice.as_ref().map(|invoice| invoice.as_str().to_owned())
        })
    }

    /// All subscriptions of a customer, ended ones too, oldest first.
    #[must_use]
    pub fn subscriptions_of(&self, customer: &str) -> Vec<Value> {
        self.gather(|world| {
            let own = world
                .subscriptions
                .iter()
                .filter(|row| row.customer.as_str() == customer);
            own.map(|row| render::subscription(world, row)).collect()
        })
    }

    /// The invoices of a customer, oldest first.
    #[must_use]
    pub fn invoices_of(&self, customer: &str) -> Vec<Value> {
        self.gather(|world| {
            let own = world
                .invoices
                .iter()
                .filter(|row| row.customer.as_str() == customer);
            own.map(|row| render::invoice(world, row)).collect()
        })
    }

    /// The customers whose metadata has `value` under `key`, oldest first.
    #[must_use]
    pub fn customers_with(&self, key: &str, value: &str) -> Vec<Value> {
        self.gather(|world| {
            let found = world
                .customers
                .iter()
                .filter(|row| row.metadata.get(key).is_some_and(|own| own == value));
            found.map(render::customer).collect()
        })
    }

    /// All events of all worlds; those of one world in the order in which they happened.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.gather(|world| world.events.iter().map(|row| render::event(world, row)).collect())
    }

    /// What was asked of the API over HTTP, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.core().requests.clone()
    }

    /// Forgets what was asked.
    pub fn clear_requests(&self) {
        self.core().requests.clear();
    }

    fn look<T>(&self, see: impl FnOnce(&State) -> T) -> T {
        self.with_state(|state, _| see(state))
    }

    fn gather(&self, of: impl Fn(&World) -> Vec<Value>) -> Vec<Value> {
        self.look(|state| state.worlds().flat_map(of).collect())
    }
}

/// Telling of events, and faults.
impl StandIn {
    /// Puts up a webhook endpoint of the platform; answers its signing secret. With `connect` it hears of the connected
    /// accounts' events instead of the platform's own.
    pub fn add_webhook(&self, url: &str, enabled_events: &[&str], connect: bool) -> String {
        let new = NewEndpoint {
            url: url.to_owned(),
            enabled_events: enabled_events.iter().map(|&kind| kind.to_owned()).collect(),
            connect,
            api_version: Some(render::API_VERSION.to_owned()),
            description: None,
            metadata: Metadata::new(),
        };
        self.with_state(|state, now| {
            let mut at = Moment {
                world: &mut state.platform,
                now,
                told_at: now,
                cause: None,
            };
            let id = webhook_endpoints::open(&mut at, new);
            at.world.webhook_endpoints[&id].secret.clone()
        })
    }

    /// While held, nothing is delivered but by [`Self::deliver`]. What has waited is delivered when the hold ends.
    pub fn hold_deliveries(&self, held: bool) {
        self.with_state(|state, _| state.deliveries.held = held);
    }

    /// Delivers an event now, held or not: what waits of it, or else once more to each endpoint that wants it.
    ///
    /// # Errors
    /// When there is no such event, or no endpoint wants it.
    pub async fn deliver(&self, event: &str) -> Result<Vec<DeliveryOutcome>, StandInError> {
        let letters = self.with_state(|state, now| {
            let taken = deliveries::by_hand(state, event, now);
            let with_letter = taken.into_iter().map(|delivery| {
                let letter = deliveries::letter(state, &delivery, now);
                (delivery, letter)
            });
            with_letter.collect::<Vec<_>>()
        });
        if letters.is_empty() {
            return Err(StandInError(format!(
                "no event {event}, or no endpoint that wants it"
            )));
        }
        let mut outcomes = Vec::new();
        for (delivery, letter) in letters {
            outcomes.push(self.post(delivery, letter).await);
        }
        Ok(outcomes)
    }

    /// Every try to deliver there was, in order.
    #[must_use]
    pub fn delivery_attempts(&self) -> Vec<DeliveryOutcome> {
        let outcome = |attempt: &Attempt| DeliveryOutcome {
            event: attempt.event.to_string(),
            endpoint: attempt.endpoint.to_string(),
            status: attempt.status,
            error: attempt.error.clone(),
        };
        self.look(|state| state.deliveries.attempts.iter().map(outcome).collect())
    }

    /// A connected account takes back the platform's access, or gives it again. What is there goes on meanwhile.
    pub fn has_access(&self, account: &str, access: bool) {
        let account = AccountId::from_text(account.to_owned());
        self.with_state(|state, _| {
            if access {
                state.disconnected.remove(&account);
            } else {
                state.disconnected.insert(account);
            }
        });
    }

    /// Asks for a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.with_state(|state, _| state.faults.add(fault));
    }

    /// The faults that were asked for, spent ones too.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.look(|state| state.faults.all().to_vec())
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.with_state(|state, _| state.faults.clear());
    }
}

/// Which of the possible worlds it is.
impl StandIn {
    /// What is set, of what Stripe leaves to an account's owner or to be found out.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.look(|state| state.platform.settings)
    }

    /// Sets it, in all worlds, from here on.
    pub fn set(&self, settings: Settings) {
        self.with_state(|state, _| state.worlds_mut().for_each(|world| world.settings = settings));
    }
}

/// The whole.
impl StandIn {
    /// Calls the API without HTTP: no faults, no log. `params` is a JSON object, `path` begins with `/v1/`. Answers the status
    /// and the body.
    pub fn call(&self, method: &str, path: &str, params: &Value, account: Option<&str>) -> (u16, Value) {
        let call = Call {
            method: method.to_owned(),
            path: path.to_owned(),
            query: form::encode(&Node::from_json(params)),
            authorization: Some("Bearer sk_test_call".to_owned()),
            account: account.map(str::to_owned),
            ..Call::default()
        };
        let answer = self.with_state(|state, now| match api::begin(state, &call, now) {
            Begun::Answered(answer) => answer,
            Begun::Go(ticket) => api::execute(state, &ticket, now),
        });
        self.show(&call, Some(&answer));
        (answer.status, answer.body)
    }

    /// Says where the stand-in is reached, for the addresses of its pages. [`Self::serve`] does it by itself.
    pub fn set_base_url(&self, base_url: &str) {
        let mut core = self.core();
        core.state
            .worlds_mut()
            .for_each(|world| base_url.clone_into(&mut world.base_url));
    }
}
