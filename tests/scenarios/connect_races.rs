//! The same order twice, on two machines, on machines that die: one schedule, one customer. And changes and cancellations likewise.

use billing_store::StoreError;
use billing_tests::{Agency, Machine, Moment, World, at_every_death, at_every_step, id_of};
use futures_util::future::join_all;
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";
/// One schedule, one customer, and a sale that knows it.
async fn sold_once(world: &World, north: &Agency<'_>, context: &str) {
    world.stripe.stand_in().settle().await;
    let schedules = north.schedules().await;
    assert_eq!(schedules.len(), 1, "{context}");
    assert_eq!(north.customers().await.len(), 1, "{context}");
    let sales = north.sales().await;
    assert_eq!(sales.len(), 1, "{context}");
    let known = sales[0].schedule.as_ref().map(|id| id.as_str());
    assert_eq!(known, schedules[0]["id"].as_str(), "{context}");
    assert_eq!(
        sales[0].state.as_ref().unwrap().status,
        "not_started",
        "{context}"
    );
}

#[tokio::test]
async fn the_same_order_again_is_the_same_schedule_for_ten_minutes() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(NEXT_MONTH);
    let first = north.sells(&order).await;
    world.advance("599s").await;
    assert_eq!(north.sells(&order).await.body["id"], first.body["id"]);
    sold_once(&world, &north, "599 s later").await;
    world.advance("1s").await;
    assert_ne!(north.sells(&order).await.body["id"], first.body["id"]);
    assert_eq!(north.schedules().await.len(), 2);
    assert_eq!(north.customers().await.len(), 1);
}

/// A second click is a second later; both mean now.
#[tokio::test]
async fn two_clicks_on_now_are_one() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let first = north.sells(&north.order(NOW)).await;
    assert_eq!(first.body["type"], "subscription");
    world.advance("2s").await;
    let second = north.sells(&north.order("2026-04-01T00:00:02Z")).await;
    assert_eq!(second.body["id"], first.body["id"]);
    assert_eq!(north.subscriptions().await.len(), 1);
    // Another client's agents, another product, another coupon are other orders.
    let mut other = north.order(NOW);
    other["data"]["couponId"] = json!(north.coupon);
    assert_ne!(north.sells(&other).await.body["id"], first.body["id"]);
}

#[tokio::test]
async fn an_idempotency_key_repeats_the_answer() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let keyed = |key: &str, start: &str| {
        let mut request = north.request("POST", "", &north.order(start));
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    };
    let first = north.sends(keyed("k1", NEXT_MONTH)).await;
    world.advance("1h").await;
    let again = north.sends(keyed("k1", NEXT_MONTH)).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, first.body);
    sold_once(&world, &north, "with a key").await;
    assert_eq!(north.sends(keyed("k1", "2026-06-01T00:00:00Z")).await.status, 422);
    // The same key and no body, for two subscriptions: the path is part of the request.
    let other = north.sells(&north.order("2026-07-01T00:00:00Z")).await;
    for (sold, status) in [(&first, 200), (&other, 422)] {
        let rest = format!("/{}", sold.body["id"].as_str().unwrap());
        let mut request = north.request("DELETE", &rest, &Value::Null);
        request
            .headers_mut()
            .insert("idempotency-key", "k2".parse().unwrap());
        assert_eq!(north.sends(request).await.status, status);
    }
}

/// What was canceled is not what a new order means.
#[tokio::test]
async fn the_same_order_after_a_cancellation_is_a_new_one() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(NEXT_MONTH);
    let first = north.sells(&order).await.body["id"].as_str().unwrap().to_owned();
    north.cancels(&first).await;
    let second = north.sells(&order).await;
    assert_ne!(second.body["id"], first.as_str());
    assert_eq!(second.body["status"], "not_started");
}

/// Two machines at once, the second when the first has been answered at any step.
#[tokio::test]
async fn two_machines_make_one_schedule() {
    let world = World::at(NOW).await;
    for held in [
        "DynamoDB Query",
        "DynamoDB TransactWriteItems",
        "POST /v1/customers",
        "POST /v1/subscription_schedules",
        "DynamoDB PutItem",
    ] {
        let north = world.agency().await;
        let order = north.order(NEXT_MONTH);
        let (one, other) = (world.machine().await, world.machine().await);
        one.network.holds(held);
        let first = async {
            let answer = north.sells_on(&one, &order).await.unwrap();
            assert_eq!(answer.status, 200, "{held}: {answer}");
            answer
        };
        let second = async {
            one.network.reached().await;
            let answer = north.sells_on(&other, &order).await.unwrap();
            one.network.lets_go();
            assert_eq!(answer.status, 200, "{held}: {answer}");
            answer
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.body["id"], second.body["id"], "{held}");
        sold_once(&world, &north, held).await;
    }
}

/// Different orders for a new client at once: as many schedules, and one customer.
#[tokio::test]
async fn a_client_has_one_customer_however_many_orders_come_at_once() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let orders: Vec<_> = (1..=4)
        .map(|month| north.order(&format!("2026-0{}-01T00:00:00Z", month + 4)))
        .collect();
    let answers = join_all(orders.iter().map(|order| north.sells(order))).await;
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer}");
    }
    assert_eq!(north.schedules().await.len(), 4);
    assert_eq!(north.customers().await.len(), 1);
}

/// The machine dies before and after every single step; ordering the same again comes to one schedule.
#[tokio::test]
async fn a_sale_converges_after_a_crash_at_any_step() {
    let world = World::at(NOW).await;
    at_every_death(async |death| {
        let north = world.agency().await;
        let mut order = north.order(NEXT_MONTH);
        order["data"]["taxSettings"] = json!({ "enabled": true, "country": "DE" });
        let told = world
            .dies_over(death, async |machine| north.sells_on(machine, &order).await)
            .await;
        if let Some(told) = &told {
            assert_eq!(told.status, 200);
        }
        let context = death.to_string();
        let answer = north.sells(&order).await;
        assert_eq!(answer.status, 200, "{context}: {answer}");
        sold_once(&world, &north, &context).await;
        told.is_some()
    })
    .await;
}

/// Nobody orders again: once Stripe has made the schedule, its event has it recorded.
#[tokio::test]
async fn a_schedule_that_nobody_recorded_is_recorded_by_its_event() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscription_schedules");
    let order = north.order(NEXT_MONTH);
    machine.dies_over(north.sells_on(&machine, &order)).await;
    sold_once(&world, &north, "by its event").await;
}

/// Every answer is lost in turn after it took effect; the call itself finds out.
#[tokio::test]
async fn a_lost_answer_of_a_sale_is_found_out_within_the_call() {
    let world = World::at(NOW).await;
    at_every_step(async |step| {
        let north = world.agency().await;
        let sells = async |machine: &Machine| north.sells_on(machine, &north.order(NEXT_MONTH)).await;
        let (answer, was_lost) = world.loses_over(step, sells).await;
        assert_eq!(answer.status, 200, "step {step}: {answer}");
        sold_once(&world, &north, &format!("lost step {step}")).await;
        !was_lost
    })
    .await;
}

/// Stripe takes it and does not answer for as long as the call lasts; hours later the same order finds it.
#[tokio::test]
async fn an_outcome_that_stays_unknown_is_settled_by_the_next_order() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(NEXT_MONTH);
    world
        .stripe
        .applies_without_answering("POST", "/v1/subscription_schedules")
        .await;
    world.stripe.holds_events(true).await;
    assert_eq!(north.sells(&order).await.status, 503);
    world.stripe.recovers().await;
    world.advance("2h").await;
    assert_eq!(north.sells(&order).await.status, 200);
    world.stripe.holds_events(false).await;
    sold_once(&world, &north, "two hours later").await;
}

/// Stripe makes the schedule, fails to say so, and keeps that failure under the key: the schedule is found, and no other is made.
#[tokio::test]
async fn a_schedule_whose_making_was_told_as_a_failure_is_found() {
    let world = World::at(NOW).await;
    for start in [NEXT_MONTH, NOW] {
        let north = world.agency().await;
        let order = north.order(start);
        world.stripe.holds_events(true).await;
        let making = "POST /v1/subscription_schedules";
        let lost = world.machine().await;
        lost.network.stops_named(Moment::After, making);
        lost.dies_over(north.sells_on(&lost, &order)).await;
        let machine = world.machine().await;
        let replayed = ("idempotent-replayed", "true");
        machine.network.answers(making, 500, replayed);
        let answer = north.sells_on(&machine, &order).await.unwrap();
        assert_eq!(answer.status, 200, "{start}: {answer}");
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(north.schedules().await.len(), 1, "{start}");
        assert_eq!(north.sales().await.len(), 1, "{start}");
        let again = north.sells(&order).await;
        assert_eq!(again.body["id"], answer.body["id"], "{start}");
    }
}

/// Stripe failed before it made the schedule, or told the customer where it is, and keeps that failure under the key: it is asked
/// under the next.
#[tokio::test]
async fn an_order_that_cannot_be_made_under_its_key_is_made_under_the_next() {
    let world = World::at(NOW).await;
    for step in ["POST /v1/subscription_schedules", "POST /v1/customers/cus_"] {
        let north = world.agency().await;
        let mut order = north.order(NEXT_MONTH);
        order["data"]["taxSettings"] = json!({ "enabled": true, "country": "DE" });
        let machine = world.machine().await;
        let replayed = ("idempotent-replayed", "true");
        machine.network.answers(step, 500, replayed);
        let answer = north.sells_on(&machine, &order).await.unwrap();
        assert_eq!(answer.status, 200, "{step}: {answer}");
        sold_once(&world, &north, step).await;
    }
}

/// Where a client is said to be, Stripe does not take: nothing is left of that order, and another one is made.
#[tokio::test]
async fn a_country_that_stripe_does_not_take_leaves_nothing_behind() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let mut order = north.order(NEXT_MONTH);
    order["data"]["taxSettings"] = json!({ "enabled": true, "country": "KP" });
    let machine = world.machine().await;
    machine.network.tells(
        "POST /v1/customers/cus_",
        400,
        r#"{"error":{"type":"invalid_request_error","param":"address[country]","message":"Country 'KP' is unknown."}}"#,
    );
    let answer = north.sells_on(&machine, &order).await.unwrap();
    assert_eq!(
        answer,
        r#"400 {"error":{"fieldErrors":{"data.taxSettings.country":["is not where Stripe can work out taxes"]},"formErrors":[]}}"#
    );
    assert!(north.sales().await.is_empty());
    order["data"]["taxSettings"]["country"] = json!("KR");
    assert_eq!(north.sells(&order).await.status, 200);
    sold_once(&world, &north, "in another country").await;
}

/// An operator deleted the customer: the client gets another one, and the order goes through, told where the client is or not.
#[tokio::test]
async fn a_deleted_customer_is_replaced() {
    let world = World::at(NOW).await;
    for tax in [Value::Null, json!({ "enabled": true, "country": "DE" })] {
        let north = world.agency().await;
        north.sells(&north.order(NEXT_MONTH)).await;
        let customer = north.customers().await[0]["id"].as_str().unwrap().to_owned();
        north
            .at_stripe("DELETE", &format!("/v1/customers/{customer}"), "")
            .await;
        let mut order = north.order("2026-06-01T00:00:00Z");
        if tax.is_object() {
            order["data"]["taxSettings"] = tax;
        }
        let answer = north.sells(&order).await;
        assert_eq!(answer.status, 200, "{answer}");
        assert_ne!(answer.body["customer"]["id"], customer.as_str());
    }
}

/// Two calls miss the customer that an operator deleted: the second does not forget the one that the first has made in its place.
#[tokio::test]
async fn a_customer_that_two_calls_miss_is_lost_once() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    north.sells(&north.order(NEXT_MONTH)).await;
    let store = world.stack().app.store();
    let (account, client) = (north.account.parse().unwrap(), north.client.parse().unwrap());
    let read = store.connected_buyer(&account, &client).await.unwrap().unwrap();
    store.forget_connected_buyer(&read, world.now()).await.unwrap();
    let made = north.sells(&north.order("2026-06-01T00:00:00Z")).await;
    let late = store.forget_connected_buyer(&read, world.now()).await;
    assert_eq!(late, Err(StoreError::Conflict));
    let stays = store.connected_buyer(&account, &client).await.unwrap().unwrap();
    assert_eq!(
        stays.customer.map(|id| id.to_string()).as_deref(),
        made.body["customer"]["id"].as_str()
    );
}

/// A running subscription that is changed to another product: one proration, whatever dies.
#[tokio::test]
async fn a_change_converges_after_a_crash_at_any_step() {
    let world = World::at(NOW).await;
    at_every_death(async |death| {
        let north = world.agency().await;
        let other = north.offers("Other", 5999).await;
        let sold = north.sells(&north.order("2026-04-01T00:00:00Z")).await;
        let id = sold.body["id"].as_str().unwrap();
        let ends = json!({ "cancelAtPeriodEnd": true });
        assert_eq!(north.updates(id, &ends).await.body["cancel_at_period_end"], true);
        world.stripe.stand_in().settle().await;
        let wish = json!({ "productId": other });
        let told = world
            .dies_over(death, async |machine| north.updates_on(machine, id, &wish).await)
            .await;
        if let Some(told) = &told {
            assert_eq!(told.status, 200);
        }
        let context = death.to_string();
        let answer = north.updates(id, &wish).await;
        assert_eq!(answer.status, 200, "{context}: {answer}");
        assert_eq!(answer.body["product"]["id"], other.as_str(), "{context}");
        assert_eq!(
            answer.body["cancel_at_period_end"], true,
            "what the schedule was to end still ends: {context}"
        );
        world.stripe.stand_in().settle().await;
        let waiting = north.all("/v1/invoiceitems?limit=100").await;
        let amounts = waiting
            .iter()
            .filter(|item| item["amount"].as_i64() > Some(0))
            .count();
        assert_eq!(amounts, 1, "one charge for the rest of the period: {context}");
        assert_eq!(north.sales().await[0].amendment, None, "{context}");
        told.is_some()
    })
    .await;
}

/// The machine dies between the two steps, and nobody asks again: the event of the first step has the second done.
#[tokio::test]
async fn a_change_that_nobody_asks_for_again_is_finished_by_an_event() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let sold = north.sells(&north.order(NOW)).await;
    let id = sold.body["id"].as_str().unwrap();
    north.updates(id, &json!({ "cancelAtPeriodEnd": true })).await;
    world.stripe.stand_in().settle().await;
    let machine = world.machine().await;
    machine.network.holds("/release");
    let wish = json!({ "productId": other });
    machine.dies_over(north.updates_on(&machine, id, &wish)).await;
    world.stripe.stand_in().settle().await;
    let told = north.gets(id).await;
    assert_eq!(told.body["product"]["id"], other.as_str());
    assert_eq!(told.body["cancel_at_period_end"], true);
    assert_eq!(north.sales().await[0].amendment, None);
}

/// The machine dies before Stripe is asked for another product, or another start, and the agency has the sale be of a third one from a third date on. Its
/// event does not have done what was asked for before: what the agency has done since stays, and can be changed.
#[tokio::test]
async fn a_change_that_nobody_finished_gives_way_to_what_was_done_since() {
    let world = World::at(NOW).await;
    let [second, third] = ["2026-05-03T00:00:00Z", "2026-05-06T00:00:00Z"]
        .map(|start| start.parse::<billing_core::Timestamp>().unwrap().as_second());
    for is_about_start in [false, true] {
        let north = world.agency().await;
        let (other, another) = (
            north.offers("Other", 5999).await,
            north.offers("Another", 7999).await,
        );
        let wish = match is_about_start {
            true => json!({ "startDate": second }),
            false => json!({ "productId": other }),
        };
        let id = north.sold(NEXT_MONTH).await;
        world.stripe.stand_in().settle().await;
        let machine = world.machine().await;
        machine
            .network
            .stops_named(Moment::Before, "POST /v1/subscription_schedules/");
        machine.dies_over(north.updates_on(&machine, &id, &wish)).await;
        let price = north
            .all(&format!("/v1/prices?product={another}"))
            .await
            .remove(0);
        let form = format!(
            "phases[0][start_date]={third}&phases[0][duration][interval]=month&phases[0][items][0][price]={}&phases[0][items][0][quantity]=1\
             &phases[0][metadata][client]={}&phases[0][metadata][sale]=1",
            id_of(&price),
            north.client
        );
        north
            .at_stripe("POST", &format!("/v1/subscription_schedules/{id}"), &form)
            .await;
        world.stripe.stand_in().settle().await;
        let heard = north.gets(&id).await;
        assert_eq!(north.sales().await[0].amendment, None);
        let ends = north.updates(&id, &json!({ "cancelAtPeriodEnd": true })).await;
        assert_eq!(ends.body["cancel_at_period_end"], true, "{ends}");
        for told in [heard, ends] {
            assert_eq!(told.body["product"]["id"], another.as_str(), "{wish}: {told}");
            assert_eq!(told.body["startDate"], third, "{wish}: {told}");
        }
        let again = north.updates(&id, &wish).await;
        match is_about_start {
            true => assert_eq!(again.body["startDate"], second, "{again}"),
            false => assert_eq!(again.body["product"]["id"], other.as_str(), "{again}"),
        }
    }
}

#[tokio::test]
async fn a_cancellation_converges_after_a_crash_at_any_step() {
    let world = World::at(NOW).await;
    for start in [NEXT_MONTH, NOW] {
        at_every_death(async |death| {
            let north = world.agency().await;
            let sold = north.sells(&north.order(start)).await;
            let id = sold.body["id"].as_str().unwrap();
            let told = world
                .dies_over(death, async |machine| north.cancels_on(machine, id).await)
                .await;
            if let Some(told) = &told {
                assert_eq!(told.status, 200);
            }
            let answer = north.cancels(id).await;
            assert_eq!(answer.body, json!({ "id": id, "canceled": true }), "{death}");
            world.stripe.stand_in().settle().await;
            let stored = north.sales().await.remove(0).state.unwrap();
            assert_eq!(stored.status, "canceled", "{death}");
            told.is_some()
        })
        .await;
    }
}

/// Two different orders of one client on two machines. The second has read that nothing was sold (or one thing), and before it writes,
/// the first begins a sale that Stripe refuses and one that it takes. A number is given once, the buyer is not set back, and the client
/// is one customer, who can be sold more.
#[tokio::test]
async fn a_buyer_that_was_read_before_another_sale_is_not_written_over_it() {
    for sold_before in [false, true] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        if sold_before {
            north.sells(&north.order("2026-09-01T00:00:00Z")).await;
        }
        let (slow, refusing) = (world.machine().await, world.machine().await);
        slow.network.holds("GET /v1/products/");
        refusing.network.tells(
            "POST /v1/subscription_schedules",
            400,
            r#"{"error":{"type":"invalid_request_error","param":"phases[0][items][0][price]","message":"no"}}"#,
        );
        let order = north.order("2026-06-01T00:00:00Z");
        let (answer, ()) = tokio::join!(north.sells_on(&slow, &order), async {
            slow.network.reached().await;
            let refused = north
                .sells_on(&refusing, &north.order("2026-07-01T00:00:00Z"))
                .await
                .unwrap();
            assert_eq!(refused.status, 400, "{refused}");
            let sold = north.sells(&north.order("2026-08-01T00:00:00Z")).await;
            assert_eq!(sold.status, 200, "{sold}");
            slow.network.lets_go();
        });
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "sold before: {sold_before}: {answer}");
        let more = north.sells(&north.order("2026-10-01T00:00:00Z")).await;
        assert_eq!(more.status, 200, "sold before: {sold_before}: {more}");
        let numbers: Vec<u64> = north.sales().await.iter().map(|sale| sale.number).collect();
        let expected: &[u64] = if sold_before { &[1, 3, 4, 5] } else { &[2, 3, 4] };
        assert_eq!(numbers, expected, "sold before: {sold_before}");
        assert_eq!(north.schedules().await.len(), expected.len());
        assert_eq!(north.customers().await.len(), 1);
    }
}

/// Two different orders of a new client at the same time, on two machines: two schedules, one customer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_orders_of_a_new_client_at_once_make_one_customer() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let machines = [world.machine().await, world.machine().await];
    let orders = [north.order(NEXT_MONTH), north.order("2026-06-01T00:00:00Z")];
    let answers = join_all((0..2).map(|n| north.sells_on(&machines[n], &orders[n]))).await;
    for answer in answers.into_iter().flatten() {
        assert_eq!(answer.status, 200, "{answer}");
    }
    assert_eq!(north.schedules().await.len(), 2);
    assert_eq!(north.customers().await.len(), 1);
    let numbers: Vec<u64> = north.sales().await.iter().map(|sale| sale.number).collect();
    assert_eq!(numbers, [1, 2]);
}

/// A second click on a client's first order reads that nobody buys, and then the sale that the first click has begun since and not finished.
#[tokio::test]
async fn a_sale_that_begins_while_it_is_looked_for_is_finished() {
    let world = World::at(NOW).await;
    at_every_step(async |step| {
        let north = world.agency().await;
        let order = north.order(NEXT_MONTH);
        let first = world.machine().await;
        first.network.stops_named(Moment::Before, "POST /v1/customers");
        let second = async |machine: &Machine| north.sells_on(machine, &order).await;
        let clicked = async {
            tokio::select! {
                answer = north.sells_on(&first, &order) => answer.map(|answer| answer.status),
                () = first.network.reached() => None,
            }
        };
        let held = world.held_over(step, second, clicked).await;
        first.dies();
        assert!(
            matches!(held.other, None | Some(200)),
            "held step {step}: {:?}",
            held.other
        );
        assert_eq!(held.answer.status, 200, "held step {step}: {}", held.answer);
        sold_once(&world, &north, &format!("held step {step}")).await;
        !held.was_held
    })
    .await;
}

/// Whoever cancels what an order has just made, or taken up from a machine that died, before that is answered, has canceled it: the order is told so, and nothing is
/// sold in its place.
#[tokio::test]
async fn an_order_that_is_canceled_before_it_is_answered_is_not_sold_anew() {
    for (start, is_taken_up) in [(NOW, false), (NEXT_MONTH, false), (NEXT_MONTH, true)] {
        let mut canceled = 0;
        at_every_step(async |step| {
            let world = World::at(NOW).await;
            let north = world.agency().await;
            let order = north.order(start);
            let sells = async |machine: &Machine| north.sells_on(machine, &order).await;
            if is_taken_up {
                world.stripe.holds_events(true).await;
                let machine = world.machine().await;
                machine
                    .network
                    .stops_named(Moment::After, "POST /v1/subscription_schedules");
                machine.dies_over(sells(&machine)).await;
            }
            let cancels = async {
                let made = north.schedules().await;
                if let Some(schedule) = made.first() {
                    let told = north.cancels(id_of(schedule)).await;
                    assert_eq!(told.status, 200, "{step}: {told}");
                }
            };
            let held = world.held_over(step, sells, cancels).await;
            assert_eq!(held.answer.status, 200, "{step}: {}", held.answer);
            let is_told_so = held.answer.body["status"] == "canceled";
            canceled += usize::from(is_told_so);
            let made = north.schedules().await;
            let live = made.iter().filter(|made| made["status"] != "canceled").count();
            assert!(live + usize::from(is_told_so) <= 1, "{step}: {}", held.answer);
            // What was canceled before the second order looked for it is sold anew.
            assert!(made.len() == 1 || is_taken_up, "{step}: {made:?}");
            !held.was_held
        })
        .await;
        assert!(canceled > 0, "it was never told as canceled");
    }
}
