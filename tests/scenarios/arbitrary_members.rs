//! Good bodies of every endpoint that takes one, with something else in one or two places, or a member twice: a documented answer, no 5xx.

use billing_tests::World;
use bytes::Bytes;
use http::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::arbitrary::{always, json, judged, pointers, runtime};

/// A request with a good body, and the function that it is for.
struct Good {
    function: &'static str,
    request: Request<Bytes>,
    body: Value,
}

async fn good(world: &World) -> Vec<Good> {
    let (ada, north) = (world.account(2).await, world.agency().await);
    ada.subscribes("monthly").await;
    let acme = world.organisation("acme").await;
    let session = acme.session(&acme.order("starter")).await;
    let order = north.order("2026-05-01T00:00:00Z");
    let sold = north.sells(&order).await.body["id"].as_str().unwrap().to_owned();
    let mut offer = acme.order("starter");
    offer["expires_at"] = json!("2026-04-01T12:00:00Z");
    offer["success_url"] = json!("https://app.example.com/");
    offer["product_overrides"] =
        json!([{ "product_id": acme.product("starter", "Starter seat"), "quantity": 4, "dimensions": {} }]);
    offer["customer_data"] =
        json!({ "name": "Eve", "email": "eve@example.com", "address": { "country": "US" } });
    let change = json!({ "interval": "annual", "promotionCode": "X", "prorationDate": 1_775_001_600 });
    let checkout = json!({ "interval": "monthly", "returnUrl": "https://app.example.com/" });
    let preview = json!({ "interval": "annual", "quantity": 3, "promotionCode": "X" });
    let update = json!({ "data": {
        "cancelAtPeriodEnd": true, "productId": north.product, "couponId": "X",
        "taxSettings": { "enabled": true, "country": "DE" },
    } });
    let confirm = json!({ "payment_method_id": "pm_card_visa", "version": 1 });
    vec![
        (
            "create-subscription-checkout",
            ada.checkout_request(&checkout),
            checkout,
        ),
        (
            "preview-subscription-change",
            ada.preview_request(&preview),
            preview,
        ),
        (
            "change-subscription-interval",
            ada.change_request(&change),
            change,
        ),
        (
            "create-connect-subscription",
            north.request("POST", "", &order),
            order,
        ),
        (
            "update-connect-subscription",
            north.request("PUT", &format!("/{sold}"), &update),
            update,
        ),
        (
            "create-checkout-session",
            acme.request("POST", "/checkouts", &offer),
            offer.clone(),
        ),
        (
            "preview-checkout-session",
            acme.request("POST", "/checkouts/preview", &offer),
            offer,
        ),
        (
            "confirm-checkout-session",
            acme.confirmation(&session, &confirm),
            confirm,
        ),
    ]
    .into_iter()
    .map(|(function, request, body)| Good {
        function,
        request,
        body,
    })
    .collect()
}

#[test]
fn a_good_body_with_something_else_in_it_gets_a_documented_answer() {
    let runtime = runtime();
    let world = runtime.block_on(World::unjudged_at("2026-04-01T00:00:00Z"));
    let all = runtime.block_on(good(&world));
    let changes = proptest::collection::vec((any::<usize>(), json()), 1..3);
    always(
        (0..all.len(), changes, any::<bool>()),
        |(which, changes, twice)| {
            let Good {
                function,
                request,
                body,
            } = &all[which];
            let mut text = body.to_string();
            if twice {
                let names = pointers(body);
                let (place, value) = &changes[0];
                let name = names[place % names.len()].split('/').nth(1).unwrap_or_default();
                text = format!("{{\"{name}\":{value},{}", &text[1..]);
            } else {
                let mut body = body.clone();
                for (place, value) in changes {
                    let places = pointers(&body);
                    *body.pointer_mut(&places[place % places.len()]).unwrap() = value;
                }
                text = body.to_string();
            }
            let mut request = request.clone();
            *request.body_mut() = Bytes::from(text);
            let answer = runtime.block_on(world.stack().gateway.call(request));
            match answer.status().as_u16() {
                // The keys are right: whoever is not let in is not asked anything.
                401 => Err(format!("{function}: 401")),
                status => judged(function, status),
            }
        },
    );
}
