//! What an operator adds to a bill by hand: fees and favours. They are paid, or taken off; service is what the subscription bills.

use billing_core::coverage::GivenBack;
use billing_tests::{Account, World, path_of};
use serde_json::json;

/// An item for the next bill of the account's subscription.
async fn adds(world: &World, ada: &Account<'_>, item: &str) {
    let subscription = world.stripe.subscription(ada).await;
    let (customer, id) = (&subscription["customer"], &subscription["id"]);
    let form = format!(
        "customer={}&subscription={}&currency=usd&{item}",
        customer.as_str().unwrap(),
        id.as_str().unwrap()
    );
    world.stripe.operator("POST", "/v1/invoiceitems", &form).await;
}

/// Support for a whole year, 5.00, on the bill of May: a number is covered as long as numbers were paid for.
#[tokio::test]
async fn a_fee_is_paid_and_covers_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let (april, next_april) = (1_775_001_600, 1_806_537_600);
    let fee = format!("amount=500&period[start]={april}&period[end]={next_april}");
    adds(&world, &ada, &fee).await;
    world.advance("31d").await;
    assert_eq!(world.stripe.payments(&ada).await, [1000, 1500]);
    assert_eq!(ada.covered_until().await, "2026-06-01T00:00:00Z");
    assert_eq!(ada.ledger().await.len(), 2);
}

/// A year for two numbers. After 30 days 5.00 are given for the trouble, on the bill for a third number ten days later: the year was
/// covered all the time, and of it only the share is given back that the change replaces.
#[tokio::test]
async fn a_favour_gives_no_service_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(2, "annual").await;
    world.advance("30d").await;
    adds(&world, &ada, "amount=-500").await;
    world.advance("10d").await;
    let subscription = world.stripe.subscription(&ada).await;
    let path = path_of(&subscription);
    let item = subscription["items"]["data"][0]["id"].as_str().unwrap();
    let form = format!("items[0][id]={item}&items[0][quantity]=3&proration_behavior=always_invoice");
    world.stripe.operator("POST", &path, &form).await;
    world.stripe.stand_in().settle().await;
    let ledger = ada.ledger().await;
    let change = GivenBack {
        from: world.now(),
        line: Some(ledger[0].line.clone()),
    };
    assert_eq!(ledger[1].gives_back, [change]);
    assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
}

/// An operator adds 5.00 to what comes next, between the preview and the sale of a plan: Stripe has it on the first bill, which is not what was
/// estimated. It is sold, and somebody is told.
#[tokio::test]
async fn a_first_bill_that_is_not_what_was_estimated_is_told_of() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let session = acme.session(&acme.order("starter")).await;
    let machine = world.machine().await;
    machine.network.holds("/v1/invoices/create_preview");
    let card = json!({ "payment_method_id": "pm_card_visa" });
    let (told, ()) = tokio::join!(acme.confirms_on(&machine, &session, &card), async {
        machine.network.reached().await;
        let latest = world.stripe.operator("GET", "/v1/customers?limit=1", "").await;
        let customer = latest["data"][0]["id"].as_str().unwrap();
        let form = format!("customer={customer}&currency=usd&amount=500");
        world.stripe.operator("POST", "/v1/invoiceitems", &form).await;
        machine.network.lets_go();
    });
    assert_eq!(told.unwrap().body["checkout_status"], "contract_created");
    assert_eq!(world.stripe.charges().await, [3500 + 500]);
    assert_eq!(machine.metric("QuoteMismatches"), 1);
}
