//! Changes whose payment is not made at once: confirmed later, declined, dropped. Until it is paid, nothing has changed.

use billing_tests::{Machine, World, at_every_death};
use serde_json::json;

/// −2000 + 28800 = 26800 have to be confirmed with the bank. Nothing is changed, covered or un-cancelled until then.
#[tokio::test]
async fn a_change_that_has_to_be_confirmed_takes_effect_when_it_is() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    ada.cancels().await;
    world
        .stripe
        .gives_card(&ada, "pm_card_authenticationRequired")
        .await;
    let wish = json!({ "interval": "annual" });
    let answer = ada.changes(&wish).await;
    assert_eq!(
        (answer.status, &answer.body["changed"]),
        (200, &json!(true)),
        "{answer}"
    );
    assert_eq!(answer.body["payment"]["status"], "requires_action");
    let page = answer.body["payment"]["hostedInvoiceUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(page.starts_with("http"), "{page}");
    world.stripe.stand_in().settle().await;

    let waiting = ada.billing().await;
    assert_eq!(waiting.body["subscription"]["interval"], "monthly");
    assert_eq!(waiting.body["subscription"]["cancelAtPeriodEnd"], true);
    assert_eq!(waiting.body["coveredUntil"], "2026-05-01T00:00:00Z");
    assert_eq!(
        ada.changes(&wish).await.body,
        answer.body,
        "asking again is the same payment"
    );
    assert_eq!(
        ada.changes(&json!({ "interval": "annual", "prorationDate": world.now().as_second() }))
            .await,
        r#"409 {"error":"an earlier change of the subscription is waiting for its payment"}"#
    );
    assert_eq!(world.stripe.invoices(&ada).await.len(), 2);

    world.stripe.pays_open_invoice(&ada).await;
    let paid = ada.billing().await;
    assert_eq!(paid.body["subscription"]["interval"], "annual");
    assert_eq!(paid.body["subscription"]["cancelAtPeriodEnd"], false);
    assert_eq!(paid.body["coveredUntil"], "2027-04-11T00:00:00Z");
    assert_eq!(world.stripe.payments(&ada).await, [3000, 26_800]);
    assert_eq!(ada.stored().await.profile.change, None);
    assert_eq!(
        ada.changes(&wish).await,
        r#"200 {"changed":false,"interval":"annual"}"#
    );
}

/// Stripe drops the change after 23 hours. The customer stays monthly, and cancelled; another try is another change. A day later
/// 19 of 30 days are left: −633.33 → −634, + 9600 = 8966.
#[tokio::test]
async fn a_declined_change_is_dropped_and_leaves_everything_as_it_was() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("10d").await;
    ada.cancels().await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    let answer = ada.changes(&json!({ "interval": "annual" })).await;
    assert_eq!(
        answer.body["payment"]["status"], "requires_payment_method",
        "{answer}"
    );
    world.advance("1d").await;
    assert_eq!(ada.stored().await.profile.change, None);
    let subscription = world.stripe.subscription(&ada).await;
    assert_eq!(
        (
            &subscription["pending_update"],
            &subscription["cancel_at_period_end"]
        ),
        (&json!(null), &json!(true))
    );
    let billing = ada.billing().await;
    assert_eq!(billing.body["subscription"]["interval"], "monthly");
    assert_eq!(billing.body["coveredUntil"], "2026-05-01T00:00:00Z");
    assert_eq!(world.stripe.payments(&ada).await, [1000]);

    world.stripe.gives_card(&ada, "pm_card_visa").await;
    assert_eq!(
        ada.changes(&json!({ "interval": "annual" })).await,
        r#"200 {"changed":true,"interval":"annual"}"#
    );
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8966]);
    assert_eq!(
        world.stripe.subscription(&ada).await["cancel_at_period_end"],
        false
    );
}

/// Cancelled while the payment is open: that is newer than the change, and stays.
#[tokio::test]
async fn a_cancellation_that_is_newer_than_the_change_stays() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for cancelled_before in [false, true] {
        let ada = world.subscriber(1, "monthly").await;
        if cancelled_before {
            ada.cancels().await;
        }
        world
            .stripe
            .gives_card(&ada, "pm_card_authenticationRequired")
            .await;
        assert_eq!(
            ada.changes(&json!({ "interval": "annual" })).await.body["payment"]["status"],
            "requires_action"
        );
        assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
        world.stripe.pays_open_invoice(&ada).await;
        let billing = ada.billing().await;
        assert_eq!(billing.body["subscription"]["interval"], "annual");
        assert_eq!(
            billing.body["subscription"]["cancelAtPeriodEnd"], true,
            "cancelled before: {cancelled_before}"
        );
    }
}

/// Cancelled while the year waits for its payment, and then the year is asked for once more: the last word is that it goes on, and it does, whoever
/// died over saying so.
#[tokio::test]
async fn a_change_that_is_asked_for_again_takes_back_what_was_cancelled_meanwhile() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_death(async |death| {
        let ada = world.subscriber(1, "monthly").await;
        world
            .stripe
            .gives_card(&ada, "pm_card_authenticationRequired")
            .await;
        let wish = json!({ "interval": "annual" });
        let first = ada.changes(&wish).await;
        assert_eq!(first.body["payment"]["status"], "requires_action");
        assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
        let again = async |machine: &Machine| ada.changes_on(machine, &wish).await;
        let told = world.dies_over(death, again).await;
        assert_eq!(ada.changes(&wish).await.body, first.body, "{death}");
        world.stripe.pays_open_invoice(&ada).await;
        let billing = ada.billing().await;
        assert_eq!(billing.body["subscription"]["interval"], "annual", "{death}");
        assert_eq!(
            billing.body["subscription"]["cancelAtPeriodEnd"], false,
            "{death}"
        );
        told.is_some()
    })
    .await;
}
