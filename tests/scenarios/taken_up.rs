//! Sales that are taken up again: whoever wrote them down has died, a while ago or a moment ago, and what has come of them at Stripe is looked for
//! before anything is asked anew.

use billing_tests::{Moment, Organisation, World};
use serde_json::{Value, json};

use crate::amendments::{seats, ten_days_later};

/// What begins a subscription, and what changes one.
const BEGINNING: &str = "POST /v1/subscriptions";
const CHANGING: &str = "POST /v1/subscriptions/";
/// What writes a sale down.
const CLAIM: &str = "DynamoDB TransactWriteItems";
/// What comes right before.
const PREVIEW: &str = "POST /v1/invoices/create_preview";

fn by(card: &str) -> Value {
    json!({ "payment_method_id": card })
}

/// A confirmation on a machine that dies before that step, or after it took effect.
async fn dies(world: &World, acme: &Organisation<'_>, id: &str, body: &Value, at: (Moment, &'static str)) {
    let machine = world.machine().await;
    machine.network.stops_named(at.0, at.1);
    machine.dies_over(acme.confirms_on(&machine, id, body)).await;
}

/// One subscription, charged once, and one contract that is covered.
async fn sold_once(world: &World, acme: &Organisation<'_>, id: &str, charged: &[i64], context: &str) {
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, charged, "{context}");
    assert_eq!(
        world.stripe.all_subscriptions().await.len(),
        charged.len(),
        "{context}"
    );
    let ledger = acme.sold(id, context).await.ledger;
    assert!(!ledger.entries.is_empty(), "{context}");
}

/// 112.00 a month from the first on: the last day of April, 3.73, is paid half a minute before May, and the answer is lost. What is previewed
/// after that would begin in the past; what is paid is landed, whoever may be at it still.
#[tokio::test]
async fn a_share_of_a_period_that_was_paid_before_its_end_is_landed_after_it() {
    for later in ["30s", "90s"] {
        let world = World::at("2026-04-30T23:59:45Z").await;
        let acme = world.organisation("acme").await;
        world.stripe.holds_events(true).await;
        let id = acme.session(&acme.order("team")).await;
        let visa = by("pm_card_visa");
        dies(&world, &acme, &id, &visa, (Moment::After, BEGINNING)).await;
        world.advance(later).await;
        let sold = acme.confirms(&id, &visa).await;
        assert_eq!(
            sold.body["checkout_status"], "contract_created",
            "{later}: {sold}"
        );
        sold_once(&world, &acme, &id, &[373], later).await;
    }
}

/// The same, and nothing was charged before: the offer is made anew, with all of May.
#[tokio::test]
async fn a_share_of_a_period_that_nobody_asked_for_in_time_is_offered_anew() {
    let world = World::at("2026-04-30T23:59:45Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("team")).await;
    let visa = by("pm_card_visa");
    dies(&world, &acme, &id, &visa, (Moment::Before, BEGINNING)).await;
    world.advance("90s").await;
    let moved = acme.confirms(&id, &visa).await;
    assert_eq!(moved.status, 409, "{moved}");
    assert_eq!(
        moved.body["estimates"]["current_invoice"]["total"], 11200,
        "{moved}"
    );
    let mut agreed = visa.clone();
    agreed["version"] = moved.body["version"].clone();
    let sold = acme.confirms(&id, &agreed).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    sold_once(&world, &acme, &id, &[11200], "all of May").await;
}

/// An amendment that was written down in the last seconds of a period, and not asked for.
#[tokio::test]
async fn an_amendment_that_nobody_asked_for_in_its_period_is_offered_anew() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("29d 23h 59m 45s").await;
    let id = acme.session(&seats(&acme, &contract, 6)).await;
    dies(&world, &acme, &id, &Value::Null, (Moment::Before, CHANGING)).await;
    world.advance("90s").await;
    let moved = acme.confirms(&id, &Value::Null).await;
    assert_eq!(moved.status, 409, "{moved}");
    assert_eq!(moved.body["version"], acme.stored(&id).await.version, "{moved}");
    assert_eq!(acme.contract(&contract).await.contract.sale, None);
    // The renewal is a draft for an hour.
    world.advance("2h").await;
    let agreed = json!({ "version": moved.body["version"] });
    let sold = acme.confirms(&id, &agreed).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
}

/// The bakery's own card pays, and the answer is lost; then an operator takes the card away. No page is opened beside what is paid.
#[tokio::test]
async fn what_is_paid_is_found_though_the_card_is_gone() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    acme.sells(&acme.order("starter")).await;
    let customer = world.stripe.all_customers().await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let attach = "/v1/payment_methods/pm_card_visa/attach";
    let card = world
        .stripe
        .operator("POST", attach, &format!("customer={customer}"))
        .await;
    let card = card["id"].as_str().unwrap();
    let form = format!("invoice_settings[default_payment_method]={card}");
    let path = format!("/v1/customers/{customer}");
    world.stripe.operator("POST", &path, &form).await;
    world.stripe.holds_events(true).await;
    let id = acme.session(&acme.order("starter")).await;
    dies(&world, &acme, &id, &Value::Null, (Moment::After, BEGINNING)).await;
    world
        .stripe
        .operator("POST", &path, "invoice_settings[default_payment_method]=")
        .await;
    world.advance("5m").await;
    let sold = acme.confirms(&id, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    sold_once(&world, &acme, &id, &[3500, 3500], "the card is gone").await;
}

/// Half an hour's session was confirmed at its beginning, and nobody was charged. In its last seconds it is confirmed again, and while the card is
/// being charged its time runs out: who comes then forgets nothing, and the card is charged once.
#[tokio::test]
async fn a_sale_that_is_charged_while_its_session_runs_out_is_not_forgotten() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    world.stripe.holds_events(true).await;
    let mut order = acme.order("starter");
    order["expires_at"] = json!("2026-04-01T00:30:00Z");
    let id = acme.session(&order).await;
    let visa = by("pm_card_visa");
    for at in ["10m", "10m"] {
        dies(&world, &acme, &id, &visa, (Moment::Before, BEGINNING)).await;
        world.advance(at).await;
    }
    world.advance("9m 58s").await;
    let machine = world.machine().await;
    machine.network.holds(PREVIEW);
    let (sold, ()) = tokio::join!(acme.confirms_on(&machine, &id, &visa), async {
        machine.network.reached().await;
        world.advance("3s").await;
        assert_eq!(acme.confirms(&id, &visa).await.status, 410);
        machine.network.lets_go();
    });
    let sold = sold.unwrap();
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    sold_once(&world, &acme, &id, &[3500], "at the end").await;
}

/// The same of an amendment, which stands in the way of another session's.
#[tokio::test]
async fn an_amendment_that_is_charged_while_its_session_runs_out_is_in_the_way() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    world.stripe.holds_events(true).await;
    let mut wish = seats(&acme, &contract, 6);
    wish["expires_at"] = json!("2026-04-11T00:30:00Z");
    let id = acme.session(&wish).await;
    let other = acme.session(&seats(&acme, &contract, 7)).await;
    let none = Value::Null;
    dies(&world, &acme, &id, &none, (Moment::Before, CHANGING)).await;
    world.advance("29m 58s").await;
    let machine = world.machine().await;
    machine.network.holds(PREVIEW);
    let (sold, ()) = tokio::join!(acme.confirms_on(&machine, &id, &none), async {
        machine.network.reached().await;
        world.advance("3s").await;
        let told = acme.confirms(&other, &none).await;
        assert_eq!(
            told,
            r#"409 {"error":"another change of the contract is being paid for"}"#
        );
        assert_eq!(told.header("retry-after"), "5");
        machine.network.lets_go();
    });
    let sold = sold.unwrap();
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await.len(), 2);
    assert_eq!(acme.contract(&contract).await.history.len(), 2);
}

/// A confirmation died an hour ago, before or after the first card was charged. The payer names another card: it is charged, unless the first
/// one was.
#[tokio::test]
async fn another_card_is_charged_when_nobody_is_at_the_first_one() {
    for moment in [Moment::Before, Moment::After] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        world.stripe.holds_events(true).await;
        let id = acme.session(&acme.order("starter")).await;
        dies(&world, &acme, &id, &by("pm_card_visa"), (moment, BEGINNING)).await;
        world.advance("1h").await;
        let sold = acme.confirms(&id, &by("pm_card_mastercard")).await;
        assert_eq!(
            sold.body["checkout_status"], "contract_created",
            "{moment:?}: {sold}"
        );
        sold_once(&world, &acme, &id, &[3500], &format!("{moment:?}")).await;
    }
}

/// A confirmation died before it had asked for anything, and by now the customer owes something. Whoever repeats it every twenty seconds is
/// told that once the dead one has had its time; and then nobody is at the sale that another card could be charged for.
#[tokio::test]
async fn who_repeats_a_confirmation_that_does_not_fit_any_more_keeps_nobody_waiting() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    acme.sells(&acme.order("starter")).await;
    let customer = world.stripe.all_customers().await.remove(0);
    let path = billing_tests::path_of(&customer);
    let id = acme.session(&acme.order("starter")).await;
    let visa = by("pm_card_visa");
    dies(&world, &acme, &id, &visa, (Moment::After, CLAIM)).await;
    world.stripe.operator("POST", &path, "balance=500").await;
    for _ in 0..2 {
        world.advance("20s").await;
        let waits = acme.confirms(&id, &visa).await;
        assert_eq!(waits.status, 503, "{waits}");
    }
    world.advance("20s").await;
    let told = acme.confirms(&id, &visa).await;
    assert_eq!(
        told,
        r#"409 {"error":"the customer owes the payment provider something from before, which would be charged too; nothing was charged"}"#
    );
    world.stripe.operator("POST", &path, "balance=0").await;
    let sold = acme.confirms(&id, &by("pm_card_mastercard")).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    sold_once(&world, &acme, &id, &[3500, 3500], "the second card").await;
}

/// The same of an amendment.
#[tokio::test]
async fn another_card_pays_an_amendment_when_nobody_is_at_the_first_one() {
    for moment in [Moment::Before, Moment::After] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, contract) = ten_days_later(&world).await;
        world.stripe.holds_events(true).await;
        let id = acme.session(&seats(&acme, &contract, 6)).await;
        dies(&world, &acme, &id, &Value::Null, (moment, CHANGING)).await;
        world.advance("1h").await;
        let sold = acme.confirms(&id, &by("pm_card_mastercard")).await;
        assert_eq!(
            sold.body["checkout_status"], "contract_created",
            "{moment:?}: {sold}"
        );
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.charges().await.len(), 2, "{moment:?}");
    }
}
