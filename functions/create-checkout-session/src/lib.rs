//! `POST /checkouts`: makes an offer of a plan, of a change of plan, or of other quantities, that stands for a while.
//!
//! Nothing is asked of Stripe, and no contract is made: that is for `confirm-checkout-session`.
//!
//! # How it works
//! The wish is read and priced on the catalog and the contract as they are ([`billing_core::sale`]); the session holds what it came
//! to. Two requests that wish the same are one session while it lives and its offer still stands: a hash of the wish says which.
//!
//! # If it fails half-way
//! The session, its deadline and the hash are written in one transaction. Repeating the request finds the session.

use billing_core::id::{CheckoutId, OrganisationId};
use billing_core::session::{KEPT, Session, Status, When, Wish};
use billing_edge::key::{self, uuid};
use billing_edge::{Call, Function, NewSession, Problem, Reply, ToldSession, WishFacts};
use billing_store::unless_conflict;

const NAME: &str = "create-checkout-session";

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(create(call)));

/// What a session is made of.
struct Found {
    /// What the wish is priced on.
    facts: WishFacts,
    /// The session that the same wish was made into before.
    seen: Option<CheckoutId>,
}

/// What is asked for, and what it was found to be made of first.
struct Asked {
    wish: Wish,
    /// Of the wish.
    hash: String,
    found: Found,
}

async fn create(call: &Call<'_>) -> Result<Reply, Problem> {
    let beside = async |organisation: &OrganisationId| read(call, organisation).await;
    let (caller, ahead) = call.authenticate_organisation_beside(beside).await?;
    let owner = caller.owner()?;
    let organisation = owner.organisation();
    call.once(organisation, NAME, session_of(call, organisation, ahead))
        .await
}

async fn session_of(
    call: &Call<'_>,
    organisation: &OrganisationId,
    ahead: Option<Result<Asked, Problem>>,
) -> Result<Reply, Problem> {
    let Asked {
        wish,
        hash,
        mut found,
    } = match ahead {
        Some(asked) => asked?,
        None => read(call, organisation).await?,
    };
    let mut rounds = call.rounds();
    loop {
        if let Some(session) = attempt(call, organisation, &wish, &hash, &found).await? {
            return Ok(Reply::created(&ToldSession::of(&session, call.now)));
        }
        rounds.lost().await?;
        found = find(call, organisation, &wish, &hash).await?;
    }
}

async fn read(call: &Call<'_>, organisation: &OrganisationId) -> Result<Asked, Problem> {
    let wish = call.read_wish()?;
    let hash = hash(&wish)?;
    let found = find(call, organisation, &wish, &hash).await?;
    Ok(Asked { wish, hash, found })
}

async fn find(
    call: &Call<'_>,
    organisation: &OrganisationId,
    wish: &Wish,
    hash: &str,
) -> Result<Found, Problem> {
    let (facts, seen) = tokio::try_join!(call.new_wish_facts(organisation, wish), async {
        let seen = call.store.session_of_wish(organisation, hash).await;
        seen.map_err(Problem::from)
    })?;
    Ok(Found { facts, seen })
}

/// One attempt on what was found; none when another session of the same wish was made meanwhile.
async fn attempt(
    call: &Call<'_>,
    organisation: &OrganisationId,
    wish: &Wish,
    hash: &str,
    found: &Found,
) -> Result<Option<Session>, Problem> {
    let Found { facts, seen } = found;
    if let Some(seen) = seen
        && let Ok(start) = facts.start(wish, call.now)
        && let Some(session) = standing(call, seen, facts, start).await?
    {
        return Ok(Some(session));
    }
    let new = session(call, organisation, wish, facts)?;
    let created = call
        .store
        .create_checkout_session(&new, hash, seen.as_ref())
        .await;
    Ok(unless_conflict(created)?.map(|()| new))
}

/// The session that the wish was made into before, if it can still be confirmed and its offer is what it would be now.
async fn standing(
    call: &Call<'_>,
    id: &CheckoutId,
    facts: &WishFacts,
    start: When,
) -> Result<Option<Session>, Problem> {
    let Some(session) = call.store.checkout_session(id).await? else {
        return Ok(None);
    };
    let lives = matches!(session.status_at(call.now), Status::Open | Status::Pending);
    if !lives || session.start != start {
        return Ok(None);
    }
    // Priced at the same instant, so that time that passes is no other offer.
    let fresh = facts.offer(&session.wish, session.start, session.offer.at);
    let stands = fresh.is_ok_and(|fresh| fresh.is_as(&session.offer)) && !session.offer.is_past(call.now);
    Ok(Some(session).filter(|_| stands))
}

fn session(
    call: &Call<'_>,
    organisation: &OrganisationId,
    wish: &Wish,
    facts: &WishFacts,
) -> Result<Session, Problem> {
    let NewSession {
        start,
        offer,
        open_until,
    } = call.new_session(wish, facts)?;
    let internal = |error: billing_edge::key::NoRandomness| Problem::internal(error.to_string());
    let contract = match &facts.stored {
        Some(stored) => stored.contract.id.clone(),
        None => uuid().map_err(internal)?,
    };
    Ok(Session {
        id: uuid().map_err(internal)?,
        organisation: organisation.clone(),
        version: 1,
        status: Status::Open,
        wish: wish.clone(),
        buyer: facts.buyer.as_ref().map(|buyer| buyer.id.clone()),
        business_entity: facts.entity.id.clone(),
        start,
        offer,
        is_requoted: false,
        offer_version: Some(1),
        contract,
        sales: 0,
        url: None,
        is_paying: false,
        late_payment: None,
        open_until,
        created_at: call.now,
        updated_at: call.now,
        expires_at: open_until
            .saturating_add(KEPT)
            .map_err(|error| Problem::internal(error.to_string()))?,
    })
}

fn hash(wish: &Wish) -> Result<String, Problem> {
    let text = serde_json::to_string(wish).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(key::hash(&text))
}
