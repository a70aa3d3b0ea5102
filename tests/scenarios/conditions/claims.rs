//! Claims on events and on idempotency keys: one holder at a time, and what becomes of a claim whose holder died.

use billing_core::Timestamp;
use billing_core::access::Holder;
use billing_core::reconcile::Cursor;
use billing_store::{
    Claim, EventClaim, EventKey, FailedAttempt, FoundReply, ReplyClaim, ReplyKey, StoreError,
};
use billing_tests::World;
use futures_util::future::join_all;

use super::{NOW, at, store, unique};

fn event() -> EventKey {
    EventKey {
        connected_account: None,
        event: format!("evt_{}", unique()).parse().unwrap(),
    }
}

fn claim_of(holder: &str, now: Timestamp, lease_until: Timestamp) -> EventClaim<'_> {
    EventClaim {
        kind: "invoice.paid",
        holder,
        now,
        lease_until,
    }
}

fn first_time() -> Claim {
    Claim::Mine {
        attempts: 1,
        failed_before: false,
    }
}

fn failed(holder: &'static str, error: &'static str) -> FailedAttempt<'static> {
    FailedAttempt {
        kind: "invoice.paid",
        holder,
        attempts: 2,
        error,
        now: at(NOW),
    }
}

/// What failed is listed until it is done, and a failure that comes too late lists nothing.
#[tokio::test]
async fn a_failed_event_is_listed_until_it_is_done() {
    let world = World::at(NOW).await;
    let (store, event, lease) = (store(&world), event(), at("2046-04-01T00:00:30Z"));
    let listed = async || {
        let failures = store.failures().await.unwrap();
        failures.into_iter().find(|failure| failure.key() == event)
    };
    let claim = async |holder: &str| {
        store
            .claim_event(&event, &claim_of(holder, at(NOW), lease))
            .await
            .unwrap()
    };
    claim("h1").await;
    assert_eq!(listed().await, None);
    store
        .fail_event(&event, &failed("h1", "stripe is down"))
        .await
        .unwrap();
    let failure = listed().await.unwrap();
    assert_eq!((failure.error.as_str(), failure.attempts), ("stripe is down", 2));
    // Whoever read it before it failed once more does not take it off the list.
    let before = billing_store::Failure {
        failed_at: at("2046-03-31T00:00:00Z"),
        ..failure
    };
    assert_eq!(store.forget_failure(&before).await, Err(StoreError::Conflict));
    claim("h2").await;
    assert!(listed().await.is_some(), "it is not done yet");
    store.finish_event(&event, true, at(NOW)).await.unwrap();
    assert_eq!(listed().await, None);
    let late = store.fail_event(&event, &failed("h2", "too late")).await;
    assert_eq!((late, listed().await), (Err(StoreError::Conflict), None));
}

/// Done is done until an operator wants it once more; what is under way is left alone.
#[tokio::test]
async fn an_event_is_reopened_when_it_is_done() {
    let world = World::at(NOW).await;
    let (store, event, lease) = (store(&world), event(), at("2046-04-01T00:00:30Z"));
    let reopens = async || store.reopen_event(&event, at(NOW)).await;
    assert_eq!(reopens().await, Err(StoreError::Conflict));
    let claim = async |holder: &str| store.claim_event(&event, &claim_of(holder, at(NOW), lease)).await;
    claim("h1").await.unwrap();
    assert_eq!(reopens().await, Err(StoreError::Conflict));
    store.finish_event(&event, false, at(NOW)).await.unwrap();
    assert_eq!(claim("h2").await, Ok(Claim::Done));
    reopens().await.unwrap();
    assert_eq!(
        store.failures().await.unwrap().len(),
        1,
        "it is to be done, and listed until it is"
    );
    let mine = Claim::Mine {
        attempts: 2,
        failed_before: true,
    };
    assert_eq!(claim("h2").await, Ok(mine));
    store.finish_event(&event, true, at(NOW)).await.unwrap();
    assert_eq!(store.failures().await.unwrap(), []);
}

/// Two runs read the same turn: the one that writes second has to look again.
#[tokio::test]
async fn a_turn_is_one_runs() {
    let world = World::at(NOW).await;
    let store = store(&world);
    let account = |id: &str| id.parse().unwrap();
    let first = store.put_rotation(None, account("acct_1")).await.unwrap();
    assert_eq!(
        store.put_rotation(None, account("acct_1")).await,
        Err(StoreError::Conflict)
    );
    let second = store.put_rotation(Some(&first), account("acct_2")).await.unwrap();
    assert_eq!(
        store.put_rotation(Some(&first), account("acct_2")).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(store.rotation().await, Ok(Some(second)));
}

/// Page by page in the order of their ids; one that was linked before is put on the list by linking it again.
#[tokio::test]
async fn all_connected_accounts_are_listed_in_their_order() {
    let world = World::at(NOW).await;
    let (store, agency) = (store(&world), "north".parse().unwrap());
    billing_admin::agencies::create(store, &agency, None, at(NOW))
        .await
        .unwrap();
    for id in ["acct_b", "acct_c", "acct_a", "acct_b"] {
        let id = id.parse().unwrap();
        billing_admin::agencies::link(store, &agency, &id, at(NOW))
            .await
            .unwrap();
    }
    let ours = async |after: &str, limit| {
        let after = after.parse().unwrap();
        let page = store.connected_accounts(Some(&after), limit).await.unwrap();
        let ids = page.iter().map(|it| it.id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ours("acct_Zzzzzz", 2).await, ["acct_a", "acct_b"]);
    assert_eq!(ours("acct_b", 9).await, ["acct_c"]);
    assert_eq!(ours("acct_c", 9).await, Vec::<String>::new());
}

/// Two runs read the same cursor: the one that writes second has to stop.
#[tokio::test]
async fn a_cursor_is_written_by_one_run_at_a_time() {
    let world = World::at(NOW).await;
    let store = store(&world);
    let read = store.cursor(None).await.unwrap();
    let cursor = |until: &str| Cursor {
        settled_until: at(until),
        begun: None,
    };
    let first = store
        .put_cursor(None, read.as_ref(), cursor("2046-03-01T00:00:00Z"))
        .await
        .unwrap();
    let second = store
        .put_cursor(None, read.as_ref(), cursor("2046-02-01T00:00:00Z"))
        .await;
    assert_eq!(second, Err(StoreError::Conflict));
    assert_eq!(store.cursor(None).await, Ok(Some(first)));
}

#[tokio::test]
async fn of_many_that_claim_an_event_one_gets_it() {
    let world = World::at(NOW).await;
    let (store, event, lease) = (store(&world), event(), at("2046-04-01T00:00:30Z"));
    let holders = ["h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8"];
    let claims =
        holders.map(async |holder| store.claim_event(&event, &claim_of(holder, at(NOW), lease)).await);
    let claims = join_all(claims).await;
    let mine = claims.iter().filter(|claim| **claim == Ok(first_time())).count();
    let busy = claims.iter().filter(|claim| **claim == Ok(Claim::Busy)).count();
    assert_eq!((mine, busy), (1, 7));
}

#[tokio::test]
async fn a_claim_ends_with_its_lease_with_failure_or_with_the_work() {
    let world = World::at(NOW).await;
    let (store, event) = (store(&world), event());
    let claim = async |holder: &str, now: &str, lease: &str| {
        store
            .claim_event(&event, &claim_of(holder, at(now), at(lease)))
            .await
            .unwrap()
    };
    let (first, second) = ("2046-04-01T00:00:30Z", "2046-04-01T00:01:00Z");
    assert_eq!(claim("h1", "2046-04-01T00:00:00Z", first).await, first_time());
    assert_eq!(
        claim("h1", "2046-04-01T00:00:01Z", first).await,
        first_time(),
        "its answer was lost"
    );
    assert_eq!(claim("h2", "2046-04-01T00:00:29Z", second).await, Claim::Busy);
    assert_eq!(
        claim("h2", "2046-04-01T00:00:30Z", second).await,
        Claim::Mine {
            attempts: 2,
            failed_before: false
        },
        "its holder died"
    );
    let outlived = store.fail_event(&event, &failed("h1", "too late")).await;
    assert_eq!(outlived, Err(StoreError::Conflict), "somebody else is at it");
    store
        .fail_event(&event, &failed("h2", "stripe is down"))
        .await
        .unwrap();
    let receipt = store.receipt(&event).await.unwrap().unwrap();
    assert_eq!(receipt.last_error.as_deref(), Some("stripe is down"));
    assert_eq!(
        claim("h3", "2046-04-01T00:00:31Z", second).await,
        Claim::Mine {
            attempts: 3,
            failed_before: true
        },
        "failed: try again"
    );
    store
        .finish_event(&event, true, at("2046-04-01T00:00:32Z"))
        .await
        .unwrap();
    assert_eq!(
        claim("h4", "2046-04-03T00:00:00Z", "2046-04-03T00:01:00Z").await,
        Claim::Done
    );
    let late = store.fail_event(&event, &failed("h3", "too late")).await;
    assert_eq!(late, Err(StoreError::Conflict), "done stays done");
    let receipt = store.receipt(&event).await.unwrap().unwrap();
    assert_eq!((receipt.attempts, receipt.last_error), (3, None));
}

#[tokio::test]
async fn an_event_of_a_connected_account_is_another_event() {
    let world = World::at(NOW).await;
    let ours = event();
    let theirs = EventKey {
        connected_account: Some("acct_1".parse().unwrap()),
        ..ours.clone()
    };
    for key in [&ours, &theirs] {
        let claim = store(&world)
            .claim_event(key, &claim_of("h", at(NOW), at("2046-04-01T00:00:30Z")))
            .await;
        assert_eq!(claim, Ok(first_time()));
    }
}

#[tokio::test]
async fn a_reply_is_claimed_when_absent_or_expired_or_past_its_lease() {
    let world = World::at(NOW).await;
    let ada = world.account(0).await;
    let caller = Holder::Account(ada.id.parse().unwrap());
    let key = ReplyKey {
        caller: &caller,
        operation: "op",
        key_hash: "hash",
    };
    let claim = |request, token| ReplyClaim {
        key: key.clone(),
        request,
        token,
    };
    let store = store(&world);
    let claims = async |request: &'static str, token: &'static str, now: &str, lease: &str| {
        store
            .claim_reply(&claim(request, token), at(now), at(lease))
            .await
            .unwrap()
    };
    let lease = "2046-04-01T00:00:30Z";
    for lost in ["2046-04-01T00:00:00Z", "2046-04-01T00:00:01Z"] {
        assert_eq!(
            claims("a", "t1", lost, lease).await,
            FoundReply::Mine,
            "also when its answer was lost"
        );
    }
    assert_eq!(
        claims("a", "t2", "2046-04-01T00:00:29Z", lease).await,
        FoundReply::InProgress
    );
    assert_eq!(
        claims("b", "t2", "2046-04-01T00:00:29Z", lease).await,
        FoundReply::Mismatch
    );
    let lease = "2046-04-01T00:01:00Z";
    assert_eq!(
        claims("b", "t2", "2046-04-01T00:00:30Z", lease).await,
        FoundReply::Mismatch,
        "also past its lease"
    );
    assert_eq!(
        claims("a", "t2", "2046-04-01T00:00:30Z", lease).await,
        FoundReply::Mine
    );
    let outlived = store.finish_reply(&claim("a", "t1"), 200, "{}").await;
    assert_eq!(outlived, Err(StoreError::Conflict), "somebody took over");
    assert_eq!(
        store.release_reply(&claim("a", "t1")).await,
        Err(StoreError::Conflict)
    );
    store
        .finish_reply(&claim("a", "t2"), 200, r#"{"x":1}"#)
        .await
        .unwrap();
    let done = FoundReply::Done {
        status: 200,
        body: r#"{"x":1}"#.to_owned(),
    };
    assert_eq!(
        claims("a", "t3", "2046-04-01T12:00:00Z", "2046-04-01T12:00:30Z").await,
        done
    );
    let next_day = ("2046-04-02T00:00:30Z", "2046-04-02T00:01:00Z");
    assert_eq!(
        claims("b", "t4", next_day.0, next_day.1).await,
        FoundReply::Mine,
        "expired, whether deleted or not"
    );
    store.release_reply(&claim("b", "t4")).await.unwrap();
    assert_eq!(
        claims("c", "t5", next_day.0, next_day.1).await,
        FoundReply::Mine,
        "given back"
    );
}
