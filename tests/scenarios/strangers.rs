//! What else is sold on the same Stripe account.

use billing_tests::World;

/// A newsletter for 1.00, by a link of the company's. Whoever follows it names in its address whom he likes (`client_reference_id`): an
/// account, with three numbers at 10.00. It is not the account's, covers nothing, and bars nothing.
#[tokio::test]
async fn what_a_link_sells_in_the_name_of_an_account_is_not_the_accounts() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(3).await;
    let newsletter = world
        .stripe
        .operator("POST", "/v1/products", "name=Newsletter")
        .await;
    let product = newsletter["id"].as_str().unwrap();
    let form = format!("product={product}&currency=usd&unit_amount=100&recurring[interval]=month");
    let price = world.stripe.operator("POST", "/v1/prices", &form).await;
    let form = format!(
        "mode=subscription&ui_mode=embedded_page&return_url=https://company.example/&client_reference_id={}\
         &line_items[0][price]={}&line_items[0][quantity]=3",
        ada.id,
        price["id"].as_str().unwrap()
    );
    let session = world
        .stripe
        .operator("POST", "/v1/checkout/sessions", &form)
        .await;
    world
        .stripe
        .pays(session["client_secret"].as_str().unwrap())
        .await;
    assert_eq!(world.stripe.charges().await, [300]);
    let billing = ada.billing().await;
    assert!(billing.body["subscription"].is_null(), "{billing}");
    assert!(billing.body["coveredUntil"].is_null(), "{billing}");
    assert_eq!(billing.body["numbers"][0]["mode"], "PAYG");
    assert_eq!(ada.stored().await.profile.customer, None);
    ada.subscribes("monthly").await;
    assert_eq!(world.stripe.charges().await, [300, 3000]);
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
}
