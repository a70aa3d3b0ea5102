//! What was sold stays what was sold, although the agency takes away, at Stripe, by what it names its sale: it is told by both ids, listed, changed,
//! canceled, and not sold a second time.

use std::collections::BTreeSet;

use billing_tests::{Agency, Machine, World, at_every_step, id_of};
use serde_json::json;

const NOW: &str = "2026-04-01T00:00:00Z";
const SOON: &str = "2026-04-01T00:04:00Z";
const UNNAMED: &str = "metadata[client]=&metadata[sale]=";

/// The id of the schedule of a new sale.
async fn sold(north: &Agency<'_>, start: &str) -> String {
    north.sold_by_card(start).await;
    id_of(&north.schedules().await[0]).to_owned()
}

/// The agency writes the phase anew as it is, with a description, and does not repeat its metadata.
async fn rewrites(north: &Agency<'_>, schedule: &str) {
    let path = format!("/v1/subscription_schedules/{schedule}");
    let waiting = north.at_stripe("GET", &path, "").await;
    let phase = &waiting["phases"][0];
    let form = format!(
        "phases[0][start_date]={}&phases[0][end_date]={}&phases[0][items][0][price]={}&phases[0][items][0][quantity]=1\
         &phases[0][items][1][price]={}&phases[0][description]=Autumn",
        phase["start_date"],
        phase["end_date"],
        phase["items"][0]["price"].as_str().unwrap(),
        phase["items"][1]["price"].as_str().unwrap(),
    );
    let told = north.at_stripe("POST", &path, &form).await;
    assert_eq!(told["phases"][0]["metadata"], json!({}), "{told}");
}

/// It is told by both ids and listed, and known here to be that subscription.
async fn is_known(north: &Agency<'_>, schedule: &str, context: &str) -> String {
    let told = north.gets(schedule).await;
    assert_eq!(told.status, 200, "{context}: {told}");
    let id = id_of(&told.body).to_owned();
    assert_eq!(north.gets(&id).await.body, told.body, "{context}");
    let query = if id == schedule { "?status=scheduled" } else { "" };
    let listed = north.lists(query).await;
    assert_eq!(listed.body["subscriptions"][0]["id"], id, "{context}: {listed}");
    let sales = north.sales().await;
    assert_eq!(sales.len(), 1, "{context}");
    assert!(sales[0].goes_by(&id), "{context}");
    id
}

/// Its phase names no sale when it begins: its schedule does, and once that has let go of it, what is written down. The same order is that sale.
#[tokio::test]
async fn a_sale_whose_phase_is_written_anew_at_stripe_is_not_lost() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(SOON);
    let schedule = sold(&north, SOON).await;
    rewrites(&north, &schedule).await;
    world.advance("300s").await;
    let running = north.subscriptions().await.remove(0);
    assert_eq!(running["metadata"], json!({}));
    let id = is_known(&north, &schedule, "begun").await;
    let again = north.sells(&order).await;
    assert_eq!((again.status, &again.body["id"]), (200, &json!(id)), "{again}");
    assert_eq!(north.subscriptions().await.len(), 1);

    world.advance("31d").await;
    assert_eq!(north.schedules().await[0]["status"], "released");
    is_known(&north, &schedule, "by itself").await;
    let ends = north.updates(&id, &json!({ "cancelAtPeriodEnd": true })).await;
    assert_eq!(ends.body["cancel_at_period_end"], true, "{ends}");
    let canceled = north.cancels(&id).await;
    assert_eq!(canceled.body["canceled"], true, "{canceled}");
    assert_eq!(north.payments().await, [2999, 2999]);
}

/// The agency unsets what names the sale, of the schedule that waits and of the subscription that runs by itself. What it sells to the same client
/// by itself is its own business.
#[tokio::test]
async fn a_sale_that_is_not_named_at_stripe_any_more_is_not_lost() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(SOON);
    let schedule = sold(&north, SOON).await;
    rewrites(&north, &schedule).await;
    let path = format!("/v1/subscription_schedules/{schedule}");
    let unnamed = north.at_stripe("POST", &path, UNNAMED).await;
    assert_eq!(unnamed["metadata"], json!({}));
    is_known(&north, &schedule, "it waits").await;
    // The same order knows its schedule by itself, whatever else is not named.
    let customer = format!("/v1/customers/{}", id_of(&north.customers().await[0]));
    north.at_stripe("POST", &customer, "metadata[client]=").await;
    assert_eq!(north.gets(&schedule).await.status, 404);
    let again = north.sells(&order).await;
    assert_eq!(again.body["id"], schedule, "{again}");
    let named = format!("metadata[client]={}", north.client);
    north.at_stripe("POST", &customer, &named).await;
    world.advance("300s").await;
    let id = is_known(&north, &schedule, "begun").await;
    let again = north.sells(&order).await;
    assert_eq!(again.body["id"], id, "{again}");

    world.advance("31d").await;
    is_known(&north, &schedule, "by itself").await;
    let running = north.subscriptions().await.remove(0);
    let price = north.sales().await[0].terms.flat.to_string();
    let form = format!(
        "customer={}&items[0][price]={price}",
        running["customer"].as_str().unwrap()
    );
    let own = north.at_stripe("POST", "/v1/subscriptions", &form).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(north.gets(id_of(&own)).await.status, 404);
    let listed = north.lists("").await;
    let listed = listed.body["subscriptions"].as_array().unwrap();
    assert_eq!(listed.iter().map(id_of).collect::<Vec<_>>(), [id.as_str()]);
    assert_eq!(north.cancels(&id).await.body["canceled"], true);
    world.stripe.stand_in().settle().await;
    assert_eq!(north.sales().await[0].state.as_ref().unwrap().status, "canceled");
}

/// The same of what began as it was sold, and runs.
#[tokio::test]
async fn a_running_sale_whose_name_is_taken_away_is_not_lost() {
    for days in ["1h", "31d"] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let schedule = sold(&north, NOW).await;
        world.advance(days).await;
        let running = north.subscriptions().await.remove(0);
        let path = format!("/v1/subscriptions/{}", id_of(&running));
        let unnamed = north.at_stripe("POST", &path, UNNAMED).await;
        assert_eq!(unnamed["metadata"], json!({}));
        world.stripe.stand_in().settle().await;
        let id = is_known(&north, &schedule, days).await;
        let wish = json!({ "cancelAtPeriodEnd": true });
        assert_eq!(north.updates(&id, &wish).await.status, 200, "{days}");
        world.advance("40d").await;
        assert_eq!(
            north.sales().await[0].state.as_ref().unwrap().status,
            "canceled",
            "{days}"
        );
    }
}

/// Its schedule alone names the sale, and lets go of the subscription, by the agency's hand, while that is changed or canceled by its own id: what was begun
/// is finished and told. Nobody knows it whose first look comes later, and nothing is begun then.
#[tokio::test]
async fn a_sale_that_loses_its_name_between_two_looks_is_not_lost() {
    /// Before it come the key and the account.
    const FIRST_LOOK: usize = 3;
    for cancels in [false, true] {
        let mut ended = BTreeSet::new();
        at_every_step(async |step| {
            let context = format!("cancels {cancels}, held step {step}");
            let world = World::at(NOW).await;
            let north = world.agency().await;
            let schedule = sold(&north, SOON).await;
            rewrites(&north, &schedule).await;
            world.stripe.holds_events(true).await;
            world.advance("300s").await;
            let id = id_of(&north.subscriptions().await[0]).to_owned();
            let deed = async |machine: &Machine| {
                if cancels {
                    north.cancels_on(machine, &id).await
                } else {
                    let wish = json!({ "cancelAtPeriodEnd": true });
                    north.updates_on(machine, &id, &wish).await
                }
            };
            let releases = async {
                if north.schedules().await[0]["status"] == "active" {
                    let path = format!("/v1/subscription_schedules/{schedule}/release");
                    north.at_stripe("POST", &path, "").await;
                }
            };
            let held = world.held_over(step, deed, releases).await;
            let running = north.subscriptions().await.remove(0);
            let (status, ends) = (&running["status"], &running["cancel_at_period_end"]);
            let answer = held.answer;
            if step < FIRST_LOOK {
                assert_eq!(answer.status, 404, "{context}: {answer}");
                assert_eq!((status, ends), (&json!("active"), &json!(false)), "{context}");
            } else if cancels {
                assert_eq!(answer.body["canceled"], true, "{context}: {answer}");
                assert_eq!(status, "canceled", "{context}");
            } else {
                // What is released after it was to end does not end.
                assert_eq!(answer.status, 200, "{context}: {answer}");
                ended.insert(ends == true);
            }
            !held.was_held
        })
        .await;
        assert_eq!(ended.len(), if cancels { 0 } else { 2 });
    }
}
