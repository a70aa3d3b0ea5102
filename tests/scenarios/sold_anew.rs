//! A session whose first sale came to nothing and that is sold again: another card instead of the page of an invoice, and Stripe's news
//! of the earlier subscription at any moment.

use billing_tests::{Machine, Organisation, World, at_every_death, path_of};
use serde_json::{Value, json};

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

/// Half of April of the team plan, 56.00, that waits to be paid on the page of its invoice.
async fn waiting(world: &World, acme: &Organisation<'_>) -> String {
    let id = acme.session(&acme.order("team")).await;
    let pending = acme.confirms(&id, &Value::Null).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    assert_ne!(pending.body["url"], Value::Null);
    assert_eq!(world.stripe.charges().await, [0_i64; 0]);
    id
}

/// Sold once for 56.00, and covered; one subscription is live.
async fn sold_once(world: &World, acme: &Organisation<'_>, id: &str, context: &str) {
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [5600], "{context}");
    let mut live = world.stripe.all_subscriptions().await;
    live.retain(|subscription| subscription["status"] == "active");
    assert_eq!(live.len(), 1, "{context}");
    let contract = acme.sold(id, context).await.contract.id;
    assert_eq!(
        acme.covered_until(contract.as_str()).await,
        "2026-05-01T00:00:00Z",
        "{context}"
    );
}

/// The payer has a card after all: the invoice that waited is given up, and nothing can be paid twice.
#[tokio::test]
async fn a_card_takes_the_place_of_an_invoices_page() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = waiting(&world, &acme).await;
    let answer = acme.confirms(&id, &visa()).await;
    assert_eq!(
        (answer.status, &answer.body["checkout_status"]),
        (200, &json!("contract_created")),
        "{answer}"
    );
    sold_once(&world, &acme, &id, "a card instead").await;
    assert_eq!(acme.confirms(&id, &visa()).await.body, answer.body);
}

/// A seat more for 10.00: the first card has to be confirmed by its owner, the second one pays.
#[tokio::test]
async fn another_card_takes_the_place_of_one_that_an_amendment_waits_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let seat = acme.product("starter", "Starter seat");
    let id = acme
        .session(&json!({
            "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": 4 }],
        }))
        .await;
    let confirmed = json!({ "payment_method_id": "pm_card_authenticationRequired" });
    let pending = acme.confirms(&id, &confirmed).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    let answer = acme.confirms(&id, &visa()).await;
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 1000]);
    assert_eq!(acme.contract(&contract).await.contract.sale, None);
}

/// The page is paid right when the payer tries a card instead: that payment counts, and the card is not charged.
#[tokio::test]
async fn a_page_that_is_paid_while_a_card_takes_its_place_is_paid() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = waiting(&world, &acme).await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine.network.holds("GET /v1/subscriptions/");
    let visa = visa();
    let (answer, ()) = tokio::join!(acme.confirms_on(&machine, &id, &visa), async {
        machine.network.reached().await;
        world.stripe.pays_latest_invoice().await;
        machine.network.lets_go();
    });
    let answer = answer.unwrap();
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
    world.stripe.holds_events(false).await;
    sold_once(&world, &acme, &id, "paid meanwhile").await;
}

/// An operator has ended the subscription that waited. While the session is sold once more, an event of that one arrives late: the sale that is
/// under way goes on, and charges once.
#[tokio::test]
async fn late_news_of_an_earlier_subscription_do_not_undo_the_sale_under_way() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    world.stripe.holds_events(true).await;
    let id = waiting(&world, &acme).await;
    let earlier = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&earlier);
    world.stripe.operator("DELETE", &path, "").await;
    let ended = world.stripe.events("customer.subscription.deleted").remove(0);
    assert_eq!(world.stripe.delivers(&ended).await, 200);
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    let begun = world.stripe.events("customer.subscription.created").remove(0);

    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscriptions");
    let visa = visa();
    let (answer, ()) = tokio::join!(acme.confirms_on(&machine, &id, &visa), async {
        machine.network.reached().await;
        assert_eq!(world.stripe.delivers(&begun).await, 200);
        machine.network.lets_go();
    });
    let answer = answer.unwrap();
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
    world.stripe.holds_events(false).await;
    sold_once(&world, &acme, &id, "late news").await;
}

/// The payment of what is sold anew is heard of before Stripe's answer is here, or instead of it: it covers.
#[tokio::test]
async fn a_payment_of_what_is_sold_anew_covers_before_the_answer() {
    for dies in [false, true] {
        let world = World::at("2026-04-16T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let id = waiting(&world, &acme).await;
        let earlier = world.stripe.all_subscriptions().await.remove(0);
        let path = path_of(&earlier);
        world.stripe.operator("DELETE", &path, "").await;
        world.stripe.stand_in().settle().await;
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
        let machine = world.machine().await;
        machine.network.holds("POST /v1/subscriptions");
        let visa = visa();
        let (answer, ()) = tokio::join!(acme.confirms_on(&machine, &id, &visa), async {
            machine.network.reached().await;
            world.stripe.stand_in().settle().await;
            if dies {
                machine.ends();
            } else {
                machine.network.lets_go();
            }
        });
        if !dies {
            let answer = answer.unwrap();
            assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
        }
        sold_once(&world, &acme, &id, &format!("dies: {dies}")).await;
        let again = acme.confirms(&id, &visa).await;
        assert_eq!(again.body["checkout_status"], "contract_created", "{again}");
    }
}

/// The answer was lost, nobody heard of the payment, and the customer has been sold more than Stripe lists on a page since. A day
/// later Stripe has forgotten the key: what was sold is found, however far down.
#[tokio::test]
async fn a_sale_that_nobody_recorded_is_found_among_many() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    world.stripe.holds_events(true).await;
    let id = acme.session(&acme.order("team")).await;
    let machine = world.machine().await;
    machine
        .network
        .stops_named(billing_tests::Moment::After, "POST /v1/subscriptions");
    let visa = visa();
    machine.dies_over(acme.confirms_on(&machine, &id, &visa)).await;
    let sold = world.stripe.all_subscriptions().await.remove(0);
    let (customer, price) = (&sold["customer"], &sold["items"]["data"][0]["price"]["id"]);
    let form = format!(
        "customer={}&items[0][price]={}&payment_behavior=default_incomplete",
        customer.as_str().unwrap(),
        price.as_str().unwrap()
    );
    for _ in 0..101 {
        world.stripe.operator("POST", "/v1/subscriptions", &form).await;
    }
    world.advance("21h").await;
    let answer = acme.confirms(&id, &visa).await;
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
    let mut live = world.stripe.all_subscriptions().await;
    live.retain(|subscription| subscription["status"] == "active");
    assert!(
        live.is_empty(),
        "what was sold is the oldest, behind the first page"
    );
}

/// Two confirm with a card that is declined, and the slower one hears of it when the session is being sold to another card already: that
/// sale goes on, and charges once.
#[tokio::test]
async fn a_late_refusal_of_an_earlier_sale_does_not_undo_the_sale_under_way() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let declined = json!({ "payment_method_id": "pm_card_chargeCustomerFail" });
    let (slow, paying) = (world.machine().await, world.machine().await);
    slow.network.holds("POST /v1/subscriptions");
    paying.network.holds("POST /v1/subscriptions");
    let visa = visa();
    let slowly = acme.confirms_on(&slow, &id, &declined);
    let paid = async {
        slow.network.reached().await;
        assert_eq!(acme.confirms(&id, &declined).await.status, 402);
        acme.confirms_on(&paying, &id, &visa).await.unwrap()
    };
    let (slow_answer, answer, ()) = tokio::join!(
        async {
            let answer = slowly.await;
            paying.network.lets_go();
            answer.unwrap()
        },
        paid,
        async {
            paying.network.reached().await;
            slow.network.lets_go();
        }
    );
    assert!(matches!(slow_answer.status, 200 | 402 | 409), "{slow_answer}");
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500]);
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "contract_created");
}

/// Half of April of the team plan by a card whose owner has to confirm: on the page of the bill, since no other page can keep the quote. Wherever
/// the machine dies over that, one bill waits.
#[tokio::test]
async fn a_short_first_period_is_confirmed_on_the_page_of_its_bill() {
    let confirmed = json!({ "payment_method_id": "pm_card_authenticationRequired" });
    at_every_death(async |death| {
        let world = World::at("2026-04-16T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let id = acme.session(&acme.order("team")).await;
        let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &confirmed).await;
        let told = world.dies_over(death, confirms).await;
        let pending = acme.confirms(&id, &confirmed).await;
        assert_eq!(
            (pending.status, &pending.body["checkout_status"]),
            (200, &json!("pending")),
            "{death}: {pending}"
        );
        assert_eq!(world.stripe.charges().await, [0_i64; 0], "{death}");
        let bill = world.stripe.latest_invoice().await;
        assert_eq!(pending.body["url"], bill["hosted_invoice_url"], "{death}");
        assert_eq!(world.stripe.all_subscriptions().await.len(), 1, "{death}");
        world.stripe.pays_latest_invoice().await;
        sold_once(&world, &acme, &id, &death.to_string()).await;
        told.is_some()
    })
    .await;
}

/// Its owner pays with another card there instead, which pays the renewals too: the first one would have to be confirmed each time.
#[tokio::test]
async fn what_pays_the_bill_of_a_short_first_period_pays_the_next_ones() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("team")).await;
    let confirmed = json!({ "payment_method_id": "pm_card_authenticationRequired" });
    acme.confirms(&id, &confirmed).await;
    let bill = world.stripe.latest_invoice().await;
    world.stripe.pays_invoice(&bill, "pm_card_mastercard").await;
    sold_once(&world, &acme, &id, "by another card").await;
    world.advance("16d").await;
    assert_eq!(world.stripe.latest_invoice().await["status"], "paid");
    assert_eq!(world.stripe.charges().await, [5600, 11_200]);
}

/// Nobody confirms it: with the session's time the bill is given up. Or another card pays instead.
#[tokio::test]
async fn a_short_first_period_that_nobody_confirms_is_given_up() {
    let confirmed = json!({ "payment_method_id": "pm_card_authenticationRequired" });
    for other in [false, true] {
        let world = World::at("2026-04-16T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let id = acme.session(&acme.order("team")).await;
        acme.confirms(&id, &confirmed).await;
        let bill = world.stripe.latest_invoice().await;
        if other {
            acme.confirms(&id, &visa()).await;
            sold_once(&world, &acme, &id, "another card").await;
        } else {
            world.advance("25h").await;
            assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
            assert_eq!(world.stripe.charges().await, [0_i64; 0]);
        }
        let path = path_of(&bill);
        assert_eq!(world.stripe.operator("GET", &path, "").await["status"], "void");
    }
}
