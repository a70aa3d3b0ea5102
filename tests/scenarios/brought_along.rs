//! Customers whom another program sold to, and who come along with what they have (`docs/migrating.md`), where that is not what is sold here.

use billing_admin::accounts::{self, Wanted};
use billing_stripe::{SyntheticEvent, webhook};
use billing_tests::{Account, World, id_of, path_of};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const ANOTHER_CURRENCY: &str = r#"409 {"error":"the customer pays in another currency than the price is in: only an operator can change that"}"#;

/// A customer with a card whom another program has sold something at a price of this form, and who comes along with it.
async fn comes_along<'w>(world: &'w World, price: &str, quantity: &str) -> Account<'w> {
    let stripe = &world.stripe;
    let customer = stripe.operator("POST", "/v1/customers", "name=Acme").await;
    let customer = id_of(&customer);
    let attach = format!("customer={customer}");
    let card = stripe
        .operator("POST", "/v1/payment_methods/pm_card_visa/attach", &attach)
        .await;
    let product = stripe.operator("POST", "/v1/products", "name=Lines").await;
    let form = format!("product={}&recurring[interval]=month{price}", id_of(&product));
    let price = stripe.operator("POST", "/v1/prices", &form).await;
    let form = format!(
        "customer={customer}&items[0][price]={}{quantity}&default_payment_method={}",
        id_of(&price),
        id_of(&card)
    );
    let subscription = stripe.operator("POST", "/v1/subscriptions", &form).await;
    stripe.stand_in().settle().await;
    let wanted = Wanted {
        id: "acme".parse().unwrap(),
        name: None,
        email: None,
        customer: Some(customer.parse().unwrap()),
        numbers: vec!["+15551230001".parse().unwrap()],
    };
    let store = world.stack().app.store();
    accounts::create(store, wanted, world.now()).await.unwrap();
    let told = [&subscription["id"], &subscription["latest_invoice"]];
    for object in told.into_iter().filter_map(Value::as_str) {
        let event = object.parse::<SyntheticEvent>().unwrap().body(false);
        let secret = &world.stack().directory.webhook_secret;
        let signature = webhook::sign(event.to_string().as_bytes(), secret, world.now());
        let answer = world.posts_event(&event.to_string(), &signature).await;
        assert_eq!(answer.status, 200, "{answer}");
    }
    world.admits("acme").await
}

/// What is sold here is in dollars. Neither a change nor, once that is over, a checkout can have the customer pay them.
#[tokio::test]
async fn a_customer_who_pays_in_another_currency_is_told_so() {
    let world = World::at(NOW).await;
    let acme = comes_along(&world, "&currency=eur&unit_amount=900", "&items[0][quantity]=1").await;
    assert_eq!(acme.covered_until().await, "2026-05-01T00:00:00Z");
    let wish = json!({ "interval": "annual" });
    for _ in 0..2 {
        assert_eq!(acme.previews(&wish).await, ANOTHER_CURRENCY);
        assert_eq!(acme.changes(&wish).await, ANOTHER_CURRENCY);
    }
    assert_eq!(acme.stored().await.profile.change, None, "nothing is under way");
    // The present plan in another quantity is in its own.
    let more = acme.previews(&json!({ "quantity": 2 })).await;
    assert_eq!(more.body["currency"], "eur", "{more}");

    let subscription = world.stripe.all_subscriptions().await.remove(0);
    world.stripe.operator("DELETE", &path_of(&subscription), "").await;
    world.stripe.stand_in().settle().await;
    for _ in 0..2 {
        assert_eq!(acme.starts_checkout("monthly").await, ANOTHER_CURRENCY);
    }
    assert_eq!(world.stripe.charges().await, [900]);
}

/// A deployment that takes prices of another currency: who was sold to before pays in the old one.
#[tokio::test]
async fn an_account_of_before_another_currency_is_told_so() {
    let world = World::at(NOW).await;
    let ada = world.subscriber(1, "monthly").await;
    let product = world.stripe.operator("POST", "/v1/products", "name=Lines").await;
    let price = async |interval: &str| {
        let form = format!(
            "product={}&currency=eur&unit_amount=1000&recurring[interval]={interval}",
            id_of(&product)
        );
        let price = world.stripe.operator("POST", "/v1/prices", &form).await;
        id_of(&price).to_owned()
    };
    let (monthly, annual) = (price("month").await, price("year").await);
    let machine = world
        .machine_told(&[("PRICE_MONTHLY", &monthly), ("PRICE_ANNUAL", &annual)])
        .await;
    let wish = json!({ "interval": "annual" });
    assert_eq!(ada.previews_on(&machine, &wish).await.unwrap(), ANOTHER_CURRENCY);
    assert_eq!(ada.changes_on(&machine, &wish).await.unwrap(), ANOTHER_CURRENCY);
}

/// What is billed by its usage has no quantity: a preview of one is the caller's mistake, and one of the other interval is none.
#[tokio::test]
async fn a_quantity_of_what_is_billed_by_its_usage_is_refused() {
    let world = World::at(NOW).await;
    let meter = "display_name=Minutes&event_name=minutes&default_aggregation[formula]=sum";
    let meter: Value = world.stripe.operator("POST", "/v1/billing/meters", meter).await;
    let price = format!(
        "&currency=usd&unit_amount=2&recurring[usage_type]=metered&recurring[meter]={}",
        id_of(&meter)
    );
    let acme = comes_along(&world, &price, "").await;
    assert_eq!(
        acme.previews(&json!({ "quantity": 4 })).await,
        r#"400 {"error":{"fieldErrors":{"quantity":["cannot be told of a subscription that is billed by its usage"]},"formErrors":[]}}"#
    );
    let other = acme.previews(&json!({ "interval": "annual" })).await;
    assert_eq!(other.status, 200, "{other}");
}
