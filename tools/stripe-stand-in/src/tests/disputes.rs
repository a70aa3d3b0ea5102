//! Disputes: what they take, what they only ask, how often, and how they end.

use serde_json::json;

use super::harness::{Shop, id};
use crate::{CaseType, NewDispute};

/// The charge that paid a new subscription's first invoice, 30.00.
async fn charge(shop: &Shop) -> String {
    let (_, subscription) = shop.subscriber().await;
    let invoice = id(&shop.latest(&subscription).await);
    let wanted = json!({ "invoice": invoice, "expand": ["data.payment.payment_intent"] });
    let payments = shop.list("/v1/invoice_payments", wanted).await;
    let intent = &payments["data"][0]["payment"]["payment_intent"];
    intent["latest_charge"].as_str().unwrap().to_owned()
}

fn of(case_type: CaseType) -> NewDispute {
    NewDispute {
        case_type,
        ..NewDispute::default()
    }
}

#[tokio::test]
async fn a_dispute_is_told_and_decided() {
    let shop = Shop::open().await;
    let charge = charge(&shop).await;
    let known = shop.event_types().len();
    let dispute = shop
        .stripe
        .dispute_charge(&charge, &NewDispute::default())
        .await
        .unwrap();
    assert_eq!(dispute["balance_transactions"][0]["amount"], -3000);
    assert_eq!(
        shop.event_types()[known..],
        ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    );
    assert_eq!(shop.get(&format!("/v1/charges/{charge}")).await["disputed"], true);
    let again = shop.stripe.dispute_charge(&charge, &NewDispute::default()).await;
    assert!(again.is_err(), "once is enough");
    let refund = json!({ "charge": charge });
    let refused = shop.refused(400, "POST", "/v1/refunds", refund).await;
    assert_eq!(refused["code"], "charge_disputed");
    let lost = shop.stripe.close_dispute(&id(&dispute), false).await.unwrap();
    assert_eq!(lost["status"], "lost");
    assert_eq!(
        shop.get(&format!("/v1/disputes/{}", id(&dispute))).await["status"],
        "lost"
    );
}

/// Lost, appealed, won: the money comes back, and can be refunded.
#[tokio::test]
async fn what_was_lost_is_won_on_an_appeal() {
    let shop = Shop::open().await;
    let charge = charge(&shop).await;
    let dispute = shop
        .stripe
        .dispute_charge(&charge, &NewDispute::default())
        .await
        .unwrap();
    let dispute = id(&dispute);
    assert!(
        shop.stripe.appeal_dispute(&dispute).await.is_err(),
        "nothing is lost yet"
    );
    shop.stripe.close_dispute(&dispute, false).await.unwrap();
    let known = shop.event_types().len();
    let appealed = shop.stripe.appeal_dispute(&dispute).await.unwrap();
    assert_eq!(appealed["status"], "appeal_needs_response");
    let won = shop.stripe.close_dispute(&dispute, true).await.unwrap();
    let moved = won["balance_transactions"].as_array().unwrap();
    let amounts: Vec<_> = moved.iter().map(|it| it["amount"].as_i64().unwrap()).collect();
    assert_eq!(
        (won["status"].as_str(), amounts),
        (Some("won"), vec![-3000, 3000])
    );
    assert_eq!(
        shop.event_types()[known..],
        [
            "charge.dispute.updated",
            "charge.dispute.closed",
            "charge.dispute.funds_reinstated"
        ]
    );
    shop.post("/v1/refunds", json!({ "charge": charge })).await;
}

#[tokio::test]
async fn what_is_prevented_or_only_asked_takes_money_or_does_not() {
    let shop = Shop::open().await;
    for (case_type, status, taken) in [
        (CaseType::Inquiry, "warning_needs_response", vec![]),
        (CaseType::Block, "prevented", vec![]),
        (CaseType::Resolution, "prevented", vec![json!(-3000)]),
    ] {
        let charge = charge(&shop).await;
        let dispute = shop.stripe.dispute_charge(&charge, &of(case_type)).await.unwrap();
        let moved = dispute["balance_transactions"].as_array().unwrap();
        let moved: Vec<_> = moved.iter().map(|it| it["amount"].clone()).collect();
        assert_eq!((&dispute["status"], moved), (&json!(status), taken));
        let listed = shop.list("/v1/disputes", json!({ "charge": charge })).await;
        assert_eq!(listed["data"], json!([dispute]));
        let told = shop.get(&format!("/v1/charges/{charge}")).await["disputed"].clone();
        assert_eq!(told, json!(status != "prevented"));
    }
}

/// 10.00 and 20.00 of 30.00, and no more.
#[tokio::test]
async fn a_charge_is_disputed_in_parts() {
    let shop = Shop::open().await;
    let charge = charge(&shop).await;
    let part = |amount| NewDispute {
        amount: Some(amount),
        ..NewDispute::default()
    };
    for amount in [1000, 2000] {
        let dispute = shop.stripe.dispute_charge(&charge, &part(amount)).await.unwrap();
        assert_eq!(dispute["amount"], amount);
    }
    assert!(shop.stripe.dispute_charge(&charge, &part(1)).await.is_err());
    let listed = shop.list("/v1/disputes", json!({ "charge": charge })).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}
