//! A change that begins a period is paid in part with what it gives back of the period before. What went back of that, or of one before it, does not
//! come back a second time through the next change.

use billing_tests::{Account, Organisation, World};
use serde_json::{Value, json};

const NOT_PAID: &str = "the subscription's current period is not paid: its invoice has to be paid first";

const GIVEN_BACK: &str = "the subscription's current period was paid back in part: a change would give back more than is left of it";

fn to(interval: &str) -> Value {
    json!({ "interval": interval })
}

/// The change, five minutes after whatever was before.
async fn moves(world: &World, ada: &Account<'_>, interval: &str) {
    world.advance("5m").await;
    let changed = ada.changes(&to(interval)).await;
    assert_eq!(changed.body["changed"], true, "{changed}");
    world.stripe.stand_in().settle().await;
}

/// What the account has on account, and how many invoices it has.
async fn on_account(world: &World, ada: &Account<'_>) -> (Value, usize) {
    let customer = world.stripe.customers(ada).await.remove(0);
    (
        customer["balance"].clone(),
        world.stripe.invoices(ada).await.len(),
    )
}

/// The change is refused in these words, and nothing has happened.
async fn is_refused(world: &World, ada: &Account<'_>, wish: &Value, told: &str, context: &str) {
    let before = on_account(world, ada).await;
    let refused = ada.changes(wish).await;
    assert_eq!(
        (refused.status, &refused.body),
        (409, &json!({ "error": told })),
        "{context}"
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(on_account(world, ada).await, before, "{context}");
    assert_eq!(ada.stored().await.profile.change, None, "{context}");
    assert_eq!(ada.previews(wish).await.status, 200, "{context}");
}

/// The charge that paid the account's first invoice.
async fn first_charge(world: &World, ada: &Account<'_>) -> Value {
    let first = world.stripe.invoices(ada).await.pop().unwrap();
    world.stripe.charge_of(first["id"].as_str().unwrap()).await
}

/// A year, months instead, and the year again, which was paid with what came back of the first. That goes back, and is the only payment there was.
#[tokio::test]
async fn a_year_that_went_back_is_not_given_back_by_leaving_the_year_that_it_paid() {
    for changes in [&["monthly"][..], &["monthly", "annual"]] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(3, "annual").await;
        for interval in changes {
            moves(&world, &ada, interval).await;
        }
        let charge = first_charge(&world, &ada).await;
        world.stripe.refunds(&charge, 28_800).await;
        world.advance("5m").await;
        let other = if changes.len() == 1 { "annual" } else { "monthly" };
        is_refused(&world, &ada, &to(other), NOT_PAID, "the first year is back").await;
        let invoices = world.stripe.invoices(&ada).await;
        assert_eq!(invoices.len(), changes.len() + 1);
        // The next month is paid, with what is on account.
        if changes.len() == 1 {
            world.advance("32d").await;
            moves(&world, &ada, "annual").await;
        }
    }
}

/// 10.00 for a month, of which 6.67 paid for a year of 96.00. With all of the year given back, as a code for nothing has it, no more comes back than is
/// left of both payments; without it 86.00 do.
#[tokio::test]
async fn no_more_of_a_month_comes_back_than_is_left_of_it() {
    for (of_the_month, is_made) in [(334, false), (333, true)] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(1, "monthly").await;
        world
            .stripe
            .makes_code("percent_off=100&duration=once", "code=FREE")
            .await;
        world.advance("10d").await;
        assert_eq!(ada.changes(&to("annual")).await.body["changed"], true);
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [1000, 8933]);
        let charge = first_charge(&world, &ada).await;
        world.stripe.refunds(&charge, of_the_month).await;
        let free = json!({ "interval": "monthly", "promotionCode": "FREE" });
        let wish = if is_made {
            free
        } else {
            is_refused(&world, &ada, &free, GIVEN_BACK, "in part").await;
            to("monthly")
        };
        let changed = ada.changes(&wish).await;
        assert_eq!(changed.body["changed"], true, "{changed}");
        world.stripe.stand_in().settle().await;
        let balance = if is_made { -9600 } else { -8600 };
        assert_eq!(on_account(&world, &ada).await.0, balance);
    }
}

/// A month of the year went back before the year was renewed: what the renewal charged was paid with nothing else.
#[tokio::test]
async fn a_renewal_stands_on_nothing_before_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("10d").await;
    moves(&world, &ada, "annual").await;
    let charge = first_charge(&world, &ada).await;
    world.stripe.refunds(&charge, 1000).await;
    is_refused(&world, &ada, &to("monthly"), NOT_PAID, "the month is back").await;
    world.advance("366d").await;
    moves(&world, &ada, "monthly").await;
}

/// A contract of months that was moved to a year of 750.00 after ten days, of which April's rest paid 23.34.
async fn moved<'w>(world: &'w World) -> (Organisation<'w>, String) {
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("10d").await;
    let wish = json!({ "contract_id": contract, "plan_id": acme.plan("team-annual") });
    let sold = acme.confirms(&acme.session(&wish).await, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 72_666]);
    (acme, contract)
}

async fn with_seats(acme: &Organisation<'_>, contract: &str, quantity: u32) -> String {
    let seat = json!({ "product_id": acme.product("team-annual", "Annual team seat"), "quantity": quantity });
    acme.session(&json!({ "contract_id": contract, "product_overrides": [seat] }))
        .await
}

/// An operator refunds that much of the contract's invoice, the first or the second.
async fn refunds(world: &World, acme: &Organisation<'_>, contract: &str, amounts: &[i64]) {
    let entries = acme.contract(contract).await.ledger.entries;
    let mut invoices: Vec<(String, String)> = entries
        .iter()
        .map(|entry| (entry.period.start.to_string(), entry.invoice.to_string()))
        .collect();
    invoices.sort();
    invoices.dedup();
    for ((_, invoice), amount) in invoices.iter().zip(amounts) {
        let charge = world.stripe.charge_of(invoice).await;
        world.stripe.refunds(&charge, *amount).await;
    }
}

#[tokio::test]
async fn a_contract_whose_month_went_back_is_not_amended_in_the_year_that_it_paid_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = moved(&world).await;
    refunds(&world, &acme, &contract, &[3500]).await;
    for quantity in [4, 6] {
        let session = with_seats(&acme, &contract, quantity).await;
        let refused = acme.confirms(&session, &Value::Null).await;
        let told = json!({ "error": NOT_PAID });
        assert_eq!((refused.status, &refused.body), (409, &told), "{quantity}");
    }
    assert_eq!(world.stripe.charges().await, [3500, 72_666]);
    assert_eq!(world.stripe.all_customers().await[0]["balance"], 0);
}

/// One seat instead of five gives 600.00 back. 150.00 of the year's payment went back, so that 576.66 are left of it: there have to be 23.34 of the month's
/// 35.00.
#[tokio::test]
async fn an_amendment_gives_back_no_more_of_the_month_than_is_left_of_it() {
    for (of_the_month, is_made) in [(1167, false), (1166, true)] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, contract) = moved(&world).await;
        refunds(&world, &acme, &contract, &[of_the_month, 15_000]).await;
        let session = with_seats(&acme, &contract, 1).await;
        let answer = acme.confirms(&session, &Value::Null).await;
        assert_eq!(answer.status, if is_made { 200 } else { 409 }, "{answer}");
        if !is_made {
            assert_eq!(answer.body["error"], GIVEN_BACK);
        }
        let balance = if is_made { -60_000 } else { 0 };
        assert_eq!(world.stripe.all_customers().await[0]["balance"], balance);
    }
}
