//! Contracts that a bank debit pays. What changes at once has to be paid at once, by Stripe's rule: such an amendment is refused in words,
//! unless a card is named for it. What changes when the period ends needs no payment.

use billing_tests::{Answer, Machine, Organisation, World, at_every_death, at_every_step, path_of};
use serde_json::{Value, json};

const BANK: &str = "pm_usBankAccount";
const CARD: &str = "pm_card_visa";
const TOLD: &str = "the subscription is paid by us_bank_account, with which it cannot be changed: it takes a card, or another payment \
                    method that pays at once";

/// Stripe's refusal of a payment method that is not known not to be on its list. The words are not Stripe's, which are not known.
const REFUSED: &str =
    r#"{"error":{"type":"invalid_request_error","param":"payment_behavior","message":"Not supported."}}"#;

fn by(method: &str) -> Value {
    json!({ "payment_method_id": method })
}

/// A contract of the plan, which the bank has been debited for.
async fn debited(world: &World, acme: &Organisation<'_>, plan: &str) -> String {
    let id = acme.session(&acme.order(plan)).await;
    acme.confirms(&id, &by(BANK)).await;
    world.advance("73h").await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    read.body["contract_id"].as_str().unwrap().to_owned()
}

/// A session over so many seats of a starter contract, which has three.
async fn seats(acme: &Organisation<'_>, contract: &str, quantity: u32) -> String {
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": quantity });
    acme.session(&json!({ "contract_id": contract, "product_overrides": [seat] }))
        .await
}

/// What pays the subscription that was made last.
async fn payer(world: &World) -> Value {
    world.stripe.all_subscriptions().await[0]["default_payment_method"].clone()
}

/// An operator has the subscription that was made last paid by something else.
async fn operator_gives(world: &World, method: &str) {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let form = format!("customer={}", latest["customer"].as_str().unwrap());
    let path = format!("/v1/payment_methods/{method}/attach");
    let attached = world.stripe.operator("POST", &path, &form).await;
    let path = path_of(&latest);
    let form = format!("default_payment_method={}", attached["id"].as_str().unwrap());
    world.stripe.operator("POST", &path, &form).await;
    world.stripe.stand_in().settle().await;
}

/// The answer says so, and nothing was bought: the session is open, and nothing is under way.
async fn is_refused(world: &World, acme: &Organisation<'_>, id: &str, told: &Answer, context: &str) {
    assert_eq!(
        (told.status, &told.body),
        (409, &json!({ "error": TOLD })),
        "{context}"
    );
    is_open(world, acme, id, context).await;
}

async fn is_open(world: &World, acme: &Organisation<'_>, id: &str, context: &str) {
    world.stripe.stand_in().settle().await;
    let read = acme.reads(id).await;
    assert_eq!(read.body["checkout_status"], "open", "{context}: {read}");
    let contract = read.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.contract(contract).await.contract.sale, None, "{context}");
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    assert_eq!(subscription["pending_update"], Value::Null, "{context}");
}

async fn is_bought(acme: &Organisation<'_>, id: &str, told: &Answer, context: &str) {
    assert_eq!(told.status, 200, "{context}: {told}");
    let read = acme.reads(id).await;
    assert_eq!(
        read.body["checkout_status"], "contract_created",
        "{context}: {read}"
    );
}

/// More seats, and fewer, which would cost nothing: neither by what pays nor by a bank account that is named; a card that is named pays, and
/// stays.
#[tokio::test]
async fn a_debit_pays_for_no_amendment_and_a_named_card_does() {
    for quantity in [6, 2] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let contract = debited(&world, &acme, "starter").await;
        let id = seats(&acme, &contract, quantity).await;
        let before = payer(&world).await;
        for _ in 0..2 {
            let machine = world.machine().await;
            let told = acme.confirms_on(&machine, &id, &Value::Null).await.unwrap();
            is_refused(&world, &acme, &id, &told, "by what pays").await;
            let steps = machine.network.steps();
            assert!(
                !steps.iter().any(|step| step.starts_with("POST")),
                "Stripe was asked: {steps:?}"
            );
            let told = acme.confirms(&id, &by(BANK)).await;
            assert_eq!(told.status, 400, "{told}");
            assert_eq!(
                told.body["error"]["fieldErrors"]["payment_method_id"],
                json!([
                    "is a us_bank_account, with which a contract cannot be changed: name a card, or another payment method that pays at once"
                ])
            );
            is_open(&world, &acme, &id, "by a bank account that is named").await;
        }
        assert_eq!(payer(&world).await, before);
        assert_eq!(world.stripe.charges().await, [3500]);
        let told = acme.confirms(&id, &by(CARD)).await;
        is_bought(&acme, &id, &told, "by a card").await;
        assert_ne!(payer(&world).await, before);
    }
}

/// An operator replaces the account at Stripe.
#[tokio::test]
async fn a_card_that_takes_the_place_of_the_account_pays() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = debited(&world, &acme, "starter").await;
    let id = seats(&acme, &contract, 6).await;
    let told = acme.confirms(&id, &Value::Null).await;
    is_refused(&world, &acme, &id, &told, "before").await;
    operator_gives(&world, CARD).await;
    let told = acme.confirms(&id, &Value::Null).await;
    is_bought(&acme, &id, &told, "after").await;
}

/// Nothing is charged before the year ends.
#[tokio::test]
async fn a_downgrade_needs_no_payment() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = debited(&world, &acme, "team-annual").await;
    let wish = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let id = acme.session(&wish).await;
    let told = acme.confirms(&id, &Value::Null).await;
    is_bought(&acme, &id, &told, "a downgrade").await;
}

/// The card that is named is declined, and nobody pays on the page, which takes no bank account: May is debited as April was.
#[tokio::test]
async fn a_declined_card_leaves_the_contract_to_its_debit() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = debited(&world, &acme, "starter").await;
    let id = seats(&acme, &contract, 6).await;
    let before = payer(&world).await;
    let told = acme.confirms(&id, &by("pm_card_chargeCustomerFail")).await;
    assert_eq!(told.body["checkout_status"], "pending", "{told}");
    let bill = world.stripe.latest_invoice().await;
    let by_bank = stripe_stand_in::InvoiceAct {
        payment_method: Some(BANK.to_owned()),
        ..stripe_stand_in::InvoiceAct::default()
    };
    let stand_in = world.stripe.stand_in();
    stand_in
        .act_on_invoice(bill["id"].as_str().unwrap(), &by_bank)
        .await
        .unwrap_err();
    world.advance("25h").await;
    assert_eq!(payer(&world).await, before);
    world.advance("30d").await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    assert_eq!(acme.covered_until(&contract).await, "2026-06-01T00:00:00Z");
}

/// Confirms on that machine; right before it asks Stripe for the amendment, an operator has the subscription paid by a bank account.
async fn confirms_beside_an_operator(
    world: &World,
    acme: &Organisation<'_>,
    machine: &Machine,
    id: &str,
) -> Answer {
    machine.network.holds("POST /v1/invoices/create_preview");
    let mut asked = Box::pin(acme.confirms_on(machine, id, &Value::Null));
    tokio::select! {
        early = &mut asked => return early.unwrap(),
        () = machine.network.reached() => {}
    }
    operator_gives(world, BANK).await;
    machine.network.lets_go();
    asked.await.unwrap()
}

/// Stripe refuses it by then, whichever answer is lost; a card buys it once.
#[tokio::test]
async fn an_account_that_is_given_in_between_is_told() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let id = seats(&acme, &contract, 4).await;
    let machine = world.machine().await;
    let told = confirms_beside_an_operator(&world, &acme, &machine, &id).await;
    is_refused(&world, &acme, &id, &told, "nothing is lost").await;
    at_every_step(async |step| {
        let contract = acme.sells(&acme.order("starter")).await;
        let id = seats(&acme, &contract, 4).await;
        let machine = world.machine().await;
        machine.network.loses_answer(step);
        let answer = confirms_beside_an_operator(&world, &acme, &machine, &id).await;
        assert!(
            answer.status == 503 || answer.body == told.body,
            "lost at step {step}: {answer}"
        );
        operator_gives(&world, CARD).await;
        let bought = acme.confirms(&id, &Value::Null).await;
        is_bought(&acme, &id, &bought, &format!("lost at step {step}")).await;
        let paid = world.stripe.charges_of(&customer(&world).await).await;
        assert_eq!(
            paid.iter().filter(|paid| **paid == 1000).count(),
            step,
            "{paid:?}"
        );
        machine.network.steps().len() < step
    })
    .await;
}

/// Who bought last.
async fn customer(world: &World) -> String {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    latest["customer"].as_str().unwrap().to_owned()
}

/// Stripe refuses a kind of payment method of which nobody knows that it does, the one that is named or the one that pays: a conflict in
/// words, what paid before pays again, and the next attempt goes through, whether the machine told it or died over it.
#[tokio::test]
async fn a_refusal_that_nobody_expects_is_told_and_leaves_nothing_behind() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    for named in [Value::Null, by("pm_card_mastercard")] {
        let asks = async |machine: &Machine, id: &str| {
            // The first update of a named one makes it the payer.
            let amendment = if named.is_null() { 1 } else { 2 };
            machine
                .network
                .tells_at("POST /v1/subscriptions/sub_", amendment, 400, REFUSED);
            acme.confirms_on(machine, id, &named).await
        };
        let contract = acme.sells(&acme.order("starter")).await;
        let before = payer(&world).await;
        let id = seats(&acme, &contract, 4).await;
        let machine = world.machine().await;
        let told = asks(&machine, &id).await.unwrap();
        assert_eq!(told.status, 409, "{told}");
        let words = told.body["error"].as_str().unwrap();
        assert!(
            words.contains("paid by card, with which it cannot be changed"),
            "{words}"
        );
        is_open(&world, &acme, &id, "told").await;
        assert_eq!(payer(&world).await, before, "{named}");
        if named.is_null() {
            // What a machine dies over with a named one is that, and more.
            continue;
        }
        at_every_death(async |death| {
            let contract = acme.sells(&acme.order("starter")).await;
            let id = seats(&acme, &contract, 4).await;
            let told = world
                .dies_over(death, async |machine: &Machine| asks(machine, &id).await)
                .await;
            let bought = acme.confirms(&id, &named).await;
            is_bought(&acme, &id, &bought, &format!("{named} {death}")).await;
            told.is_some()
        })
        .await;
    }
}

/// One names a card and another nothing, at the same time: whatever each is told, the amendment is bought once, by the card.
#[tokio::test]
async fn a_card_and_nothing_at_once_buy_it_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_step(async |step| {
        let contract = acme.sells(&acme.order("starter")).await;
        operator_gives(&world, BANK).await;
        let id = seats(&acme, &contract, 6).await;
        let charges = world.stripe.charges().await.len();
        let asks = async |machine: &Machine| acme.confirms_on(machine, &id, &by(CARD)).await;
        let held = world
            .held_over(step, asks, acme.confirms(&id, &Value::Null))
            .await;
        for told in [&held.answer, &held.other] {
            assert!(matches!(told.status, 200 | 409 | 503), "{step}: {told}");
        }
        let bought = acme.confirms(&id, &by(CARD)).await;
        is_bought(&acme, &id, &bought, &step.to_string()).await;
        assert_eq!(world.stripe.charges().await.len(), charges + 1, "{step}");
        !held.was_held
    })
    .await;
}

/// The card was taken away at Stripe: the amendment is refused in words, and made with one that is named.
#[tokio::test]
async fn what_nothing_pays_is_amended_by_a_card_that_is_named() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&latest);
    world
        .stripe
        .operator("POST", &path, "default_payment_method=")
        .await;
    let path = format!("/v1/customers/{}", latest["customer"].as_str().unwrap());
    let none = "invoice_settings[default_payment_method]=";
    world.stripe.operator("POST", &path, none).await;
    world.advance("10d").await;
    let id = seats(&acme, &contract, 6).await;
    for _ in 0..2 {
        assert_eq!(
            acme.confirms(&id, &Value::Null).await,
            r#"409 {"error":"the subscription has no payment method: it takes one first"}"#
        );
    }
    let amended = acme.confirms(&id, &by(CARD)).await;
    assert_eq!(amended.body["checkout_status"], "contract_created", "{amended}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 2000]);
}
