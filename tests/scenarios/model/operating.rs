//! What operators, banks and payers do at Stripe, past us: to subscriptions, to bills, and to what was paid.

use billing_tests::World;
use proptest::prelude::*;
use serde_json::{Value, json};
use stripe_stand_in::NewDispute;

/// In how many days a subscription ends that an operator gives a date.
const ENDS_IN_DAYS: i64 = 9;
/// A part of a payment, in cents.
const A_PART: i64 = 100;
/// What a credit note does with what was paid.
const CREDITS: [&str; 3] = ["refund_amount", "credit_amount", "out_of_band_amount"];
/// What is not paid yet, or given up.
const UNPAID: [&str; 2] = ["open", "uncollectible"];

/// A deed.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// A subscription is cancelled.
    EndsNow,
    /// It is to end with its period, or no longer.
    EndsWithPeriod(bool),
    /// It is to end on a date.
    EndsOn,
    /// So many are billed from now on, and the difference at once.
    Counts(u32),
    /// A bill is not asked for any more.
    Voids,
    /// A bill is given up as uncollectible.
    WritesOff,
    /// A bill was paid in cash.
    IsPaidOutside,
    /// The first payment is given back, or a part of it.
    Refunds { all: bool },
    /// The bank sends the refund back that was made last.
    RefundFails,
    /// A bill is credited, paid or not.
    Credits { all: bool, how: usize },
    /// A payment is disputed.
    IsDisputed { all: bool },
    /// The bank decides a dispute.
    IsDecided { won: bool },
    /// A dispute that was lost is appealed.
    Appeals,
    /// What the customer pays by is taken away.
    Detaches,
}

/// A deed of any kind.
pub(super) fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![14 => deed_to_what_is_sold(), 1 => (1..5_u32).prop_map(Deed::Counts)]
}

/// A deed that leaves what is sold as it is.
pub(super) fn deed_to_what_is_sold() -> impl Strategy<Value = Deed> {
    let all = any::<bool>;
    prop_oneof![
        2 => Just(Deed::EndsNow),
        2 => any::<bool>().prop_map(Deed::EndsWithPeriod),
        1 => Just(Deed::EndsOn),
        2 => Just(Deed::Voids),
        2 => Just(Deed::WritesOff),
        2 => Just(Deed::IsPaidOutside),
        2 => all().prop_map(|all| Deed::Refunds { all }),
        1 => Just(Deed::RefundFails),
        2 => (all(), 0..CREDITS.len()).prop_map(|(all, how)| Deed::Credits { all, how }),
        3 => all().prop_map(|all| Deed::IsDisputed { all }),
        3 => any::<bool>().prop_map(|won| Deed::IsDecided { won }),
        1 => Just(Deed::Appeals),
        1 => Just(Deed::Detaches),
    ]
}

/// At which Stripe account, and to whom.
pub(super) struct Operator<'a> {
    world: &'a World,
    account: Option<&'a str>,
    customers: Vec<String>,
}

impl<'a> Operator<'a> {
    pub(super) fn of(world: &'a World, account: Option<&'a str>, customers: Vec<String>) -> Self {
        Self {
            world,
            account,
            customers,
        }
    }

    /// Does it where there is something that it can be done to; whatever else Stripe says to it, an operator would see.
    pub(super) async fn does(&self, deed: &Deed) {
        let stand_in = self.world.stripe.stand_in();
        match deed {
            Deed::EndsNow => self.subscription("DELETE", json!({})),
            Deed::EndsWithPeriod(ends) => self.subscription("POST", json!({ "cancel_at_period_end": ends })),
            Deed::EndsOn => {
                let at = self.world.now() + billing_core::SignedDuration::from_hours(24 * ENDS_IN_DAYS);
                // What is prorated would be credited with the next bill, and stand in the way of amendments until then.
                let end = json!({ "cancel_at": at.as_second(), "proration_behavior": "none" });
                self.subscription("POST", end);
            }
            Deed::Counts(quantity) => {
                if let Some(subscription) = self.subscriptions().first() {
                    let item = &subscription["items"]["data"][0]["id"];
                    let items = json!([{ "id": item, "quantity": quantity }]);
                    self.subscription(
                        "POST",
                        json!({ "items": items, "proration_behavior": "always_invoice" }),
                    );
                }
            }
            Deed::Voids => self.bill(|id| (format!("/v1/invoices/{id}/void"), json!({}))),
            Deed::WritesOff => {
                if let Some(bill) = self.bills(&["open"]).first() {
                    drop(stand_in.write_off_invoice(bill["id"].as_str().unwrap()).await);
                }
            }
            Deed::IsPaidOutside => {
                let outside = json!({ "paid_out_of_band": true });
                self.bill(|id| (format!("/v1/invoices/{id}/pay"), outside));
            }
            Deed::Refunds { all } => {
                if let Some(charge) = self.charge() {
                    let mut refund = json!({ "charge": charge["id"] });
                    if !all {
                        refund["amount"] = json!(A_PART);
                    }
                    self.call("POST", "/v1/refunds", &refund);
                }
            }
            Deed::RefundFails => {
                let refunds = self.call("GET", "/v1/refunds", &json!({ "limit": 1 }));
                if let Some(id) = refunds["data"][0]["id"].as_str() {
                    drop(stand_in.fail_refund(id, "lost_or_stolen_card").await);
                }
            }
            Deed::Credits { all, how } => {
                if let Some(bill) = self.bills(&["paid", "open"]).first() {
                    self.credits(bill, *all, CREDITS[*how]);
                }
            }
            Deed::IsDisputed { all } => {
                if let Some(charge) = self.charge() {
                    let dispute = NewDispute {
                        amount: (!all).then_some(A_PART),
                        ..NewDispute::default()
                    };
                    drop(
                        stand_in
                            .dispute_charge(charge["id"].as_str().unwrap(), &dispute)
                            .await,
                    );
                }
            }
            Deed::IsDecided { won } => {
                if let Some(dispute) = self.dispute() {
                    drop(stand_in.close_dispute(&dispute, *won).await);
                }
            }
            Deed::Appeals => {
                if let Some(dispute) = self.dispute() {
                    drop(stand_in.appeal_dispute(&dispute).await);
                }
            }
            Deed::Detaches => {
                for customer in &self.customers {
                    let methods = self.call("GET", "/v1/payment_methods", &json!({ "customer": customer }));
                    for method in methods["data"].as_array().into_iter().flatten() {
                        let id = method["id"].as_str().unwrap();
                        self.call("POST", &format!("/v1/payment_methods/{id}/detach"), &json!({}));
                    }
                }
            }
        }
        stand_in.settle().await;
    }

    fn call(&self, method: &str, path: &str, params: &Value) -> Value {
        let stand_in = self.world.stripe.stand_in();
        stand_in.call(method, path, params, self.account).1
    }

    fn all(&self, list: impl Fn(&str) -> Vec<Value>) -> Vec<Value> {
        let of_each = self.customers.iter().flat_map(|customer| list(customer));
        let mut all: Vec<Value> = of_each.collect();
        all.sort_by_key(|object| std::cmp::Reverse(object["created"].as_i64()));
        all
    }

    /// Those that are not over, the latest first.
    fn subscriptions(&self) -> Vec<Value> {
        let stand_in = self.world.stripe.stand_in();
        let mut all = self.all(|customer| stand_in.subscriptions_of(customer));
        all.retain(|it| it["status"] != "canceled" && it["status"] != "incomplete_expired");
        all
    }

    /// Those of that status, the latest first.
    fn bills(&self, status: &[&str]) -> Vec<Value> {
        let stand_in = self.world.stripe.stand_in();
        let mut all = self.all(|customer| stand_in.invoices_of(customer));
        all.retain(|bill| status.iter().any(|status| bill["status"] == *status));
        all
    }

    /// Something is done to the latest subscription.
    fn subscription(&self, method: &str, params: Value) {
        if let Some(subscription) = self.subscriptions().first() {
            let id = subscription["id"].as_str().unwrap();
            self.call(method, &format!("/v1/subscriptions/{id}"), &params);
        }
    }

    /// Something is done to the latest bill that is not paid.
    fn bill(&self, act: impl FnOnce(&str) -> (String, Value)) {
        if let Some(bill) = self.bills(&UNPAID).first() {
            let (path, params) = act(bill["id"].as_str().unwrap());
            self.call("POST", &path, &params);
        }
    }

    /// The charge that paid the latest bill.
    fn charge(&self) -> Option<Value> {
        let paid = self.bills(&["paid"]);
        let wanted = |bill: &Value| json!({ "invoice": bill["id"], "expand": ["data.payment.payment_intent.latest_charge"] });
        let charges = paid.iter().map(|bill| {
            let payments = self.call("GET", "/v1/invoice_payments", &wanted(bill));
            payments["data"][0]["payment"]["payment_intent"]["latest_charge"].clone()
        });
        charges.into_iter().find(|charge| charge["id"].is_string())
    }

    /// The latest dispute of any payment.
    fn dispute(&self) -> Option<String> {
        let disputes = self.call("GET", "/v1/disputes", &json!({ "limit": 1 }));
        disputes["data"][0]["id"].as_str().map(str::to_owned)
    }

    fn credits(&self, bill: &Value, all: bool, how: &str) {
        let (paid, is_paid) = (bill["amount_paid"].as_i64().unwrap(), bill["status"] == "paid");
        let whole = if is_paid {
            paid
        } else {
            bill["total"].as_i64().unwrap()
        };
        let amount = if all { whole } else { A_PART };
        let mut note = json!({ "invoice": bill["id"], "amount": amount });
        if is_paid {
            note[how] = json!(amount);
        }
        self.call("POST", "/v1/credit_notes", &note);
    }
}
