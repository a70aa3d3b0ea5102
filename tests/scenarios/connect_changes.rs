//! What users do to what was sold: before it begins, while its schedule owns it, while it runs by itself, when it is over.

use billing_tests::{Agency, Answer, World};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

fn at(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

/// An update that goes through.
async fn updated(north: &Agency<'_>, id: &str, data: Value) -> Answer {
    let answer = north.updates(id, &data).await;
    assert_eq!(answer.status, 200, "{data}: {answer}");
    answer
}

#[tokio::test]
async fn before_the_start_everything_can_be_changed() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let mut order = north.order(NEXT_MONTH);
    order["data"]["couponId"] = json!(north.coupon);
    let id = north.sells(&order).await.body["id"].as_str().unwrap().to_owned();

    let later = updated(&north, &id, json!({ "startDate": at("2026-06-01T00:00:00Z") })).await;
    assert_eq!(later.body["startDate"], at("2026-06-01T00:00:00Z"));
    assert_eq!(later.body["current_period_end"], at("2026-07-01T00:00:00Z"));
    assert_eq!(later.body["coupon"], north.coupon.as_str());
    let product = updated(&north, &id, json!({ "productId": other })).await;
    assert_eq!(product.body["product"], json!({ "id": other, "name": "Other" }));
    assert_eq!(
        product.body["priceIds"].as_array().unwrap().len(),
        1,
        "nothing metered"
    );
    assert_eq!(
        product.body["startDate"],
        at("2026-06-01T00:00:00Z"),
        "that stays"
    );
    let taxed = json!({ "taxSettings": { "enabled": true, "country": "DE", "postalCode": "10115" } });
    let taxed = updated(&north, &id, taxed).await;
    assert_eq!(taxed.body["automatic_tax"], true);
    assert_eq!(north.customers().await[0]["address"]["country"], "DE");
    let ends = updated(&north, &id, json!({ "cancelAtPeriodEnd": true })).await;
    assert_eq!(
        (
            &ends.body["cancel_at_period_end"],
            &ends.body["cancelAtPeriodEndDisplay"]
        ),
        (&json!(true), &json!("Cancels on 1 July 2026"))
    );
    assert_eq!(ends.body["type"], "schedule");
    north.client_gives_card().await;

    // Everything holds: it begins in June at 59.99 less a quarter, and ends with June.
    world.advance("61d").await;
    world.advance("2h").await;
    assert_eq!(north.payments().await, [4499]);
    let running = north.gets(&id).await;
    assert_eq!(running.body["automatic_tax"], true);
    assert_eq!(running.body["coupon"], north.coupon.as_str());
    assert_eq!(running.body["cancelAtPeriodEndDisplay"], "Cancels on 1 July 2026");
    world.advance("40d").await;
    assert_eq!(north.gets(&id).await.body["status"], "canceled");
    assert_eq!(north.payments().await, [4499]);
}

/// What has not begun may be of another interval; what runs goes on in its periods. Another currency it is never.
#[tokio::test]
async fn another_interval_is_for_what_has_not_begun() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let priced = async |name: &str, price: &str| {
        let product = north
            .at_stripe("POST", "/v1/products", &format!("name={name}"))
            .await;
        let form = format!("product={}&{price}", product["id"].as_str().unwrap());
        north.at_stripe("POST", "/v1/prices", &form).await;
        product["id"].clone()
    };
    let yearly = priced("Year", "currency=usd&unit_amount=29900&recurring[interval]=year").await;
    let euros = priced("Euro", "currency=eur&unit_amount=2900&recurring[interval]=month").await;
    let yearly_in_euros = priced("An", "currency=eur&unit_amount=29900&recurring[interval]=year").await;
    let id = north.sold(NEXT_MONTH).await;
    let refused = |answer: Answer, fault: &str| {
        let told = json!({ "data.productId": [fault] });
        assert_eq!(
            (answer.status, &answer.body["error"]["fieldErrors"]),
            (400, &told)
        );
    };
    let in_euros = north.updates(&id, &json!({ "productId": euros })).await;
    refused(in_euros, "must be charged in the same currency");
    let changed = updated(&north, &id, json!({ "productId": yearly })).await;
    assert_eq!(changed.body["product"]["id"], yearly);
    assert_eq!(changed.body["current_period_start"], at(NEXT_MONTH));
    assert_eq!(changed.body["current_period_end"], at("2027-05-01T00:00:00Z"));
    north.client_gives_card().await;
    world.advance("30d").await;
    world.advance("2h").await;
    assert_eq!(north.payments().await, [29_900]);
    let running = north.gets(&id).await.body;
    assert_eq!(running["current_period_end"], at("2027-05-01T00:00:00Z"));
    assert_eq!(running["pricing"]["billingCycle"], "year");
    for other in [json!(north.product), yearly_in_euros] {
        let told = north.updates(&id, &json!({ "productId": other })).await;
        refused(
            told,
            "must be charged in the same currency and at the same interval",
        );
    }
}

#[tokio::test]
async fn a_start_that_is_moved_to_now_begins_now() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold(NEXT_MONTH).await;
    let begun = updated(&north, &id, json!({ "startDate": at(NOW) })).await;
    assert_eq!(
        (&begun.body["type"], &begun.body["status"]),
        (&json!("subscription"), &json!("active"))
    );
    assert_eq!(begun.body["current_period_start"], at(NOW));
    assert_eq!(north.subscriptions().await.len(), 1);
}

/// Now is the moment at which Stripe takes it up, and no second that anybody named: whoever asks again is told the same, and so is whoever asked
/// first when the event of what Stripe did was faster.
#[tokio::test]
async fn a_start_of_now_may_be_told_again() {
    for event_is_faster in [false, true] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = north.sold(NEXT_MONTH).await;
        world.stripe.stand_in().settle().await;
        let wish = json!({ "startDate": at(NOW) - 4 });
        let machine = world.machine().await;
        if event_is_faster {
            machine.network.holds("POST /v1/subscription_schedules/");
        }
        let (first, ()) = tokio::join!(north.updates_on(&machine, &id, &wish), async {
            if event_is_faster {
                machine.network.reached().await;
                world.stripe.stand_in().settle().await;
                machine.network.lets_go();
            }
        });
        let first = first.unwrap();
        assert_eq!(
            first.status, 200,
            "the event is faster: {event_is_faster}: {first}"
        );
        assert_eq!(first.body["startDate"], at(NOW));
        world.advance("4m").await;
        for wish in [wish, json!({ "startDate": at(NOW) + 2 })] {
            let again = updated(&north, &id, wish).await;
            assert_eq!(again.body["startDate"], at(NOW));
        }
        let now = north.updates(&id, &json!({ "startDate": at(NOW) + 240 })).await;
        assert_eq!(
            now,
            r#"409 {"error":"the subscription has started: its start cannot be changed"}"#
        );
        assert_eq!(north.subscriptions().await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_so_already_asks_stripe_for_nothing() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold(NEXT_MONTH).await;
    world.stripe.stand_in().settle().await;
    let before = north.sales().await;
    for data in [
        json!({}),
        json!({ "productId": north.product }),
        json!({ "startDate": at(NEXT_MONTH) }),
        json!({ "cancelAtPeriodEnd": false, "taxSettings": { "enabled": false } }),
    ] {
        updated(&north, &id, data).await;
    }
    assert_eq!(north.sales().await, before, "not even a version");
}

/// What a page has read of a running subscription it may send back whole, with what is to be different: its start is no other one.
#[tokio::test]
async fn the_start_that_it_had_may_be_told_while_it_runs() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold(NOW).await;
    world.advance("6m").await;
    let same = json!({ "startDate": at(NOW), "productId": north.product, "cancelAtPeriodEnd": false });
    let before = north.sales().await;
    assert_eq!(updated(&north, &id, same).await.body["startDate"], at(NOW));
    assert_eq!(north.sales().await, before, "not even a version");
    let ends = json!({ "startDate": at(NOW), "cancelAtPeriodEnd": true });
    assert_eq!(
        updated(&north, &id, ends).await.body["cancel_at_period_end"],
        true
    );
    let other = north.updates(&id, &json!({ "startDate": at(NOW) - 1 })).await;
    assert_eq!(
        other,
        r#"400 {"error":{"fieldErrors":{"data.startDate":["must not be more than 5 minutes in the past"]},"formErrors":[]}}"#
    );
    let now = north.updates(&id, &json!({ "startDate": at(NOW) + 60 })).await;
    assert_eq!(
        now,
        r#"409 {"error":"the subscription has started: its start cannot be changed"}"#
    );
}

/// While the schedule still owns its subscription: its end is the schedule's to say; for more it has to let go.
#[tokio::test]
async fn while_its_schedule_owns_it_a_subscription_is_changed_through_the_schedule() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let id = north.sold(NOW).await;
    north.client_gives_card().await;
    let ends = updated(&north, &id, json!({ "cancelAtPeriodEnd": true })).await;
    assert_eq!(
        (
            &ends.body["cancel_at_period_end"],
            &ends.body["cancelAtPeriodEndDisplay"]
        ),
        (&json!(true), &json!("Cancels on 1 May 2026"))
    );
    assert_eq!(north.schedules().await[0]["end_behavior"], "cancel");
    let stays = updated(&north, &id, json!({ "cancelAtPeriodEnd": false })).await;
    assert_eq!(stays.body["cancelAtPeriodEndDisplay"], Value::Null);
    updated(&north, &id, json!({ "cancelAtPeriodEnd": true })).await;
    // From the middle of April on: the rest of 29.99 back, the rest of 59.99 to pay, with the next invoice.
    world.advance("15d").await;
    let changed = updated(
        &north,
        &id,
        json!({ "productId": other, "cancelAtPeriodEnd": false }),
    )
    .await;
    assert_eq!(changed.body["product"]["id"], other.as_str());
    assert_eq!(changed.body["cancel_at_period_end"], false);
    assert_eq!(north.schedules().await[0]["status"], "released");
    let early = north
        .updates(&id, &json!({ "startDate": at("2026-05-01T00:00:00Z") }))
        .await;
    assert_eq!(
        early,
        r#"409 {"error":"the subscription has started: its start cannot be changed"}"#
    );
    world.advance("15d").await;
    world.advance("2h").await;
    // −14.99 and 29.99 for half of April (each rounded down: −15.00 and 29.99), and 59.99 for May.
    assert_eq!(north.payments().await, [2999, 5999 + 2999 - 1500]);
}

#[tokio::test]
async fn a_subscription_by_itself_is_changed_and_ends_with_its_period() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold(NOW).await;
    north.client_gives_card().await;
    world.advance("31d").await;
    assert_eq!(north.schedules().await[0]["status"], "released");
    let ends = updated(&north, &id, json!({ "cancelAtPeriodEnd": true })).await;
    assert_eq!(ends.body["cancelAtPeriodEndDisplay"], "Cancels on 1 June 2026");
    assert!(
        ends.body["canceled_at"].is_i64(),
        "Stripe tells when its end was scheduled"
    );
    let taxed = json!({ "taxSettings": { "enabled": true, "country": "US", "postalCode": "94103" } });
    assert_eq!(updated(&north, &id, taxed).await.body["automatic_tax"], true);
    north.client_talks(7200).await;
    world.advance("40d").await;
    let over = north.gets(&id).await;
    assert_eq!(over.body["status"], "canceled");
    // April, May, and the 20 minutes above the 100 of May.
    assert_eq!(north.payments().await, [2999, 2999, 300]);
    assert_eq!(
        north.updates(&id, &json!({ "cancelAtPeriodEnd": false })).await,
        r#"409 {"error":"the subscription is canceled"}"#
    );
    let faulty = json!({ "productId": "prod_none", "startDate": 1000, "taxSettings": { "enabled": true } });
    assert_eq!(
        north.updates(&id, &faulty).await,
        r#"409 {"error":"the subscription is canceled"}"#,
        "whatever else is wrong"
    );
}

#[tokio::test]
async fn what_has_not_begun_is_canceled_and_never_begins() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold(NEXT_MONTH).await;
    for _ in 0..2 {
        assert_eq!(
            north.cancels(&id).await.body,
            json!({ "id": id, "canceled": true })
        );
    }
    let told = north.gets(&id).await;
    assert_eq!(
        (
            &told.body["type"],
            &told.body["status"],
            &told.body["canceled_at"]
        ),
        (&json!("schedule"), &json!("canceled"), &json!(at(NOW)))
    );
    world.advance("60d").await;
    assert!(north.subscriptions().await.is_empty());
}

/// Canceled while its schedule owns it: nothing more is charged, nothing comes back.
#[tokio::test]
async fn what_its_schedule_owns_is_canceled_with_it() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold(NOW).await;
    north.client_gives_card().await;
    world.advance("10d").await;
    assert_eq!(
        north.cancels(&id).await.body,
        json!({ "id": id, "canceled": true })
    );
    let schedule = north.schedules().await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        north.cancels(&schedule).await.body,
        json!({ "id": schedule, "canceled": true })
    );
    world.advance("60d").await;
    assert_eq!(north.payments().await, [2999]);
    assert_eq!(north.subscriptions().await[0]["status"], "canceled");
}

/// A coupon that has expired before the start stands in the way of nothing: it is left out when the schedule is rewritten, and
/// the answer says so.
#[tokio::test]
async fn a_coupon_that_has_expired_meanwhile_stands_in_nobodys_way() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let form = format!(
        "id=SOON&percent_off=50&duration=once&redeem_by={}",
        at("2026-04-10T00:00:00Z")
    );
    north.at_stripe("POST", "/v1/coupons", &form).await;
    let mut order = north.order(NEXT_MONTH);
    order["data"]["couponId"] = json!("SOON");
    let id = north.sells(&order).await.body["id"].as_str().unwrap().to_owned();
    world.advance("15d").await;
    let ends = updated(&north, &id, json!({ "cancelAtPeriodEnd": true })).await;
    assert_eq!(
        ends.body["coupon"], "SOON",
        "what is not rewritten stays as it is"
    );
    let later = updated(&north, &id, json!({ "startDate": at("2026-06-01T00:00:00Z") })).await;
    assert_eq!(later.body["coupon"], "");
    assert_eq!(later.body["startDate"], at("2026-06-01T00:00:00Z"));
}

/// An archived price or product goes on being sold to those who have it; a new date needs another product.
#[tokio::test]
async fn a_product_that_was_archived_meanwhile_is_told_as_such() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let id = north.sold(NEXT_MONTH).await;
    let prices = north.gets(&id).await.body["priceIds"].clone();
    let prices = prices.as_array().unwrap().iter();
    let prices = prices.map(|price| format!("/v1/prices/{}", price.as_str().unwrap()));
    for archived in [vec![format!("/v1/products/{}", north.product)], prices.collect()] {
        for path in &archived {
            north.at_stripe("POST", path, "active=false").await;
        }
        assert_eq!(
            north
                .updates(&id, &json!({ "startDate": at("2026-06-01T00:00:00Z") }))
                .await,
            r#"409 {"error":"what it was sold at is not sold any more: name another productId, or cancel it and sell it anew"}"#,
            "{archived:?}"
        );
    }
    let taxed = json!({ "taxSettings": { "enabled": true, "country": "US", "postalCode": "94103" }, "cancelAtPeriodEnd": true });
    assert_eq!(updated(&north, &id, taxed).await.body["automatic_tax"], true);
    let moved = json!({ "startDate": at("2026-06-01T00:00:00Z"), "productId": other });
    assert_eq!(updated(&north, &id, moved).await.body["product"]["name"], "Other");
    assert_eq!(
        north
            .updates(&id, &json!({ "productId": north.product }))
            .await
            .body["error"]["fieldErrors"],
        json!({ "data.productId": ["is not active"] })
    );
}

/// A country that is told anew reaches the customer, also when the tax is on already.
#[tokio::test]
async fn a_list_goes_page_by_page_and_by_status() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let mut ids = Vec::new();
    for month in 5..=9 {
        ids.push(north.sold(&format!("2026-0{month}-01T00:00:00Z")).await);
    }
    let running = north.sold(NOW).await;
    let page = north.lists("?status=scheduled&limit=2").await;
    let shown = |page: &Answer| -> Vec<String> {
        let page = page.body["subscriptions"].as_array().unwrap().iter();
        page.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(shown(&page), [ids[4].as_str(), ids[3].as_str()]);
    assert_eq!(
        (&page.body["has_more"], &page.body["next_cursor"]),
        (&json!(true), &json!(ids[3]))
    );
    let rest = format!("?status=scheduled&limit=100&starting_after={}", ids[3]);
    let rest = north.lists(&rest).await;
    assert_eq!(shown(&rest), [ids[2].as_str(), ids[1].as_str(), ids[0].as_str()]);
    assert_eq!(
        (&rest.body["has_more"], &rest.body["next_cursor"]),
        (&json!(false), &Value::Null)
    );
    let active = north.lists("").await;
    assert_eq!(shown(&active), [running.as_str()]);
    let mut alone = north.gets(&running).await.body;
    for member in ["pricing", "totalPrice", "totalUsage"] {
        alone.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(active.body["subscriptions"][0], alone);
    north.cancels(&running).await;
    assert!(shown(&north.lists("").await).is_empty());
    assert_eq!(shown(&north.lists("?status=canceled").await), [running.as_str()]);
}

/// The country is told with an update alone. It is remembered: taxes are switched off and on again, and the next order is taxed, without
/// it. Before the start and while it runs.
#[tokio::test]
async fn a_country_that_an_update_tells_is_remembered() {
    for start in [NEXT_MONTH, NOW] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = north.sold(start).await;
        let unlocated = json!({ "taxSettings": { "enabled": true } });
        assert_eq!(
            north.updates(&id, &unlocated).await.body["error"]["fieldErrors"],
            json!({ "data.taxSettings.country": ["is required until the client's country is known"] })
        );
        updated(
            &north,
            &id,
            json!({ "taxSettings": { "enabled": true, "country": "DE", "postalCode": "10115" } }),
        )
        .await;
        updated(&north, &id, json!({ "taxSettings": { "enabled": false } })).await;
        assert_eq!(updated(&north, &id, unlocated).await.body["automatic_tax"], true);
        let mut order = north.order("2026-06-01T00:00:00Z");
        order["data"]["taxSettings"] = json!({ "enabled": true });
        let next = north.sells(&order).await;
        assert_eq!(
            (next.status, &next.body["automatic_tax"]),
            (200, &json!(true)),
            "{next}"
        );
        assert_eq!(north.customers().await[0]["address"]["country"], "DE");
    }
}
