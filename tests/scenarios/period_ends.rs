//! Requests during which a period ends: they came in its last second, and Stripe is asked in the next one.

use billing_tests::{Account, Answer, Machine, Organisation, World, at_every_step};
use serde_json::{Value, json};

/// The time until the last second of April.
const APRIL: &str = "2591998s";
/// What passes while a machine waits for an answer.
const A_MOMENT: &str = "4s";

/// What is asked for in the last seconds of a period, on a machine that waits so long for the answer of a step that the period ends.
async fn over_the_end(world: &World, step: usize, asks: http::Request<bytes::Bytes>) -> (Answer, bool) {
    over_the_end_on(&world.machine().await, world, step, asks).await
}

/// The same on that machine.
async fn over_the_end_on(
    machine: &Machine,
    world: &World,
    step: usize,
    asks: http::Request<bytes::Bytes>,
) -> (Answer, bool) {
    let call = async |machine: &Machine| machine.call(asks).await;
    let held = machine.held_over(step, call, world.advance(A_MOMENT)).await;
    (held.answer, held.was_held)
}

/// The team plan is billed from the first of the month on: 112.00, and 3.73 for the day of April that is nearly over. Who confirms that in its last
/// seconds pays 3.73 and 112.00, or nothing, and then agrees to 112.00. The machine's clock is that many seconds ahead.
async fn a_short_first_period_ends(seconds_ahead: i64) {
    let visa = |version: &Value| json!({ "payment_method_id": "pm_card_visa", "version": version });
    let mut late = 0;
    at_every_step(async |step| {
        let world = World::at("2026-04-30T23:59:58Z").await;
        let acme = world.organisation("acme").await;
        let opened = acme.opens(&acme.order("team")).await;
        let id = opened.body["id"].as_str().unwrap();
        let confirms = acme.confirmation(id, &visa(&opened.body["version"]));
        let machine = world.machine_ahead(seconds_ahead).await;
        let (answer, was_held) = over_the_end_on(&machine, &world, step, confirms).await;
        if answer.status == 503 {
            late += 1;
            let moved = acme.confirms(id, &visa(&opened.body["version"])).await;
            assert_eq!(moved.status, 409, "{step}: {moved}");
            assert_eq!(
                moved.body["estimates"]["current_invoice"]["total"], 11200,
                "{step}: {moved}"
            );
            assert_eq!(world.stripe.charges().await, [0_i64; 0], "{step}");
            let agreed = acme.confirms(id, &visa(&moved.body["version"])).await;
            assert_eq!(agreed.status, 200, "{step}: {agreed}");
        } else {
            assert_eq!(answer.status, 200, "{step}: {answer}");
        }
        world.advance("2h").await;
        let charged: &[i64] = if answer.status == 503 {
            &[11200]
        } else {
            &[373, 11200]
        };
        assert_eq!(world.stripe.charges().await, charged, "{step}");
        assert_eq!(world.stripe.all_subscriptions().await.len(), 1, "{step}");
        !was_held
    })
    .await;
    assert!(late > 0, "it was never too late");
}

#[tokio::test]
async fn a_plan_whose_short_first_period_ends_while_it_is_confirmed_is_charged_as_agreed() {
    a_short_first_period_ends(0).await;
}

/// For the machine it goes on for another second.
#[tokio::test]
async fn a_short_first_period_that_ends_for_stripe_alone_is_charged_as_agreed() {
    a_short_first_period_ends(-3).await;
}

/// A contract of 35.00 a month, the last seconds of which are sold.
async fn amended<'w>(world: &'w World, plan: &str) -> (Organisation<'w>, Value) {
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance(APRIL).await;
    let wish = json!({ "contract_id": contract, "plan_id": acme.plan(plan) });
    let offered = acme.opens(&wish).await;
    assert_eq!(offered.status, 201, "{offered}");
    (acme, offered.body)
}

/// The yearly plan is 1,078.00, less what is left of the month, which is nothing: it is charged so, or not at all, and then the month is.
#[tokio::test]
async fn an_amendment_during_which_its_period_ends_is_charged_as_quoted_or_not_at_all() {
    let mut outcomes = [0; 2];
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, offered) = amended(&world, "business").await;
        let quoted = offered["estimates"]["current_invoice"]["total"].as_i64().unwrap();
        let id = offered["id"].as_str().unwrap();
        let confirms = acme.confirmation(id, &json!({ "payment_method_id": "pm_card_visa" }));
        let (answer, was_held) = over_the_end(&world, step, confirms).await;
        assert!([200, 409, 503].contains(&answer.status), "{step}: {answer}");
        world.advance("2h").await;
        let is_sold = answer.status == 200;
        outcomes[usize::from(is_sold)] += 1;
        let charged = if is_sold { [3500, quoted] } else { [3500, 3500] };
        assert_eq!(world.stripe.charges().await, charged, "{step}: {answer}");
        if answer.status == 503 {
            // Nobody is at it any more, and what is offered is of the new period.
            let moved = acme.confirms(id, &json!({})).await;
            assert_eq!(moved.status, 409, "{step}: {moved}");
        }
        !was_held
    })
    .await;
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

/// An account that pays 10.00 a month, in the last seconds of April.
async fn at_the_end_of_april(world: &World) -> Account<'_> {
    let ada = world.subscriber(1, "monthly").await;
    world.advance(APRIL).await;
    ada
}

/// Stripe previews no moment of a period that is over: the next preview is of the one that has begun.
#[tokio::test]
async fn a_preview_during_which_the_period_ends_is_told_or_asked_for_again() {
    let wish = json!({ "interval": "annual" });
    let mut late = 0;
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = at_the_end_of_april(&world).await;
        let (answer, was_held) = over_the_end(&world, step, ada.preview_request(&wish)).await;
        assert!([200, 503].contains(&answer.status), "{step}: {answer}");
        late += usize::from(answer.status == 503);
        assert_eq!(ada.previews(&wish).await.body["amountDueCents"], 8600, "{step}");
        !was_held
    })
    .await;
    assert!(late > 0, "it was never too late");
}

/// 96.00 a year, less what is left of the month: a cent of April, or all of May, which is charged besides. Whatever was quoted is what is charged.
#[tokio::test]
async fn a_change_during_which_the_period_ends_is_charged_as_quoted_or_not_at_all() {
    for is_quoted in [true, false] {
        at_every_step(async |step| {
            let world = World::at("2026-04-01T00:00:00Z").await;
            let ada = at_the_end_of_april(&world).await;
            let mut wish = json!({ "interval": "annual" });
            if is_quoted {
                wish["prorationDate"] = ada.previews(&wish).await.body["prorationDate"].clone();
            }
            let (answer, was_held) = over_the_end(&world, step, ada.change_request(&wish)).await;
            world.advance("2h").await;
            let mut charged = world.stripe.payments(&ada).await;
            charged.sort_unstable();
            let is_right = match answer.status {
                200 => charged == [1000, 9599],
                400 | 409 => charged == [1000, 1000],
                _ => false,
            };
            assert!(is_right, "{step}: {answer}, and {charged:?} was charged");
            !was_held
        })
        .await;
    }
}
