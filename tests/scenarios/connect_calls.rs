//! Whose Stripe account a call is on: every call for an agency names its connected account, and no other call names any.

use billing_tests::World;
use serde_json::json;
use stripe_stand_in::RequestRecord;

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

/// What was asked of Stripe since it was last looked; there was something.
fn asked(world: &World, what: &str) -> Vec<RequestRecord> {
    let stand_in = world.stripe.stand_in();
    let asked = stand_in.requests();
    stand_in.clear_requests();
    assert!(!asked.is_empty(), "{what} asked nothing");
    asked
}

fn all_on(world: &World, account: Option<&str>, what: &str) {
    for call in asked(world, what) {
        assert_eq!(
            call.account.as_deref(),
            account,
            "{what}: {} {}",
            call.method,
            call.path
        );
    }
}

/// All five endpoints, before a sale begins and while it runs, with coupon and tax, and what they refuse; then every event of it.
#[tokio::test]
async fn every_call_for_an_agency_names_its_account() {
    let world = World::at(NOW).await;
    let (north, south) = (world.agency().await, world.agency().await);
    world.stripe.holds_events(true).await;
    for agency in [&north, &south] {
        let on = Some(agency.account.as_str());
        let other = agency.offers("Other", 5999).await;
        world.stripe.stand_in().clear_requests();
        for start in [NEXT_MONTH, NOW] {
            let mut order = agency.order(start);
            order["data"]["couponId"] = json!(agency.coupon);
            order["data"]["taxSettings"] = json!({ "enabled": true, "country": "US", "postalCode": "94103" });
            let sold = agency.sells(&order).await;
            assert_eq!(sold.status, 200, "{sold}");
            all_on(&world, on, "create");
            let id = sold.body["id"].as_str().unwrap();
            assert_eq!(agency.gets(id).await.status, 200);
            all_on(&world, on, "get");
            assert_eq!(
                agency
                    .updates(id, &json!({ "cancelAtPeriodEnd": true }))
                    .await
                    .status,
                200
            );
            all_on(&world, on, "update");
            let tax = json!({ "productId": other, "taxSettings": { "enabled": true, "country": "CA" } });
            assert_eq!(agency.updates(id, &tax).await.status, 200);
            all_on(&world, on, "update");
            assert_eq!(agency.lists("?status=active").await.status, 200);
            all_on(&world, on, "list");
            assert_eq!(agency.lists("?status=scheduled").await.status, 200);
            all_on(&world, on, "list");
            assert_eq!(agency.cancels(id).await.status, 200);
            all_on(&world, on, "cancel");
        }
        let mut order = agency.order(NEXT_MONTH);
        order["data"]["selectedProduct"]["productId"] = json!("prod_none");
        assert_eq!(agency.sells(&order).await.status, 400);
        all_on(&world, on, "a refused order");
    }
    let events = world.stripe.stand_in().events();
    for event in events.iter().filter(|event| !event["account"].is_null()) {
        let (id, kind) = (event["id"].as_str().unwrap(), event["type"].as_str().unwrap());
        world.stripe.stand_in().clear_requests();
        assert_eq!(world.stripe.delivers(id).await, 200, "{kind}");
        for call in world.stripe.stand_in().requests() {
            assert_eq!(
                call.account.as_deref(),
                event["account"].as_str(),
                "{kind}: {}",
                call.path
            );
        }
    }
}

/// The deploying company's own: accounts and organisations, from the checkout to its events.
#[tokio::test]
async fn no_other_call_names_an_account() {
    let world = World::at(NOW).await;
    world.agency().await;
    let acme = world.organisation("acme").await;
    world.stripe.stand_in().clear_requests();
    let ada = world.subscriber(1, "monthly").await;
    let wish = json!({ "interval": "annual" });
    for answer in [
        ada.cancels().await,
        ada.resumes().await,
        ada.previews(&wish).await,
        ada.changes(&wish).await,
        ada.billing().await,
    ] {
        assert_eq!(answer.status, 200, "{answer}");
    }
    acme.sells(&acme.order("starter")).await;
    world.stripe.stand_in().settle().await;
    all_on(&world, None, "the company's own");
}
