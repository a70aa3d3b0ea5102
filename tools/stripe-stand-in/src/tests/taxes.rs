//! Automatic tax on a checkout page, and on every bill of the subscription that comes of it.

use serde_json::{Value, json};

use super::harness::{Shop, id};
use crate::{Completion, Settings};

/// A page for three numbers by the month, with what is asked about taxes.
fn page(shop: &Shop, customer: &str, taxes: Value) -> Value {
    let mut params = json!({
        "mode": "subscription",
        "ui_mode": "embedded_page",
        "return_url": "https://app.example.com/done",
        "customer": customer,
        "line_items": [{ "price": shop.monthly, "quantity": 3 }],
        "subscription_data": { "billing_mode": { "type": "classic" } },
    });
    let members = taxes.as_object().unwrap().clone();
    params.as_object_mut().unwrap().extend(members);
    params
}

/// Of a customer who is nowhere yet: each of Stripe's refusals, and what it takes.
#[tokio::test]
async fn a_page_with_tax_may_write_down_who_and_where_the_customer_is() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let on = json!({ "enabled": true });
    for (taxes, code) in [
        (
            json!({ "automatic_tax": on }),
            json!("customer_tax_location_invalid"),
        ),
        (
            json!({ "automatic_tax": on, "tax_id_collection": on, "customer_update": { "address": "auto" } }),
            Value::Null,
        ),
        (json!({ "tax_id_collection": on }), Value::Null),
    ] {
        let params = page(&shop, &customer, taxes);
        let error = shop.refused(400, "POST", "/v1/checkout/sessions", params).await;
        assert_eq!(error["code"], code, "{error}");
    }
    let mut of_nobody = page(&shop, &customer, json!({ "customer_update": { "name": "auto" } }));
    of_nobody.as_object_mut().unwrap().remove("customer");
    shop.refused(400, "POST", "/v1/checkout/sessions", of_nobody)
        .await;

    let update = json!({ "address": "auto", "name": "auto" });
    let taxes = json!({ "automatic_tax": on, "tax_id_collection": on, "customer_update": update });
    let open = shop
        .post("/v1/checkout/sessions", page(&shop, &customer, taxes))
        .await;
    assert_eq!(open["automatic_tax"]["status"], "requires_location_inputs");
    let known = json!({ "address": { "country": "DE" } });
    shop.post(&format!("/v1/customers/{customer}"), known).await;
    let located = json!({ "automatic_tax": on });
    let open = shop
        .post("/v1/checkout/sessions", page(&shop, &customer, located))
        .await;
    assert_eq!(open["automatic_tax"]["status"], "complete");
}

/// 19 % of 3000 are 570. On 11 January a month of 3000 has 21 of 31 days left: 2032.26 given back, of which 19 % are 386.27, and a year
/// of 28800 with 5472.
#[tokio::test]
async fn tax_comes_on_top_of_every_bill_and_is_given_back_with_credits() {
    let shop = Shop::open_at("2027-01-01T00:00:00Z").await;
    shop.stripe.set(Settings {
        tax_basis_points: 1_900,
        ..Settings::default()
    });
    let customer = shop.customer().await;
    let taxes = json!({ "automatic_tax": { "enabled": true }, "customer_update": { "address": "auto" } });
    let open = shop
        .post("/v1/checkout/sessions", page(&shop, &customer, taxes))
        .await;
    assert_eq!(open["amount_total"], 3000, "nobody has said where they are");
    let how = Completion {
        country: Some("DE".to_owned()),
        ..Completion::default()
    };
    let paid = shop.stripe.complete_session(&id(&open), &how).await.unwrap();
    assert_eq!(
        (&paid["amount_total"], &paid["total_details"]["amount_tax"]),
        (&json!(3570), &json!(570))
    );
    let first = &shop.stripe.invoices_of(&customer)[0];
    assert_eq!(
        [
            &first["subtotal"],
            &first["total_excluding_tax"],
            &first["total"],
            &first["amount_paid"]
        ],
        [3000, 3000, 3570, 3570]
    );
    let known = shop.get(&format!("/v1/customers/{customer}")).await;
    assert_eq!(known["address"]["country"], "DE");

    shop.advance("2027-01-11T00:00:00Z").await;
    let subscription = shop
        .get(&format!(
            "/v1/subscriptions/{}",
            paid["subscription"].as_str().unwrap()
        ))
        .await;
    let item = &subscription["items"]["data"][0]["id"];
    let change = json!({
        "items": [{ "id": item, "price": shop.annual, "quantity": 3 }], "proration_behavior": "always_invoice",
    });
    let preview = json!({ "subscription": subscription["id"], "subscription_details": change });
    let preview = shop.post("/v1/invoices/create_preview", preview).await;
    let of_lines: Vec<(&Value, &Value)> = preview["lines"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["amount"], &line["taxes"][0]["amount"]))
        .collect();
    assert_eq!(
        of_lines,
        [(&json!(-2033), &json!(-386)), (&json!(28_800), &json!(5472)),]
    );
    assert_eq!(
        (&preview["total"], &preview["total_taxes"][0]["amount"]),
        (&json!(-2033 - 386 + 28_800 + 5472), &json!(5086))
    );
}

/// What a request is to make final stays a draft, by either way, and what becomes final by itself is not taxed, nor is
/// what comes after it, until tax is switched on again.
#[tokio::test]
async fn a_renewal_whose_customer_cannot_be_found_is_not_taxed() {
    let shop = Shop::open_at("2027-01-01T00:00:00Z").await;
    shop.stripe.set(Settings {
        tax_basis_points: 1_900,
        ..Settings::default()
    });
    let (customer, subscription) = shop.subscriber().await;
    let of_customer = format!("/v1/customers/{customer}");
    let of_subscription = format!("/v1/subscriptions/{subscription}");
    let on = json!({ "automatic_tax": { "enabled": true } });
    shop.post(
        &of_customer,
        json!({ "address": { "country": "US", "postal_code": "10001" } }),
    )
    .await;
    shop.post(&of_subscription, on.clone()).await;
    shop.advance("2027-02-01T00:10:00Z").await;
    let drafted = shop.stripe.invoices_of(&customer).pop().unwrap();
    assert_eq!(
        (&drafted["status"], &drafted["total"]),
        (&json!("draft"), &json!(3570))
    );
    shop.post(&of_customer, json!({ "address": { "country": "US" } }))
        .await;
    for how in ["finalize", "pay"] {
        let path = format!("/v1/invoices/{}/{how}", id(&drafted));
        let error = shop.refused(400, "POST", &path, json!({})).await;
        assert_eq!(error["code"], "customer_tax_location_invalid", "{how}");
    }
    shop.advance("2027-02-01T02:00:00Z").await;
    let renewed = shop.stripe.invoices_of(&customer).pop().unwrap();
    assert_eq!(
        (
            &renewed["status"],
            &renewed["amount_paid"],
            &renewed["automatic_tax"]["enabled"]
        ),
        (&json!("paid"), &json!(3000), &json!(false))
    );
    let tax = shop.get(&of_subscription).await["automatic_tax"].clone();
    assert_eq!(
        (&tax["enabled"], &tax["disabled_reason"]),
        (&json!(false), &json!("requires_location_inputs"))
    );
    let error = shop.refused(400, "POST", &of_subscription, on).await;
    assert_eq!(error["code"], "customer_tax_location_invalid");
}

/// A part of an address is all of it, or is added to the rest.
#[tokio::test]
async fn an_address_of_which_a_part_is_told_keeps_the_rest_where_that_is_set() {
    for (addresses_merge, code) in [(false, Value::Null), (true, json!("10115"))] {
        let shop = Shop::open().await;
        shop.stripe.set(Settings {
            addresses_merge,
            ..Settings::default()
        });
        let path = format!("/v1/customers/{}", shop.customer().await);
        let whole = json!({ "address": { "country": "DE", "postal_code": "10115", "state": "BE" } });
        shop.post(&path, whole).await;
        let part = json!({ "address": { "country": "AT", "state": "" } });
        let told = shop.post(&path, part).await;
        assert_eq!(
            (
                &told["address"]["country"],
                &told["address"]["state"],
                &told["address"]["postal_code"]
            ),
            (&json!("AT"), &Value::Null, &code)
        );
    }
}
