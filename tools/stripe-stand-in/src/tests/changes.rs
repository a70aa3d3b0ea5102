//! Golden cases of changes: each with its arithmetic, worked out by hand.

use serde_json::{Value, json};

use super::harness::{Shop, at, day, id};
use crate::Payment;

/// Amounts and texts of an invoice's lines, in order.
pub(super) fn lines(invoice: &Value) -> Vec<(i64, &str)> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    lines
        .iter()
        .map(|line| {
            (
                line["amount"].as_i64().unwrap(),
                line["description"].as_str().unwrap(),
            )
        })
        .collect()
}

impl Shop {
    pub(super) async fn item(&self, subscription: &str) -> String {
        let subscription = self.get(&format!("/v1/subscriptions/{subscription}")).await;
        id(&subscription["items"]["data"][0])
    }

    /// A shop in November, which has 30 days, with a subscription to three numbers at 10.00; ten days later.
    pub(super) async fn ten_days_later() -> (Self, String, String) {
        let shop = Self::open_at("2026-11-01T00:00:00Z").await;
        let (customer, subscription) = shop.subscriber().await;
        shop.advance("2026-11-11T00:00:00Z").await;
        (shop, customer, subscription)
    }

    /// Somebody who pays for `quantity` of a price.
    pub(super) async fn subscribed_to(&self, price: &str, quantity: u64) -> (String, String) {
        let customer = self.customer().await;
        let session = self.session(&customer, price, quantity).await;
        let paid = self
            .stripe
            .pay_session(&id(&session), Payment::Succeed)
            .await
            .unwrap();
        (customer, paid["subscription"].as_str().unwrap().to_owned())
    }

    /// Changes the one item, with these parameters besides.
    pub(super) async fn change(&self, subscription: &str, item: Value, more: Value) -> Value {
        let params = self.change_params(subscription, item, more).await;
        self.post(&format!("/v1/subscriptions/{subscription}"), params)
            .await
    }

    pub(super) async fn change_params(&self, subscription: &str, mut item: Value, mut more: Value) -> Value {
        item["id"] = json!(self.item(subscription).await);
        more["items"] = json!([item]);
        more
    }

    /// What the same change would be billed.
    pub(super) async fn preview(&self, subscription: &str, item: Value, more: Value) -> Value {
        let details = self.change_params(subscription, item, more).await;
        let params = json!({ "subscription": subscription, "subscription_details": details });
        self.post("/v1/invoices/create_preview", params).await
    }

    pub(super) async fn balance(&self, customer: &str) -> Value {
        self.get(&format!("/v1/customers/{customer}")).await["balance"].clone()
    }

    /// The subscription's latest invoice.
    pub(super) async fn latest(&self, subscription: &str) -> Value {
        let subscription = self.get(&format!("/v1/subscriptions/{subscription}")).await;
        let invoice = subscription["latest_invoice"].as_str().unwrap().to_owned();
        self.get(&format!("/v1/invoices/{invoice}")).await
    }
}

/// November has 30 days. After 10 of them two thirds are left: 3 × 10.00 × 2/3 = 20.00 back; 3 × 96.00 = 288.00 for the
/// year; 268.00 in all.
#[tokio::test]
async fn a_month_turned_into_a_year_credits_the_rest_and_begins_anew() {
    let shop = Shop::open_at("2026-11-01T00:00:00Z").await;
    let (customer, subscription) = shop.subscriber().await;
    shop.advance("2026-11-11T00:00:00Z").await;
    let item = shop.item(&subscription).await;
    let preview = shop
        .post(
            "/v1/invoices/create_preview",
            json!({
                "subscription": subscription,
                "subscription_details": {
                    "items": [{ "id": item, "price": shop.annual, "quantity": 3 }],
                    "proration_behavior": "always_invoice",
                },
            }),
        )
        .await;
    let expected = [
        (-2000, "Unused time on 3 × Number after 11 Nov 2026"),
        (28_800, "3 × Number (at $96.00 / year)"),
    ];
    assert_eq!(lines(&preview), expected);
    assert_eq!(preview["amount_due"], 26_800);
    assert_eq!(
        shop.stripe.invoices_of(&customer).len(),
        1,
        "a preview is not a bill"
    );

    let path = format!("/v1/subscriptions/{subscription}");
    let changed = shop
        .post(
            &path,
            json!({
                "items": [{ "id": item, "price": shop.annual, "quantity": 3 }],
                "proration_behavior": "always_invoice",
                "payment_behavior": "pending_if_incomplete",
            }),
        )
        .await;
    let period = &changed["items"]["data"][0];
    assert_eq!(
        (&period["current_period_start"], &period["current_period_end"]),
        (&json!(day("2026-11-11")), &json!(day("2027-11-11")))
    );
    assert_eq!(changed["billing_cycle_anchor"], day("2026-11-11"));
    assert_eq!(changed["pending_update"], Value::Null);
    let invoice = shop.latest(&subscription).await;
    assert_eq!(lines(&invoice), expected);
    assert_eq!(
        (
            &invoice["status"],
            &invoice["amount_paid"],
            &invoice["billing_reason"]
        ),
        (&json!("paid"), &json!(26_800), &json!("subscription_update"))
    );
    assert_eq!(invoice["lines"]["data"][0]["discountable"], false);
    assert_eq!(invoice["lines"]["data"][1]["discountable"], true);

    shop.advance("2026-12-15T00:00:00Z").await;
    assert_eq!(
        shop.stripe.invoices_of(&customer).len(),
        2,
        "the month's end is nothing any more"
    );
}

pub(super) fn amounts(invoice: &Value) -> Vec<i64> {
    lines(invoice).into_iter().map(|(amount, _)| amount).collect()
}

pub(super) fn at_once() -> Value {
    json!({ "proration_behavior": "always_invoice" })
}

/// Two thirds of the month are left. 30.00 × 2/3 = 20.00 back; 50.00 × 2/3 = 33.333… charged as 33.33.
#[tokio::test]
async fn more_of_the_same_credits_the_old_whole_and_charges_the_new_whole() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    let preview = shop
        .preview(&subscription, json!({ "quantity": 5 }), at_once())
        .await;
    shop.change(&subscription, json!({ "quantity": 5 }), at_once())
        .await;
    let invoice = shop.latest(&subscription).await;
    let expected = [
        (-2000, "Unused time on 3 × Number after 11 Nov 2026"),
        (3333, "Remaining time on 5 × Number after 11 Nov 2026"),
    ];
    assert_eq!(lines(&invoice), expected);
    assert_eq!(lines(&preview), expected);
    assert_eq!(invoice["amount_paid"], 1333);
    assert_eq!(
        invoice["lines"]["data"][1]["period"],
        json!({ "start": day("2026-11-11"), "end": day("2026-12-01") })
    );
}

/// 30.00 × 2/3 back, 10.00 × 2/3 = 6.666… charged as 6.66: 13.34 in credit. December costs 10.00, all of it paid by the credit.
#[tokio::test]
async fn less_of_the_same_leaves_a_credit_that_pays_the_next_invoice() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.change(&subscription, json!({ "quantity": 1 }), at_once())
        .await;
    let invoice = shop.latest(&subscription).await;
    assert_eq!(amounts(&invoice), [-2000, 666]);
    let of = |invoice: &Value, members: [&str; 5]| members.map(|member| invoice[member].clone());
    let members = [
        "status",
        "total",
        "amount_due",
        "starting_balance",
        "ending_balance",
    ];
    assert_eq!(
        of(&invoice, members),
        [json!("paid"), json!(-1334), json!(0), json!(0), json!(-1334)]
    );
    assert_eq!(shop.balance(&customer).await, -1334);
    shop.advance("2026-12-01T01:00:00Z").await;
    let renewal = shop.latest(&subscription).await;
    assert_eq!(
        of(&renewal, members),
        [json!("paid"), json!(1000), json!(0), json!(-1334), json!(-334)]
    );
    assert_eq!(shop.balance(&customer).await, -334);
}

/// What costs nothing has nothing to give back, and a month begins when it costs something: 3 × 10.00. None of something is not nothing: two
/// thirds of November are left.
#[tokio::test]
async fn a_price_of_nothing_begins_a_period_when_it_costs_something() {
    for (unit_amount, quantity, total, ends) in [(0, 3, 3000, "2026-12-11"), (1000, 0, 2000, "2026-12-01")] {
        let shop = Shop::open_at("2026-11-01T00:00:00Z").await;
        let customer = shop.customer().await;
        shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
        let price = id(&shop.price(unit_amount, "month").await);
        let order = json!({
            "customer": customer, "items": [{ "price": price, "quantity": quantity }],
            "billing_mode": { "type": "classic" },
        });
        let subscription = id(&shop.post("/v1/subscriptions", order).await);
        shop.advance("2026-11-11T00:00:00Z").await;
        let paid = id(&shop.price(1000, "month").await);
        let item = json!({ "price": paid, "quantity": 3 });
        let changed = shop.change(&subscription, item, at_once()).await;
        assert_eq!(shop.latest(&subscription).await["total"], total, "{unit_amount}");
        let item = &changed["items"]["data"][0];
        assert_eq!(item["current_period_end"], day(ends), "{unit_amount}");
    }
}

/// Two hours are left: 30.00 × 2/720 = 8.33 cents back, 40.00 × 2/720 = 11.11 charged. Two cents are not worth a charge: the bill is paid
/// without one, and December costs 40.02.
#[tokio::test]
async fn a_bill_of_less_than_is_charged_is_owed_with_the_next() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.advance("2026-11-30T22:00:00Z").await;
    shop.change(&subscription, json!({ "quantity": 4 }), at_once())
        .await;
    let invoice = shop.latest(&subscription).await;
    assert_eq!(amounts(&invoice), [-9, 11]);
    let of = |invoice: &Value, members: [&str; 5]| members.map(|member| invoice[member].clone());
    let members = [
        "status",
        "attempt_count",
        "amount_due",
        "amount_paid",
        "ending_balance",
    ];
    assert_eq!(
        of(&invoice, members),
        [json!("paid"), json!(0), json!(0), json!(0), json!(2)]
    );
    assert_eq!(shop.balance(&customer).await, 2);
    shop.advance("2026-12-01T01:00:00Z").await;
    let renewal = shop.latest(&subscription).await;
    assert_eq!(
        of(&renewal, members),
        [json!("paid"), json!(1), json!(4002), json!(4002), json!(0)]
    );
    assert_eq!(shop.balance(&customer).await, 0);
}

/// 50.00 for December and, before it, what changed in November: −20.00 + 33.33.
#[tokio::test]
async fn prorations_that_are_not_billed_at_once_wait_for_the_renewal() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    let preview = shop
        .preview(&subscription, json!({ "quantity": 5 }), json!({}))
        .await;
    let changing = shop
        .events_of(async {
            shop.change(&subscription, json!({ "quantity": 5 }), json!({}))
                .await;
        })
        .await;
    assert_eq!(
        changing,
        [
            "invoiceitem.created",
            "invoiceitem.created",
            "customer.subscription.updated"
        ]
    );
    assert_eq!(
        shop.stripe.invoices_of(&customer).len(),
        1,
        "nothing is billed yet"
    );
    let next = shop
        .post(
            "/v1/invoices/create_preview",
            json!({ "subscription": subscription }),
        )
        .await;
    shop.advance("2026-12-01T01:00:00Z").await;
    let renewal = shop.latest(&subscription).await;
    assert_eq!(amounts(&renewal), [-2000, 3333, 5000]);
    assert_eq!(lines(&preview), lines(&renewal));
    assert_eq!(lines(&next), lines(&renewal));
    assert_eq!(renewal["billing_reason"], "subscription_cycle");
    shop.advance("2027-01-01T01:00:00Z").await;
    assert_eq!(
        amounts(&shop.latest(&subscription).await),
        [5000],
        "they are billed once"
    );
}

/// After 20 days a third is left: of what five cost, 50.00 × 1/3 = 16.666… is credited as 16.67; two cost 6.66.
#[tokio::test]
async fn a_second_change_credits_what_the_first_one_charged() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    shop.change(&subscription, json!({ "quantity": 5 }), at_once())
        .await;
    let first = shop.latest(&subscription).await;
    shop.advance("2026-11-21T00:00:00Z").await;
    shop.change(&subscription, json!({ "quantity": 2 }), at_once())
        .await;
    let second = shop.latest(&subscription).await;
    assert_eq!(amounts(&second), [-1667, 666]);
    let credited = &second["lines"]["data"][0]["parent"]["subscription_item_details"]["proration_details"];
    assert_eq!(
        credited["credited_items"],
        json!({ "invoice": first["id"], "invoice_line_items": [first["lines"]["data"][1]["id"]] })
    );
}

/// With `none` nothing is credited for the change from three to five; the month turned into a year then credits two thirds of
/// the 30.00 that were paid, not of the 50.00 that five would have cost.
#[tokio::test]
async fn no_more_is_credited_than_was_paid() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    shop.change(
        &subscription,
        json!({ "quantity": 5 }),
        json!({ "proration_behavior": "none" }),
    )
    .await;
    assert_eq!(shop.stripe.invoices_of(&customer).len(), 1);
    let annual = shop.annual.clone();
    shop.change(
        &subscription,
        json!({ "price": annual, "quantity": 5 }),
        at_once(),
    )
    .await;
    assert_eq!(amounts(&shop.latest(&subscription).await), [-2000, 48_000]);
}

/// Two thirds of 30.00 back, and a whole month from now.
#[tokio::test]
async fn an_anchor_of_now_begins_a_new_period() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let reset = shop
        .post(&path, json!({ "billing_cycle_anchor": { "type": "now" } }))
        .await;
    assert_eq!(reset["items"]["data"][0]["current_period_end"], day("2026-12-11"));
    assert_eq!(amounts(&shop.latest(&subscription).await), [-2000, 3000]);
}

/// Of three at 10.00 without a quantity: one at 20.00, of which two thirds are 13.33; also of the item itself. Whoever names the price that it
/// has, or nothing, keeps three.
#[tokio::test]
async fn a_price_that_is_changed_without_a_quantity_is_of_one() {
    for by_item in [false, true] {
        let (shop, _, subscription) = Shop::ten_days_later().await;
        let double = id(&shop.price(2000, "month").await);
        let path = format!("/v1/subscription_items/{}", shop.item(&subscription).await);
        for kept in [
            json!({ "price": shop.monthly }),
            json!({ "metadata": { "a": "1" } }),
        ] {
            shop.change(&subscription, kept, at_once()).await;
            assert_eq!(shop.get(&path).await["quantity"], 3, "{by_item}");
        }
        let preview = shop
            .preview(&subscription, json!({ "price": double }), at_once())
            .await;
        assert_eq!(amounts(&preview), [-2000, 1333], "{by_item}");
        if by_item {
            let change = json!({ "price": double, "proration_behavior": "always_invoice" });
            shop.post(&path, change).await;
        } else {
            shop.change(&subscription, json!({ "price": double }), at_once())
                .await;
        }
        assert_eq!(shop.get(&path).await["quantity"], 1, "{by_item}");
        assert_eq!(amounts(&shop.latest(&subscription).await), [-2000, 1333]);
    }
}

#[tokio::test]
async fn items_are_added_and_taken_away() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    let other = id(&shop.price(600, "month").await);
    // 6.00 × 2 × 2/3 = 8.00.
    let params = json!({ "subscription": subscription, "price": other, "quantity": 2, "proration_behavior": "always_invoice" });
    let added = shop.post("/v1/subscription_items", params).await;
    assert_eq!(amounts(&shop.latest(&subscription).await), [800]);
    let path = format!("/v1/subscription_items/{}", id(&added));
    assert_eq!(shop.get(&path).await["quantity"], 2);
    // −8.00 + 6.00 × 2/3 = −8.00 + 4.00.
    shop.post(
        &path,
        json!({ "quantity": 1, "proration_behavior": "always_invoice" }),
    )
    .await;
    assert_eq!(amounts(&shop.latest(&subscription).await), [-800, 400]);
    let gone = shop
        .call("DELETE", &path, json!({ "proration_behavior": "always_invoice" }))
        .await;
    assert_eq!(gone.body["deleted"], true);
    assert_eq!(amounts(&shop.latest(&subscription).await), [-400]);
    let items = &shop.get(&format!("/v1/subscriptions/{subscription}")).await["items"]["data"];
    assert_eq!(items.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn items_that_do_not_go_together_are_refused() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    for (items, says) in [
        (json!([{ "price": shop.annual }]), "interval fields must match"),
        (json!([{ "price": shop.monthly }]), "same plan"),
        (
            json!([{ "id": shop.item(&subscription).await, "deleted": true }]),
            "at least one active plan",
        ),
        (
            json!([{ "id": "si_unknown", "quantity": 1 }]),
            "No such subscription item",
        ),
        (json!([{ "price": "price_unknown" }]), "No such price"),
    ] {
        let error = shop.refused(400, "POST", &path, json!({ "items": items })).await;
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
}

/// −20.00 of the month's 30.00, which the customer keeps as a credit.
#[tokio::test]
async fn a_cancellation_can_credit_the_rest_and_bill_it() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let preview = shop
        .post(
            "/v1/invoices/create_preview",
            json!({ "subscription": subscription, "subscription_details": { "cancel_now": true } }),
        )
        .await;
    let answer = shop
        .call("DELETE", &path, json!({ "prorate": true, "invoice_now": true }))
        .await;
    assert_eq!(answer.body["status"], "canceled");
    let invoice = shop.latest(&subscription).await;
    assert_eq!(
        lines(&invoice),
        [(-2000, "Unused time on 3 × Number after 11 Nov 2026")]
    );
    assert_eq!(lines(&preview), lines(&invoice));
    assert_eq!(shop.balance(&customer).await, -2000);
}

#[tokio::test]
async fn an_end_at_an_instant_comes_then_and_can_be_unset() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let ends = shop.post(&path, json!({ "cancel_at": day("2026-11-20") })).await;
    assert_eq!(
        (&ends["cancel_at"], &ends["cancel_at_period_end"]),
        (&json!(day("2026-11-20")), &json!(false))
    );
    shop.refused(400, "POST", &path, json!({ "cancel_at": day("2026-11-10") }))
        .await;
    let unset = shop.post(&path, json!({ "cancel_at": "" })).await;
    assert_eq!(
        (&unset["cancel_at"], &unset["canceled_at"]),
        (&Value::Null, &Value::Null)
    );
    shop.post(&path, json!({ "cancel_at": day("2026-11-21") })).await;
    shop.advance("2026-11-20T23:59:59Z").await;
    assert_eq!(shop.get(&path).await["status"], "active");
    shop.advance("2026-11-21T00:00:00Z").await;
    let ended = shop.get(&path).await;
    assert_eq!(
        (&ended["status"], &ended["ended_at"]),
        (&json!("canceled"), &json!(at("2026-11-21T00:00:00Z").as_second()))
    );
}

#[tokio::test]
async fn a_preview_of_what_will_not_come_is_refused() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    shop.post(
        &format!("/v1/subscriptions/{subscription}"),
        json!({ "cancel_at_period_end": true }),
    )
    .await;
    let error = shop
        .refused(
            404,
            "POST",
            "/v1/invoices/create_preview",
            json!({ "subscription": subscription }),
        )
        .await;
    assert_eq!(error["code"], "invoice_upcoming_none");
    shop.refused(400, "POST", "/v1/invoices/create_preview", json!({}))
        .await;
}

#[tokio::test]
async fn a_preview_of_a_subscription_to_come_is_its_first_invoice() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let items = json!([{ "price": shop.annual, "quantity": 2 }]);
    let preview = shop
        .post(
            "/v1/invoices/create_preview",
            json!({ "customer": customer, "subscription_details": { "items": items } }),
        )
        .await;
    assert_eq!(
        (amounts(&preview), &preview["billing_reason"]),
        (vec![19_200], &json!("subscription_create"))
    );
    assert!(id(&preview).starts_with("upcoming_in_"), "{}", preview["id"]);
    assert!(shop.stripe.subscriptions_of(&customer).is_empty());
}
