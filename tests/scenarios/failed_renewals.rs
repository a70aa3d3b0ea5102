//! A renewal that is declined: nobody is served for it, nobody pays for it twice, and what becomes of it in the end is Stripe's setting.

use billing_tests::{Account, World};
use serde_json::json;
use stripe_stand_in::{AfterLastRetry, Settings};

/// What a subscription is, until when it is paid for, and how a number is served.
async fn told(ada: &Account<'_>) -> String {
    let billing = ada.billing().await.body;
    let until = &billing["subscription"]["periodEnd"];
    format!(
        "{until} {} {}",
        billing["coveredUntil"], billing["numbers"][0]["mode"]
    )
}

/// A subscription whose second month was declined two hours ago.
async fn declined(world: &World) -> Account<'_> {
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("30d").await;
    world.advance("2h").await;
    ada
}

/// The subscription is there and not paid for, and bars another. The payer pays the bill on its page a day later: the month is covered to its
/// end, and is paid once, although Stripe would have tried again.
#[tokio::test]
async fn a_renewal_that_was_declined_is_served_from_its_payment_on() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = declined(&world).await;
    assert_eq!(told(&ada).await, r#""2026-06-01T00:00:00Z" null "PAYG""#);
    assert_eq!(ada.starts_checkout("monthly").await.status, 409);
    world.advance("1d").await;
    world.stripe.pays_open_invoice(&ada).await;
    assert_eq!(
        told(&ada).await,
        r#""2026-06-01T00:00:00Z" "2026-06-01T00:00:00Z" "FIXED""#
    );
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    world.advance("28d").await;
    assert_eq!(world.stripe.payments(&ada).await, [1000, 1000]);
    assert_eq!(ada.ledger().await.len(), 2);
}

/// Stripe gives up. Where it ends the subscription then, the account can buy again, and pays for the new month alone. Where it leaves it unpaid, it can
/// still bill, and bars another until an operator has ended it.
#[tokio::test]
async fn what_nobody_paid_for_can_be_bought_anew_once_it_is_over() {
    for (after_last_retry, status) in [
        (AfterLastRetry::Canceled, 200),
        (AfterLastRetry::Unpaid, 409),
        (AfterLastRetry::PastDue, 409),
    ] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(Settings {
            after_last_retry,
            ..Settings::default()
        });
        let ada = declined(&world).await;
        world.advance("20d").await;
        assert_eq!(world.stripe.payments(&ada).await, [1000]);
        let again = ada.starts_checkout("monthly").await;
        assert_eq!(again.status, status, "{after_last_retry:?}: {again}");
        if status == 409 {
            assert_eq!(
                again.body,
                json!({ "error": "the account already has a subscription" })
            );
            let id = world.stripe.subscription_id(&ada).await;
            let path = format!("/v1/subscriptions/{id}");
            world.stripe.operator("DELETE", &path, "").await;
            world.stripe.stand_in().settle().await;
        }
        let secret = ada.starts_checkout("monthly").await.client_secret();
        world.stripe.pays(&secret).await;
        assert_eq!(world.stripe.payments(&ada).await, [1000, 1000]);
        assert_eq!(ada.covered_until().await, "2026-06-21T02:00:00Z");
    }
}
