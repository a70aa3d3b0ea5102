//! One API request: whose it is, whether it was answered before, what it does, what is answered.
//!
//! Synchronous and without HTTP: the pauses and lost answers that tests ask for come between [`begin`] and [`execute`], in
//! [`crate::stand_in`]. An idempotency key is in progress from the one to the other.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::form::{self, Node};
use crate::id::{AccountId, Id};
use crate::newer_shape::NewerShape;
use crate::params::{Params, Reading};
use crate::refusal::Refusal;
use crate::render;
use crate::router;
use crate::rules::{Cause, Moment, test_clocks};
use crate::state::{Reply, ReplyState, State, World};

/// How many characters an idempotency key may have.
const LONGEST_KEY: usize = 255;

/// How long Stripe keeps the answer for an idempotency key.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// With its leading slash, without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
    pub(crate) authorization: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) version: Option<String>,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub(crate) struct ApiAnswer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) request_id: String,
    pub(crate) replayed: bool,
}

impl ApiAnswer {
    /// As a later API version would tell it. Errors have kept their shape over all versions.
    pub(crate) fn in_shape(mut self, shape: &NewerShape) -> Self {
        if self.status != 200 {
            return self;
        }
        match shape.give_to(&mut self.body) {
            Ok(()) => self,
            Err(problem) => answer_refusal(&Refusal::misused_fault(&problem), &self.request_id),
        }
    }
}

/// A request that may be executed.
pub(crate) struct Ticket {
    method: String,
    path: String,
    account: Option<AccountId>,
    tree: Node,
    key: Option<String>,
    request_id: String,
}

/// What is known of a request before it is executed.
pub(crate) enum Begun {
    Answered(ApiAnswer),
    Go(Ticket),
}

/// Authenticates, decodes, and looks the idempotency key up.
pub(crate) fn begin(state: &mut State, call: &Call, now: Timestamp) -> Begun {
    let request_id = state.request_ids.text("req_", 14);
    let refused = |refusal: &Refusal| Begun::Answered(answer_refusal(refusal, &request_id));
    if let Err(refusal) = authenticate(call.authorization.as_deref()) {
        return refused(&refusal);
    }
    let account = call.account.clone().map(AccountId::from_text);
    let world = match &account {
        Some(account) if state.disconnected.contains(account) => None,
        account => state.world_mut(account.as_ref()),
    };
    let Some(world) = world else {
        return refused(&Refusal::account_invalid(
            call.account.as_deref().unwrap_or_default(),
        ));
    };
    let tree = match form::decode(&[call.query.as_bytes(), &call.body]) {
        Ok(tree) => tree,
        Err(refusal) => return refused(&refusal),
    };
    let mut ticket = Ticket {
        method: call.method.clone(),
        path: call.path.clone(),
        account,
        tree,
        key: None,
        request_id: request_id.clone(),
    };
    // Stripe takes keys with POST only; the other methods are idempotent by nature.
    if let Some(key) = call.idempotency_key.as_ref().filter(|_| call.method == "POST") {
        if key.len() > LONGEST_KEY {
            return refused(&Refusal::state(
                "Idempotency keys may only be up to 255 characters.",
            ));
        }
        match claim(world, key, fingerprint(&ticket), now) {
            Claim::Free => ticket.key = Some(key.clone()),
            Claim::Answered(answer) => return Begun::Answered(answer),
            Claim::Refused(refusal) => return refused(&refusal),
        }
    }
    Begun::Go(ticket)
}

fn authenticate(authorization: Option<&str>) -> Result<(), Refusal> {
    let key = match authorization.and_then(|header| header.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim().to_owned()),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("basic") => basic_user(token.trim()),
        _ => None,
    };
    let key = key
        .filter(|key| !key.is_empty())
        .ok_or_else(|| Refusal::unauthenticated(None))?;
    let is_test_key = key.starts_with("sk_test_") || key.starts_with("rk_test_");
    if is_test_key {
        Ok(())
    } else {
        Err(Refusal::unauthenticated(Some(&key)))
    }
}

/// With basic authentication the key is the user name.
fn basic_user(token: &str) -> Option<String> {
    let decoded = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
    decoded.split(':').next().map(str::to_owned)
}

fn fingerprint(ticket: &Ticket) -> String {
    format!("{} {} {}", ticket.method, ticket.path, ticket.tree.to_json())
}

enum Claim {
    Free,
    Answered(ApiAnswer),
    Refused(Refusal),
}

fn claim(world: &mut World, key: &str, fingerprint: String, now: Timestamp) -> Claim {
    world
        .replies
        .retain(|_, reply| now.duration_since(reply.since) < KEY_LIFETIME);
    let Some(known) = world.replies.get(key) else {
        let reply = Reply {
            since: now,
            fingerprint,
            state: ReplyState::InProgress,
        };
        world.replies.insert(key.to_owned(), reply);
        return Claim::Free;
    };
    match &known.state {
        _ if known.fingerprint != fingerprint => Claim::Refused(Refusal::key_reused(key)),
        ReplyState::InProgress => Claim::Refused(Refusal::key_in_use(key)),
        ReplyState::Answered {
            status,
            body,
            request_id,
        } => Claim::Answered(ApiAnswer {
            status: *status,
            body: body.clone(),
            request_id: request_id.clone(),
            replayed: true,
        }),
    }
}

/// Does what was asked, and keeps the answer for the key if the operation had begun.
pub(crate) fn execute(state: &mut State, ticket: &Ticket, now: Timestamp) -> ApiAnswer {
    let result = match state.world_mut(ticket.account.as_ref()) {
        Some(world) => operate(world, ticket, now),
        None => Err(Refusal::account_invalid("")),
    };
    let keep = result.as_ref().map_or_else(|refusal| refusal.executed, |_| true);
    let answer = match result {
        Ok(body) => ApiAnswer {
            status: 200,
            body,
            request_id: ticket.request_id.clone(),
            replayed: false,
        },
        Err(refusal) => answer_refusal(&refusal, &ticket.request_id),
    };
    if keep {
        keep_answer(state, ticket, &answer)
    } else {
        abandon(state, ticket)
    }
    answer
}

/// A segment of a path: an id may be any text, and is escaped there.
fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

fn operate(world: &mut World, ticket: &Ticket, now: Timestamp) -> Result<Value, Refusal> {
    let reading = Reading::default();
    let params = Params::new(&ticket.tree, &reading);
    let expand = params.texts("expand")?;
    let is_read = ticket.method == "GET";
    // Whether something can be expanded is only known of the answer. A refusal must not leave an effect behind.
    let before = (!expand.is_empty() && !is_read).then(|| world.copy_without_replies());
    let cause = Cause {
        request_id: ticket.request_id.clone(),
        idempotency_key: ticket.key.clone(),
    };
    let decoded: Vec<_> = ticket.path.trim_matches('/').split('/').map(decoded).collect();
    let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
    let time = test_clocks::time_of_request(world, &segments, &ticket.tree).unwrap_or(now);
    let mut at = Moment {
        world,
        now: time,
        told_at: now,
        cause: Some(&cause),
    };
    let operation = match segments.split_first() {
        Some((&"v1", rest)) => router::dispatch(&mut at, &ticket.method, rest, &params),
        _ => None,
    };
    let mut answer = operation.unwrap_or_else(|| Err(Refusal::unrecognised(&ticket.method, &ticket.path)))?;
    match (render::expand(at.world, &mut answer, &expand), before) {
        (Ok(()), _) => Ok(answer),
        (Err(refusal), before) => {
            if let Some(before) = before {
                at.world.go_back_to(before);
            }
            Err(refusal)
        }
    }
}

pub(crate) fn keep_answer(state: &mut State, ticket: &Ticket, answer: &ApiAnswer) {
    let (Some(key), Some(world)) = (&ticket.key, state.world_mut(ticket.account.as_ref())) else {
        return;
    };
    if let Some(reply) = world.replies.get_mut(key) {
        reply.state = ReplyState::Answered {
            status: answer.status,
            body: answer.body.clone(),
            request_id: answer.request_id.clone(),
        };
    }
}

/// Gives the key free: the operation never began.
pub(crate) fn abandon(state: &mut State, ticket: &Ticket) {
    if let (Some(key), Some(world)) = (&ticket.key, state.world_mut(ticket.account.as_ref())) {
        world.replies.remove(key);
    }
}

pub(crate) fn answer_refusal(refusal: &Refusal, request_id: &str) -> ApiAnswer {
    ApiAnswer {
        status: refusal.status,
        body: refusal.body(request_id),
        request_id: request_id.to_owned(),
        replayed: false,
    }
}
