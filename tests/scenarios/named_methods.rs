//! A payment method that is named for an amendment becomes its subscription's, and stays that only if it pays for it: what was declined
//! would be tried again when the contract renews.

use billing_tests::{
    Death, Machine, Moment, Organisation, World, at_every_death, at_every_step, id_of, path_of,
};
use serde_json::{Value, json};

const DECLINING: &str = "pm_card_chargeCustomerFail";
const CONFIRMED: &str = "pm_card_authenticationRequired";
const NOT_THE_CUSTOMERS: &str = r#"400 {"error":{"fieldErrors":{"payment_method_id":["is not a payment method that the customer can pay by"]},"formErrors":[]}}"#;

fn by(method: &str) -> Value {
    json!({ "payment_method_id": method })
}

/// A session of half an hour and a minute over a fourth seat of a new contract: 10.00 on the first second of April. Answers also what
/// pays the contract.
async fn offered(world: &World, acme: &Organisation<'_>) -> (String, Value) {
    let contract = acme.sells(&acme.order("starter")).await;
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
    let until = world.now() + billing_core::SignedDuration::from_mins(31);
    let wish =
        json!({ "contract_id": contract, "product_overrides": [seat], "expires_at": until.to_string() });
    (acme.session(&wish).await, payer(world).await)
}

/// What pays the subscription that was made last.
async fn payer(world: &World) -> Value {
    world.stripe.all_subscriptions().await[0]["default_payment_method"].clone()
}

/// The last digits of a card.
async fn last4(world: &World, method: &Value) -> Value {
    let path = format!("/v1/payment_methods/{}", method.as_str().unwrap());
    world.stripe.operator("GET", &path, "").await["card"]["last4"].clone()
}

/// An operator has the subscription that was made last paid by something else.
async fn operator_sets(world: &World, method: &str) {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&latest);
    let form = format!("default_payment_method={method}");
    world.stripe.operator("POST", &path, &form).await;
}

/// An operator gives the customer who bought last a card, and answers its id.
async fn operator_attaches(world: &World, card: &str) -> String {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let form = format!("customer={}", latest["customer"].as_str().unwrap());
    let path = format!("/v1/payment_methods/{card}/attach");
    let attached = world.stripe.operator("POST", &path, &form).await;
    attached["id"].as_str().unwrap().to_owned()
}

/// The session waits for its payment.
async fn waits(acme: &Organisation<'_>, id: &str, method: &str) {
    let pending = acme.confirms(id, &by(method)).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    assert_ne!(pending.body["url"], Value::Null);
}

/// Nothing was bought, nothing is under way, and the contract is paid as it was.
async fn as_before(world: &World, acme: &Organisation<'_>, id: &str, before: &Value, context: &str) {
    world.stripe.stand_in().settle().await;
    let read = acme.reads(id).await;
    assert_eq!(read.body["checkout_status"], "expired", "{context}: {read}");
    let contract = read.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.contract(contract).await.contract.sale, None, "{context}");
    assert_eq!(payer(world).await, *before, "{context}");
    assert!(
        world.stripe.charges().await.iter().all(|charge| *charge == 3500),
        "{context}"
    );
}

/// Nobody pays: with the session's time the change is given up, and May is charged to the card that paid April.
#[tokio::test]
async fn a_method_that_was_declined_does_not_pay_the_renewal() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, before) = offered(&world, &acme).await;
    waits(&acme, &id, DECLINING).await;
    world.advance("32m").await;
    as_before(&world, &acme, &id, &before, "given up").await;
    world.advance("31d").await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
}

/// The change waits until the period ends, and the session a little longer: Stripe gives it up. Fewer seats would be too little to charge.
#[tokio::test]
async fn a_method_of_a_change_that_stripe_gave_up_does_not_pay_the_renewal() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let before = payer(&world).await;
    world.advance("719h").await;
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 99 });
    let id = acme
        .session(&json!({ "contract_id": contract, "product_overrides": [seat] }))
        .await;
    waits(&acme, &id, DECLINING).await;
    world.advance("4h").await;
    assert_eq!(payer(&world).await, before);
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
}

/// Another card pays on the bill's page. That was bought; the contract goes on to be paid by the card that it had.
#[tokio::test]
async fn a_method_beside_which_another_paid_does_not_stay() {
    for named in [DECLINING, CONFIRMED] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (id, before) = offered(&world, &acme).await;
        waits(&acme, &id, named).await;
        world
            .stripe
            .pays_invoice(&world.stripe.latest_invoice().await, "pm_card_mastercard")
            .await;
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "contract_created");
        assert_eq!(world.stripe.charges().await, [3500, 1000]);
        assert_eq!(payer(&world).await, before, "{named}");
    }
}

/// Paid at once, or by its owner's word, it is the subscription's from then on.
#[tokio::test]
async fn a_method_that_pays_stays() {
    for (named, last) in [("pm_card_mastercard", "4444"), (CONFIRMED, "3184")] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (id, _) = offered(&world, &acme).await;
        acme.confirms(&id, &by(named)).await;
        if named == CONFIRMED {
            world.stripe.confirms_latest_payment().await;
        }
        world.stripe.stand_in().settle().await;
        let read = acme.reads(&id).await;
        assert_eq!(
            read.body["checkout_status"], "contract_created",
            "{named}: {read}"
        );
        assert_eq!(last4(&world, &payer(&world).await).await, last);
    }
}

/// Nobody heard the answer, nor any news, and the payer has paid with another card on the bill's page by then: whoever confirms next finds
/// that out.
#[tokio::test]
async fn whether_a_method_paid_is_asked_where_nobody_has_heard() {
    for (named, last) in [(DECLINING, "4242"), ("pm_card_mastercard", "4444")] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (id, _) = offered(&world, &acme).await;
        world.stripe.holds_events(true).await;
        let machine = world.machine().await;
        let after = billing_tests::Moment::After;
        machine.network.stops_named(after, "POST /v1/subscriptions/sub_");
        let named = by(named);
        // It is set, then it is charged.
        machine.dies_over(acme.confirms_on(&machine, &id, &named)).await;
        let machine = world.machine().await;
        machine.network.stops_named(after, "POST /v1/subscriptions/sub_");
        machine.dies_over(acme.confirms_on(&machine, &id, &named)).await;
        let bill = world.stripe.latest_invoice().await;
        if bill["status"] == "open" {
            world.stripe.pays_invoice(&bill, "pm_card_amex").await;
        }
        let sold = acme.confirms(&id, &named).await;
        assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
        assert_eq!(last4(&world, &payer(&world).await).await, last);
        assert_eq!(world.stripe.charges().await, [3500, 1000]);
    }
}

/// The owner of the second card has none of it declined: what is put back is what paid before the first.
#[tokio::test]
async fn a_method_that_takes_the_place_of_a_declined_one_pays() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, before) = offered(&world, &acme).await;
    waits(&acme, &id, DECLINING).await;
    waits(&acme, &id, CONFIRMED).await;
    world.advance("32m").await;
    as_before(&world, &acme, &id, &before, "two of them").await;
    let contract = acme.reads(&id).await.body["contract_id"].clone();
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
    let wish = json!({ "contract_id": contract, "product_overrides": [seat] });
    let id = acme.session(&wish).await;
    waits(&acme, &id, DECLINING).await;
    let sold = acme.confirms(&id, &by("pm_card_mastercard")).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    assert_eq!(last4(&world, &payer(&world).await).await, "4444");
}

/// The customer owes 5.00, which Stripe would add to the bill: nothing is charged, and nothing else has happened either.
#[tokio::test]
async fn a_method_that_was_never_tried_does_not_stay() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, before) = offered(&world, &acme).await;
    let customer = world.stripe.all_subscriptions().await[0]["customer"].clone();
    let path = format!("/v1/customers/{}", customer.as_str().unwrap());
    world.stripe.operator("POST", &path, "balance=500").await;
    let refused = acme.confirms(&id, &by("pm_card_mastercard")).await;
    assert_eq!(refused.status, 409, "{refused}");
    assert_eq!(payer(&world).await, before);
}

/// While the change waits, an operator has the contract paid by a third card: that stays.
#[tokio::test]
async fn what_an_operator_has_set_meanwhile_stays() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, _) = offered(&world, &acme).await;
    waits(&acme, &id, DECLINING).await;
    let third = operator_attaches(&world, "pm_card_amex").await;
    operator_sets(&world, &third).await;
    world.advance("32m").await;
    as_before(&world, &acme, &id, &json!(third), "an operator's").await;
}

/// The machine died when it had set the named card, and then an operator set a third one. Whoever confirms again charges the named one: while
/// the dead one has its time it is waited for, and Stripe repeats what it answered to it, which changes nothing.
#[tokio::test]
async fn what_an_operator_has_set_meanwhile_is_not_charged() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, _) = offered(&world, &acme).await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine
        .network
        .stops_named(billing_tests::Moment::After, "POST /v1/subscriptions/sub_");
    let named = by("pm_card_mastercard");
    machine.dies_over(acme.confirms_on(&machine, &id, &named)).await;
    let third = operator_attaches(&world, "pm_card_amex").await;
    operator_sets(&world, &third).await;
    let waits = acme.confirms(&id, &named).await;
    assert_eq!(waits.status, 503, "{waits}");
    assert_eq!(world.stripe.charges().await, [3500]);
    world.advance("60s").await;
    let sold = acme.confirms(&id, &named).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 1000]);
    assert_eq!(last4(&world, &payer(&world).await).await, "4444");
}

/// The contract was paid by the customer's own method: it is again, and not by a copy of it.
#[tokio::test]
async fn where_the_customers_own_method_paid_it_pays_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, _) = offered(&world, &acme).await;
    let own = operator_attaches(&world, "pm_card_amex").await;
    let customer = world.stripe.all_subscriptions().await[0]["customer"].clone();
    let path = format!("/v1/customers/{}", customer.as_str().unwrap());
    let form = format!("invoice_settings[default_payment_method]={own}");
    world.stripe.operator("POST", &path, &form).await;
    operator_sets(&world, "").await;
    waits(&acme, &id, DECLINING).await;
    assert_ne!(payer(&world).await, Value::Null);
    world.advance("32m").await;
    as_before(&world, &acme, &id, &Value::Null, "the customer's own").await;
    world.advance("31d").await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
}

/// Wherever the machine dies that tries a card which is declined, and wherever an answer is lost.
#[tokio::test]
async fn a_declined_method_is_put_back_whatever_dies_before() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let declining = by(DECLINING);
    at_every_death(async |death| {
        let (id, before) = offered(&world, &acme).await;
        let tries = async |machine: &Machine| acme.confirms_on(machine, &id, &declining).await;
        let told = world.dies_over(death, tries).await;
        world.advance("32m").await;
        as_before(&world, &acme, &id, &before, &death.to_string()).await;
        told.is_some()
    })
    .await;
    at_every_step(async |step| {
        let (id, before) = offered(&world, &acme).await;
        let tries = async |machine: &Machine| acme.confirms_on(machine, &id, &declining).await;
        let (told, was_lost) = world.loses_over(step, tries).await;
        assert!(matches!(told.status, 200 | 503), "lost at step {step}: {told}");
        world.advance("32m").await;
        as_before(&world, &acme, &id, &before, &format!("lost at step {step}")).await;
        !was_lost
    })
    .await;
}

/// The same of the machine that hears that the change was given up, and puts back what paid before.
#[tokio::test]
async fn a_method_is_put_back_by_whoever_comes_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_death(async |death| {
        let (id, before) = offered(&world, &acme).await;
        waits(&acme, &id, DECLINING).await;
        let ended = given_up(&world).await;
        let hears = async |machine: &Machine| machine.call(world.stripe.signed_event(&ended)).await;
        let told = world.dies_over(death, hears).await;
        world.stripe.holds_events(false).await;
        world.advance("32m").await;
        as_before(&world, &acme, &id, &before, &death.to_string()).await;
        told.is_some()
    })
    .await;
}

/// An operator gives up the change that waits; Stripe's news of it wait too.
async fn given_up(world: &World) -> String {
    world.stripe.stand_in().settle().await;
    world.stripe.holds_events(true).await;
    let bill = world.stripe.latest_invoice().await;
    let path = format!("/v1/invoices/{}/void", bill["id"].as_str().unwrap());
    world.stripe.operator("POST", &path, "").await;
    let mut expired = world
        .stripe
        .events("customer.subscription.pending_update_expired");
    expired.pop().unwrap()
}

/// The card that paid before was deleted at Stripe meanwhile, which leaves a subscription without one. Or Stripe keeps a failure under
/// the key: there is another.
#[tokio::test]
async fn a_method_that_cannot_be_put_back_is_let_go() {
    const GONE: &str = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"default_payment_method","message":"No such PaymentMethod"}}"#;
    for is_gone in [true, false] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (id, before) = offered(&world, &acme).await;
        waits(&acme, &id, DECLINING).await;
        let ended = given_up(&world).await;
        let machine = world.machine().await;
        if is_gone {
            machine.network.tells("POST /v1/subscriptions/sub_", 400, GONE);
        } else {
            let replayed = ("idempotent-replayed", "true");
            machine
                .network
                .answers("POST /v1/subscriptions/sub_", 500, replayed);
        }
        let heard = machine.call(world.stripe.signed_event(&ended)).await.unwrap();
        assert_eq!(heard.status, 200, "{heard}");
        world.stripe.holds_events(false).await;
        let expected = if is_gone { Value::Null } else { before };
        assert_eq!(payer(&world).await, expected, "gone: {is_gone}");
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    }
}

/// One tries a card that is declined and is slow about it, at each of its steps in turn, while another confirms with a card that pays: what
/// is bought is paid once, and the contract is left with the card that paid for it, or with the one that it had.
#[tokio::test]
async fn a_declined_method_does_not_stay_beside_another_confirmation() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (declining, paying) = (by(DECLINING), by("pm_card_mastercard"));
    at_every_step(async |step| {
        let (id, before) = offered(&world, &acme).await;
        let tries = async |machine: &Machine| acme.confirms_on(machine, &id, &declining).await;
        let held = world.held_over(step, tries, acme.confirms(&id, &paying)).await;
        let context = format!("held at step {step}: {} {}", held.answer, held.other);
        world.stripe.stand_in().settle().await;
        let mut sold = acme.reads(&id).await;
        if sold.body["checkout_status"] != "contract_created" {
            sold = acme.confirms(&id, &paying).await;
        }
        assert_eq!(
            sold.body["checkout_status"], "contract_created",
            "{context}: {sold}"
        );
        world.stripe.stand_in().settle().await;
        let after = payer(&world).await;
        assert!(
            after == before || last4(&world, &after).await == "4444",
            "{context}"
        );
        let bills = world.stripe.charges().await;
        assert_eq!(
            bills.iter().filter(|charge| **charge < 3500).count(),
            step,
            "{context}"
        );
        !held.was_held
    })
    .await;
}

/// A card that was given to the customer, named or the customer's default, is taken from it for good while a confirmation is at any of its steps, or after
/// its machine has died there: it is charged, or is told as one that is not there, or there is a page. Another card pays once.
#[tokio::test]
async fn a_method_that_is_taken_away_meanwhile_is_charged_or_told_to_be_gone() {
    for (is_named, dies) in [(true, false), (true, true), (false, false), (false, true)] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        at_every_step(async |step| {
            let context = format!("named: {is_named}, dies: {dies}, step {step}");
            let acme = world.organisation(&format!("acme-{step}")).await;
            acme.sells(&acme.order("starter")).await;
            let card = operator_attaches(&world, "pm_card_visa").await;
            let customer = world.stripe.all_customers().await.remove(0);
            let mut order = acme.order("starter");
            let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
            order["product_overrides"] = json!([seat]);
            let wish = if is_named {
                by(&card)
            } else {
                let form = format!("invoice_settings[default_payment_method]={card}");
                world.stripe.operator("POST", &path_of(&customer), &form).await;
                Value::Null
            };
            let id = acme.session(&order).await;
            let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &wish).await;
            let is_detached = async {
                let path = format!("/v1/payment_methods/{card}/detach");
                world.stripe.operator("POST", &path, "").await;
            };
            let (told, is_through) = if dies {
                let moment = Moment::After;
                let told = world.dies_over(Death { moment, step }, confirms).await;
                is_detached.await;
                (acme.confirms(&id, &wish).await, told.is_some())
            } else {
                let held = world.held_over(step, confirms, is_detached).await;
                (held.answer, !held.was_held)
            };
            let is_sold = told.body["checkout_status"] == "contract_created";
            let is_told = if is_named {
                told == NOT_THE_CUSTOMERS
            } else {
                told.body["checkout_status"] == "pending" && told.body["url"].is_string()
            };
            assert!(is_sold || is_told, "{context}: {told}");
            let charged: &[i64] = if is_sold { &[3500, 4500] } else { &[3500] };
            assert_eq!(
                world.stripe.charges_of(id_of(&customer)).await,
                charged,
                "{context}"
            );
            let other = acme.confirms(&id, &by("pm_card_mastercard")).await;
            assert_eq!(
                other.body["checkout_status"], "contract_created",
                "{context}: {other}"
            );
            let charged = world.stripe.charges_of(id_of(&customer)).await;
            assert_eq!(charged, [3500, 4500], "{context}");
            is_through
        })
        .await;
    }
}

/// The same over an amendment whose machine died, a minute later.
#[tokio::test]
async fn a_method_of_an_amendment_that_is_taken_away_is_charged_or_told_to_be_gone() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_death(async |death| {
        let acme = world
            .organisation(&format!("acme-{:?}-{}", death.moment, death.step).to_lowercase())
            .await;
        let (id, _) = offered(&world, &acme).await;
        let customer = world.stripe.all_customers().await.remove(0);
        let card = operator_attaches(&world, "pm_card_visa").await;
        let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &by(&card)).await;
        let is_through = world.dies_over(death, confirms).await.is_some();
        let path = format!("/v1/payment_methods/{card}/detach");
        world.stripe.operator("POST", &path, "").await;
        world.advance("61s").await;
        let told = acme.confirms(&id, &by(&card)).await;
        let is_sold = told.body["checkout_status"] == "contract_created";
        assert!(is_sold || told == NOT_THE_CUSTOMERS, "{death}: {told}");
        if !is_sold {
            assert_eq!(world.stripe.charges_of(id_of(&customer)).await, [3500], "{death}");
            let other = acme.confirms(&id, &by("pm_card_mastercard")).await;
            assert_eq!(
                other.body["checkout_status"], "contract_created",
                "{death}: {other}"
            );
        }
        let charged = world.stripe.charges_of(id_of(&customer)).await;
        assert_eq!(charged, [3500, 1000], "{death}");
        is_through
    })
    .await;
}
