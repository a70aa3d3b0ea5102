//! Contracts with an `end_date`: Stripe has the end before anybody could forget it, and what is paid after it goes back.

use billing_core::contract::Status;
use billing_core::session::LatePayment;
use billing_tests::{Held, Machine, Organisation, World, at_every_step, id_of, path_of};
use serde_json::{Value, json};

fn seconds(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

/// A session of the starter plan, 35.00 a month, for a contract that is to end then.
async fn until(acme: &Organisation<'_>, end: &str) -> String {
    let mut order = acme.order("starter");
    order["end_date"] = json!(end);
    acme.session(&order).await
}

/// The money is back, the subscription is over, and the contract never began.
async fn given_back(world: &World, acme: &Organisation<'_>, contract: &str, paid: &[i64]) {
    assert_eq!(world.stripe.charges().await, paid);
    assert_eq!(world.stripe.refunded().await, paid);
    assert_eq!(world.stripe.all_subscriptions().await[0]["status"], "canceled");
    let stored = acme.contract(contract).await.contract;
    assert_eq!((stored.status, stored.sale), (Status::Refunded, None));
    assert_eq!(acme.covered_until(contract).await, "");
}

/// A debit takes three days. The end is set while it is under way, and the contract is over after two months, both paid.
#[tokio::test]
async fn a_contract_that_a_bank_pays_ends_when_it_was_to_end() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = until(&acme, "2026-06-01T00:00:00Z").await;
    let bank = json!({ "payment_method_id": "pm_usBankAccount" });
    let pending = acme.confirms(&id, &bank).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    let at_stripe = world.stripe.all_subscriptions().await.remove(0);
    assert_eq!(at_stripe["cancel_at"], seconds("2026-06-01T00:00:00Z"));
    world.advance("4d").await;
    let sold = acme.reads(&id).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.advance("66d").await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    let contract = sold.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.contract(contract).await.contract.status, Status::Ended);
}

/// Sells a contract that is to end with May, on a machine that is held at a step while something else happens.
async fn sells_over<T>(
    world: &World,
    acme: &Organisation<'_>,
    step: usize,
    other: impl Future<Output = T>,
) -> (String, Held<T>) {
    let id = until(acme, "2026-06-01T00:00:00Z").await;
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &visa).await;
    let held = world.held_over(step, confirms, other).await;
    let told = &held.answer;
    assert_eq!(told.body["checkout_status"], "contract_created", "{step}: {told}");
    world.stripe.stand_in().settle().await;
    (id, held)
}

/// Its events come at whichever moment while it is being sold: whoever lands it, it is told as made, and stays so.
#[tokio::test]
async fn a_contract_that_its_events_make_first_is_told_as_made() {
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let events = world.stripe.stand_in().settle();
        let (id, held) = sells_over(&world, &acme, step, events).await;
        acme.sold(&id, &format!("held at {step}")).await;
        !held.was_held
    })
    .await;
}

/// Paid for, and before its end is set an operator ends its subscription: it is sold, and over. Whatever is under way then answers it.
#[tokio::test]
async fn a_contract_that_an_operator_ends_while_it_is_sold_is_sold() {
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (_, held) = sells_over(&world, &acme, step, ends(&world)).await;
        assert_eq!(world.stripe.charges().await, [3500], "{step}");
        !held.was_held
    })
    .await;
}

/// An operator ends whatever has begun at Stripe.
async fn ends(world: &World) {
    for subscription in world.stripe.all_subscriptions().await {
        world.stripe.operator("DELETE", &path_of(&subscription), "").await;
    }
    world.stripe.stand_in().settle().await;
}

/// An operator has a schedule lead what was just sold, at whichever moment; Stripe takes no end then, which is the schedule's to say. The contract is
/// sold and covered, and when the schedule is let go, it ends when it was to end.
#[tokio::test]
async fn a_contract_that_an_operators_schedule_leads_from_the_start_ends_all_the_same() {
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (_, held) = sells_over(&world, &acme, step, schedules(&world)).await;
        let contract = held.answer.body["contract_id"].as_str().unwrap();
        assert_eq!(
            acme.covered_until(contract).await,
            "2026-05-01T00:00:00Z",
            "{step}"
        );
        for schedule in held.other {
            world
                .stripe
                .operator("POST", &format!("{schedule}/release"), "")
                .await;
        }
        world.stripe.stand_in().settle().await;
        let at_stripe = world.stripe.all_subscriptions().await.remove(0);
        assert_eq!(at_stripe["cancel_at"], seconds("2026-06-01T00:00:00Z"), "{step}");
        world.advance("70d").await;
        assert_eq!(world.stripe.charges().await, [3500, 3500], "{step}");
        assert_eq!(
            acme.contract(contract).await.contract.status,
            Status::Ended,
            "{step}"
        );
        !held.was_held
    })
    .await;
}

/// An operator has schedules lead whatever has begun at Stripe, and answers their paths.
async fn schedules(world: &World) -> Vec<String> {
    let mut made = Vec::new();
    for subscription in world.stripe.all_subscriptions().await {
        let form = format!("from_subscription={}", id_of(&subscription));
        let schedule = world
            .stripe
            .operator("POST", "/v1/subscription_schedules", &form)
            .await;
        made.push(path_of(&schedule));
    }
    world.stripe.stand_in().settle().await;
    made
}

/// A share of April waits for the payer to confirm; Stripe takes no end before that is paid, and is asked for none, however often it is heard of. Then it is set.
#[tokio::test]
async fn the_end_of_what_waits_for_its_payer_is_set_once_it_is_paid() {
    let world = World::at("2026-04-15T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("team");
    order["end_date"] = json!("2026-08-01T00:00:00Z");
    let id = acme.session(&order).await;
    let asking = json!({ "payment_method_id": "pm_card_authenticationRequired" });
    for _ in 0..3 {
        let pending = acme.confirms(&id, &asking).await;
        assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
        world.stripe.stand_in().settle().await;
    }
    world.stripe.confirms_latest_payment().await;
    world.stripe.stand_in().settle().await;
    acme.sold(&id, "paid").await;
    let at_stripe = world.stripe.all_subscriptions().await.remove(0);
    assert_eq!(at_stripe["cancel_at"], seconds("2026-08-01T00:00:00Z"));
}

/// Stripe keeps something else under the key of the end: it is set under the next.
#[tokio::test]
async fn an_end_that_cannot_be_set_under_its_key_is_set_under_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = until(&acme, "2026-06-01T00:00:00Z").await;
    let key = format!("sale/{id}/1/end");
    world.stripe.spends_idempotency_key(&key).await;
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    let sold = acme.confirms(&id, &visa).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    let at_stripe = world.stripe.all_subscriptions().await.remove(0);
    assert_eq!(at_stripe["cancel_at"], seconds("2026-06-01T00:00:00Z"));
}

/// The contract is over on the third day, and the bank pays on the fourth.
#[tokio::test]
async fn what_a_bank_pays_after_the_end_goes_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = until(&acme, "2026-04-03T00:00:00Z").await;
    let bank = json!({ "payment_method_id": "pm_usBankAccount" });
    assert_eq!(acme.confirms(&id, &bank).await.body["checkout_status"], "pending");
    world.advance("50h").await;
    assert_eq!(world.stripe.all_subscriptions().await[0]["status"], "canceled");
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "pending");
    world.advance("2d").await;
    let session = acme.stored(&id).await;
    assert_eq!(session.late_payment, Some(LatePayment::Refunded));
    given_back(&world, &acme, session.contract.as_str(), &[3500]).await;
    world.advance("40d").await;
    given_back(&world, &acme, session.contract.as_str(), &[3500]).await;
}

/// A page lives no longer than what is sold on it, but half an hour: what is paid on one whose contract was over in ten minutes goes back.
#[tokio::test]
async fn what_is_paid_on_a_page_after_the_end_goes_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut latest = String::new();
    for (end, closes) in [
        ("2026-04-01T02:00:00Z", "2026-04-01T02:00:00Z"),
        ("2026-04-01T00:10:00Z", "2026-04-01T00:31:00Z"),
    ] {
        let id = until(&acme, end).await;
        let pending = acme.confirms(&id, &Value::Null).await;
        assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
        let page = world.stripe.latest_page().await;
        assert_eq!(page["expires_at"], seconds(closes));
        latest = id;
    }
    let page = world.stripe.latest_page().await;
    world.advance("20m").await;
    world.stripe.pays_page(&page).await;
    let session = acme.stored(&latest).await;
    assert_eq!(session.late_payment, Some(LatePayment::Refunded));
    given_back(&world, &acme, session.contract.as_str(), &[3500]).await;
}

/// It was paid on its page in time, and nobody could read at Stripe for a month, in which it was over and was renewed: it is ended, and both payments go
/// back.
#[tokio::test]
async fn a_contract_that_nobody_heard_of_until_it_was_over_is_given_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = until(&acme, "2026-04-20T00:00:00Z").await;
    let contract = acme.stored(&id).await.contract;
    acme.confirms(&id, &Value::Null).await;
    let page = world.stripe.latest_page().await;
    world.stripe.holds_events(true).await;
    world.stripe.fails("GET", "/v1/subscriptions/*", 500).await;
    world.stripe.pays_page(&page).await;
    world.advance("32d").await;
    world.stripe.recovers().await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    let paid = world.stripe.events("invoice.paid");
    assert_eq!(world.stripe.delivers(&paid[0]).await, 200);
    given_back(&world, &acme, contract.as_str(), &[3500, 3500]).await;
    world.stripe.holds_events(false).await;
    world.advance("40d").await;
    given_back(&world, &acme, contract.as_str(), &[3500, 3500]).await;
}

/// A contract of a year and a quarter, which becomes the smaller plan after its year.
async fn downgraded(world: &World) -> (Organisation<'_>, String) {
    let acme = world.organisation("acme").await;
    let mut order = acme.order("team-annual");
    order["end_date"] = json!("2027-07-01T00:00:00Z");
    let contract = acme.sells(&order).await;
    let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let id = acme.session(&less).await;
    let sold = acme.confirms(&id, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    (acme, contract)
}

/// A year of the annual plan, then three months of the smaller one: the schedule that leads there says when it ends, and so does the subscription when
/// it is let go, whatever the schedule left.
#[tokio::test]
async fn a_downgrade_keeps_the_end_of_its_contract() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = downgraded(&world).await;
    let year = world.stripe.charges().await;
    world.advance("366d").await;
    let at_stripe = world.stripe.all_subscriptions().await.remove(0);
    assert_eq!(
        (&at_stripe["schedule"], &at_stripe["cancel_at"]),
        (&Value::Null, &json!(seconds("2027-07-01T00:00:00Z")))
    );
    let stored = acme.contract(&contract).await.contract;
    assert_eq!(stored.billing.unwrap().cancel_at, stored.ends_at);
    world.advance("120d").await;
    let charges = world.stripe.charges().await;
    assert_eq!(charges[..year.len()], year);
    assert_eq!(charges[year.len()..], [3500, 3500, 3500]);
    assert_eq!(acme.contract(&contract).await.contract.status, Status::Ended);
}

/// Schedules of earlier builds said nothing of an end: the subscription gets it back when it is let go.
#[tokio::test]
async fn an_end_that_a_schedule_has_lost_is_set_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    downgraded(&world).await;
    let schedule = world.stripe.all_subscriptions().await.remove(0)["schedule"].clone();
    let schedule = format!("/v1/subscription_schedules/{}", schedule.as_str().unwrap());
    world
        .stripe
        .operator("POST", &schedule, "end_behavior=release")
        .await;
    world.advance("366d").await;
    let at_stripe = world.stripe.all_subscriptions().await.remove(0);
    assert_eq!(
        (&at_stripe["schedule"], &at_stripe["cancel_at"]),
        (&Value::Null, &json!(seconds("2027-07-01T00:00:00Z")))
    );
}

/// 35.00 for April, and half of May up to noon of the 16th: told as 17.50 before, billed so, and covered. On the 6th of May, when ten of its 31 days have half a day
/// to spare and 10.5 are left, a seat more of 5.00 costs what is told.
#[tokio::test]
async fn the_last_period_of_a_contract_is_told_and_billed_for_its_share() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["end_date"] = json!("2026-05-16T12:00:00Z");
    let offered = acme.opens(&order).await;
    let estimates = &offered.body["estimates"];
    assert_eq!(estimates["current_invoice"]["total"], 3500, "{offered}");
    assert_eq!(estimates["next_invoice"]["total"], 1750, "{offered}");
    assert_eq!(estimates["next_invoice"]["period_end"], "2026-05-16T12:00:00Z");
    let contract = acme.sells(&order).await;
    world.advance("31d").await;
    assert_eq!(world.stripe.charges().await, [3500, 1750]);
    assert_eq!(acme.covered_until(&contract).await, "2026-05-16T12:00:00Z");
    world.advance("5d").await;
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    let offered = acme.opens(&more).await;
    let estimates = &offered.body["estimates"];
    let quoted = estimates["current_invoice"]["total"].as_i64().unwrap();
    assert_eq!(estimates["next_invoice"], Value::Null, "{offered}");
    let sold = acme
        .confirms(offered.body["id"].as_str().unwrap(), &Value::Null)
        .await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    assert_eq!(world.stripe.charges().await, [3500, 1750, quoted]);
    world.advance("11d").await;
    assert_eq!(acme.contract(&contract).await.contract.status, Status::Ended);
    assert_eq!(world.stripe.charges().await, [3500, 1750, quoted]);
}

/// Ends on 16 April: April is billed whole, and a seat more on the 6th for the ten days up to the end.
#[tokio::test]
async fn a_first_period_that_is_the_last_is_billed_whole_and_amended_up_to_the_end() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["end_date"] = json!("2026-04-16T00:00:00Z");
    let contract = acme.sells(&order).await;
    world.advance("5d").await;
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    let offered = acme.opens(&more).await;
    let quoted = offered.body["estimates"]["current_invoice"]["total"]
        .as_i64()
        .unwrap();
    let sold = acme
        .confirms(offered.body["id"].as_str().unwrap(), &Value::Null)
        .await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    assert_eq!(world.stripe.charges().await, [3500, quoted]);
    world.advance("40d").await;
    assert_eq!(world.stripe.charges().await, [3500, quoted]);
    assert_eq!(acme.contract(&contract).await.contract.status, Status::Ended);
}

/// It was over a moment ago, and no news of that has arrived: whoever would amend it is told to come back, and then that it is over.
#[tokio::test]
async fn a_contract_that_is_over_is_not_amended_before_the_news_of_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["end_date"] = json!("2026-04-16T00:00:00Z");
    let contract = acme.sells(&order).await;
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    world.stripe.stand_in().settle().await;
    world.stripe.holds_events(true).await;
    world.advance("15d").await;
    assert_eq!(acme.opens(&more).await.status, 503);
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    let over = acme.opens(&more).await;
    assert_eq!(over, r#"409 {"error":"the contract has ended"}"#);
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// 35.00 for the month from 18:00 on the 1st of April, when it is sold. The next one begins at that hour, and 30.25 of May's 31 days are left of it,
/// for which 30.00 and 5.00 come to 29.27 and 4.87: told so, and billed so.
#[tokio::test]
async fn the_last_period_is_told_from_the_moment_that_the_contract_is_sold_at() {
    let world = World::at("2026-04-01T18:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["end_date"] = json!("2026-06-01T00:00:00Z");
    let offered = acme.opens(&order).await;
    let estimates = &offered.body["estimates"];
    assert_eq!(estimates["current_invoice"]["total"], 3500, "{offered}");
    assert_eq!(estimates["next_invoice"]["total"], 3414, "{offered}");
    assert_eq!(estimates["next_invoice"]["period_start"], "2026-05-01T18:00:00Z");
    world.advance("1m").await;
    assert_eq!(acme.opens(&order).await.body["id"], offered.body["id"]);
    acme.sells(&order).await;
    world.advance("61d").await;
    assert_eq!(world.stripe.charges().await, [3500, 3414]);
}
