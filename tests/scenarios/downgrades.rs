//! Downgrades that come to nothing between their two requests at Stripe: the schedule that the first one made stands in nobody's way.

use billing_tests::{Moment, Organisation, World, at_every_step, path_of};
use serde_json::{Value, json};

/// The second request, which writes into the schedule what it leads to.
const PHASES: &str = "POST /v1/subscription_schedules/";

/// A year of the annual plan, and a session for less, which can be confirmed for half an hour.
async fn about_to_downgrade(world: &World) -> (Organisation<'_>, String, String) {
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    let id = acme
        .session(&json!({
            "contract_id": contract, "plan_id": acme.plan("starter"), "expires_at": "2026-04-01T00:30:00Z",
        }))
        .await;
    (acme, contract, id)
}

/// A seat more is offered for the contract, and sold.
async fn another_change_is_sold(acme: &Organisation<'_>, contract: &str) {
    let seat = acme.product("team-annual", "Annual team seat");
    let more =
        json!({ "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": 6 }] });
    let id = acme.session(&more).await;
    let sold = acme.confirms(&id, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    let stored = acme.contract(contract).await.contract;
    assert_eq!((stored.sale, stored.scheduled), (None, None));
}

/// Stripe keeps a failure under the key of the second request: both are asked for anew under the next number.
#[tokio::test]
async fn phases_that_cannot_be_written_under_their_key_are_written_under_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract, id) = about_to_downgrade(&world).await;
    let machine = world.machine().await;
    machine
        .network
        .answers(PHASES, 500, ("idempotent-replayed", "true"));
    let confirmed = acme.confirms_on(&machine, &id, &Value::Null).await.unwrap();
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.stand_in().settle().await;
    assert!(acme.contract(&contract).await.contract.scheduled.is_some());
    assert_eq!(world.stripe.phases_of_latest_schedule().await, 2);
}

/// Stripe keeps a failure under the key by which the schedule of a downgrade that is made lets go: under the next it does.
#[tokio::test]
async fn a_schedule_that_cannot_be_released_under_its_key_is_under_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("business")).await;
    let wish = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let id = acme.session(&wish).await;
    let sold = acme.confirms(&id, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    // By the quarter.
    world.advance("90d 23h").await;
    let key = format!("sale/{id}/release");
    world.stripe.spends_idempotency_key(&key).await;
    world.advance("3h").await;
    let at_stripe = world.stripe.all_subscriptions().await.remove(0);
    assert_eq!(at_stripe["schedule"], Value::Null);
    let stored = acme.contract(&contract).await.contract;
    assert_eq!(stored.scheduled, None);
    assert_eq!(stored.standing.configuration.plan.as_str(), acme.plan("starter"));
}

/// While one change is being made, another session schedules a downgrade, at whichever moment: one of the two is sold, and the other is told of
/// it.
#[tokio::test]
async fn a_change_is_not_made_beside_a_downgrade_that_is_scheduled_meanwhile() {
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, contract, downgrade) = about_to_downgrade(&world).await;
        let seat = acme.product("team-annual", "Annual team seat");
        let more =
            json!({ "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": 6 }] });
        let id = acme.session(&more).await;
        let held = world
            .held_over(
                step,
                async |machine| acme.confirms_on(machine, &id, &Value::Null).await,
                acme.confirms(&downgrade, &Value::Null),
            )
            .await;
        let context = format!("{step}: {}, {}", held.answer, held.other);
        let both = [held.answer.status, held.other.status];
        if held.was_held {
            assert!(both == [200, 409] || both == [409, 200], "{context}");
        }
        world.stripe.stand_in().settle().await;
        let stored = acme.contract(&contract).await;
        let is_scheduled = stored.contract.scheduled.is_some();
        assert_eq!(is_scheduled, held.other.status == 200, "{context}");
        assert_eq!(
            (stored.contract.sale, stored.history.len()),
            (None, 2),
            "{context}"
        );
        !held.was_held
    })
    .await;
}

#[tokio::test]
async fn a_downgrade_that_stripe_refuses_leaves_no_schedule() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract, id) = about_to_downgrade(&world).await;
    let machine = world.machine().await;
    let refusal = r#"{"error":{"type":"card_error","message":"No."}}"#;
    machine.network.tells(PHASES, 402, refusal);
    let refused = acme.confirms_on(&machine, &id, &Value::Null).await.unwrap();
    assert_eq!(refused.status, 402, "{refused}");
    world.stripe.stand_in().settle().await;
    another_change_is_sold(&acme, &contract).await;
}

/// The machine dies between the two requests, and nobody confirms again. While the session's time lasts its sale is under way; after it
/// another change is sold, whether or not DynamoDB has told of the session's end.
#[tokio::test]
async fn a_downgrade_whose_machine_died_and_whose_time_ran_out_leaves_no_schedule() {
    for later in ["30m", "3d"] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, contract, id) = about_to_downgrade(&world).await;
        let machine = world.machine().await;
        machine.network.stops_named(Moment::Before, PHASES);
        machine
            .dies_over(acme.confirms_on(&machine, &id, &Value::Null))
            .await;
        world.stripe.stand_in().settle().await;
        let other = json!({ "contract_id": contract, "plan_id": acme.plan("team") });
        let other = acme.session(&other).await;
        let busy = acme.confirms(&other, &Value::Null).await;
        assert_eq!(busy.status, 409, "{busy}");
        assert_eq!(
            busy.body["error"],
            "another change of the contract is being paid for"
        );
        world.advance(later).await;
        another_change_is_sold(&acme, &contract).await;
        assert_eq!(acme.confirms(&id, &Value::Null).await.status, 410);
    }
}

/// An operator has planned another course for the subscription: neither a downgrade nor a change at once takes its place, until the operator lets
/// it go. They are told so before any event has told of it, and after that in the same words.
#[tokio::test]
async fn a_schedule_of_an_operators_is_nobodys_to_rewrite() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let operator = async |method, path: &str, form: &str| world.stripe.operator(method, path, form).await;
    let seat = acme.product("team-annual", "Annual team seat");
    let more = json!({ "product_overrides": [{ "product_id": seat, "quantity": 6 }] });
    let less = json!({ "plan_id": acme.plan("starter") });
    for mut wish in [less, more] {
        let contract = acme.sells(&acme.order("team-annual")).await;
        wish["contract_id"] = json!(contract);
        let id = acme.session(&wish).await;
        world.stripe.holds_events(true).await;
        let billing = acme.contract(&contract).await.contract.billing.unwrap();
        let form = format!("from_subscription={}", billing.subscription);
        let made = operator("POST", "/v1/subscription_schedules", &form).await;
        let schedule = path_of(&made);
        let (start, end) = (billing.period.start.as_second(), billing.period.end.as_second());
        let paid_by = operator("GET", &format!("/v1/subscriptions/{}", billing.subscription), "").await;
        let method = paid_by["default_payment_method"].as_str().unwrap();
        let mut planned = format!(
            "phases[0][start_date]={start}&phases[0][end_date]={end}\
             &phases[0][default_payment_method]={method}&phases[1][default_payment_method]={method}"
        );
        for (n, item) in billing.items.iter().enumerate() {
            let (price, quantity) = (&item.price, item.quantity);
            planned += &format!(
                "&phases[0][items][{n}][price]={price}&phases[0][items][{n}][quantity]={quantity}\
                 &phases[1][items][{n}][price]={price}&phases[1][items][{n}][quantity]=9"
            );
        }
        let planned = operator("POST", &schedule, &planned).await;
        assert_eq!(
            acme.confirms(&id, &Value::Null).await,
            r#"409 {"error":"the subscription is owned by a schedule, which alone can change it"}"#
        );
        let kept = operator("GET", &schedule, "").await;
        assert_eq!(kept["phases"], planned["phases"]);
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        let led = acme.contract(&contract).await.contract;
        assert!(led.billing.unwrap().schedule.is_some() && led.scheduled.is_none());
        for told in [
            acme.confirms(&id, &Value::Null).await,
            acme.opens(&wish).await,
            acme.previews(&wish).await,
        ] {
            assert_eq!(
                told,
                r#"409 {"error":"the subscription is owned by a schedule, which alone can change it"}"#
            );
        }
        operator("POST", &format!("{schedule}/release"), "").await;
        world.stripe.stand_in().settle().await;
        let sold = acme.confirms(&id, &Value::Null).await;
        assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    }
}

/// An operator lets the schedule of a downgrade go: it was taken back, and the contract goes on as it is and can be changed.
#[tokio::test]
async fn a_downgrade_that_an_operator_takes_back_is_forgotten() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract, id) = about_to_downgrade(&world).await;
    acme.confirms(&id, &Value::Null).await;
    world.stripe.stand_in().settle().await;
    let sold = acme.contract(&contract).await.contract;
    assert!(sold.scheduled.is_some());
    let schedule = sold.billing.unwrap().schedule.unwrap();
    let release = format!("/v1/subscription_schedules/{schedule}/release");
    world.stripe.operator("POST", &release, "").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(acme.contract(&contract).await.contract.scheduled, None);
    another_change_is_sold(&acme, &contract).await;
    world.advance("366d").await;
    let renewed = acme.contract(&contract).await.contract;
    assert_eq!(
        renewed.standing.configuration.plan,
        sold.standing.configuration.plan
    );
}

/// A guest has bought with a card of his own, which the customer that he typed does not have, and changes to less after a year: the card pays the next
/// month, too, though Stripe unsets what a schedule does not say.
#[tokio::test]
async fn what_pays_a_contract_pays_it_after_a_downgrade() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.guest_order("eve@example.com");
    order["plan_id"] = json!(acme.plan("team-annual"));
    let contract = acme.sells(&order).await;
    let own = world.stripe.all_subscriptions().await.remove(0)["default_payment_method"].clone();
    let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let sold = acme.confirms(&acme.session(&less).await, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    let method = async || world.stripe.all_subscriptions().await.remove(0)["default_payment_method"].clone();
    assert!(own.is_string());
    assert_eq!(method().await, own);
    let year = world.stripe.charges().await;
    world.advance("366d").await;
    assert_eq!(method().await, own);
    assert_eq!(world.stripe.charges().await, [year[0], 3500]);
}
