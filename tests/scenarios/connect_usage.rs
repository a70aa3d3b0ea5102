//! What a client used of a price that goes: whoever changes the product loses none of it.

use billing_tests::{Agency, Moment, World, at_every_death, path_of};
use serde_json::json;
use stripe_stand_in::Settings;

const NOW: &str = "2026-04-01T00:00:00Z";
/// 110 minutes of which 100 are included, by the second: 10 × 0.15.
const TALKED: u64 = 6600;
const OVERAGE: i64 = 150;

/// An order of now as builds before decision 0017 made it: in the classic mode, by which Stripe forgets what was used of a price that goes.
async fn sold_by_an_earlier_build(world: &World, north: &Agency<'_>) -> String {
    let machine = world.machine().await;
    machine
        .network
        .stops_named(Moment::Before, "POST /v1/subscription_schedules");
    let order = north.order(&world.now().to_string());
    machine.dies_over(north.sells_on(&machine, &order)).await;
    let sale = north.sales().await.remove(0);
    let customer = north.customers().await.remove(0);
    let form = format!(
        "customer={}&start_date=now&billing_mode[type]=classic&metadata[client]={client}&metadata[sale]={number}\
         &phases[0][metadata][client]={client}&phases[0][metadata][sale]={number}&phases[0][duration][interval]=month\
         &phases[0][items][0][price]={}&phases[0][items][0][quantity]=1&phases[0][items][1][price]={}",
        customer["id"].as_str().unwrap(),
        sale.terms.flat,
        sale.terms.metered.unwrap(),
        client = north.client,
        number = sale.number,
    );
    let schedule = north.at_stripe("POST", "/v1/subscription_schedules", &form).await;
    world.stripe.stand_in().settle().await;
    let recorded = north.sales().await.remove(0).schedule.unwrap();
    assert_eq!(schedule["id"], recorded.as_str());
    recorded.to_string()
}

async fn sold(world: &World, north: &Agency<'_>, is_classic: bool) -> String {
    if is_classic {
        return sold_by_an_earlier_build(world, north).await;
    }
    let sold = north.sells(&north.order(NOW)).await;
    assert_eq!(sold.status, 200, "{sold}");
    sold.body["id"].as_str().unwrap().to_owned()
}

/// Ten days into its first period, which its schedule owns, and into its second, when it runs by itself; sold by this build and by an earlier one;
/// to a product with dearer minutes (0.5 a second, none included), and to one without. The ten minutes until then are paid at their price, the
/// ten after at theirs.
#[tokio::test]
async fn what_was_used_is_paid_when_another_product_takes_its_place() {
    for (days, is_classic, rest) in [
        // 20 of 30 days less a minute, and 21 of 31, each share rounded towards the smaller.
        ("10d", false, -2000 + 3999),
        ("10d", true, -2000 + 3999),
        ("40d", false, -2032 + 4063),
        ("40d", true, -2032 + 4063),
    ] {
        for has_minutes in [true, false] {
            let context = format!("after {days}, classic: {is_classic}, minutes: {has_minutes}");
            let world = World::at(NOW).await;
            let north = world.agency().await;
            let id = sold(&world, &north, is_classic).await;
            north.client_gives_card().await;
            world.advance(days).await;
            let paid = north.payments().await;
            north.client_talks(TALKED).await;
            world.advance("1m").await;
            let (other, after) = if has_minutes {
                (north.offers_minutes("Other", 5999, "0.5").await, 300)
            } else {
                (north.offers("Other", 5999).await, 0)
            };
            let changed = north.updates(&id, &json!({ "productId": other })).await;
            assert_eq!(changed.status, 200, "{context}: {changed}");
            assert_eq!(changed.body["product"]["id"], other.as_str(), "{context}");
            north.client_talks(600).await;
            world.advance("1m").await;
            let told = north.gets(&id).await;
            let of_both = if has_minutes {
                (OVERAGE + after, 120)
            } else {
                (0, 0)
            };
            assert_eq!(
                (&told.body["totalPrice"], &told.body["totalUsage"]),
                (&json!(5999 + of_both.0), &json!(of_both.1)),
                "{context}: {told}"
            );

            world.advance("31d").await;
            let paid: Vec<i64> = north.payments().await.split_off(paid.len());
            assert_eq!(paid, [rest + OVERAGE + after + 5999], "{context}");
            let running = north.subscriptions().await.remove(0);
            assert_eq!(running["billing_mode"]["type"], "flexible", "{context}");
        }
    }
}

/// Ten minutes above what is included, at a product that was left for one with dearer minutes, that for one without, and that for the first: what is
/// told is what the next invoice charges, although the price that they were used at has been away.
#[tokio::test]
async fn what_was_used_is_told_when_its_price_comes_back() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold(&world, &north, false).await;
    north.client_gives_card().await;
    world.advance("2h").await;
    north.client_talks(TALKED).await;
    world.advance("1m").await;
    let dearer = north.offers_minutes("Dearer", 2999, "0.5").await;
    let flat = north.offers("Flat", 2999).await;
    let told = async |product: &str| {
        let changed = north.updates(&id, &json!({ "productId": product })).await;
        assert_eq!(changed.status, 200, "{product}: {changed}");
        north.client_talks(600).await;
        world.advance("1m").await;
        let told = north.gets(&id).await.body;
        (
            told["totalPrice"].as_i64().unwrap(),
            told["totalUsage"].as_u64().unwrap(),
        )
    };
    assert_eq!(told(&dearer).await, (2999 + OVERAGE + 300, 120));
    assert_eq!(told(&flat).await, (2999, 0), "no minutes");
    // Ten that cost nothing in between, and ten of the hundred that are included once more.
    assert_eq!(told(&north.product).await, (2999 + OVERAGE + 300, 140));
    world.advance("31d").await;
    let paid: i64 = north.payments().await.iter().sum();
    // The shares of what goes and what comes are rounded towards the smaller: a cent less in all.
    assert_eq!(paid, 2 * 2999 - 1 + OVERAGE + 300);
}

/// Whatever dies between the migration, the change and their records: used minutes are charged once, and so is the rest of the period.
#[tokio::test]
async fn what_was_used_is_charged_once_whatever_dies() {
    let world = World::at(NOW).await;
    at_every_death(async |death| {
        let north = world.agency().await;
        let other = north.offers("Other", 5999).await;
        let id = sold_by_an_earlier_build(&world, &north).await;
        north.client_talks(TALKED).await;
        world.advance("1m").await;
        let wish = json!({ "productId": other });
        let told = world
            .dies_over(death, async |machine| north.updates_on(machine, &id, &wish).await)
            .await;
        let answer = north.updates(&id, &wish).await;
        assert_eq!(answer.status, 200, "{death}: {answer}");
        world.stripe.stand_in().settle().await;
        assert_eq!(
            north.gets(&id).await.body["product"]["id"],
            other.as_str(),
            "{death}"
        );
        assert_eq!(north.sales().await[0].amendment, None, "{death}");
        let waiting = north.all("/v1/invoiceitems?limit=100").await;
        let charges = waiting.iter().filter_map(|item| item["amount"].as_i64());
        let charges: Vec<i64> = charges.filter(|amount| *amount > 0).collect();
        assert_eq!(charges.len(), 2, "{death}: {charges:?}");
        assert!(charges.contains(&OVERAGE), "{death}: {charges:?}");
        told.is_some()
    })
    .await;
}

/// Two machines at once, of which each may find the other's migration: the same.
#[tokio::test]
async fn what_was_used_is_charged_once_by_two_machines() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 5999).await;
    let id = sold_by_an_earlier_build(&world, &north).await;
    north.client_talks(TALKED).await;
    world.advance("1m").await;
    let wish = json!({ "productId": other });
    let (one, two) = (world.machine().await, world.machine().await);
    one.network.holds("/migrate");
    let slow = async { north.updates_on(&one, &id, &wish).await.unwrap() };
    let fast = async {
        one.network.reached().await;
        let told = north.updates_on(&two, &id, &wish).await.unwrap();
        one.network.lets_go();
        told
    };
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!((slow.status, fast.status), (200, 200), "{slow} {fast}");
    let waiting = north.all("/v1/invoiceitems?limit=100").await;
    let used = waiting.iter().filter(|item| item["amount"] == OVERAGE);
    assert_eq!(used.count(), 1);
}

/// A renewal is a draft for an hour, with the usage of the period before, which Stripe would give up with the subscription: it is collected.
/// One that an operator holds back is not; where nothing pays, it stays open.
#[tokio::test]
async fn what_was_used_before_a_renewal_is_paid_although_it_is_canceled_within_the_hour() {
    for (has_card, pause, paid) in [
        (true, "", vec![2999, OVERAGE + 2999]),
        (true, "keep_as_draft", vec![2999]),
        (true, "void", vec![2999]),
        (false, "", vec![]),
    ] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold(&world, &north, false).await;
        if has_card {
            north.client_gives_card().await;
        }
        world.advance("29d").await;
        north.client_talks(TALKED).await;
        if !pause.is_empty() {
            let subscription = north.subscriptions().await.remove(0);
            let path = path_of(&subscription);
            let pause = format!("pause_collection[behavior]={pause}");
            north.at_stripe("POST", &path, &pause).await;
        }
        world.advance("1d").await;
        world.advance("10m").await;
        for _ in 0..2 {
            let canceled = north.cancels(&id).await;
            assert_eq!(canceled.body["canceled"], true, "{canceled}");
            world.stripe.stand_in().settle().await;
            assert_eq!(north.payments().await, paid);
        }
        world.advance("40d").await;
        assert_eq!(north.payments().await, paid, "nothing more");
    }
}

/// A minute before the period ends the client talks, and its agency tells Stripe ten minutes after: it is on the renewal when that is collected, by the
/// clock or because the sale is canceled within the hour.
#[tokio::test]
async fn what_is_told_late_is_paid_with_the_renewal() {
    for is_canceled in [false, true] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold(&world, &north, false).await;
        north.client_gives_card().await;
        world.advance("30d").await;
        let customer = north.customers().await[0]["id"].as_str().unwrap().to_owned();
        let form = format!(
            "event_name=agent_seconds&payload[stripe_customer_id]={customer}&payload[value]={TALKED}&timestamp={}",
            world.now().as_second() - 60
        );
        world.advance("10m").await;
        north.at_stripe("POST", "/v1/billing/meter_events", &form).await;
        if is_canceled {
            assert_eq!(north.cancels(&id).await.body["canceled"], true);
            world.stripe.stand_in().settle().await;
        } else {
            world.advance("1h").await;
        }
        assert_eq!(north.payments().await, [2999, OVERAGE + 2999], "{is_canceled}");
    }
}

/// Stripe bills what was used with the last invoice, or drops it since nothing is given back: its texts differ. In either it is canceled once, what was
/// paid stays paid, and nothing else is charged.
#[tokio::test]
async fn what_was_used_is_billed_or_lost_when_it_is_canceled_at_once() {
    for usage_needs_prorate in [false, true] {
        // Within its first period, which its schedule owns, and within its second.
        for (days, mut paid) in [("10d", vec![2999]), ("40d", vec![2999, 2999])] {
            let world = World::at(NOW).await;
            world.stripe.is(Settings {
                usage_needs_prorate,
                ..Settings::default()
            });
            let north = world.agency().await;
            let id = sold(&world, &north, false).await;
            north.client_gives_card().await;
            world.advance(days).await;
            north.client_talks(TALKED).await;
            world.advance("1m").await;
            if !usage_needs_prorate {
                paid.push(OVERAGE);
            }
            for _ in 0..2 {
                let canceled = north.cancels(&id).await;
                assert_eq!(canceled.body, json!({ "id": id, "canceled": true }), "{canceled}");
                world.stripe.stand_in().settle().await;
                assert_eq!(north.payments().await, paid, "{usage_needs_prorate} {days}");
            }
            world.advance("40d").await;
            assert_eq!(north.payments().await, paid, "nothing more");
        }
    }
}

/// An operator has the renewal sent, and the client pays it in its own way: it is not charged to the card that the client has, neither in the hour in
/// which it is a draft nor when it has been sent.
#[tokio::test]
async fn a_renewal_that_is_sent_is_not_charged() {
    for after in ["10m", "10d"] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold(&world, &north, false).await;
        north.client_gives_card().await;
        world.advance("29d").await;
        let subscription = north.subscriptions().await.remove(0);
        let path = path_of(&subscription);
        let sends = "collection_method=send_invoice&days_until_due=14";
        north.at_stripe("POST", &path, sends).await;
        world.advance("1d").await;
        world.advance(after).await;
        assert_eq!(north.cancels(&id).await.body["canceled"], true, "{after}");
        world.stripe.stand_in().settle().await;
        assert_eq!(north.payments().await, [2999], "{after}");
        let bills = north.all("/v1/invoices?limit=100").await;
        assert_eq!(bills[0]["status"], "open", "{after}: what was used stays billed");
    }
}

/// A click by mistake costs nothing.
#[tokio::test]
async fn what_is_canceled_within_its_first_hour_is_not_charged() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold(&world, &north, false).await;
    north.client_gives_card().await;
    world.advance("10m").await;
    assert_eq!(north.cancels(&id).await.body["canceled"], true);
    world.advance("40d").await;
    assert!(north.payments().await.is_empty());
}

/// 5.00 a day, the first of which is paid and the second drafted.
async fn about_to_be_renewed(world: &World, north: &Agency<'_>) -> String {
    let product = north.at_stripe("POST", "/v1/products", "name=Daily").await;
    let product = product["id"].as_str().unwrap();
    let price = format!("product={product}&currency=usd&unit_amount=500&recurring[interval]=day");
    north.at_stripe("POST", "/v1/prices", &price).await;
    let mut order = north.order(&world.now().to_string());
    order["data"]["selectedProduct"]["productId"] = json!(product);
    let sold = north.sells(&order).await;
    assert_eq!(sold.status, 200, "{sold}");
    north.client_gives_card().await;
    world.advance("1d").await;
    world.advance("10m").await;
    assert_eq!(north.payments().await, [500]);
    sold.body["id"].as_str().unwrap().to_owned()
}

/// The renewal was tried, and declined. Another card is given since, and the sale is canceled: that card is not charged for it, nor for one that its
/// agency has Stripe leave alone.
#[tokio::test]
async fn a_renewal_that_was_tried_or_is_left_alone_is_not_collected() {
    for is_tried in [true, false] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = about_to_be_renewed(&world, &north).await;
        let bill = north.all("/v1/invoices?limit=100").await.remove(0);
        assert_eq!(bill["status"], "draft", "{bill}");
        if is_tried {
            let customer = bill["customer"].as_str().unwrap();
            let declining = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
            let card = north
                .at_stripe("POST", declining, &format!("customer={customer}"))
                .await;
            let form = format!(
                "invoice_settings[default_payment_method]={}",
                card["id"].as_str().unwrap()
            );
            north
                .at_stripe("POST", &format!("/v1/customers/{customer}"), &form)
                .await;
            world.advance("1h").await;
            let tried = north.all("/v1/invoices?limit=100").await.remove(0);
            assert_eq!(
                (&tried["status"], &tried["attempted"]),
                (&json!("open"), &json!(true))
            );
            north.client_gives_card().await;
        } else {
            let path = format!("{}/finalize", path_of(&bill));
            north.at_stripe("POST", &path, "auto_advance=false").await;
        }
        assert_eq!(
            north.cancels(&id).await.body["canceled"],
            true,
            "tried: {is_tried}"
        );
        world.stripe.stand_in().settle().await;
        assert_eq!(north.payments().await, [500], "tried: {is_tried}");
    }
}

/// Whatever dies between the bill, its payment and the end, and whichever answer is lost: it is paid once, and canceled.
#[tokio::test]
async fn a_renewal_is_collected_once_whatever_dies() {
    let world = World::at(NOW).await;
    at_every_death(async |death| {
        let north = world.agency().await;
        let id = about_to_be_renewed(&world, &north).await;
        let told = world
            .dies_over(death, async |machine| north.cancels_on(machine, &id).await)
            .await;
        let answer = north.cancels(&id).await;
        assert_eq!(answer.body, json!({ "id": id, "canceled": true }), "{death}");
        world.stripe.stand_in().settle().await;
        assert_eq!(north.payments().await, [500, 500], "{death}");
        told.is_some()
    })
    .await;
}

/// Two machines at once: paid once.
#[tokio::test]
async fn a_renewal_is_collected_once_by_two_machines() {
    let world = World::at(NOW).await;
    for part in ["/finalize", "/pay", "DELETE"] {
        let north = world.agency().await;
        let id = about_to_be_renewed(&world, &north).await;
        let machine = world.machine().await;
        machine.network.holds(part);
        let slow = async { north.cancels_on(&machine, &id).await.unwrap() };
        let fast = async {
            machine.network.reached().await;
            let told = north.cancels(&id).await;
            machine.network.lets_go();
            told
        };
        let (slow, fast) = tokio::join!(slow, fast);
        assert_eq!((slow.status, fast.status), (200, 200), "{part}: {slow} {fast}");
        world.stripe.stand_in().settle().await;
        assert_eq!(north.payments().await, [500, 500], "{part}");
    }
}

/// What was used is told as nothing when an operator deleted the client's customer at Stripe, which ended the subscription.
#[tokio::test]
async fn a_subscription_whose_customer_was_deleted_is_told() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold(&world, &north, false).await;
    let customer = north.customers().await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/customers/{customer}");
    north.at_stripe("DELETE", &path, "").await;
    let told = north.gets(&id).await;
    assert_eq!(told.status, 200, "{told}");
    assert_eq!(
        (
            &told.body["status"],
            &told.body["totalUsage"],
            &told.body["totalPrice"]
        ),
        (&json!("canceled"), &json!(0), &json!(2999))
    );
}

/// One that an operator released at Stripe before it began never will begin: it is over, and the same order is a new one.
#[tokio::test]
async fn a_schedule_that_was_released_before_it_began_is_over() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order("2026-05-01T00:00:00Z");
    let first = north.sells(&order).await;
    let id = first.body["id"].as_str().unwrap();
    let path = format!("/v1/subscription_schedules/{id}/release");
    north.at_stripe("POST", &path, "").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(north.gets(id).await.body["status"], "released");
    assert_eq!(
        north.updates(id, &json!({ "cancelAtPeriodEnd": true })).await,
        r#"409 {"error":"the subscription is canceled"}"#
    );
    for _ in 0..2 {
        let canceled = north.cancels(id).await;
        assert_eq!(canceled.body, json!({ "id": id, "canceled": true }), "{canceled}");
    }
    let again = north.sells(&order).await;
    assert_eq!(again.status, 200, "{again}");
    assert_ne!(again.body["id"], first.body["id"]);
    assert_eq!(again.body["status"], "not_started");
}

/// A price may have several currencies at Stripe, which would go by the customer's: what was looked at is what is sold.
#[tokio::test]
async fn a_schedule_names_the_currency_that_was_looked_at() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    assert_eq!(north.sells(&north.order(NOW)).await.status, 200);
    let asked = world.stripe.stand_in().requests();
    let made = asked
        .iter()
        .find(|call| call.path == "/v1/subscription_schedules" && call.method == "POST");
    assert_eq!(made.unwrap().params["phases"][0]["currency"], "usd");
}

/// More was taken back than used: an event below zero, by which an agency puts right what it has reported.
#[tokio::test]
async fn what_was_taken_back_is_not_less_than_nothing() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold(&world, &north, false).await;
    let customer = north.customers().await[0]["id"].as_str().unwrap().to_owned();
    for (seconds, minutes) in [(-600, 0), (60, 0), (660, 2)] {
        let form = format!(
            "event_name=agent_seconds&payload[stripe_customer_id]={customer}&payload[value]={seconds}"
        );
        north.at_stripe("POST", "/v1/billing/meter_events", &form).await;
        world.advance("1m").await;
        let told = north.gets(&id).await;
        assert_eq!(
            (told.status, &told.body["totalUsage"]),
            (200, &json!(minutes)),
            "{told}"
        );
    }
}

/// Interactions of which the first 500 cost 5.00 together, however few they are, and those of which all are charged once there are more: none is
/// included.
#[tokio::test]
async fn what_costs_something_is_not_included() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let prices = north.all(&format!("/v1/prices?product={}", north.product)).await;
    let meter = prices
        .iter()
        .find_map(|price| price["recurring"]["meter"].as_str())
        .unwrap();
    for (mode, first_tier, included) in [
        ("graduated", "&tiers[0][flat_amount]=500", 0),
        ("volume", "&tiers[0][unit_amount]=0", 0),
        ("graduated", "&tiers[0][unit_amount]=0", 100),
    ] {
        let product = north.offers(mode, 2999).await;
        let form = format!(
            "product={product}&currency=usd&billing_scheme=tiered&tiers_mode={mode}&recurring[interval]=month\
             &recurring[usage_type]=metered&recurring[meter]={meter}&tiers[0][up_to]=6000{first_tier}\
             &tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]=0.25"
        );
        north.at_stripe("POST", "/v1/prices", &form).await;
        let mut order = north.order(NOW);
        order["data"]["selectedProduct"]["productId"] = json!(product);
        let sold = north.sells(&order).await;
        let told = north.gets(sold.body["id"].as_str().unwrap()).await;
        assert_eq!(
            (
                &told.body["pricing"]["usageLimit"],
                &told.body["pricing"]["overage"]
            ),
            (&json!(included), &json!("15")),
            "{mode}{first_tier}: {told}"
        );
    }
}
