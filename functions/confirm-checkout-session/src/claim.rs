//! Holding a session to its offer, and claiming it: the last step before Stripe is asked for anything.
//!
//! # If it fails half-way
//! A fresh offer is one write, a claim one transaction. What was claimed is found by the next confirmation, and finished.

use billing_core::Timestamp;
use billing_core::catalog::Buyer;
use billing_core::contract::{Contract, Obstacle, Status as ContractStatus};
use billing_core::id::{BuyerId, OrganisationId};
use billing_core::sale::{self, Sale};
use billing_core::session::{Guest, Session, Status, Wish};
use billing_edge::key::{hash, uuid};
use billing_edge::{Call, InvoiceFacts, Problem, WishFacts};
use billing_store::{SessionWrite, StoredContract, unless_conflict};

use crate::{Wanted, moved};

/// A session and the contract that were claimed for a sale.
#[derive(Clone)]
pub(crate) struct Claimed {
    pub(crate) session: Session,
    pub(crate) stored: StoredContract,
    /// How this machine came to the sale.
    pub(crate) origin: Origin,
}

/// How a machine came to a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It has written it down.
    New,
    /// Another has, and may be at it still.
    UnderWay,
    /// Another has, and has had its time.
    LeftBehind,
}

impl Claimed {
    /// Whether another machine may be at the sale still: what it has just done may be what differs from what was read.
    pub(crate) fn is_of_another(&self, now: Timestamp) -> bool {
        let sale = self.stored.contract.sale.as_ref();
        self.origin == Origin::UnderWay && sale.is_some_and(|sale| sale.is_in_flight(now))
    }

    /// Whether Stripe may have been asked for the sale before, by whomever.
    pub(crate) fn is_old(&self) -> bool {
        self.origin != Origin::New
    }

    /// The same, found under way or left behind. In the last minute of its session it is joined before anything else. None when somebody else
    /// wrote first.
    pub(crate) async fn taken_up(self, call: &Call<'_>) -> Result<Option<Self>, Problem> {
        let Some(sale) = &self.stored.contract.sale else {
            return Ok(None);
        };
        let origin = if sale.is_in_flight(call.now) {
            Origin::UnderWay
        } else {
            Origin::LeftBehind
        };
        let ends_soon = sale.ends_soon(call.now);
        let claimed = Self { origin, ..self };
        if ends_soon {
            claimed.joined(call).await
        } else {
            Ok(Some(claimed))
        }
    }

    /// The same, right before Stripe is asked for what can be charged, with that written down unless this machine has written down the sale:
    /// whoever wants to forget the sale meanwhile, the one that wrote it down as well, conflicts. What asks Stripe for nothing keeps nobody
    /// waiting. None when somebody else wrote first.
    pub(crate) async fn joined(&self, call: &Call<'_>) -> Result<Option<Self>, Problem> {
        let sale = self.stored.contract.sale.as_ref();
        match sale.filter(|_| self.is_old()) {
            Some(sale) => self.with(call, sale.joined(call.now)).await,
            None => Ok(Some(self.clone())),
        }
    }

    /// The same with more in its sale, written down. None when somebody else wrote first.
    pub(crate) async fn with(&self, call: &Call<'_>, sale: Sale) -> Result<Option<Self>, Problem> {
        let read = &self.stored.contract;
        let contract = Contract {
            sale: Some(sale),
            updated_at: call.now,
            ..read.clone()
        };
        let written = unless_conflict(call.store.put_contract(read, &contract).await)?;
        Ok(written.map(|()| Self {
            session: self.session.clone(),
            stored: StoredContract {
                contract: Contract {
                    version: read.version + 1,
                    ..contract
                },
                ..self.stored.clone()
            },
            origin: self.origin,
        }))
    }
}

/// Prices the wish again, and claims session and contract for the sale of the same offer. 409 with the fresh offer when it is not the
/// same. None when somebody else wrote first.
pub(crate) async fn claim(
    call: &Call<'_>,
    wanted: &Wanted,
    session: &Session,
) -> Result<Option<Claimed>, Problem> {
    let organisation = &session.organisation;
    let (facts, begun) = tokio::try_join!(facts(call, session), async {
        if session.wish.contract.is_some() {
            return Ok(None);
        }
        let begun = call.store.contract(organisation, &session.contract).await;
        begun.map_err(Problem::from)
    })?;
    // What is priced is what is claimed: the contract may become another between two reads of it.
    let stored = facts.stored.clone().or(begun);
    let sale = stored.as_ref().and_then(|stored| stored.contract.sale.as_ref());
    let refusal = match facts.obstacle(call.now) {
        Some(Obstacle::Ended) => return cancel(call, session).await,
        Some(
            obstacle @ (Obstacle::Scheduled
            | Obstacle::ForeignSchedule
            | Obstacle::OnTrial(_)
            | Obstacle::Unpaid),
        ) => Some(Problem::conflict(obstacle.to_string())),
        None => match sale {
            Some(other) if other.open_until <= call.now => {
                return make_way(call, session, other).await.map(|()| None);
            }
            other => other.map(|other| other_sale(other, call)),
        },
    };
    if let Some(refusal) = refusal {
        // It may be this very session that stands in its way: another machine has claimed it since it was read, or even sold it.
        let now = call.store.checkout_session(&session.id).await?;
        let same = now.is_some_and(|now| now.version == session.version);
        return if same { Err(refusal) } else { Ok(None) };
    }
    if let Some(lapsed) = facts.lapsed(call.now) {
        return catch_up(call, lapsed).await.map(|()| None);
    }
    if check_offer(call, session, &facts).await?.is_none() {
        return Ok(None);
    }
    let Some(buyer) = buyer_of(call, organisation, session, &facts).await? else {
        return Ok(None);
    };
    let read = stored.as_ref().map(|stored| &stored.contract);
    let sale = sale_of(call, wanted, session, read)?;
    let claimed = Session {
        version: session.version + 1,
        status: Status::Pending,
        buyer: Some(buyer.clone()),
        sales: sale.number,
        updated_at: call.now,
        ..session.clone()
    };
    let contract = Contract {
        // The session's version, which only grows: of two sales that both begin the contract, the second is written under another than
        // any that the first one's machines have read.
        version: read.map_or(claimed.version, |read| read.version + 1),
        sale: Some(sale.clone()),
        updated_at: call.now,
        ..read
            .cloned()
            .unwrap_or_else(|| new_contract(call, session, &sale, buyer))
    };
    let write = SessionWrite {
        read: session,
        new: &claimed,
    };
    let written = unless_conflict(call.store.claim_sale(write, read, &contract).await)?;
    let (ledger, history) = stored.map_or_else(Default::default, |stored| (stored.ledger, stored.history));
    Ok(written.map(|()| Claimed {
        session: claimed,
        stored: StoredContract {
            contract,
            ledger,
            history,
        },
        origin: Origin::New,
    }))
}

/// What the session's wish is priced on now. What it named was there when it was made; what is not there any more is a moved offer.
async fn facts(call: &Call<'_>, session: &Session) -> Result<WishFacts, Problem> {
    // A guest that has become a customer meanwhile is priced as a guest still.
    let wish = Wish {
        business_entity: Some(session.business_entity.clone()),
        ..session.wish.clone()
    };
    call.wish_facts(&session.organisation, &wish).await
}

/// Whether the session's offer is what the wish comes to now; 409 with the fresh one if it is not. None when somebody else wrote first.
async fn check_offer(call: &Call<'_>, session: &Session, facts: &WishFacts) -> Result<Option<()>, Problem> {
    let same = facts.offer(&session.wish, session.start, session.offer.at);
    if same.is_ok_and(|fresh| fresh.is_as(&session.offer)) && !session.offer.is_past(call.now) {
        return Ok(Some(()));
    }
    let past = session.offer.is_past(call.now);
    let today = facts.start(
        &Wish {
            start: None,
            ..session.wish.clone()
        },
        call.now,
    )?;
    // The frozen start stands for as long as the period that begins with it can be sold.
    let start = if past { today } else { session.start };
    let fresh = facts.offer(&session.wish, start, call.now);
    let offer = fresh.map_err(Problem::from)?;
    let requoted = Session {
        version: session.version + 1,
        start,
        offer,
        is_requoted: true,
        offer_version: Some(session.version + 1),
        updated_at: call.now,
        ..session.clone()
    };
    match unless_conflict(call.store.put_checkout_session(session, &requoted).await)? {
        Some(()) => Err(moved(
            "the offer has changed: confirm the version that the fresh estimates are of".to_owned(),
            &requoted,
        )),
        None => Ok(None),
    }
}

/// The period, or the trial, that a contract is stored with is over, and the news of what came after has not arrived: it is read at Stripe, and landed. 503
/// while Stripe has not gone on either.
async fn catch_up(call: &Call<'_>, stored: &StoredContract) -> Result<(), Problem> {
    let contract = &stored.contract;
    let read = call.read_contract(contract).await?;
    let Some(read) = read.filter(|read| contract.has_gone_on(read, call.now)) else {
        return Err(Problem::unavailable(
            "the contract's period is over, and Stripe has not gone on",
        ));
    };
    // Landed or overtaken, it is priced anew on what is there by then.
    call.land_contract(stored, read, InvoiceFacts::default()).await?;
    Ok(())
}

/// What it was to amend is over.
async fn cancel(call: &Call<'_>, session: &Session) -> Result<Option<Claimed>, Problem> {
    let cancelled = Session {
        version: session.version + 1,
        status: Status::Cancelled,
        updated_at: call.now,
        ..session.clone()
    };
    unless_conflict(call.store.put_checkout_session(session, &cancelled).await)?;
    Ok(None)
}

/// Another session's sale is in the way. One whose time has run out is settled here: DynamoDB deletes its deadline days late, and the
/// record of that may be lost.
async fn make_way(call: &Call<'_>, session: &Session, other: &Sale) -> Result<(), Problem> {
    let expired = call.store.checkout_session(&other.checkout).await?;
    let expired = expired.ok_or_else(|| other_sale(other, call))?;
    if call.settle_session(&expired).await?.is_some() {
        let now = call
            .store
            .contract(&session.organisation, &session.contract)
            .await?;
        if now.is_some_and(|now| now.contract.sale.as_ref() == Some(other)) {
            return Err(other_sale(other, call));
        }
    }
    Ok(())
}

/// Another session of the same contract is being sold.
fn other_sale(other: &Sale, call: &Call<'_>) -> Problem {
    const TOLD: &str = "another change of the contract is being paid for";
    if other.is_in_flight(call.now) {
        Problem::busy(TOLD)
    } else {
        Problem::conflict(TOLD)
    }
}

fn sale_of(
    call: &Call<'_>,
    wanted: &Wanted,
    session: &Session,
    read: Option<&Contract>,
) -> Result<Sale, Problem> {
    let internal = |error: String| Problem::internal(error);
    let order =
        sale::order(&session.offer.after.configuration).map_err(|error| internal(error.to_string()))?;
    Ok(Sale {
        checkout: session.id.clone(),
        number: session.sales + 1,
        kind: session.wish.kind,
        offer: session.offer.clone(),
        order: order.map_err(|error| internal(error.to_string()))?,
        payment_method: wanted.payment_method.clone(),
        replaced: None,
        asked_at: call.now,
        joined_at: None,
        known_bill: read
            .and_then(|read| read.billing.as_ref())
            .and_then(|billing| billing.latest_bill.clone()),
        open_until: session.open_until,
        page: None,
        invoice: None,
        is_to_be_refunded: false,
    })
}

fn new_contract(call: &Call<'_>, session: &Session, sale: &Sale, buyer: BuyerId) -> Contract {
    Contract {
        organisation: session.organisation.clone(),
        id: session.contract.clone(),
        version: 0,
        status: ContractStatus::Pending,
        buyer,
        is_guests: session.wish.guest.is_some(),
        business_entity: session.business_entity.clone(),
        standing: sale.offer.after.clone(),
        order: sale.order.clone(),
        started_at: sale.offer.at,
        ends_at: sale.offer.ends_at,
        billing: None,
        amendments: 0,
        sale: None,
        scheduled: None,
        created_at: call.now,
        updated_at: call.now,
    }
}

/// The customer, made of the guest if there is none with its address yet. None when somebody else made one at this moment.
async fn buyer_of(
    call: &Call<'_>,
    organisation: &OrganisationId,
    session: &Session,
    facts: &WishFacts,
) -> Result<Option<BuyerId>, Problem> {
    let known = session.buyer.clone();
    if let Some(known) = known.or_else(|| facts.buyer.as_ref().map(|buyer| buyer.id.clone())) {
        return Ok(Some(known));
    }
    let Some(guest) = &session.wish.guest else {
        return Err(Problem::internal("a session of neither a customer nor a guest"));
    };
    let email_hash = email_hash(guest);
    if let Some(known) = call.store.buyer_of_email(organisation, &email_hash).await? {
        return Ok(Some(known));
    }
    let new = Buyer {
        id: uuid().map_err(|error| Problem::internal(error.to_string()))?,
        business_entity: session.business_entity.clone(),
        name: guest.name.clone(),
        email: Some(guest.email.clone()),
        customer: None,
        customer_asked_at: Some(call.now),
        lost_customers: 0,
    };
    let created = call.store.create_guest(organisation, &new, &email_hash).await;
    Ok(unless_conflict(created)?.map(|()| new.id))
}

/// By which a guest is recognised: the address in lower case, for nobody's provider tells them apart.
fn email_hash(guest: &Guest) -> String {
    hash(&guest.email.as_str().to_ascii_lowercase())
}
