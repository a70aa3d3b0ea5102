//! What is charged is what Stripe has: a change whose answer was lost, and what an agency does by itself in Stripe's dashboard, are not undone
//! by the next change, and a date that comes too late is told as such.

use billing_tests::{Agency, Moment, World};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";
const JUNE: &str = "2026-06-01T00:00:00Z";
const REARRANGED: &str =
    r#"409 {"error":"the schedule was given more phases at Stripe: it can only be changed there"}"#;
const FURNISHED: &str = r#"409 {"error":"the schedule was given terms at Stripe that would be lost: it can only be changed there"}"#;

fn at(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

/// A phase of the schedule, `quantity` of the flat price, as its form.
async fn phase(north: &Agency<'_>, number: usize, quantity: u64) -> String {
    let schedule = north.schedules().await.remove(0);
    let price = schedule["phases"][0]["items"][0]["price"].as_str().unwrap();
    format!(
        "&phases[{number}][items][0][price]={price}&phases[{number}][items][0][quantity]={quantity}\
         &phases[{number}][duration][interval]=month\
         &phases[{number}][metadata][client]={}&phases[{number}][metadata][sale]=1",
        north.client,
    )
}

/// The agency writes the phases of its schedule anew, the first from that date on.
async fn rewrites(north: &Agency<'_>, start: &str, phases: &[String]) {
    let schedule = north.schedules().await[0]["id"].as_str().unwrap().to_owned();
    let form = format!("phases[0][start_date]={}{}", at(start), phases.concat());
    let told = north
        .at_stripe("POST", &format!("/v1/subscription_schedules/{schedule}"), &form)
        .await;
    assert_eq!(told["id"], schedule, "{told}");
}

/// Stripe takes the other product and tells a failure, which it keeps. A date that is changed later is a date: the other product is charged.
#[tokio::test]
async fn a_product_whose_change_was_told_as_a_failure_is_what_is_charged() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let id = north.sold_by_card(NEXT_MONTH).await;
    world.stripe.stand_in().settle().await;
    world.stripe.holds_events(true).await;
    let rewriting = "POST /v1/subscription_schedules/";
    let wish = json!({ "productId": other });
    let lost = world.machine().await;
    lost.network.stops_named(Moment::After, rewriting);
    lost.dies_over(north.updates_on(&lost, &id, &wish)).await;
    let machine = world.machine().await;
    machine
        .network
        .answers(rewriting, 500, ("idempotent-replayed", "true"));
    let told = north.updates_on(&machine, &id, &wish).await.unwrap();
    assert_eq!(
        (told.status, &told.body["product"]["id"]),
        (200, &json!(other)),
        "{told}"
    );
    let later = north.updates(&id, &json!({ "startDate": at(JUNE) })).await;
    assert_eq!(
        (&later.body["product"]["id"], &later.body["startDate"]),
        (&json!(other), &json!(at(JUNE))),
        "{later}"
    );
    let listed = north.lists("?status=scheduled").await;
    assert_eq!(listed.body["subscriptions"][0]["product"]["name"], "Other");
    world.stripe.holds_events(false).await;
    world.advance("61d").await;
    world.advance("2h").await;
    assert_eq!(north.payments().await, [5999]);
}

/// Two of what was sold once, by the agency's own hand: another date is two of it from another date on.
#[tokio::test]
async fn what_an_agency_has_changed_by_itself_stays_when_the_date_is_changed() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold_by_card(NEXT_MONTH).await;
    let two = phase(&north, 0, 2).await;
    rewrites(&north, NEXT_MONTH, &[two]).await;
    let later = north.updates(&id, &json!({ "startDate": at(JUNE) })).await;
    assert_eq!(
        (later.status, &later.body["startDate"]),
        (200, &json!(at(JUNE))),
        "{later}"
    );
    world.advance("61d").await;
    world.advance("2h").await;
    assert_eq!(north.payments().await, [2 * 2999]);
}

/// What the agency has noted on the phase and on what it charges: another date and another product leave it there.
#[tokio::test]
async fn what_an_agency_has_noted_stays_when_the_date_or_the_product_is_changed() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let id = north.sold_by_card(NEXT_MONTH).await;
    let noted =
        phase(&north, 0, 1).await + "&phases[0][metadata][order]=A-7&phases[0][items][0][metadata][seat]=3";
    rewrites(&north, NEXT_MONTH, &[noted]).await;
    for wish in [json!({ "startDate": at(JUNE) }), json!({ "productId": other })] {
        assert_eq!(north.updates(&id, &wish).await.status, 200, "{wish}");
        let phase = north.schedules().await[0]["phases"][0].clone();
        assert_eq!(
            (&phase["metadata"], &phase["items"][0]["metadata"]),
            (
                &json!({ "client": north.client, "order": "A-7", "sale": "1" }),
                &json!({ "seat": "3" })
            ),
            "{wish}"
        );
    }
    world.advance("61d").await;
    world.advance("2h").await;
    assert_eq!(north.payments().await, [5999]);
    let running = north.subscriptions().await.remove(0);
    assert_eq!(running["metadata"]["order"], "A-7");
}

/// A phase of the agency's own is not taken away: not by another date or product before it begins, nor, in its first phase, by what takes the
/// schedule away, or would end it before the others.
#[tokio::test]
async fn phases_that_an_agency_has_added_are_not_dropped() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let id = north.sold_by_card(NEXT_MONTH).await;
    let both = [phase(&north, 0, 1).await, phase(&north, 1, 2).await];
    rewrites(&north, NEXT_MONTH, &both).await;
    for data in [
        json!({ "startDate": at(JUNE) }),
        json!({ "productId": other }),
        json!({ "productId": other, "startDate": at(NOW), "cancelAtPeriodEnd": true }),
        json!({ "cancelAtPeriodEnd": true }),
    ] {
        assert_eq!(north.updates(&id, &data).await, REARRANGED, "{data}");
    }
    world.advance("31d").await;
    for data in [
        json!({ "productId": other }),
        json!({ "taxSettings": { "enabled": true, "country": "DE" } }),
        json!({ "cancelAtPeriodEnd": true }),
    ] {
        assert_eq!(north.updates(&id, &data).await, REARRANGED, "{data}");
    }
    // May, and June twice; in its last phase nothing of the agency's is lost.
    world.advance("31d").await;
    let taxed = json!({ "taxSettings": { "enabled": true, "country": "DE" }, "cancelAtPeriodEnd": true });
    let taxed = north.updates(&id, &taxed).await;
    assert_eq!(
        (
            &taxed.body["automatic_tax"],
            &taxed.body["cancelAtPeriodEndDisplay"]
        ),
        (&json!(true), &json!("Cancels on 1 July 2026")),
        "{taxed}"
    );
    world.advance("40d").await;
    assert_eq!(north.payments().await, [2999, 2 * 2999]);
    assert_eq!(north.gets(&id).await.body["status"], "canceled");
}

/// The schedule begins while the machine is between its look and the request that was to move the start. Nothing of that update is done.
#[tokio::test]
async fn a_date_that_meets_the_start_is_refused() {
    for with_product in [false, true] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let other = north.offers("Other", 5999).await;
        let id = north.sold_by_card(NEXT_MONTH).await;
        world.advance("29d").await;
        let mut wish = json!({ "startDate": at(JUNE) });
        if with_product {
            wish["productId"] = json!(other);
        }
        let machine = world.machine().await;
        machine.network.holds("DynamoDB PutItem");
        let (told, ()) = tokio::join!(north.updates_on(&machine, &id, &wish), async {
            machine.network.reached().await;
            world.stripe.holds_events(true).await;
            world.advance("1d").await;
            machine.network.lets_go();
        });
        assert_eq!(
            told.unwrap(),
            r#"409 {"error":"the subscription has started: its start cannot be changed"}"#,
            "with another product: {with_product}"
        );
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        let running = north.gets(&id).await.body;
        assert_eq!(
            (&running["startDate"], &running["product"]["id"]),
            (&json!(at(NEXT_MONTH)), &Value::from(north.product.clone()))
        );
        assert_eq!(north.sales().await[0].amendment, None);
    }
}

/// What an agency has put into the phase by itself, another date or product would lose with the phase, and so would an end before the phase's:
/// they are refused. What leaves the phase alone is done.
#[tokio::test]
async fn what_an_agency_has_put_into_a_phase_is_not_lost() {
    for extra in [
        "&phases[0][description]=Autumn",
        "&phases[0][default_payment_method]=",
        "&phases[0][duration][interval_count]=3",
    ] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let other = north.offers("Other", 5999).await;
        let id = north.sold_by_card(NEXT_MONTH).await;
        let mut own = phase(&north, 0, 1).await + extra;
        if extra.ends_with("method]=") {
            let customer = north.customers().await.remove(0);
            own += customer["invoice_settings"]["default_payment_method"]
                .as_str()
                .unwrap();
        }
        rewrites(&north, NEXT_MONTH, &[own]).await;
        let before = north.schedules().await[0]["phases"].clone();
        for data in [
            json!({ "startDate": at(JUNE) }),
            json!({ "productId": other }),
            json!({ "productId": other, "cancelAtPeriodEnd": true }),
        ] {
            assert_eq!(north.updates(&id, &data).await, FURNISHED, "{extra}: {data}");
        }
        let is_one_period = !extra.ends_with("=3");
        let mut wish = json!({ "taxSettings": { "enabled": true, "country": "DE" } });
        if is_one_period {
            wish["cancelAtPeriodEnd"] = json!(true);
        } else {
            let ends = json!({ "cancelAtPeriodEnd": true });
            assert_eq!(north.updates(&id, &ends).await, FURNISHED, "{extra}");
        }
        let told = north.updates(&id, &wish).await;
        assert_eq!(
            (
                &told.body["cancel_at_period_end"],
                &told.body["automatic_tax"],
                &told.body["current_period_end"]
            ),
            (&json!(is_one_period), &json!(true), &json!(at(JUNE))),
            "{extra}: {told}"
        );
        assert_eq!(north.schedules().await[0]["phases"], before, "{extra}");
    }
}

/// Three months that the agency has sold as such, from May on: they end when it has them end, whatever else is changed before.
#[tokio::test]
async fn a_term_that_an_agency_has_set_is_kept() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold_by_card(NEXT_MONTH).await;
    let term = phase(&north, 0, 1).await + "&phases[0][duration][interval_count]=3&end_behavior=cancel";
    rewrites(&north, NEXT_MONTH, &[term]).await;
    for (wish, taxed) in [
        (
            json!({ "taxSettings": { "enabled": true, "country": "DE" } }),
            true,
        ),
        (json!({ "cancelAtPeriodEnd": false }), true),
        (json!({ "taxSettings": { "enabled": false } }), false),
    ] {
        let told = north.updates(&id, &wish).await;
        assert_eq!(
            (
                &told.body["automatic_tax"],
                &told.body["cancel_at_period_end"],
                &told.body["cancelAtPeriodEndDisplay"]
            ),
            (&json!(taxed), &json!(false), &json!("Cancels on 1 August 2026")),
            "{wish}: {told}"
        );
    }
    world.advance("130d").await;
    assert_eq!(north.payments().await, [2999; 3]);
    assert_eq!(north.gets(&id).await.body["status"], "canceled");
}

/// A phase that says by itself whether taxes are worked out is what counts, and is written anew for another answer; where the client is, alone, is
/// nothing of the phase's.
#[tokio::test]
async fn another_tax_is_told_to_a_phase_that_has_its_own() {
    for (extra, refusal) in [("", None), ("&phases[0][description]=Autumn", Some(FURNISHED))] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let mut order = north.order(NEXT_MONTH);
        order["data"]["taxSettings"] = json!({ "enabled": true, "country": "DE" });
        let id = north.sells(&order).await.body["id"].as_str().unwrap().to_owned();
        let own = phase(&north, 0, 1).await + "&phases[0][automatic_tax][enabled]=true" + extra;
        rewrites(&north, NEXT_MONTH, &[own]).await;
        let moves = json!({ "taxSettings": { "enabled": true, "country": "AT" } });
        assert_eq!(
            north.updates(&id, &moves).await.body["automatic_tax"],
            true,
            "{extra}"
        );
        let untaxed = north
            .updates(&id, &json!({ "taxSettings": { "enabled": false } }))
            .await;
        match refusal {
            Some(refusal) => assert_eq!(untaxed, refusal, "{extra}"),
            None => {
                assert_eq!(
                    (
                        untaxed.status,
                        &untaxed.body["automatic_tax"],
                        &untaxed.body["startDate"]
                    ),
                    (200, &json!(false), &json!(at(NEXT_MONTH))),
                    "{untaxed}"
                );
                world.advance("31d").await;
                assert_eq!(north.gets(&id).await.body["automatic_tax"], false);
            }
        }
    }
}

/// A later phase that says its own tax would bring it back: another tax for the whole is refused, also where the first phase has it already, before
/// it begins and while that runs.
#[tokio::test]
async fn another_tax_is_not_told_to_the_first_phase_alone() {
    for is_taxed_first in [true, false] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let mut order = north.order(NEXT_MONTH);
        order["data"]["taxSettings"] = json!({ "enabled": is_taxed_first, "country": "DE" });
        let id = north.sells(&order).await.body["id"].as_str().unwrap().to_owned();
        north.client_gives_card().await;
        let later = phase(&north, 1, 1).await + "&phases[1][automatic_tax][enabled]=true";
        let first = phase(&north, 0, 1).await;
        rewrites(&north, NEXT_MONTH, &[first, later]).await;
        world.stripe.stand_in().settle().await;
        let untaxed = json!({ "taxSettings": { "enabled": false } });
        let before = north.schedules().await[0].clone();
        for runs in [false, true] {
            let context = format!("taxed: {is_taxed_first}, runs: {runs}");
            assert_eq!(north.updates(&id, &untaxed).await, REARRANGED, "{context}");
            let told = north.gets(&id).await;
            assert_eq!(told.body["automatic_tax"], is_taxed_first, "{context}");
            let now = north.schedules().await[0].clone();
            assert_eq!(
                (&now["phases"], &now["default_settings"]),
                (&before["phases"], &before["default_settings"]),
                "{context}"
            );
            world.advance("31d").await;
        }
    }
}

/// The machine dies when the phase, which says its own tax, has been written anew. Whoever finds the change asks Stripe for what was asked all the
/// same: the client is known to be in Austria.
#[tokio::test]
async fn where_a_client_is_stays_known_when_its_phase_was_written_and_the_machine_died() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let mut order = north.order(NEXT_MONTH);
    order["data"]["taxSettings"] = json!({ "enabled": true, "country": "DE" });
    let id = north.sells(&order).await.body["id"].as_str().unwrap().to_owned();
    let own = phase(&north, 0, 1).await + "&phases[0][automatic_tax][enabled]=true";
    rewrites(&north, NEXT_MONTH, &[own]).await;
    world.stripe.stand_in().settle().await;
    let lost = world.machine().await;
    lost.network
        .stops_named(Moment::After, "POST /v1/subscription_schedules/");
    let moves = json!({ "taxSettings": { "enabled": false, "country": "AT" } });
    lost.dies_over(north.updates_on(&lost, &id, &moves)).await;
    world.stripe.stand_in().settle().await;
    let told = north.gets(&id).await;
    assert_eq!(told.body["automatic_tax"], false, "{told}");
    // A postal code is one of the country that is known.
    let placed = json!({ "taxSettings": { "enabled": true, "postalCode": "1010" } });
    assert_eq!(north.updates(&id, &placed).await.body["automatic_tax"], true);
    let address = &north.customers().await[0]["address"];
    assert_eq!(
        (&address["country"], &address["postal_code"]),
        (&json!("AT"), &json!("1010"))
    );
}

/// 299.00 a year.
async fn yearly(north: &Agency<'_>) -> String {
    let product = north.at_stripe("POST", "/v1/products", "name=Year").await;
    let product = product["id"].as_str().unwrap().to_owned();
    let form = format!("product={product}&currency=usd&unit_amount=29900&recurring[interval]=year");
    north.at_stripe("POST", "/v1/prices", &form).await;
    product
}

async fn still_runs_monthly(north: &Agency<'_>, id: &str, end: &str) {
    let context = end;
    assert_eq!(north.sales().await[0].amendment, None, "{context}");
    let running = north.gets(id).await.body;
    assert_eq!(running["product"]["id"], north.product.as_str(), "{context}");
    assert_eq!(running["pricing"]["billingCycle"], "month", "{context}");
    assert_eq!(running["current_period_end"], at(end), "{context}");
}

/// A product of another interval is for what has not begun. The machine dies before Stripe is asked, and the event of the beginning finds what it
/// left.
#[tokio::test]
async fn another_interval_that_meets_the_start_is_refused() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let year = yearly(&north).await;
    let id = north.sold_by_card(NEXT_MONTH).await;
    world.advance("29d").await;
    world.advance("12h").await;
    let machine = world.machine().await;
    let rewriting = "POST /v1/subscription_schedules/";
    machine.network.stops_named(Moment::Before, rewriting);
    let wish = json!({ "productId": year });
    machine.dies_over(north.updates_on(&machine, &id, &wish)).await;
    assert!(north.sales().await[0].amendment.is_some());
    world.advance("12h").await;
    world.stripe.stand_in().settle().await;
    still_runs_monthly(&north, &id, JUNE).await;
    world.advance("2h").await;
    assert_eq!(north.payments().await, [2999]);
}

/// A call could look before the start and ask after it: within five minutes the interval is not changed, unless the start moves too.
#[tokio::test]
async fn another_interval_just_before_the_start_is_refused() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let year = yearly(&north).await;
    let id = north.sold_by_card(NEXT_MONTH).await;
    world.advance("29d").await;
    world.advance("86101s").await;
    let wish = json!({ "productId": year });
    assert_eq!(
        north.updates(&id, &wish).await,
        r#"409 {"error":"the subscription is about to start: its interval cannot be changed"}"#
    );
    assert_eq!(north.sales().await[0].amendment, None);
    let later = json!({ "productId": year, "startDate": at(JUNE) });
    let moved = north.updates(&id, &later).await;
    assert_eq!(
        (moved.status, &moved.body["product"]["id"]),
        (200, &json!(year)),
        "{moved}"
    );
    let back = json!({ "productId": north.product });
    assert_eq!(north.updates(&id, &back).await.status, 200, "a month before");
    world.advance("299s").await;
    world.stripe.stand_in().settle().await;
    world.advance("31d").await;
    still_runs_monthly(&north, &id, "2026-07-01T00:00:00Z").await;
}
