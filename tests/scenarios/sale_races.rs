//! Confirmations on several machines at once, and on machines that die: one contract, one charge.

use billing_tests::{Machine, Moment, Organisation, World, at_every_death, at_every_step};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

/// One subscription that was paid once, one contract that is covered, one session that says so.
async fn sold_once(world: &World, acme: &Organisation<'_>, session: &str, email: &str, context: &str) {
    world.stripe.stand_in().settle().await;
    let customers = world.stripe.all_customers().await;
    let customers: Vec<_> = customers
        .iter()
        .filter(|customer| customer["email"] == email)
        .collect();
    assert_eq!(customers.len(), 1, "{context}");
    let subscriptions = world.stripe.all_subscriptions().await;
    let own = subscriptions
        .iter()
        .filter(|subscription| subscription["customer"] == customers[0]["id"]);
    assert_eq!(own.count(), 1, "{context}");
    let stored = acme.sold(session, context).await;
    assert_eq!(
        (stored.ledger.entries.len(), stored.history.len()),
        (2, 1),
        "{context}"
    );
}

/// The machine dies before and after every single step. Confirming again, or the webhook alone once Stripe was asked, comes to one
/// contract that is paid once.
#[tokio::test]
async fn a_sale_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    for retries in [true, false] {
        at_every_death(async |death| {
            let email = format!("eve-{:?}-{retries}-{}@example.com", death.moment, death.step).to_lowercase();
            let id = acme.session(&acme.guest_order(&email)).await;
            let visa = visa();
            let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &visa).await;
            let (told, steps) = world.wreck(death, confirms).await;
            if let Some(told) = &told {
                assert_eq!(told.body["checkout_status"], "contract_created");
            }
            let context = format!("{death} ({:?}), retries: {retries}", steps.last());
            let asked = steps.iter().any(|step| step == "POST /v1/subscriptions");
            if retries {
                let answer = acme.confirms(&id, &visa).await;
                assert_eq!(answer.status, 200, "{context}: {answer}");
            }
            if retries || asked {
                sold_once(&world, &acme, &id, &email, &context).await;
            }
            told.is_some()
        })
        .await;
    }
}

/// Every answer is lost in turn after it took effect; the call itself finds out.
#[tokio::test]
async fn a_lost_answer_of_a_sale_is_found_out_within_the_call() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_step(async |step| {
        let email = format!("eve-{step}@example.com");
        let id = acme.session(&acme.guest_order(&email)).await;
        let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &visa()).await;
        let (answer, was_lost) = world.loses_over(step, confirms).await;
        assert_eq!(answer.status, 200, "step {step}: {answer}");
        sold_once(&world, &acme, &id, &email, &format!("step {step}")).await;
        !was_lost
    })
    .await;
}

/// Stripe begins the subscription and never answers: 503, and the next confirmation finds it.
#[tokio::test]
async fn an_unknown_outcome_of_a_sale_converges() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    for path in ["/v1/customers", "/v1/subscriptions"] {
        let email = format!("eve{}@example.com", path.len());
        let id = acme.session(&acme.guest_order(&email)).await;
        world.stripe.holds_events(true).await;
        world.stripe.applies_without_answering("POST", path).await;
        let answer = acme.confirms(&id, &visa()).await;
        assert_eq!(
            answer,
            r#"503 {"error":"temporarily unavailable, please try again"}"#
        );
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "pending");
        world.stripe.recovers().await;
        assert_eq!(acme.confirms(&id, &visa()).await.status, 200);
        world.stripe.holds_events(false).await;
        sold_once(&world, &acme, &id, &email, path).await;
    }
}

/// Two machines, sixteen hands, one session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_confirmations_at_once_charge_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.guest_order("eve@example.com")).await;
    let machines = [world.machine().await, world.machine().await];
    let visa = visa();
    let answers = join_all((0..16).map(|n| acme.confirms_on(&machines[n % 2], &id, &visa))).await;
    let told: Vec<String> = answers.iter().flatten().map(ToString::to_string).collect();
    for answer in answers.iter().flatten() {
        assert!(matches!(answer.status, 200 | 503), "{told:#?}");
    }
    sold_once(&world, &acme, &id, "eve@example.com", &format!("{told:#?}")).await;
}

/// One reads the session, and before it reads the contract another has claimed both: it joins in, and is not told that somebody else's
/// change is being paid for.
#[tokio::test]
async fn a_confirmation_joins_a_sale_of_its_own_session_that_began_meanwhile() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.guest_order("eve@example.com")).await;
    let [late, early] = [world.machine().await, world.machine().await];
    // The key, then the session.
    late.network.holds_step(2);
    early.network.holds("POST /v1/subscriptions");
    let visa = visa();
    let (joined, sold) = tokio::join!(
        async {
            let joined = acme.confirms_on(&late, &id, &visa).await;
            early.network.lets_go();
            joined
        },
        async {
            late.network.reached().await;
            let sells = acme.confirms_on(&early, &id, &visa);
            let goes_on = async {
                early.network.reached().await;
                late.network.lets_go();
            };
            tokio::join!(sells, goes_on).0
        }
    );
    for answer in [joined.unwrap(), sold.unwrap()] {
        assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
    }
    sold_once(&world, &acme, &id, "eve@example.com", "joined").await;
}

/// Two sessions of two guests with one address, confirmed at the same moment: two contracts of one customer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_with_one_address_at_once_are_one_customer() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let first = acme.session(&acme.guest_order("eve@example.com")).await;
    let second = acme.session(&acme.guest_order("EVE@example.com")).await;
    let machines = [world.machine().await, world.machine().await];
    let visa = visa();
    let answers = tokio::join!(
        acme.confirms_on(&machines[0], &first, &visa),
        acme.confirms_on(&machines[1], &second, &visa)
    );
    for answer in [answers.0, answers.1].into_iter().flatten() {
        assert_eq!(answer.status, 200, "{answer}");
    }
    assert_eq!(world.stripe.all_customers().await.len(), 1);
    let customers = [
        acme.reads(&first).await.body["customer_id"].clone(),
        acme.reads(&second).await.body["customer_id"].clone(),
    ];
    assert_eq!(customers[0], customers[1]);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
}

/// A session that is opened twice at once is one session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_intent_at_once_is_one_session() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let machines = [world.machine().await, world.machine().await];
    let order = acme.order("starter");
    let answers = join_all((0..8).map(|n| acme.opens_on(&machines[n % 2], &order))).await;
    let ids: Vec<Value> = answers
        .into_iter()
        .flatten()
        .map(|answer| answer.body["id"].clone())
        .collect();
    assert_eq!(ids.len(), 8);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// The payment's event lands while Stripe's answer is still on its way.
#[tokio::test]
async fn the_webhook_before_the_answer_makes_one_contract() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.guest_order("eve@example.com")).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscriptions");
    let visa = visa();
    let (answer, ()) = tokio::join!(acme.confirms_on(&machine, &id, &visa), async {
        machine.network.reached().await;
        world.stripe.stand_in().settle().await;
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "contract_created");
        machine.network.lets_go();
    });
    assert_eq!(answer.unwrap().status, 200);
    sold_once(&world, &acme, &id, "eve@example.com", "webhook first").await;
}

/// The page is asked for, and the machine dies before and after each step; confirming again shows one page that can be paid.
#[tokio::test]
async fn a_page_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_death(async |death| {
        let email = format!("eve-{:?}-{}@example.com", death.moment, death.step).to_lowercase();
        let id = acme.session(&acme.guest_order(&email)).await;
        let told = world
            .dies_over(death, async |machine| {
                acme.confirms_on(machine, &id, &Value::Null).await
            })
            .await;
        if let Some(told) = &told {
            assert_eq!(told.body["checkout_status"], "pending");
        }
        let context = death.to_string();
        let pending = acme.confirms(&id, &Value::Null).await;
        assert_eq!(pending.body["checkout_status"], "pending", "{context}: {pending}");
        let pages = world.stripe.open_pages().await;
        assert_eq!(pages.len(), 1, "{context}");
        assert_eq!(json!(pages[0]["url"]), pending.body["url"], "{context}");
        world.stripe.pays_page(&pages[0]).await;
        sold_once(&world, &acme, &id, &email, &context).await;
        told.is_some()
    })
    .await;
}

/// The webhook dies at each of its steps; Stripe delivers again, and the payment lands once.
#[tokio::test]
async fn a_sale_lands_once_when_the_webhook_dies_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_death(async |death| {
        let email = format!("eve-{:?}-{}@example.com", death.moment, death.step).to_lowercase();
        world.stripe.holds_events(true).await;
        let id = acme.session(&acme.guest_order(&email)).await;
        acme.confirms(&id, &Value::Null).await;
        world.stripe.pays_page(&world.stripe.latest_page().await).await;
        let paid = world.stripe.event("invoice.paid");
        let told = world
            .dies_over(death, async |machine| {
                machine.call(world.stripe.signed_event(&paid)).await
            })
            .await;
        if let Some(told) = &told {
            assert_eq!(told.status, 200);
        }
        // Within the lease nobody else may be at it; after it, anybody.
        world.advance("5m").await;
        assert_eq!(world.stripe.delivers(&paid).await, 200);
        world.stripe.holds_events(false).await;
        sold_once(&world, &acme, &id, &email, &death.to_string()).await;
        told.is_some()
    })
    .await;
}

/// The same Idempotency-Key answers the same; another body under it is refused.
#[tokio::test]
async fn a_confirmation_under_an_idempotency_key_is_answered_the_same() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.guest_order("eve@example.com")).await;
    let under_key = |body: &Value| {
        let mut request = acme.confirmation(&id, body);
        request
            .headers_mut()
            .insert("idempotency-key", "k1".parse().unwrap());
        request
    };
    let first = acme.sends(under_key(&visa())).await;
    let again = acme.sends(under_key(&visa())).await;
    assert_eq!((first.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(again.body, first.body);
    assert_eq!(acme.sends(under_key(&json!({}))).await.status, 422);
}

/// A key is one request's, at whichever session: the second is refused, and sells nothing.
#[tokio::test]
async fn an_idempotency_key_confirms_one_session() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let under_key = |id: &str| {
        let mut request = acme.confirmation(id, &visa());
        let key = "k1".parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        request
    };
    let first = acme.session(&acme.guest_order("eve@example.com")).await;
    let second = acme.session(&acme.guest_order("ann@example.com")).await;
    assert_eq!(acme.sends(under_key(&first)).await.status, 200);
    assert_eq!(acme.sends(under_key(&second)).await.status, 422);
    assert_eq!(acme.reads(&second).await.body["checkout_status"], "open");
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// One card is being charged when another is named: whoever named it is told to come back.
#[tokio::test]
async fn another_card_waits_while_one_is_being_charged() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.guest_order("eve@example.com")).await;
    world.stripe.holds_events(true).await;
    let first = world.machine().await;
    first.network.holds("POST /v1/subscriptions");
    let visa = visa();
    let (sold, ()) = tokio::join!(acme.confirms_on(&first, &id, &visa), async {
        first.network.reached().await;
        let other = json!({ "payment_method_id": "pm_card_mastercard" });
        let told = acme.confirms(&id, &other).await;
        assert_eq!(
            told,
            r#"409 {"error":"the checkout session is being confirmed with another payment method"}"#
        );
        assert_eq!(told.header("retry-after"), "5");
        first.network.lets_go();
    });
    assert_eq!(sold.unwrap().body["checkout_status"], "contract_created");
    world.stripe.holds_events(false).await;
    sold_once(&world, &acme, &id, "eve@example.com", "another card").await;
}

/// A contract of the annual plan, and an offer of so many seats, which can be confirmed for half an hour.
async fn offered(acme: &Organisation<'_>, contract: &str, seats: u64) -> String {
    let seat = acme.product("team-annual", "Annual team seat");
    acme.session(&json!({
        "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": seats }],
        "expires_at": "2026-04-01T00:30:00Z",
    }))
    .await
}

/// A machine died over a sale. Another has read its session, to finish it, when its time runs out and the contract is being sold by another
/// session: that sale is not this session's to finish.
#[tokio::test]
async fn a_sale_that_took_the_place_of_another_is_finished_by_its_own_session_alone() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    let dead = offered(&acme, &contract, 6).await;
    let dying = world.machine().await;
    dying
        .network
        .stops_named(Moment::Before, "POST /v1/subscriptions/");
    dying
        .dies_over(acme.confirms_on(&dying, &dead, &Value::Null))
        .await;
    let (late, selling) = (world.machine().await, world.machine().await);
    // The key, then the session.
    late.network.holds_step(2);
    selling.network.holds("POST /v1/subscriptions/");
    let none = Value::Null;
    let (told, sold) = tokio::join!(
        async {
            let told = acme.confirms_on(&late, &dead, &none).await;
            selling.network.lets_go();
            told
        },
        async {
            late.network.reached().await;
            world.advance("31m").await;
            let seat = acme.product("team-annual", "Annual team seat");
            let more = json!({ "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": 7 }] });
            let id = acme.session(&more).await;
            world.stripe.holds_events(true).await;
            let goes_on = async {
                selling.network.reached().await;
                late.network.lets_go();
            };
            tokio::join!(acme.confirms_on(&selling, &id, &none), goes_on).0
        }
    );
    assert_eq!(
        told.unwrap(),
        r#"409 {"error":"another change of the contract is being paid for"}"#
    );
    assert_eq!(sold.unwrap().body["checkout_status"], "contract_created");
    world.stripe.holds_events(false).await;
    assert_eq!(acme.reads(&dead).await.body["checkout_status"], "expired");
    assert_eq!(acme.contract(&contract).await.history.len(), 2);
    assert_eq!(world.stripe.charges().await.len(), 2);
}

/// A change is declined, and before its sale is forgotten an event of the contract is landed: the sale is forgotten all the same.
#[tokio::test]
async fn a_declined_sale_is_forgotten_though_an_event_comes_in_between() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    let declined = r#"{"error":{"type":"card_error","message":"No."}}"#;
    let billing = acme.contract(&contract).await.contract.billing.unwrap();
    let subscription = format!("/v1/subscriptions/{}", billing.subscription);
    let id = offered(&acme, &contract, 6).await;
    let counted = world.machine().await;
    counted.network.tells("POST /v1/subscriptions/", 402, declined);
    let refused = acme.confirms_on(&counted, &id, &Value::Null).await.unwrap();
    assert_eq!(refused.status, 402, "{refused}");
    let machine = world.machine().await;
    machine.network.tells("POST /v1/subscriptions/", 402, declined);
    // The last step forgets the sale; what it stands on was read before.
    machine.network.holds_step(counted.network.steps().len() - 1);
    let none = Value::Null;
    let (refused, ()) = tokio::join!(acme.confirms_on(&machine, &id, &none), async {
        machine.network.reached().await;
        let note = "metadata[note]=vip";
        world.stripe.operator("POST", &subscription, note).await;
        world.stripe.stand_in().settle().await;
        machine.network.lets_go();
    });
    assert_eq!(refused.unwrap().status, 402);
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    assert_eq!(acme.contract(&contract).await.contract.sale, None);
}

/// Of two machines that sell one amendment, one has read the subscription when the other amends it at Stripe and dies. What the first is
/// told then is about what that has done: an item that is not there any more, or another amount. It forgets nothing, and
/// finishes the sale.
#[tokio::test]
async fn an_amendment_that_another_machine_got_through_is_not_forgotten() {
    for (plan, product, wish) in [
        ("starter", "Call archive", json!({ "is_enabled": false })),
        ("starter", "Starter seat", json!({ "quantity": 6 })),
        ("business", "Business seats", json!({ "quantity": 30 })),
    ] {
        for later in ["0s", "61s"] {
            let world = World::at("2026-04-01T00:00:00Z").await;
            let acme = world.organisation("acme").await;
            let contract = acme.sells(&acme.order(plan)).await;
            world.advance("10d").await;
            world.stripe.holds_events(true).await;
            let mut wish = wish.clone();
            wish["product_id"] = json!(acme.product(plan, product));
            let offered = acme
                .opens(&json!({ "contract_id": contract, "product_overrides": [wish] }))
                .await;
            let quoted = &offered.body["estimates"]["current_invoice"]["amount_due"];
            let id = offered.body["id"].as_str().unwrap();
            let [slow, dying] = [world.machine().await, world.machine().await];
            slow.network.holds("GET /v1/subscriptions/");
            dying
                .network
                .stops_named(Moment::After, "POST /v1/subscriptions/");
            let none = Value::Null;
            let (told, ()) = tokio::join!(acme.confirms_on(&slow, id, &none), async {
                slow.network.reached().await;
                world.advance(later).await;
                dying.dies_over(acme.confirms_on(&dying, id, &none)).await;
                slow.network.lets_go();
            });
            let told = told.unwrap();
            let context = format!("{product}, {later}: {told}");
            assert_eq!(told.body["checkout_status"], "contract_created", "{context}");
            assert_eq!(slow.metric("QuoteMismatches"), 0, "{context}");
            world.stripe.holds_events(false).await;
            world.stripe.stand_in().settle().await;
            let stored = acme.contract(&contract).await;
            assert_eq!(
                (stored.history.len(), stored.contract.sale),
                (2, None),
                "{context}"
            );
            let charges = world.stripe.charges().await;
            assert_eq!((charges.len(), &json!(charges[1])), (2, quoted), "{context}");
            let more = json!({ "contract_id": contract, "plan_id": acme.plan("team-annual") });
            assert_eq!(acme.opens(&more).await.status, 201, "{context}");
        }
    }
}

/// Stripe refuses one machine, and before that forgets the sale another has amended the contract and landed it: what the first one tells
/// is what has come of it.
#[tokio::test]
async fn a_refusal_is_not_told_of_a_sale_that_has_come_to_something() {
    let declined = r#"{"error":{"type":"card_error","message":"No."}}"#;
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    let id = offered(&acme, &contract, 6).await;
    let counted = world.machine().await;
    counted.network.tells("POST /v1/subscriptions/", 402, declined);
    let refused = acme.confirms_on(&counted, &id, &Value::Null).await.unwrap();
    assert_eq!(refused.status, 402, "{refused}");
    let machine = world.machine().await;
    machine.network.tells("POST /v1/subscriptions/", 402, declined);
    // The last step forgets the sale; what it stands on was read before.
    machine.network.holds_step(counted.network.steps().len() - 1);
    let none = Value::Null;
    let (told, sold) = tokio::join!(acme.confirms_on(&machine, &id, &none), async {
        machine.network.reached().await;
        let sold = acme.confirms(&id, &none).await;
        machine.network.lets_go();
        sold
    });
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    assert_eq!(told.unwrap().body["checkout_status"], "contract_created");
    world.stripe.stand_in().settle().await;
    assert_eq!(acme.contract(&contract).await.history.len(), 2);
    assert_eq!(world.stripe.charges().await.len(), 2);
}
