//! Every single step of a change, a cancellation and a resumption fails before it takes effect or after, has its answer lost, or is the
//! last of a machine. Whatever was left behind, asking again comes to what was asked for, once.

use billing_tests::{Account, Answer, Machine, Moment, World, at_every_death, at_every_step};
use futures_util::future::join_all;
use serde_json::json;

/// What somebody does, and how it ends.
#[derive(Debug, Clone, Copy)]
struct Deed {
    path: &'static str,
    /// Whether the subscription is cancelled before.
    cancelled: bool,
    /// Whether it is when everything is done.
    cancelled_then: bool,
    /// What was paid when everything is done.
    paid: &'static [i64],
}

/// 1000 for April, and 9600 − 1000 for the change in the first second of it.
const DEEDS: [Deed; 3] = [
    Deed {
        path: "change",
        cancelled: true,
        cancelled_then: false,
        paid: &[1000, 8600],
    },
    Deed {
        path: "cancel",
        cancelled: false,
        cancelled_then: true,
        paid: &[1000],
    },
    Deed {
        path: "resume",
        cancelled: true,
        cancelled_then: false,
        paid: &[1000],
    },
];

impl Deed {
    async fn before<'w>(&self, world: &'w World) -> Account<'w> {
        let ada = world.subscriber(1, "monthly").await;
        if self.cancelled {
            ada.cancels().await;
        }
        world.stripe.stand_in().settle().await;
        ada
    }

    async fn on(&self, ada: &Account<'_>, machine: &Machine) -> Option<Answer> {
        match self.path {
            "change" => ada.changes_on(machine, &json!({ "interval": "annual" })).await,
            path => ada.ends_on(machine, path).await,
        }
    }

    async fn again(&self, ada: &Account<'_>) -> Answer {
        match self.path {
            "change" => ada.changes(&json!({ "interval": "annual" })).await,
            "cancel" => ada.cancels().await,
            _ => ada.resumes().await,
        }
    }

    /// Done, whole, and once: at Stripe, here, and for the money.
    async fn is_done(&self, world: &World, ada: &Account<'_>, context: &str) {
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(ada).await, self.paid, "{context}");
        assert_eq!(
            world.stripe.invoices(ada).await.len(),
            self.paid.len(),
            "{context}"
        );
        let subscription = world.stripe.subscription(ada).await;
        assert_eq!(
            subscription["cancel_at_period_end"], self.cancelled_then,
            "{context}"
        );
        let billing = ada.billing().await;
        let told = &billing.body["subscription"];
        assert_eq!(told["cancelAtPeriodEnd"], self.cancelled_then, "{context}");
        let interval = if self.path == "change" {
            "annual"
        } else {
            "monthly"
        };
        assert_eq!(told["interval"], interval, "{context}");
        assert_eq!(ada.stored().await.profile.change, None, "{context}");
        assert_eq!(ada.ledger().await.len(), self.paid.len(), "{context}");
    }
}

/// A status of somebody on the way, or of Stripe's, at each step in turn. The call itself finds out, or is told 503 and asks again.
#[tokio::test]
async fn a_failure_at_any_step_before_or_after_it_took_effect_comes_to_one_deed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for deed in DEEDS {
        for (moment, status) in [(Moment::Before, 429), (Moment::After, 500)] {
            at_every_step(async |step| {
                let ada = deed.before(&world).await;
                let machine = world.machine().await;
                machine.network.fails(moment, step, status);
                let context = format!("{}: {status} {moment:?} step {step}", deed.path);
                let answer = deed.on(&ada, &machine).await.unwrap();
                assert!(matches!(answer.status, 200 | 503), "{context}: {answer}");
                if answer.status == 503 {
                    assert_eq!(deed.again(&ada).await.status, 200, "{context}");
                }
                deed.is_done(&world, &ada, &context).await;
                machine.network.steps().len() < step
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_lost_answer_of_any_step_comes_to_one_deed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for deed in DEEDS {
        at_every_step(async |step| {
            let ada = deed.before(&world).await;
            let context = format!("{}: lost the answer of step {step}", deed.path);
            let acts = async |machine: &Machine| deed.on(&ada, machine).await;
            let (answer, was_lost) = world.loses_over(step, acts).await;
            assert_eq!(answer.status, 200, "{context}: {answer}");
            deed.is_done(&world, &ada, &context).await;
            !was_lost
        })
        .await;
    }
}

/// Stripe is down for one kind of request, before it does anything or after it did: told 503, with nothing half-visible; when Stripe is
/// back, asking again is one deed.
#[tokio::test]
async fn an_outage_of_stripes_is_told_and_passes() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for deed in DEEDS {
        for (method, path) in [("GET", "/v1/subscriptions/*"), ("POST", "/v1/subscriptions/*")] {
            for outage in [Some(429), Some(500), None] {
                let ada = deed.before(&world).await;
                match outage {
                    Some(status) => world.stripe.fails(method, path, status).await,
                    None => world.stripe.applies_without_answering(method, path).await,
                }
                let context = format!("{}: {method} {path} {outage:?}", deed.path);
                let answer = deed.again(&ada).await;
                assert_eq!(
                    answer, r#"503 {"error":"temporarily unavailable, please try again"}"#,
                    "{context}"
                );
                assert_ne!(answer.header("retry-after"), "", "{context}");
                world.stripe.recovers().await;
                assert_eq!(deed.again(&ada).await.status, 200, "{context}");
                // An event that came during the outage was answered 503: Stripe delivers it again.
                world.advance("1h").await;
                deed.is_done(&world, &ada, &context).await;
            }
        }
    }
}

/// Stripe keeps something else under the key that comes next: the one after it is taken.
#[tokio::test]
async fn a_spent_idempotency_key_is_in_nobodys_way() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for deed in DEEDS {
        let ada = deed.before(&world).await;
        let (id, next) = (&ada.id, ada.stored().await.profile.version + 1);
        for key in [
            format!("change/{id}/1"),
            format!("cancel/{id}/{next}"),
            format!("resume/{id}/{next}"),
        ] {
            world.stripe.spends_idempotency_key(&key).await;
        }
        let answer = deed.again(&ada).await;
        assert_eq!(answer.status, 200, "{}: {answer}", deed.path);
        deed.is_done(&world, &ada, deed.path).await;
    }
}

/// The change took effect, and Stripe keeps a failure under the key by which the cancellation is taken back: not for ever.
#[tokio::test]
async fn a_spent_key_does_not_keep_a_change_from_being_finished() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let deed = DEEDS[0];
    let ada = deed.before(&world).await;
    // Begun under the next version, finished under the one after it.
    let version = ada.stored().await.profile.version + 2;
    let key = format!("resume/{}/{version}/change/1", ada.id);
    world.stripe.spends_idempotency_key(&key).await;
    let answer = deed.again(&ada).await;
    assert_eq!(answer, r#"200 {"changed":true,"interval":"annual"}"#);
    deed.is_done(&world, &ada, "spent").await;
}

/// Stripe fails over the change, keeps that for its key, and has made it all the same: paid at once, or waiting for its payment. The
/// call finds that out, and tells it.
#[tokio::test]
async fn a_change_that_took_effect_under_a_failure_is_told_as_made() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for card in ["pm_card_visa", "pm_card_authenticationRequired"] {
        let ada = world.subscriber(1, "monthly").await;
        world.stripe.gives_card(&ada, card).await;
        world.stripe.fails_after("POST", "/v1/subscriptions/*", 500).await;
        let answer = ada.changes(&json!({ "interval": "annual" })).await;
        world.stripe.recovers().await;
        assert_eq!(
            (answer.status, &answer.body["changed"]),
            (200, &json!(true)),
            "{answer}"
        );
        let waits = card != "pm_card_visa";
        assert_eq!(
            answer.body["payment"]["status"] == "requires_action",
            waits,
            "{answer}"
        );
        if waits {
            world.stripe.pays_open_invoice(&ada).await;
        }
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [1000, 8600], "{card}");
        assert_eq!(ada.stored().await.profile.change, None, "{card}");
    }
}

/// The key is spent and nothing is made; before the call has read again another call makes the change, by the next number. It is that
/// call's change, at its amount: the first is told that it is there already.
#[tokio::test]
async fn a_change_of_another_call_is_not_told_as_made_by_this_one() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let key = format!("change/{}/1", ada.id);
    world.stripe.spends_idempotency_key(&key).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscriptions/");
    let wish = json!({ "interval": "annual" });
    let (answer, ()) = tokio::join!(ada.changes_on(&machine, &wish), async {
        machine.network.reached().await;
        assert_eq!(
            ada.changes(&wish).await,
            r#"200 {"changed":true,"interval":"annual"}"#
        );
        machine.network.lets_go();
    });
    assert_eq!(answer.unwrap(), r#"200 {"changed":false,"interval":"annual"}"#);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
    assert_eq!(ada.stored().await.profile.change, None);
}

/// The event of the payment that a change waited for is handled by a machine that dies at each of its steps. Stripe delivers again;
/// the change lands once, and the cancellation is taken back.
#[tokio::test]
async fn a_change_that_waited_is_finished_when_the_webhook_dies_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let deed = DEEDS[0];
    at_every_death(async |death| {
        let ada = deed.before(&world).await;
        world
            .stripe
            .gives_card(&ada, "pm_card_authenticationRequired")
            .await;
        let answer = deed.again(&ada).await;
        assert_eq!(answer.body["payment"]["status"], "requires_action");
        world.stripe.stand_in().settle().await;
        world.stripe.holds_events(true).await;
        world.stripe.pays_open_invoice(&ada).await;
        let paid = world.stripe.event("invoice.paid");
        let told = world
            .dies_over(death, async |machine| {
                machine.call(world.stripe.signed_event(&paid)).await
            })
            .await;
        if let Some(told) = &told {
            assert_eq!(told.status, 200);
        }
        world.advance("5m").await;
        assert_eq!(world.stripe.delivers(&paid).await, 200);
        let context = format!("the webhook {death}");
        deed.is_done(&world, &ada, &context).await;
        world.stripe.holds_events(false).await;
        deed.is_done(&world, &ada, &context).await;
        told.is_some()
    })
    .await;
}

/// A change whose payment stays open, on a machine that dies at each step: asking again is told of one payment, which makes it once.
#[tokio::test]
async fn a_change_that_waits_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let deed = DEEDS[0];
    at_every_death(async |death| {
        let ada = deed.before(&world).await;
        world
            .stripe
            .gives_card(&ada, "pm_card_authenticationRequired")
            .await;
        let told = world
            .dies_over(death, async |machine| deed.on(&ada, machine).await)
            .await;
        if let Some(told) = &told {
            assert_eq!(told.body["payment"]["status"], "requires_action");
        }
        let context = death.to_string();
        let answer = deed.again(&ada).await;
        assert_eq!(
            answer.body["payment"]["status"], "requires_action",
            "{context}: {answer}"
        );
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [1000], "{context}");
        assert_eq!(
            ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
            true,
            "{context}"
        );
        world.stripe.pays_open_invoice(&ada).await;
        deed.is_done(&world, &ada, &context).await;
        told.is_some()
    })
    .await;
}

/// A double click by eight hands on two machines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_come_to_one_deed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for deed in DEEDS {
        let ada = deed.before(&world).await;
        let machines = [world.machine().await, world.machine().await];
        let answers = join_all((0..8).map(|n| deed.on(&ada, &machines[n % 2]))).await;
        for answer in answers.into_iter().flatten() {
            assert!(matches!(answer.status, 200 | 503), "{}: {answer}", deed.path);
        }
        deed.is_done(&world, &ada, deed.path).await;
    }
}

/// Every event that there is by then arrives, and the latest once more, while the answer of each step in turn is on its way.
#[tokio::test]
async fn events_that_arrive_at_any_step_change_nothing_about_a_deed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for deed in DEEDS {
        at_every_step(async |step| {
            let ada = deed.before(&world).await;
            let acts = async |machine: &Machine| deed.on(&ada, machine).await;
            let events = async {
                world.stripe.stand_in().settle().await;
                let latest = world.stripe.events("customer.subscription.updated").pop();
                if let Some(latest) = latest {
                    assert_eq!(world.stripe.delivers(&latest).await, 200);
                }
            };
            let held = world.held_over(step, acts, events).await;
            let context = format!("{}: events at step {step}", deed.path);
            assert_eq!(held.answer.status, 200, "{context}");
            deed.is_done(&world, &ada, &context).await;
            !held.was_held
        })
        .await;
    }
}
