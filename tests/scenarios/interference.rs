//! Somebody else acts in between: another machine, a cancellation, an operator, an event. What was asked for last is what is, and nothing
//! is charged that was not shown.

use billing_tests::{Account, Machine, World, at_every_step, id_of, path_of};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn to_a_year() -> Value {
    json!({ "interval": "annual" })
}

/// Cancelled, and changed to a year that waits for its payment: paid, the cancellation is to be taken back.
pub(crate) async fn cancelled_and_changed(world: &World) -> Account<'_> {
    let ada = world.subscriber(1, "monthly").await;
    ada.cancels().await;
    world
        .stripe
        .gives_card(&ada, "pm_card_authenticationRequired")
        .await;
    ada.changes(&to_a_year()).await;
    world.stripe.stand_in().settle().await;
    ada
}

/// The same, by a payment that has just been made and that no event has told of.
async fn paid_unheard(world: &World) -> Account<'_> {
    let ada = cancelled_and_changed(world).await;
    world.stripe.holds_events(true).await;
    world.stripe.pays_open_invoice(&ada).await;
    ada
}

async fn cancelled_at_stripe(world: &World, ada: &Account<'_>) -> Value {
    world.stripe.subscription(ada).await["cancel_at_period_end"].clone()
}

/// Cancelled, changed, and cancelled once more while Stripe's answer to the change is on its way. The last of it is newer than the change,
/// which takes nothing back then.
#[tokio::test]
async fn a_cancellation_while_the_change_is_on_its_way_stays() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    ada.cancels().await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscriptions/");
    let wish = to_a_year();
    let (answer, ()) = tokio::join!(ada.changes_on(&machine, &wish), async {
        machine.network.reached().await;
        assert_eq!(
            ada.cancels().await,
            r#"200 {"cancelAtPeriodEnd":true,"periodEnd":"2027-04-01T00:00:00Z"}"#
        );
        machine.network.lets_go();
    });
    assert_eq!(answer.unwrap(), r#"200 {"changed":true,"interval":"annual"}"#);
    assert_eq!(cancelled_at_stripe(&world, &ada).await, true);
    world.stripe.holds_events(false).await;
    assert_eq!(cancelled_at_stripe(&world, &ada).await, true);
    assert_eq!(
        ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
        true
    );
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
    assert_eq!(ada.stored().await.profile.change, None);
}

/// The webhook is taking the older cancellation back at this very moment: whoever cancels has to wait for that, so that the later of the
/// two writes at Stripe is the one that was asked for last.
#[tokio::test]
async fn a_cancellation_while_an_older_one_is_taken_back_waits_for_that() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = paid_unheard(&world).await;
    let paid = world.stripe.event("invoice.paid");
    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscriptions/");
    let (delivered, ()) = tokio::join!(machine.call(world.stripe.signed_event(&paid)), async {
        machine.network.reached().await;
        assert_eq!(
            ada.cancels().await.status,
            503,
            "not while nobody knows which of the two is later"
        );
        assert_eq!(ada.resumes().await.body["cancelAtPeriodEnd"], false);
        machine.network.lets_go();
    });
    assert_eq!(delivered.unwrap().status, 200);
    assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
    world.stripe.holds_events(false).await;
    assert_eq!(cancelled_at_stripe(&world, &ada).await, true);
    assert_eq!(
        ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
        true
    );
}

/// The machine that was taking it back died. A minute later nobody waits for it any more.
#[tokio::test]
async fn nobody_waits_for_ever_for_a_machine_that_died_taking_a_cancellation_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = paid_unheard(&world).await;
    let paid = world.stripe.event("invoice.paid");
    let machine = world.machine().await;
    machine
        .network
        .stops_named(billing_tests::Moment::Before, "POST /v1/subscriptions/");
    machine
        .dies_over(machine.call(world.stripe.signed_event(&paid)))
        .await;
    assert_eq!(ada.cancels().await.status, 503);
    world.advance("61s").await;
    assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
    world.stripe.holds_events(false).await;
    world.advance("5m").await;
    assert_eq!(world.stripe.delivers(&paid).await, 200);
    assert_eq!(cancelled_at_stripe(&world, &ada).await, true);
    assert_eq!(ada.stored().await.profile.change, None);
}

/// `reconcile` comes to the event when it has run for more than a minute. It begins then, and so does its claim: whoever cancels waits for
/// it, and so does Stripe's delivery.
#[tokio::test]
async fn what_a_long_run_begins_is_not_taken_for_old() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = paid_unheard(&world).await;
    // Younger events are left to the webhook.
    world.advance("6m").await;
    let machine = world.machine().await;
    machine.network.holds("GET /v1/events");
    machine
        .network
        .stops_named(billing_tests::Moment::Before, "POST /v1/subscriptions/");
    let tick = json!({});
    let mut run = Box::pin(machine.hands("reconcile", &tick));
    tokio::select! {
        _ = &mut run => panic!("it was to be held"),
        () = machine.network.reached() => {}
    }
    let listed = machine.network.steps().len();
    world.advance("70s").await;
    machine.network.lets_go();
    tokio::select! {
        _ = &mut run => panic!("it was to be stopped"),
        () = machine.network.reached_beyond(listed) => {}
    }
    assert_eq!(ada.cancels().await.status, 503);
    let handled = world.stripe.event("customer.subscription.updated");
    assert_eq!(world.stripe.delivers(&handled).await, 409);
}

/// Cancelled and resumed while a payment is open, in either order: the last word is what is when it is paid.
#[tokio::test]
async fn the_last_word_before_an_open_payment_is_paid_is_what_is() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for words in [
        &["cancel"][..],
        &["resume"],
        &["cancel", "resume"],
        &["resume", "cancel"],
        &["cancel", "resume", "cancel"],
    ] {
        for cancelled_before in [false, true] {
            let ada = world.subscriber(1, "monthly").await;
            if cancelled_before {
                ada.cancels().await;
            }
            world
                .stripe
                .gives_card(&ada, "pm_card_authenticationRequired")
                .await;
            ada.changes(&to_a_year()).await;
            for word in words {
                let answer = if *word == "cancel" {
                    ada.cancels().await
                } else {
                    ada.resumes().await
                };
                assert_eq!(
                    answer.body["cancelAtPeriodEnd"],
                    json!(*word == "cancel"),
                    "{words:?}"
                );
            }
            world.stripe.pays_open_invoice(&ada).await;
            let told = ada.billing().await.body["subscription"].clone();
            assert_eq!(
                (&told["interval"], &told["cancelAtPeriodEnd"]),
                (&json!("annual"), &json!(words.last() == Some(&"cancel"))),
                "{words:?}, cancelled before: {cancelled_before}"
            );
        }
    }
}

/// Everybody at once, on two machines: changes, cancellations, resumptions. One change is charged, Stripe and we agree on the rest, and
/// nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_cancellations_and_resumptions_at_once_leave_one_charge_and_one_truth() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for round in 0..3 {
        let ada = world.subscriber(1, "monthly").await;
        if round % 2 == 0 {
            ada.cancels().await;
        }
        let machines = [world.machine().await, world.machine().await];
        let answers = join_all((0..12).map(|n| {
            let (ada, machine) = (&ada, &machines[n % 2]);
            async move {
                match n % 3 {
                    0 => ada.changes_on(machine, &to_a_year()).await,
                    1 => ada.ends_on(machine, "cancel").await,
                    _ => ada.ends_on(machine, "resume").await,
                }
            }
        }))
        .await;
        for answer in answers.into_iter().flatten() {
            assert!(matches!(answer.status, 200 | 503), "{answer}");
        }
        // Whoever was told 503 asks again.
        assert_eq!(ada.changes(&to_a_year()).await.status, 200);
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
        let told = ada.billing().await.body["subscription"].clone();
        assert_eq!(told["interval"], "annual");
        assert_eq!(told["cancelAtPeriodEnd"], cancelled_at_stripe(&world, &ada).await);
        assert_eq!(ada.stored().await.profile.change, None);
    }
}

/// The same interval with another date, another code, or neither, on two machines at once: whatever is charged is charged once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_wishes_at_once_charge_one_of_them() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SPRING20")
        .await;
    let now = world.now().as_second();
    let wishes = [
        to_a_year(),
        json!({ "interval": "annual", "prorationDate": now }),
        json!({ "interval": "annual", "promotionCode": "SPRING20" }),
        json!({ "interval": "annual", "promotionCode": "spring20", "prorationDate": now }),
    ];
    for _ in 0..3 {
        let ada = world.subscriber(1, "monthly").await;
        let machines = [world.machine().await, world.machine().await];
        let answers = join_all((0..8).map(|n| ada.changes_on(&machines[n % 2], &wishes[n % 4]))).await;
        let mut changed = 0;
        for answer in answers.into_iter().flatten() {
            assert!(matches!(answer.status, 200 | 409 | 503), "{answer}");
            changed += usize::from(answer.body["changed"] == true);
        }
        assert!(changed > 0);
        world.stripe.stand_in().settle().await;
        let payments = world.stripe.payments(&ada).await;
        // 9600 − 1000, less a fifth of 9600 with the code.
        assert!(
            payments == [1000, 8600] || payments == [1000, 6680],
            "{payments:?}"
        );
        assert_eq!(ada.stored().await.profile.change, None);
    }
}

/// A wish that names no date is content with the one that is being made, quoted or not; one that names another is not.
#[tokio::test]
async fn a_wish_without_a_date_joins_the_change_that_is_on_its_way() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let preview = ada.previews(&to_a_year()).await;
    let machine = world.machine().await;
    machine
        .network
        .stops_named(billing_tests::Moment::Before, "POST /v1/subscriptions/");
    let quoted = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    machine.dies_over(ada.changes_on(&machine, &quoted)).await;
    let busy = r#"409 {"error":"another change of the subscription is being made"}"#;
    let coded = json!({ "interval": "annual", "promotionCode": "SPRING20" });
    assert_eq!(ada.changes(&coded).await, busy);
    assert_eq!(
        ada.changes(&to_a_year()).await,
        r#"200 {"changed":true,"interval":"annual"}"#
    );
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
    assert_eq!(world.stripe.invoices(&ada).await.len(), 2);
}

/// "Come back in five seconds", under an idempotency key: coming back under the same key is not told the same for a day.
#[tokio::test]
async fn a_conflict_that_passes_is_not_kept_under_an_idempotency_key() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let machine = world.machine().await;
    machine
        .network
        .stops_named(billing_tests::Moment::Before, "POST /v1/subscriptions/");
    let dated = json!({ "interval": "annual", "prorationDate": world.now().as_second() });
    let plain = to_a_year();
    machine.dies_over(ada.changes_on(&machine, &plain)).await;
    let under_key = || {
        let mut request = ada.change_request(&dated);
        request
            .headers_mut()
            .insert("idempotency-key", "k1".parse().unwrap());
        request
    };
    let busy = ada.sends(under_key()).await;
    assert_eq!((busy.status, busy.header("retry-after")), (409, "5"), "{busy}");
    world.advance("61s").await;
    let again = ada.sends(under_key()).await;
    assert_eq!(again, r#"200 {"changed":true,"interval":"annual"}"#);
    let replayed = ada.sends(under_key()).await;
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
}

/// Cancel and resume under a key: the same answer again, whatever has happened since.
#[tokio::test]
async fn cancelling_under_an_idempotency_key_is_answered_the_same() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let under_key = |path| {
        let mut request = ada.end_request(path);
        request
            .headers_mut()
            .insert("idempotency-key", "k1".parse().unwrap());
        request
    };
    let first = ada.sends(under_key("cancel")).await;
    assert_eq!(
        ada.sends(under_key("resume")).await.body["cancelAtPeriodEnd"],
        false,
        "a key of another endpoint"
    );
    let again = ada.sends(under_key("cancel")).await;
    assert_eq!(
        (again.to_string(), again.header("idempotent-replayed")),
        (first.to_string(), "true")
    );
    assert_eq!(
        cancelled_at_stripe(&world, &ada).await,
        false,
        "told again, not done again"
    );
}

/// The payment is open when the period ends: Stripe drops the change with it. The renewal is what is billed, the change is forgotten,
/// and its page takes no money any more.
#[tokio::test]
async fn a_change_whose_payment_is_open_at_the_periods_end_is_dropped_with_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("29d").await;
    world.advance("12h").await;
    world
        .stripe
        .gives_card(&ada, "pm_card_authenticationRequired")
        .await;
    let waits = ada.changes(&to_a_year()).await;
    assert_eq!(waits.body["payment"]["status"], "requires_action");
    let open = world.stripe.subscription(&ada).await["latest_invoice"]
        .as_str()
        .unwrap()
        .to_owned();
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    world.advance("12h").await;
    world.advance("2h").await;
    let late = world.stripe.stand_in().pay_invoice(&open).await;
    assert!(late.is_err(), "{late:?}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(&ada).await, [1000, 1000]);
    let billing = ada.billing().await;
    assert_eq!(billing.body["subscription"]["interval"], "monthly");
    assert_eq!(billing.body["coveredUntil"], "2026-06-01T00:00:00Z");
    assert_eq!(ada.stored().await.profile.change, None);
}

/// While a payment is open an operator adds a number at Stripe, billed at once: that takes the change's place. Nothing of it is charged,
/// and its record goes.
#[tokio::test]
async fn a_change_that_an_operator_replaces_is_forgotten() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    ada.cancels().await;
    world
        .stripe
        .gives_card(&ada, "pm_card_authenticationRequired")
        .await;
    ada.changes(&to_a_year()).await;
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    let item = world.stripe.item_id(&ada).await;
    let path = format!("/v1/subscription_items/{item}");
    let form = "quantity=2&proration_behavior=always_invoice";
    world.stripe.operator("POST", &path, form).await;
    world.stripe.stand_in().settle().await;
    // −1000 + 2000 on the first day.
    assert_eq!(world.stripe.payments(&ada).await, [1000, 1000]);
    assert_eq!(ada.stored().await.profile.change, None);
    assert_eq!(cancelled_at_stripe(&world, &ada).await, true);
    assert_eq!(ada.billing().await.body["subscription"]["quantity"], 2);
}

/// An operator adds a number, unbilled, between our reading and our asking. The change says for how many it is, so what was shown is
/// charged, 9600 − 1000, and what it is for is what was shown.
#[tokio::test]
async fn a_quantity_that_moves_between_reading_and_asking_is_charged_as_shown() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let preview = ada.previews(&to_a_year()).await;
    let item = world.stripe.item_id(&ada).await;
    // The event would have the change decided anew, on the new quantity: 409, and nothing charged.
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine.network.holds("GET /v1/subscriptions/");
    let quoted = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let (answer, ()) = tokio::join!(ada.changes_on(&machine, &quoted), async {
        machine.network.reached().await;
        let path = format!("/v1/subscription_items/{item}");
        let form = "quantity=2&proration_behavior=none";
        world.stripe.operator("POST", &path, form).await;
        machine.network.lets_go();
    });
    assert_eq!(answer.unwrap(), r#"200 {"changed":true,"interval":"annual"}"#);
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
    assert_eq!(ada.billing().await.body["subscription"]["quantity"], 1);
}

/// Cancelled, and changed to a year by a payment that is made; before the cancellation is taken back, at whichever moment, an operator ends the subscription
/// or has a schedule lead it, which alone says from then on when it ends. What was paid for is covered.
#[tokio::test]
async fn a_change_is_landed_whatever_its_cancellation_can_be_taken_back_from() {
    for is_ended in [true, false] {
        at_every_step(async |step| {
            let world = World::at("2026-04-01T00:00:00Z").await;
            let ada = world.subscriber(1, "monthly").await;
            ada.cancels().await;
            world.stripe.stand_in().settle().await;
            let subscription = world.stripe.subscription(&ada).await;
            let changes = async |machine: &Machine| ada.changes_on(machine, &to_a_year()).await;
            let operator = async {
                let path = path_of(&subscription);
                let from = format!("from_subscription={}", id_of(&subscription));
                let (method, path, form) = match is_ended {
                    true => ("DELETE", path.as_str(), ""),
                    false => ("POST", "/v1/subscription_schedules", from.as_str()),
                };
                world.stripe.operator(method, path, form).await;
            };
            let held = world.held_over(step, changes, operator).await;
            world.stripe.stand_in().settle().await;
            let context = format!("ended: {is_ended}, {step}: {}", held.answer);
            assert!(matches!(held.answer.status, 200 | 409), "{context}");
            let is_paid = world.stripe.payments(&ada).await == [1000, 8600];
            assert_eq!(is_paid, held.answer.body["changed"] == true, "{context}");
            let covered = ["2026-05-01T00:00:00Z", "2027-04-01T00:00:00Z"][usize::from(is_paid)];
            assert_eq!(ada.covered_until().await, covered, "{context}");
            assert_eq!(ada.stored().await.profile.change, None, "{context}");
            !held.was_held
        })
        .await;
    }
}
