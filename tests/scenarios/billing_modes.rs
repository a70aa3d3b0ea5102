//! How Stripe works out periods and credits: what is quoted here is classic, whoever makes it, and what an agency sells is flexible; what others made
//! flexible is told, quoted and covered as Stripe bills it.

use billing_tests::{Account, Answer, Organisation, World, at_every_death, path_of};
use serde_json::{Value, json};
use stripe_stand_in::{NewPeriodStart, Settings};

/// Which subscriptions and schedules there are in which mode.
fn modes(of: &[Value]) -> Vec<&Value> {
    of.iter().map(|one| &one["billing_mode"]["type"]).collect()
}

/// Every way to sell: an account's checkout; a plan by card, on a page, with a first period that an anchor cuts short, and on that bill's page; an
/// agency's order of now and of later; and a downgrade, whose schedule is made of what runs.
#[tokio::test]
async fn whatever_is_sold_is_billed_in_the_mode_that_it_was_decided_for() {
    let world = World::at("2026-04-11T00:00:00Z").await;
    world.subscriber(1, "monthly").await;
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
    assert_eq!(modes(&theirs), [&json!("flexible"); 2], "an agency's is metered");
    assert_eq!(modes(&north.schedules().await), [&json!("flexible"); 2]);
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
    assert_eq!(of_new, 4, "every contract, also one that is sold on a page");
}

/// An operator has Stripe bill the subscription that was made last in the flexible mode: a click, and for good.
async fn is_migrated(world: &World) {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let path = format!("/v1/subscriptions/{}/migrate", latest["id"].as_str().unwrap());
    world
        .stripe
        .operator("POST", &path, "billing_mode[type]=flexible")
        .await;
    world.stripe.stand_in().settle().await;
}

fn amounts(preview: &Answer) -> Vec<&Value> {
    let lines = preview.body["lines"].as_array().unwrap();
    lines.iter().map(|line| &line["amountCents"]).collect()
}

/// The account moves to the interval at the second and the amounts that it was shown.
async fn changes_as_quoted(ada: &Account<'_>, interval: &str, quoted: [i64; 2]) {
    let preview = ada.previews(&json!({ "interval": interval })).await;
    assert_eq!(
        amounts(&preview),
        [&json!(quoted[0]), &json!(quoted[1])],
        "{preview}"
    );
    let wish = json!({ "interval": interval, "prorationDate": preview.body["prorationDate"] });
    let changed = ada.changes(&wish).await;
    assert_eq!(
        changed.body,
        json!({ "changed": true, "interval": interval }),
        "{changed}"
    );
}

/// 3 × 10.00 for April, changed after 10 of 30 days. The anchor stays: −20.00, and 355 of the 365 days of a year from 1 April, 3 × 96.00: 280.10. Ten days
/// later all but those ten of 355 come back, −28010 × 345 / 355 = −27220.99, and 10 of 30 days are charged, 10.00: the credit stays with the customer.
#[tokio::test]
async fn a_flexible_account_is_charged_what_it_was_quoted_and_covered_as_paid() {
    for in_another_world in [false, true] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        if in_another_world {
            let new_period_starts_at = NewPeriodStart::ProrationDate;
            world.stripe.is(Settings {
                new_period_starts_at,
                ..Settings::default()
            });
        }
        let ada = world.subscriber(3, "monthly").await;
        is_migrated(&world).await;
        world.advance("10d").await;
        changes_as_quoted(&ada, "annual", [-2000, 28_010]).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [3000, 26_010]);
        assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
        let told = ada.billing().await.body["subscription"].take();
        assert_eq!(
            (&told["interval"], &told["periodEnd"]),
            (&json!("annual"), &json!("2027-04-01T00:00:00Z"))
        );

        world.advance("10d").await;
        changes_as_quoted(&ada, "monthly", [-27_221, 1000]).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [3000, 26_010, 0]);
        assert_eq!(
            ada.covered_until().await,
            "2026-05-01T00:00:00Z",
            "the year was given back"
        );
        assert_eq!(
            ada.billing().await.body["subscription"]["periodEnd"],
            "2026-05-01T00:00:00Z"
        );
        world.advance("11d").await;
        assert_eq!(
            ada.covered_until().await,
            "2026-06-01T00:00:00Z",
            "renewed out of the credit"
        );
    }
}

/// The change waits for its payment: nothing is given back or covered before.
#[tokio::test]
async fn a_flexible_change_that_is_not_paid_gives_nothing_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    is_migrated(&world).await;
    world.advance("10d").await;
    world
        .stripe
        .gives_card(&ada, "pm_card_authenticationRequired")
        .await;
    let changed = ada.changes(&json!({ "interval": "annual" })).await;
    assert_eq!(changed.body["payment"]["status"], "requires_action", "{changed}");
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    world.stripe.pays_open_invoice(&ada).await;
    assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
    assert_eq!(world.stripe.payments(&ada).await, [3000, 26_010]);
}

/// The payer ends it in Stripe's portal, which for a flexible subscription sets the date of its period's end. Answers that.
async fn ends_in_the_portal(world: &World, ada: &Account<'_>) -> Value {
    let subscription = world.stripe.subscription(ada).await;
    let path = path_of(&subscription);
    let end = subscription["items"]["data"][0]["current_period_end"].clone();
    let form = format!("cancel_at={end}");
    world.stripe.operator("POST", &path, &form).await;
    end
}

/// Stripe's portal ends a flexible subscription by its date: it is told as an end with the period, taken back, and set anew.
#[tokio::test]
async fn a_flexible_account_that_was_ended_in_the_portal_is_resumed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    is_migrated(&world).await;
    ends_in_the_portal(&world, &ada).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(
        world.stripe.subscription(&ada).await["cancel_at_period_end"],
        false
    );
    assert_eq!(
        ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
        true
    );
    assert_eq!(ada.resumes().await.body["cancelAtPeriodEnd"], false);
    assert_eq!(world.stripe.subscription(&ada).await["cancel_at"], Value::Null);
    assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
    world.advance("31d").await;
    assert_eq!(ada.billing().await.body["subscription"], Value::Null);
    assert_eq!(world.stripe.payments(&ada).await, [1000]);
}

/// Ended in the portal, by the date of its period's end, and changed to the year at once: −30.00 and 288.00, as without. The end is taken back once, whatever
/// dies meanwhile, and nothing is left to be billed later.
#[tokio::test]
async fn a_flexible_account_that_was_ended_in_the_portal_is_changed_as_quoted() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut accounts = 0;
    at_every_death(async |death| {
        accounts += 1;
        let ada = world.subscriber(3, "monthly").await;
        is_migrated(&world).await;
        let end = ends_in_the_portal(&world, &ada).await;
        let preview = ada.previews(&json!({ "interval": "annual" })).await;
        assert_eq!(amounts(&preview), [&json!(-3000), &json!(28_800)], "{preview}");
        assert_eq!(world.stripe.subscription(&ada).await["cancel_at"], end);
        let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
        let told = world
            .dies_over(death, async |machine| ada.changes_on(machine, &wish).await)
            .await;
        assert_eq!(ada.changes(&wish).await.status, 200, "{death}");
        world.stripe.stand_in().settle().await;
        let changed = world.stripe.subscription(&ada).await;
        assert_eq!(
            (&changed["cancel_at"], &changed["cancel_at_period_end"]),
            (&Value::Null, &json!(false)),
            "{death}"
        );
        assert_eq!(world.stripe.payments(&ada).await, [3000, 25_800], "{death}");
        assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z", "{death}");
        assert_eq!(ada.stored().await.profile.change, None, "{death}");
        told.is_some()
    })
    .await;
    world.advance("60d").await;
    assert_eq!(world.stripe.charges().await.len(), 2 * accounts);
}

/// The card is declined: it ends where the portal has it end, and nothing is charged.
#[tokio::test]
async fn a_flexible_account_that_was_ended_in_the_portal_stays_ended_by_a_change_that_is_not_paid() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    is_migrated(&world).await;
    let end = ends_in_the_portal(&world, &ada).await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    let changed = ada.changes(&json!({ "interval": "annual" })).await;
    assert_eq!(
        changed.body["payment"]["status"], "requires_payment_method",
        "{changed}"
    );
    world.advance("2d").await;
    assert_eq!(
        ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
        true
    );
    assert_eq!(world.stripe.subscription(&ada).await["cancel_at"], end);
    world.advance("29d").await;
    assert_eq!(ada.billing().await.body["subscription"], Value::Null);
    assert_eq!(world.stripe.payments(&ada).await, [3000]);
}

/// An agreed number of seats for the contract, and what it comes to.
async fn offered(acme: &Organisation<'_>, contract: &str, seats: u64) -> (String, Value) {
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": seats });
    let offer = acme
        .opens(&json!({ "contract_id": contract, "product_overrides": [seat] }))
        .await;
    assert_eq!(offer.status, 201, "{offer}");
    let total = offer.body["estimates"]["current_invoice"]["total"].clone();
    (offer.body["id"].as_str().unwrap().to_owned(), total)
}

const OTHERWISE_BILLED: &str = r#"409 {"error":"the contract is billed in the payment provider's flexible mode, in which it would charge another amount than was estimated; nothing was charged"}"#;

/// 3 × 10.00 for April. On the 11th a fourth seat: −20.00 + 26.66. On the 21st a fifth: the estimate gives back a third of 40.00, −13.34, and the debit of
/// 26.66 halved is −13.33. It is refused in words, and so is another cadence; nothing is charged but what was quoted, and the contract renews.
#[tokio::test]
async fn a_contract_that_was_made_flexible_is_charged_as_quoted_or_not_at_all() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    is_migrated(&world).await;
    world.advance("10d").await;
    let (fourth, quoted) = offered(&acme, &contract, 4).await;
    assert_eq!(quoted, 666);
    let sold = acme.confirms(&fourth, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    world.advance("10d").await;
    let (fifth, quoted) = offered(&acme, &contract, 5).await;
    assert_eq!(quoted, 332);
    assert_eq!(acme.confirms(&fifth, &Value::Null).await, OTHERWISE_BILLED);
    let year = json!({ "contract_id": contract, "plan_id": acme.plan("team-annual") });
    let year = acme.session(&year).await;
    assert_eq!(acme.confirms(&year, &Value::Null).await, OTHERWISE_BILLED);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 666]);
    assert_eq!(acme.contract(&contract).await.contract.sale, None);
    world.advance("11d").await;
    assert_eq!(world.stripe.charges().await, [3500, 666, 4500]);
    assert_eq!(acme.covered_until(&contract).await, "2026-06-01T00:00:00Z");
}

/// What another program sold without a word of the mode is flexible: taken over, and quoted as it is billed.
#[tokio::test]
async fn a_flexible_subscription_that_is_taken_over_is_quoted_as_it_is_billed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let customer = world.stripe.customer_id(&ada).await;
    let own = world.stripe.subscription(&ada).await;
    let form = format!(
        "customer={customer}&items[0][price]={}&default_payment_method={}",
        world.stack().variables["PRICE_ANNUAL"],
        own["default_payment_method"].as_str().unwrap(),
    );
    let path = path_of(&own);
    world.stripe.operator("DELETE", &path, "").await;
    world.stripe.stand_in().settle().await;
    let sold = world.stripe.operator("POST", "/v1/subscriptions", &form).await;
    assert_eq!(sold["billing_mode"]["type"], "flexible");
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
    world.advance("73d").await;
    changes_as_quoted(&ada, "monthly", [-7680, 600]).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.covered_until().await, "2026-07-01T00:00:00Z");
    assert_eq!(
        ada.billing().await.body["subscription"]["periodEnd"],
        "2026-07-01T00:00:00Z"
    );
}
