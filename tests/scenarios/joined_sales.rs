//! Two machines at one sale: one has written it down, and another joins it right before it asks Stripe.

use billing_tests::World;
use serde_json::json;

/// The one that has written a sale down sees that the customer owes something by then, and forgets it, while another that has joined it is
/// about to charge. The debt is gone again when that one goes on: it has been overtaken, and charges for the next sale.
#[tokio::test]
async fn a_sale_that_another_is_about_to_charge_is_not_charged_once_it_is_forgotten() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    acme.sells(&acme.order("starter")).await;
    let customer = world.stripe.all_customers().await.remove(0);
    let path = billing_tests::path_of(&customer);
    let id = acme.session(&acme.order("starter")).await;
    let [claims, joins] = [world.machine().await, world.machine().await];
    claims.network.holds("DynamoDB TransactWriteItems");
    joins.network.holds("POST /v1/invoices/create_preview");
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    let (told, sold) = tokio::join!(
        async {
            let told = acme.confirms_on(&claims, &id, &visa).await;
            world.stripe.operator("POST", &path, "balance=0").await;
            joins.network.lets_go();
            told
        },
        async {
            claims.network.reached().await;
            let sells = acme.confirms_on(&joins, &id, &visa);
            let goes_on = async {
                joins.network.reached().await;
                world.stripe.operator("POST", &path, "balance=500").await;
                claims.network.lets_go();
            };
            tokio::join!(sells, goes_on).0
        }
    );
    let (told, sold) = (told.unwrap(), sold.unwrap());
    assert_eq!(told.status, 409, "{told}");
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    assert_eq!(world.stripe.all_subscriptions().await.len(), 2);
}

/// Of two clicks on a card that is declined the second joins the sale while the first is asked for: the first tells the decline, and the second
/// asks once more, under the next number. They do not take turns.
#[tokio::test]
async fn two_clicks_on_a_declined_card_ask_for_it_twice() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let declined = json!({ "payment_method_id": "pm_card_chargeCustomerFail" });
    let [first, second] = [world.machine().await, world.machine().await];
    first.network.holds("POST /v1/subscriptions");
    second.network.holds("POST /v1/subscriptions");
    let (one, other) = tokio::join!(
        async {
            let told = acme.confirms_on(&first, &id, &declined).await;
            second.network.lets_go();
            told
        },
        async {
            first.network.reached().await;
            let goes_on = async {
                second.network.reached().await;
                first.network.lets_go();
            };
            tokio::join!(acme.confirms_on(&second, &id, &declined), goes_on).0
        }
    );
    for told in [one.unwrap(), other.unwrap()] {
        assert_eq!(told.status, 402, "{told}");
    }
    let [asked, again] = [first, second].map(|machine| {
        let steps = machine.network.steps();
        steps
            .iter()
            .filter(|step| *step == "POST /v1/subscriptions")
            .count()
    });
    // The second is told first that Stripe keeps the failure.
    assert_eq!((asked, again), (1, 2));
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
}
