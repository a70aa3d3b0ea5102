//! Subscriptions that an operator bills in another way: by invoices that are sent, or not at all for now. They are the account's
//! subscription, they can be ended, and nothing that would have to be paid is changed.

use billing_tests::{Account, World};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

use crate::changes::nothing_changed;

const SENT: &str = "the subscription's invoices are sent instead of charged: only an operator can change it";
const PAUSED: &str = "the subscription's payment collection is paused: only an operator can change it";

/// What an operator sets, and what it is told as.
const WAYS: [(&str, &str); 4] = [
    ("collection_method=send_invoice&days_until_due=14", SENT),
    ("pause_collection[behavior]=void", PAUSED),
    ("pause_collection[behavior]=keep_as_draft", PAUSED),
    ("pause_collection[behavior]=mark_uncollectible", PAUSED),
];

fn wish() -> Value {
    json!({ "interval": "annual" })
}

async fn operator_sets(world: &World, ada: &Account<'_>, form: &str) {
    let id = world.stripe.subscription_id(ada).await;
    world
        .stripe
        .operator("POST", &format!("/v1/subscriptions/{id}"), form)
        .await;
}

/// Neither previewed nor changed, with and without a code and a quote; no second one is sold; it is cancelled and resumed; and it is
/// changed again once the operator has taken that back.
#[tokio::test]
async fn they_are_named_and_can_be_ended() {
    for (form, told) in WAYS {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(1, "monthly").await;
        let quoted = ada.previews(&wish()).await.body["prorationDate"].clone();
        world
            .stripe
            .makes_code("percent_off=20&duration=once", "code=SPRING20")
            .await;
        operator_sets(&world, &ada, form).await;
        let refused = json!({ "error": told });
        for more in [
            json!({}),
            json!({ "promotionCode": "SPRING20" }),
            json!({ "prorationDate": quoted }),
        ] {
            let mut wish = wish();
            wish.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            for answer in [ada.changes(&wish).await, ada.previews(&wish).await] {
                assert_eq!((answer.status, &answer.body), (409, &refused), "{form} {wish}");
            }
        }
        nothing_changed(&world, &ada, &[1000]).await;
        assert_eq!(
            ada.starts_checkout("annual").await,
            r#"409 {"error":"the account already has a subscription"}"#
        );
        assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true, "{form}");
        assert_eq!(ada.resumes().await.body["cancelAtPeriodEnd"], false, "{form}");
        operator_sets(
            &world,
            &ada,
            "collection_method=charge_automatically&pause_collection=",
        )
        .await;
        assert_eq!(ada.changes(&wish()).await.body["changed"], true, "{form}");
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
    }
}

/// May is not paid for: not while collection is paused, and by an invoice that was sent only once it is paid.
#[tokio::test]
async fn nobody_is_served_before_the_invoice_is_paid() {
    for (form, _) in WAYS {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(1, "monthly").await;
        operator_sets(&world, &ada, form).await;
        world.advance("31d").await;
        let billing = ada.billing().await;
        assert_eq!(billing.body["coveredUntil"], json!(null), "{form}");
        assert_eq!(billing.body["numbers"][0]["mode"], "PAYG", "{form}");
        assert_eq!(
            billing.body["subscription"]["periodEnd"], "2026-06-01T00:00:00Z",
            "it is shown: {form}"
        );
        if form.starts_with("collection_method") {
            world.stripe.pays_open_invoice(&ada).await;
            assert_eq!(ada.covered_until().await, "2026-06-01T00:00:00Z");
        }
    }
}

/// The operator does so between our reading and our asking. In the Stripe where a change with a code cannot wait it is not asked for
/// at once either: an invoice that is sent would be made, and not be paid.
#[tokio::test]
async fn what_an_operator_sets_in_between_is_told() {
    for pending_updates_take_discounts in [true, false] {
        for (form, told) in WAYS {
            let world = World::at("2026-04-01T00:00:00Z").await;
            world.stripe.is(Settings {
                pending_updates_take_discounts,
                ..Settings::default()
            });
            world
                .stripe
                .makes_code("percent_off=20&duration=once", "code=SPRING20")
                .await;
            for code in [false, true] {
                let ada = world.subscriber(1, "monthly").await;
                let machine = world.machine().await;
                machine.network.holds("GET /v1/subscriptions/");
                let mut wish = wish();
                if code {
                    wish["promotionCode"] = json!("SPRING20");
                }
                let (answer, ()) = tokio::join!(ada.changes_on(&machine, &wish), async {
                    machine.network.reached().await;
                    operator_sets(&world, &ada, form).await;
                    machine.network.lets_go();
                });
                let answer = answer.unwrap();
                assert_eq!(
                    (answer.status, &answer.body),
                    (409, &json!({ "error": told })),
                    "{form} code: {code}"
                );
                nothing_changed(&world, &ada, &[1000]).await;
            }
        }
    }
}

/// Six seats instead of three after a third of April: 20.00. Neither at once nor at the period's end, whether the operator is there before
/// or in between; the session stays open, and is confirmed once the operator has taken that back.
#[tokio::test]
async fn a_contract_is_not_amended_either() {
    for (form, told) in WAYS {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let contract = acme.sells(&acme.order("starter")).await;
        world.advance("10d").await;
        let billing = acme.contract(&contract).await.contract.billing.unwrap();
        let subscription = format!("/v1/subscriptions/{}", billing.subscription);
        let back = "collection_method=charge_automatically&pause_collection=";
        let seats = acme.product("starter", "Starter seat");
        let wish = json!({
            "contract_id": contract,
            "product_overrides": [{ "product_id": seats, "quantity": 6 }],
        });
        let session = acme.session(&wish).await;
        let refused = json!({ "error": told });

        let machine = world.machine().await;
        machine.network.holds("GET /v1/subscriptions/");
        let (answer, ()) = tokio::join!(acme.confirms_on(&machine, &session, &Value::Null), async {
            machine.network.reached().await;
            world.stripe.operator("POST", &subscription, form).await;
            machine.network.lets_go();
        });
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, &answer.body),
            (409, &refused),
            "in between: {form}"
        );
        let answer = acme.confirms(&session, &Value::Null).await;
        assert_eq!((answer.status, &answer.body), (409, &refused), "before: {form}");
        assert_eq!(world.stripe.charges().await, [3500], "{form}");
        assert_eq!(
            acme.reads(&session).await.body["checkout_status"],
            "open",
            "{form}"
        );

        world.stripe.operator("POST", &subscription, back).await;
        let confirmed = acme.confirms(&session, &Value::Null).await;
        assert_eq!(
            confirmed.body["checkout_status"], "contract_created",
            "{form}: {confirmed}"
        );
        assert_eq!(world.stripe.charges().await, [3500, 2000], "{form}");
    }
}
