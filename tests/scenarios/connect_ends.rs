//! Ends that were scheduled on connected accounts: what comes between keeps them, and they are taken back however they were set.

use billing_tests::{Agency, Answer, Moment, World};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const REPLAYED: (&str, &str) = ("idempotent-replayed", "true");

fn at(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

/// Sold from now on, for 29.99 a month, and to end with April: its schedule says so.
async fn ending(world: &World, north: &Agency<'_>) -> String {
    let sold = north.sells(&north.order(NOW)).await;
    let id = sold.body["id"].as_str().unwrap().to_owned();
    north.client_gives_card().await;
    let ends = north.updates(&id, &json!({ "cancelAtPeriodEnd": true })).await;
    assert_eq!(ends.body["cancel_at_period_end"], true, "{ends}");
    world.stripe.stand_in().settle().await;
    id
}

/// April is paid, and nothing after it.
async fn ends_with_april(world: &World, north: &Agency<'_>, id: &str, context: &str) {
    let told = north.gets(id).await;
    assert_eq!(
        (
            &told.body["cancel_at_period_end"],
            &told.body["cancelAtPeriodEndDisplay"]
        ),
        (&json!(true), &json!("Cancels on 1 May 2026")),
        "{context}"
    );
    is_over_after_april(world, north, id, context).await;
}

async fn is_over_after_april(world: &World, north: &Agency<'_>, id: &str, context: &str) {
    world.advance("40d").await;
    assert_eq!(north.gets(id).await.body["status"], "canceled", "{context}");
    let subscriptions = north.subscriptions().await;
    assert_eq!(subscriptions[0]["status"], "canceled", "{context}");
    assert_eq!(north.payments().await[..], [2999], "{context}");
}

/// Stripe works out taxes in the United States by the postal code. Without it the schedule has let go of the subscription when Stripe refuses
/// the rest; that the client is there was told to nobody.
#[tokio::test]
async fn a_refused_change_leaves_the_end_that_was_scheduled() {
    for takes_back in [None, Some(false)] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = ending(&world, &north).await;
        let mut taxed = json!({ "taxSettings": { "enabled": true, "country": "US" } });
        if let Some(ends) = takes_back {
            taxed["cancelAtPeriodEnd"] = json!(ends);
        }
        assert_eq!(
            north.updates(&id, &taxed).await,
            r#"400 {"error":{"fieldErrors":{"data.taxSettings.country":["is not where Stripe can work out taxes"]},"formErrors":[]}}"#
        );
        assert_eq!(north.schedules().await[0]["status"], "released");
        let unlocated = north
            .updates(&id, &json!({ "taxSettings": { "enabled": true } }))
            .await;
        assert_eq!(
            unlocated.body["error"]["fieldErrors"],
            json!({ "data.taxSettings.country": ["is required until the client's country is known"] })
        );
        ends_with_april(&world, &north, &id, "refused").await;
    }
}

/// Stripe fails at the change for good, under its number, and no event comes: the same is asked for under the next, on what has an end of its
/// own by then.
#[tokio::test]
async fn a_change_that_is_asked_for_anew_leaves_the_end_that_was_scheduled() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = ending(&world, &north).await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine.network.answers("POST /v1/subscriptions/", 500, REPLAYED);
    let taxed = json!({ "taxSettings": { "enabled": true, "country": "DE" } });
    let told = north.updates_on(&machine, &id, &taxed).await.unwrap();
    assert_eq!(
        (
            told.status,
            &told.body["automatic_tax"],
            &told.body["cancel_at_period_end"]
        ),
        (200, &json!(true), &json!(true)),
        "{told}"
    );
    ends_with_april(&world, &north, &id, "asked for anew").await;
}

/// The machine dies when the schedule has let go, and no event comes: for a day, after which the change is begun anew, or until the period is
/// over.
#[tokio::test]
async fn a_change_that_nobody_finishes_leaves_the_end_that_was_scheduled() {
    for finishes in [true, false] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let other = north.offers("Other", 2999).await;
        let id = ending(&world, &north).await;
        world.stripe.holds_events(true).await;
        let machine = world.machine().await;
        machine.network.holds("/release");
        let wish = json!({ "productId": other });
        machine.dies_over(north.updates_on(&machine, &id, &wish)).await;
        world.advance("1d").await;
        if finishes {
            let told = north.updates(&id, &wish).await;
            assert_eq!(told.body["product"]["id"], other.as_str(), "{told}");
            // What is left of April is given back of the one and charged of the other.
            ends_with_april(&world, &north, &id, "begun anew").await;
        } else {
            is_over_after_april(&world, &north, &id, "never finished").await;
        }
    }
}

/// Stripe's portal sets the end of a flexible subscription by its date.
#[tokio::test]
async fn an_end_is_taken_back_however_it_was_set() {
    for (form, also) in [
        (format!("cancel_at={}", at("2026-06-01T00:00:00Z")), Value::Null),
        (
            format!("cancel_at={}", at("2026-06-01T00:00:00Z")),
            json!({ "enabled": true, "country": "DE" }),
        ),
        ("cancel_at_period_end=true".to_owned(), Value::Null),
    ] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let sold = north.sells(&north.order(NOW)).await;
        let id = sold.body["id"].as_str().unwrap();
        north.client_gives_card().await;
        world.advance("31d").await;
        north
            .at_stripe("POST", &format!("/v1/subscriptions/{id}"), &form)
            .await;
        let told = north.gets(id).await;
        assert_eq!(
            told.body["cancelAtPeriodEndDisplay"], "Cancels on 1 June 2026",
            "{form}"
        );
        let mut wish = json!({ "cancelAtPeriodEnd": false });
        if also.is_object() {
            wish["taxSettings"] = also;
        }
        let told = north.updates(id, &wish).await;
        assert_eq!(
            (
                told.status,
                &told.body["cancel_at_period_end"],
                &told.body["cancelAtPeriodEndDisplay"]
            ),
            (200, &json!(false), &Value::Null),
            "{form}: {told}"
        );
        world.advance("40d").await;
        assert_eq!(north.payments().await, [2999; 3], "{form}");
    }
}

/// The schedule lets go of what it was to end, for another product, and the end is taken back with it.
#[tokio::test]
async fn an_end_that_a_schedule_left_is_taken_back_with_another_product() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 2999).await;
    let id = ending(&world, &north).await;
    let told = north
        .updates(&id, &json!({ "productId": other, "cancelAtPeriodEnd": false }))
        .await;
    assert_eq!(
        (told.status, &told.body["cancelAtPeriodEndDisplay"]),
        (200, &Value::Null),
        "{told}"
    );
    world.advance("40d").await;
    assert_eq!(north.gets(&id).await.body["status"], "active");
    assert_eq!(north.payments().await, [2999; 2]);
}

/// The agency has the phase last for so many months from its start on, after which its schedule does that.
async fn lasts(north: &Agency<'_>, months: u8, end_behavior: &str) {
    let schedule = north.schedules().await.remove(0);
    let phase = &schedule["phases"][0];
    let mut form = format!(
        "end_behavior={end_behavior}&phases[0][start_date]={}&phases[0][duration][interval]=month\
         &phases[0][duration][interval_count]={months}&phases[0][metadata][client]={}&phases[0][metadata][sale]=1",
        phase["start_date"], north.client,
    );
    for (number, item) in phase["items"].as_array().unwrap().iter().enumerate() {
        let price = item["price"].as_str().unwrap();
        form += &format!("&phases[0][items][{number}][price]={price}");
        if let Some(quantity) = item["quantity"].as_u64() {
            form += &format!("&phases[0][items][{number}][quantity]={quantity}");
        }
    }
    let path = format!("/v1/subscription_schedules/{}", schedule["id"].as_str().unwrap());
    let told = north.at_stripe("POST", &path, &form).await;
    assert_eq!(told["end_behavior"], end_behavior, "{told}");
}

/// Sold from now on, for three months as the agency has it: with or without an end after them.
async fn sold_for_three_months(world: &World, north: &Agency<'_>, end_behavior: &str) -> String {
    let sold = north.sells(&north.order(NOW)).await;
    let id = sold.body["id"].as_str().unwrap().to_owned();
    north.client_gives_card().await;
    world.advance("2h").await;
    lasts(north, 3, end_behavior).await;
    world.stripe.stand_in().settle().await;
    id
}

/// That it is told to go on after its period, and its end so.
fn goes_on(told: &Answer, end_shown: &Value) {
    assert_eq!(
        (
            told.status,
            &told.body["cancel_at_period_end"],
            &told.body["cancelAtPeriodEndDisplay"]
        ),
        (200, &json!(false), end_shown),
        "{told}"
    );
}

/// A schedule that reaches beyond the period cannot end it with the period: it lets go, and the subscription ends by itself, also when the
/// machine dies in between.
#[tokio::test]
async fn an_end_with_the_period_does_not_wait_for_a_longer_phase() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold_for_three_months(&world, &north, "release").await;
    goes_on(&north.gets(&id).await, &Value::Null);
    let goes = north.updates(&id, &json!({ "cancelAtPeriodEnd": false })).await;
    goes_on(&goes, &Value::Null);
    let machine = world.machine().await;
    machine.network.holds("/release");
    world.stripe.holds_events(true).await;
    let wish = json!({ "cancelAtPeriodEnd": true });
    machine.dies_over(north.updates_on(&machine, &id, &wish)).await;
    goes_on(&north.gets(&id).await, &Value::Null);
    let ends = north.updates(&id, &wish).await;
    assert_eq!(ends.body["cancel_at_period_end"], true, "{ends}");
    world.stripe.holds_events(false).await;
    ends_with_april(&world, &north, &id, "a longer phase").await;
}

/// Three months that the agency has sold as such are not ended before: taken back, such an end would leave none, and the client would be charged
/// beyond the term. So while the schedule is to bring the end, and when it has let go and left it as a date.
#[tokio::test]
async fn a_term_is_neither_ended_early_nor_lost() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold_for_three_months(&world, &north, "cancel").await;
    let july = json!("Cancels on 1 July 2026");
    for has_schedule in [true, false] {
        assert_eq!(
            north.updates(&id, &json!({ "cancelAtPeriodEnd": true })).await,
            r#"409 {"error":"the subscription was given a later end at Stripe that would be lost: it can only be changed there"}"#,
            "{has_schedule}"
        );
        let goes = north.updates(&id, &json!({ "cancelAtPeriodEnd": false })).await;
        goes_on(&goes, &july);
        let is_released = north.schedules().await[0]["status"] == "released";
        assert_eq!(is_released, !has_schedule);
        let located = json!({ "taxSettings": { "enabled": false, "country": "DE" } });
        goes_on(&north.updates(&id, &located).await, &july);
    }
    world.advance("130d").await;
    assert_eq!(north.payments().await, [2999; 3]);
    assert_eq!(north.gets(&id).await.body["status"], "canceled");
}

/// In its last month an end of the schedule's is one with the period, and is taken back as such.
#[tokio::test]
async fn the_end_of_a_longer_phase_is_one_with_its_last_period() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold_for_three_months(&world, &north, "cancel").await;
    world.advance("61d").await;
    assert_eq!(north.gets(&id).await.body["cancel_at_period_end"], true);
    let stays = north.updates(&id, &json!({ "cancelAtPeriodEnd": false })).await;
    assert_eq!(
        (
            &stays.body["cancel_at_period_end"],
            &stays.body["cancelAtPeriodEndDisplay"]
        ),
        (&json!(false), &Value::Null),
        "{stays}"
    );
    world.advance("40d").await;
    assert_eq!(north.payments().await, [2999; 4]);
}

/// After a day Stripe may have forgotten the keys of a change that nobody finished. An event does not ask for it again; the next update gives it up.
#[tokio::test]
async fn a_change_that_was_left_for_a_day_is_not_finished_by_an_event() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let id = north.sold("2026-05-01T00:00:00Z").await;
    world.stripe.stand_in().settle().await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine
        .network
        .stops_named(Moment::Before, "POST /v1/subscription_schedules/");
    let wish = json!({ "productId": other });
    machine.dies_over(north.updates_on(&machine, &id, &wish)).await;
    world.advance("1d").await;
    world.stripe.holds_events(false).await;
    let path = format!("/v1/subscription_schedules/{id}");
    north.at_stripe("POST", &path, "metadata[note]=x").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(
        north.gets(&id).await.body["product"]["id"],
        north.product.as_str()
    );
    let june = at("2026-06-01T00:00:00Z");
    let later = north.updates(&id, &json!({ "startDate": june })).await;
    assert_eq!(
        (
            later.status,
            &later.body["startDate"],
            &later.body["product"]["id"]
        ),
        (200, &json!(june), &json!(north.product)),
        "{later}"
    );
    assert_eq!(north.sales().await[0].amendment, None);
}
