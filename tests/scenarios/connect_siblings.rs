//! Two machines that change or cancel the same sale at once: what is told is what is done, nothing is mixed and nothing is lost.

use billing_tests::{Agency, Answer, Held, Machine, World, at_every_step};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";
fn at(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

/// What is there once everything has come to rest.
async fn rested(world: &World, north: &Agency<'_>, id: &str, context: &str) -> Value {
    world.stripe.stand_in().settle().await;
    let sales = north.sales().await;
    assert_eq!(sales.len(), 1, "{context}");
    assert_eq!(sales[0].amendment, None, "{context}");
    let told = north.gets(id).await;
    assert_eq!(told.status, 200, "{context}: {told}");
    told.body
}

/// The product and its prices go together.
async fn is_one_product(north: &Agency<'_>, told: &Value, context: &str) -> String {
    let product = told["product"]["id"].as_str().unwrap().to_owned();
    let sold = north.all(&format!("/v1/prices?product={product}")).await;
    for price in told["priceIds"].as_array().unwrap() {
        assert!(sold.iter().any(|own| own["id"] == *price), "{context}: {told}");
    }
    product
}

/// Whether what is there is as this wish wanted it.
fn has(told: &Value, wish: &Value) -> bool {
    let same = |name: &str, there: &Value| wish.get(name).is_none_or(|wished| wished == there);
    same("productId", &told["product"]["id"])
        && same("startDate", &told["startDate"])
        && same("cancelAtPeriodEnd", &told["cancel_at_period_end"])
        && wish
            .get("taxSettings")
            .is_none_or(|tax| tax["enabled"] == told["automatic_tax"])
}

/// One machine's answer to that step is held while another makes its own update.
async fn held(
    world: &World,
    north: &Agency<'_>,
    step: usize,
    id: &str,
    (one, other): (&Value, &Value),
) -> Held<Answer> {
    let slow = async |machine: &Machine| north.updates_on(machine, id, one).await;
    world.held_over(step, slow, north.updates(id, other)).await
}

/// Two wishes for different members: both are told 200, and both are there, whichever was made first.
#[tokio::test]
async fn two_updates_of_different_members_are_both_made() {
    let world = World::at(NOW).await;
    for (start, one, other) in [
        (
            NEXT_MONTH,
            json!({ "startDate": at("2026-06-01T00:00:00Z") }),
            json!({ "taxSettings": { "enabled": true, "country": "DE" } }),
        ),
        (
            NEXT_MONTH,
            json!({ "cancelAtPeriodEnd": true }),
            json!({ "startDate": at("2026-06-01T00:00:00Z") }),
        ),
        (
            NOW,
            json!({ "cancelAtPeriodEnd": true }),
            json!({ "taxSettings": { "enabled": true, "country": "DE" } }),
        ),
    ] {
        at_every_step(async |step| {
            let north = world.agency().await;
            let sold = north.sells(&north.order(start)).await;
            let id = sold.body["id"].as_str().unwrap();
            let Held {
                answer: slow,
                other: fast,
                was_held,
            } = held(&world, &north, step, id, (&one, &other)).await;
            let context = format!("{one} held at step {step}, {other}");
            assert_eq!((slow.status, fast.status), (200, 200), "{context}: {slow} {fast}");
            let told = rested(&world, &north, id, &context).await;
            assert!(has(&told, &one) && has(&told, &other), "{context}: {told}");
            !was_held
        })
        .await;
    }
}

/// Two products, or two dates: one of them is there, whole, and nobody was told that theirs is unless it was.
#[tokio::test]
async fn of_two_updates_of_one_member_the_later_stands_whole() {
    let world = World::at(NOW).await;
    at_every_step(async |step| {
        let north = world.agency().await;
        let products = [north.offers("One", 5999).await, north.offers("Two", 7999).await];
        let id = north.sells(&north.order(NEXT_MONTH)).await.body["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let wishes = [
            json!({ "productId": products[0], "startDate": at("2026-06-01T00:00:00Z") }),
            json!({ "productId": products[1], "startDate": at("2026-07-01T00:00:00Z") }),
        ];
        let Held {
            answer: slow,
            other: fast,
            was_held,
        } = held(&world, &north, step, &id, (&wishes[0], &wishes[1])).await;
        let context = format!("held at step {step}");
        for (answer, wish) in [(&slow, &wishes[0]), (&fast, &wishes[1])] {
            assert_eq!(answer.status, 200, "{context}: {answer}");
            assert!(has(&answer.body, wish), "{context}: {wish} was told {answer}");
        }
        let told = rested(&world, &north, &id, &context).await;
        assert!(
            has(&told, &wishes[0]) != has(&told, &wishes[1]),
            "a mix, {context}: {told}"
        );
        is_one_product(&north, &told, &context).await;
        assert_eq!(north.schedules().await.len(), 1, "{context}");
        !was_held
    })
    .await;
}

/// All at once, on two machines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_updates_at_once_leave_one_of_them_whole() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let products = [north.offers("One", 5999).await, north.offers("Two", 7999).await];
    let id = north.sells(&north.order(NEXT_MONTH)).await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let wishes = [
        json!({ "productId": products[0], "startDate": at("2026-06-01T00:00:00Z") }),
        json!({ "productId": products[1], "startDate": at("2026-07-01T00:00:00Z") }),
    ];
    let machines = [world.machine().await, world.machine().await];
    let calls = (0..6).map(|n| north.updates_on(&machines[n % 2], &id, &wishes[n % 2]));
    for answer in futures_util::future::join_all(calls).await.into_iter().flatten() {
        assert!(matches!(answer.status, 200 | 503), "{answer}");
    }
    let told = rested(&world, &north, &id, "at once").await;
    assert!(has(&told, &wishes[0]) != has(&told, &wishes[1]), "{told}");
    is_one_product(&north, &told, "at once").await;
}

/// A cancellation comes in at any step of an update, before the start and while it runs: it stays cancelled, nothing is sold anew, and
/// the update is told that it is, unless it was made before.
#[tokio::test]
async fn a_cancellation_in_the_middle_of_an_update_stays() {
    let world = World::at(NOW).await;
    for start in [NEXT_MONTH, NOW] {
        at_every_step(async |step| {
            let north = world.agency().await;
            let other = north.offers("Other", 5999).await;
            let sold = north.sells(&north.order(start)).await;
            let id = sold.body["id"].as_str().unwrap();
            let wish = json!({ "productId": other });
            let updates = async |machine: &Machine| north.updates_on(machine, id, &wish).await;
            let Held {
                answer: updated,
                other: cancelled,
                was_held,
            } = world.held_over(step, updates, north.cancels(id)).await;
            let context = format!("{start}, held at step {step}");
            assert_eq!(cancelled.body, json!({ "id": id, "canceled": true }), "{context}");
            assert!(matches!(updated.status, 200 | 409), "{context}: {updated}");
            world.stripe.stand_in().settle().await;
            for schedule in north.schedules().await {
                assert_ne!(schedule["status"], "not_started", "{context}");
                assert_ne!(schedule["status"], "active", "{context}");
            }
            for subscription in north.subscriptions().await {
                assert_eq!(subscription["status"], "canceled", "{context}");
            }
            let sales = north.sales().await;
            assert_eq!((sales.len(), &sales[0].amendment), (1, &None), "{context}");
            assert_eq!(sales[0].state.as_ref().unwrap().status, "canceled", "{context}");
            assert_eq!(
                north.updates(id, &wish).await,
                r#"409 {"error":"the subscription is canceled"}"#,
                "{context}"
            );
            !was_held
        })
        .await;
    }
}

/// An update comes in at any step of a cancellation: the cancellation is told and made.
#[tokio::test]
async fn an_update_in_the_middle_of_a_cancellation_undoes_nothing() {
    let world = World::at(NOW).await;
    for start in [NEXT_MONTH, NOW] {
        at_every_step(async |step| {
            let north = world.agency().await;
            let sold = north.sells(&north.order(start)).await;
            let id = sold.body["id"].as_str().unwrap();
            let wish = json!({ "taxSettings": { "enabled": true, "country": "DE" } });
            let cancels = async |machine: &Machine| north.cancels_on(machine, id).await;
            let Held {
                answer: cancelled,
                other: updated,
                was_held,
            } = world.held_over(step, cancels, north.updates(id, &wish)).await;
            let context = format!("{start}, held at step {step}");
            assert_eq!(cancelled.body, json!({ "id": id, "canceled": true }), "{context}");
            assert!(matches!(updated.status, 200 | 409), "{context}: {updated}");
            world.stripe.stand_in().settle().await;
            let sales = north.sales().await;
            assert_eq!(sales[0].state.as_ref().unwrap().status, "canceled", "{context}");
            assert_eq!(sales[0].amendment, None, "{context}");
            !was_held
        })
        .await;
    }
}
