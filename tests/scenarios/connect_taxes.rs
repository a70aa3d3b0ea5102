//! Where a client is taxed: what an order or an update leaves of its address, and a renewal that Stripe cannot tax.

use billing_tests::{Agency, Machine, Moment, World, at_every_death, at_every_step};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";
const JUNE: &str = "2026-06-01T00:00:00Z";
const MAKING: &str = "POST /v1/subscription_schedules";
const TELLING: &str = "POST /v1/customers/cus_";
const REFUSED: &str =
    r#"{"error":{"type":"invalid_request_error","param":"phases[0][items][0][price]","message":"no"}}"#;

/// A tenth on top of everything, in either of the Stripes that there may be.
fn stripes() -> [Settings; 2] {
    [false, true].map(|addresses_merge| Settings {
        addresses_merge,
        tax_basis_points: 1000,
        ..Settings::default()
    })
}

/// The agency's address of its client.
fn yonge_street() -> Value {
    json!({
        "city": "Toronto", "country": "CA", "line1": "1 Yonge St", "line2": "Suite 2", "postal_code": "M5E 1E5", "state": "ON",
    })
}

fn with(mut address: Value, members: Value) -> Value {
    let members = members.as_object().unwrap().clone();
    address.as_object_mut().unwrap().extend(members);
    address
}

/// Where Stripe has the agency's one customer.
async fn address(north: &Agency<'_>) -> Value {
    north.customers().await[0]["address"].clone()
}

/// The agency tells Stripe itself where its customer is.
async fn is_at(north: &Agency<'_>, address: &Value) {
    let customer = north.customers().await[0]["id"].as_str().unwrap().to_owned();
    let members = address.as_object().unwrap().iter();
    let form: Vec<_> = members
        .map(|(name, value)| format!("address[{name}]={}", value.as_str().unwrap_or_default()))
        .collect();
    let path = format!("/v1/customers/{customer}");
    let told = north.at_stripe("POST", &path, &form.join("&")).await;
    assert_eq!(told["address"], *address, "{told}");
}

fn settings(members: Value) -> Value {
    with(json!({ "enabled": true }), members)
}

fn taxed(north: &Agency<'_>, start: &str, members: Value) -> Value {
    let mut order = north.order(start);
    order["data"]["taxSettings"] = settings(members);
    order
}

/// A client at 1 Yonge Street that pays by card, and its subscription, taxed and running by itself.
async fn sold(world: &World, north: &Agency<'_>) -> String {
    let members = json!({ "country": "CA", "postalCode": "M5E 1E5" });
    let sold = north.sells(&taxed(north, NOW, members)).await;
    assert_eq!(sold.status, 200, "{sold}");
    north.client_gives_card().await;
    is_at(north, &yonge_street()).await;
    world.advance("31d").await;
    world.stripe.stand_in().settle().await;
    sold.body["id"].as_str().unwrap().to_owned()
}

/// The country alone, or with the postal code that Stripe has: it is asked for nothing, and what renews is taxed as before.
#[tokio::test]
async fn a_client_that_is_where_it_was_is_told_nothing() {
    for stripe in stripes() {
        let world = World::at(NOW).await;
        world.stripe.is(stripe);
        let north = world.agency().await;
        let id = sold(&world, &north).await;
        for (start, members) in [
            (JUNE, json!({ "country": "CA" })),
            ("2026-07-01T00:00:00Z", json!({ "postalCode": "M5E 1E5" })),
        ] {
            let machine = world.machine().await;
            // What it would be told is refused.
            machine.network.tells(TELLING, 400, REFUSED);
            let order = taxed(&north, start, members.clone());
            let ordered = north.sells_on(&machine, &order).await.expect("an answer");
            assert_eq!(ordered.status, 200, "{members}: {ordered}");
            let waiting = ordered.body["id"].as_str().unwrap();
            let wish = json!({ "taxSettings": settings(members.clone()) });
            for id in [&*id, waiting] {
                let told = north.updates_on(&machine, id, &wish).await.expect("an answer");
                assert_eq!(told.status, 200, "{members}: {told}");
                assert_eq!(told.body["automatic_tax"], true, "{members}: {told}");
            }
            assert_eq!(address(&north).await, yonge_street(), "{members}");
            assert_eq!(north.cancels(waiting).await.status, 200);
        }
        world.advance("31d").await;
        assert_eq!(north.payments().await, [3299; 3]);
    }
}

/// Another postal code of the same country is told with the rest of the address, but for the state, by which Stripe would work out taxes before the
/// code; so is one where Stripe had none.
#[tokio::test]
async fn another_postal_code_leaves_the_rest_of_an_address() {
    let former = yonge_street();
    let elsewhere = with(yonge_street(), json!({ "postal_code": "V1X 1X1", "state": null }));
    let uncoded = with(yonge_street(), json!({ "postal_code": null }));
    let stateless = with(yonge_street(), json!({ "state": null }));
    let abroad = json!({
        "city": null, "country": "FR", "line1": null, "line2": null, "postal_code": "75001", "state": null,
    });
    let nowhere = with(yonge_street(), json!({ "country": null }));
    for stripe in stripes() {
        for (before, members, after) in [
            (
                &former,
                json!({ "country": "CA", "postalCode": "V1X 1X1" }),
                &elsewhere,
            ),
            (&former, json!({ "postalCode": "V1X 1X1" }), &elsewhere),
            (&uncoded, json!({ "postalCode": "M5E 1E5" }), &stateless),
            (&nowhere, json!({ "country": "CA" }), &former),
            (
                &former,
                json!({ "country": "FR", "postalCode": "75001" }),
                &abroad,
            ),
        ] {
            for is_ordered in [true, false] {
                let context = format!(
                    "merges: {}, ordered: {is_ordered}, {members}",
                    stripe.addresses_merge
                );
                let world = World::at(NOW).await;
                world.stripe.is(stripe);
                let north = world.agency().await;
                let id = sold(&world, &north).await;
                is_at(&north, before).await;
                let told = if is_ordered {
                    north.sells(&taxed(&north, JUNE, members.clone())).await
                } else {
                    let wish = json!({ "taxSettings": settings(members.clone()) });
                    north.updates(&id, &wish).await
                };
                assert_eq!(told.status, 200, "{context}: {told}");
                assert_eq!(address(&north).await, *after, "{context}");
            }
        }
    }
}

/// What is refused leaves the client where it was, whether Stripe was told another postal code or another country for it; also where nobody
/// here knew of the address. What is asked for again after that is done.
#[tokio::test]
async fn what_stripe_refuses_leaves_a_client_at_its_address() {
    for stripe in stripes() {
        for members in [
            json!({ "postalCode": "V1X 1X1" }),
            json!({ "country": "FR", "postalCode": "75001" }),
        ] {
            let code = members["postalCode"].clone();
            let context = format!("merges: {}, {members}", stripe.addresses_merge);
            let world = World::at(NOW).await;
            world.stripe.is(stripe);
            let north = world.agency().await;
            let id = sold(&world, &north).await;
            let machine = world.machine().await;
            machine.network.tells(MAKING, 400, REFUSED);
            machine.network.tells("POST /v1/subscriptions/sub_", 400, REFUSED);
            let order = taxed(&north, JUNE, members.clone());
            let wish = json!({ "taxSettings": settings(members.clone()) });
            let told = north.sells_on(&machine, &order).await.unwrap();
            assert_eq!(told.status, 400, "{context}: {told}");
            assert_eq!(address(&north).await, yonge_street(), "{context}");
            let told = north.updates_on(&machine, &id, &wish).await.unwrap();
            assert!((400..500).contains(&told.status), "{context}: {told}");
            assert_eq!(address(&north).await, yonge_street(), "{context}");
            assert_eq!(north.updates(&id, &wish).await.status, 200, "{context}");
            assert_eq!(address(&north).await["postal_code"], code, "{context}");
        }
        let world = World::at(NOW).await;
        world.stripe.is(stripe);
        let north = world.agency().await;
        north.sold(NEXT_MONTH).await;
        is_at(&north, &yonge_street()).await;
        let machine = world.machine().await;
        machine.network.tells(MAKING, 400, REFUSED);
        let order = taxed(&north, JUNE, json!({ "country": "FR" }));
        let told = north.sells_on(&machine, &order).await.unwrap();
        assert_eq!(told.status, 400, "{told}");
        assert_eq!(address(&north).await, yonge_street(), "its first country");
    }
}

/// The machine dies when the client has been told another postal code, and the order or the update comes to nothing: it is where it was. Where it has
/// been told to be elsewhere still, or by another update to be there, it stays.
#[tokio::test]
async fn a_postal_code_that_came_to_nothing_is_put_back_by_whoever_comes_next() {
    let sinces = [
        None,
        Some(("M4B 1B3", false)),
        Some(("V1X 1X1", false)),
        Some(("M4B 1B3", true)),
        Some(("V1X 1X1", true)),
    ];
    for (is_ordered, since) in sinces
        .into_iter()
        .flat_map(|since| [(true, since), (false, since)])
    {
        let context = format!("ordered: {is_ordered}, since: {since:?}");
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold(&world, &north).await;
        let other = north.sold("2026-08-01T00:00:00Z").await;
        world.stripe.stand_in().settle().await;
        world.stripe.holds_events(true).await;
        let step = if is_ordered {
            MAKING
        } else {
            "POST /v1/subscriptions/sub_"
        };
        let order = taxed(&north, JUNE, json!({ "postalCode": "V1X 1X1" }));
        let wish = json!({ "taxSettings": settings(json!({ "postalCode": "V1X 1X1" })) });
        let one = world.machine().await;
        one.network.stops_named(Moment::Before, step);
        if is_ordered {
            one.dies_over(north.sells_on(&one, &order)).await;
        } else {
            one.dies_over(north.updates_on(&one, &id, &wish)).await;
        }
        assert_eq!(address(&north).await["postal_code"], "V1X 1X1", "{context}");
        if let Some((code, by_order)) = since {
            let members = json!({ "postalCode": code });
            let told = if by_order {
                north.sells(&taxed(&north, "2026-09-01T00:00:00Z", members)).await
            } else {
                let moves = json!({ "taxSettings": settings(members) });
                north.updates(&other, &moves).await
            };
            assert_eq!(told.status, 200, "{context}: {told}");
        }
        let next = world.machine().await;
        // What was left, and what is asked for anew.
        next.network.tells(step, 400, REFUSED);
        next.network.tells(step, 400, REFUSED);
        let told = if is_ordered {
            north.sells_on(&next, &order).await.unwrap()
        } else {
            north.updates_on(&next, &id, &wish).await.unwrap()
        };
        assert!((400..500).contains(&told.status), "{context}: {told}");
        let after = address(&north).await;
        match since {
            None => assert_eq!(after, yonge_street(), "{context}"),
            Some((code, _)) => assert_eq!(after["postal_code"], code, "{context}"),
        }
        let sales = north.sales().await;
        assert!(
            sales
                .iter()
                .all(|sale| sale.amendment.is_none() && sale.moved.is_none()),
            "{context}: {sales:?}"
        );
    }
}

/// 5.00 a day and a tenth, the second day of which is drafted. The agency has taken the postal code away.
async fn about_to_be_renewed_nowhere(world: &World, north: &Agency<'_>) -> String {
    let product = north.at_stripe("POST", "/v1/products", "name=Daily").await;
    let product = product["id"].as_str().unwrap();
    let price = format!("product={product}&currency=usd&unit_amount=500&recurring[interval]=day");
    north.at_stripe("POST", "/v1/prices", &price).await;
    let mut order = taxed(north, NOW, json!({ "country": "US", "postalCode": "10001" }));
    order["data"]["selectedProduct"]["productId"] = json!(product);
    let sold = north.sells(&order).await;
    assert_eq!(sold.status, 200, "{sold}");
    north.client_gives_card().await;
    world.advance("1d").await;
    world.advance("10m").await;
    assert_eq!(north.payments().await, [550]);
    let nowhere = json!({
        "city": null, "country": "US", "line1": null, "line2": null, "postal_code": null, "state": null,
    });
    is_at(north, &nowhere).await;
    sold.body["id"].as_str().unwrap().to_owned()
}

/// It is not given up with the subscription: nothing is canceled until Stripe knows where to tax the client, or has billed it by itself, without tax.
#[tokio::test]
async fn a_renewal_that_cannot_be_taxed_is_billed_before_it_is_canceled() {
    for is_located in [true, false] {
        let world = World::at(NOW).await;
        world.stripe.is(stripes()[0]);
        let north = world.agency().await;
        let id = about_to_be_renewed_nowhere(&world, &north).await;
        // However often it is asked for.
        for _ in 0..10 {
            let told = north.cancels(&id).await;
            assert_eq!(
                told,
                r#"409 {"error":"the renewal cannot be billed, as Stripe does not know where to tax the client: name its country and postal code in taxSettings, correct its address at Stripe, or cancel it when Stripe has billed the renewal without tax, an hour after it was drafted"}"#
            );
        }
        assert_eq!(north.gets(&id).await.body["status"], "active");
        let renewal = if is_located {
            let wish = json!({ "taxSettings": settings(json!({ "country": "US", "postalCode": "10001" })) });
            assert_eq!(north.updates(&id, &wish).await.status, 200);
            550
        } else {
            world.advance("1h").await;
            500
        };
        let told = north.cancels(&id).await;
        assert_eq!(told.body, json!({ "id": id, "canceled": true }), "{told}");
        world.stripe.stand_in().settle().await;
        assert_eq!(north.payments().await, [550, renewal], "located: {is_located}");
        world.advance("3d").await;
        assert_eq!(north.payments().await, [550, renewal], "nothing more");
    }
}

/// What Stripe leaves a draft for a reason that it does not tell us is not given up either.
#[tokio::test]
async fn a_renewal_that_stripe_leaves_a_draft_keeps_its_subscription() {
    let world = World::at(NOW).await;
    world.stripe.is(stripes()[0]);
    let north = world.agency().await;
    let id = about_to_be_renewed_nowhere(&world, &north).await;
    let machine = world.machine().await;
    machine.network.tells("/finalize", 400, REFUSED);
    assert_eq!(
        north.cancels_on(&machine, &id).await.unwrap(),
        r#"409 {"error":"the renewal cannot be billed now: see to its draft at Stripe, or cancel it when it is billed"}"#
    );
    assert_eq!(north.gets(&id).await.body["status"], "active");
}

/// Its cancellation was refused, since the renewal could not be taxed, and then an update has told where the client is.
async fn about_to_be_renewed_somewhere(world: &World, north: &Agency<'_>) -> String {
    let id = about_to_be_renewed_nowhere(world, north).await;
    assert_eq!(north.cancels(&id).await.status, 409);
    let wish = json!({ "taxSettings": settings(json!({ "country": "US", "postalCode": "10001" })) });
    assert_eq!(north.updates(&id, &wish).await.status, 200);
    id
}

/// It is canceled, and its second day was billed with its tax, once; nothing is billed after that.
async fn is_billed_once(world: &World, north: &Agency<'_>, id: &str, context: &str) {
    let told = north.cancels(id).await;
    assert_eq!(
        told.body,
        json!({ "id": id, "canceled": true }),
        "{context}: {told}"
    );
    for passed in ["1s", "2d"] {
        world.stripe.stand_in().settle().await;
        world.advance(passed).await;
        assert_eq!(north.payments().await, [550, 550], "{context}, {passed}");
        let bills = north.all("/v1/invoices?limit=100").await;
        assert_eq!(bills.len(), 2, "{context}, {passed}");
    }
    assert_eq!(north.gets(id).await.body["status"], "canceled", "{context}");
}

/// The machine dies at any step of the cancellation that goes through at last.
#[tokio::test]
async fn a_renewal_that_can_be_taxed_at_last_is_billed_once_whatever_dies() {
    at_every_death(async |death| {
        let world = World::at(NOW).await;
        world.stripe.is(stripes()[0]);
        let north = world.agency().await;
        let id = about_to_be_renewed_somewhere(&world, &north).await;
        let cancels = async |machine: &Machine| north.cancels_on(machine, &id).await;
        let told = world.dies_over(death, cancels).await;
        if let Some(told) = &told {
            assert_eq!(told.status, 200, "{told}");
        }
        is_billed_once(&world, &north, &id, &death.to_string()).await;
        told.is_some()
    })
    .await;
}

/// Any of its answers is lost, or it waits for one while another machine cancels: whoever asked is told that it is canceled.
#[tokio::test]
async fn a_renewal_that_can_be_taxed_at_last_is_billed_once_whoever_cancels() {
    at_every_step(async |step| {
        let world = World::at(NOW).await;
        world.stripe.is(stripes()[0]);
        let north = world.agency().await;
        let id = about_to_be_renewed_somewhere(&world, &north).await;
        let cancels = async |machine: &Machine| north.cancels_on(machine, &id).await;
        let (told, was_lost) = world.loses_over(step, cancels).await;
        assert_eq!(told.status, 200, "lost step {step}: {told}");
        is_billed_once(&world, &north, &id, &format!("lost step {step}")).await;
        !was_lost
    })
    .await;
    at_every_step(async |step| {
        let world = World::at(NOW).await;
        world.stripe.is(stripes()[0]);
        let north = world.agency().await;
        let id = about_to_be_renewed_somewhere(&world, &north).await;
        let cancels = async |machine: &Machine| north.cancels_on(machine, &id).await;
        let held = world.held_over(step, cancels, north.cancels(&id)).await;
        for told in [&held.answer, &held.other] {
            assert_eq!(told.status, 200, "held step {step}: {told}");
        }
        is_billed_once(&world, &north, &id, &format!("held step {step}")).await;
        !held.was_held
    })
    .await;
}
