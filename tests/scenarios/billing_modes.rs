//! How Stripe works out periods and credits: what is made here is classic, whoever makes it; what others made flexible is told, quoted and
//! covered as Stripe bills it.

use billing_tests::World;
use serde_json::{Value, json};

/// Which subscriptions and schedules there are in which mode.
fn modes(of: &[Value]) -> Vec<&Value> {
    of.iter().map(|one| &one["billing_mode"]["type"]).collect()
}

/// Every way to sell: an account's checkout; a plan by card, on a page, with a first period that an anchor cuts short, and on that bill's page; an
/// agency's order of now and of later; and a downgrade, whose schedule is made of what runs.
#[tokio::test]
async fn whatever_is_sold_is_billed_in_the_classic_mode() {
    let world = World::at("2026-04-11T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.subscribes("monthly").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    let downgrade = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let downgrade = acme.session(&downgrade).await;
    assert_eq!(acme.confirms(&downgrade, &Value::Null).await.status, 200);
    let paged = acme.session(&acme.order("starter")).await;
    assert_eq!(acme.confirms(&paged, &Value::Null).await.status, 200);
    world.stripe.pays_page(&world.stripe.latest_page().await).await;
    acme.sells(&acme.order("team")).await;
    let confirmed = acme.session(&acme.order("team")).await;
    let by_card = json!({ "payment_method_id": "pm_card_authenticationRequired" });
    assert_eq!(acme.confirms(&confirmed, &by_card).await.status, 200);
    world.stripe.confirms_latest_payment().await;
    let north = world.agency().await;
    for start in ["2026-04-11T00:00:00Z", "2026-05-01T00:00:00Z"] {
        let sold = north.sells(&north.order(start)).await;
        assert_eq!(sold.status, 200, "{sold}");
    }
    world.advance("30d").await;

    let ours = world.stripe.all_subscriptions().await;
    assert_eq!(
        modes(&ours),
        [&json!("classic"); 5],
        "an account's, and four contracts'"
    );
    let theirs = north.subscriptions().await;
    assert_eq!(modes(&theirs), [&json!("classic"); 2]);
    assert_eq!(modes(&north.schedules().await), [&json!("classic"); 2]);
    // A preview leaves nothing behind that could be asked for its mode.
    let asked = world.stripe.stand_in().requests();
    let previews = asked
        .iter()
        .filter(|call| call.path == "/v1/invoices/create_preview");
    let mut of_new = 0;
    for preview in previews.filter(|call| call.params["subscription"].is_null()) {
        of_new += 1;
        let mode = &preview.params["subscription_details"]["billing_mode"]["type"];
        assert_eq!(mode, "classic", "{}", preview.params);
    }
    assert_eq!(of_new, 3, "the contracts that are not sold on a page");
}
