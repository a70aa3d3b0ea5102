//! What must be true of every account in the end, by what Stripe has and by what the API tells.

use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use local_stack::Stack;
use serde_json::Value;

use crate::caller::Account;

/// Every promise that is broken, in words.
pub(crate) async fn broken(stack: &Arc<Stack>, accounts: &[Account]) -> Vec<String> {
    let mut broken = Vec::new();
    for account in accounts {
        let billing = billing(stack, account).await;
        let faults = faults(stack, account, &billing);
        broken.extend(faults.into_iter().map(|fault| format!("{}: {fault}", account.id)));
    }
    broken
}

fn faults(stack: &Arc<Stack>, account: &Account, billing: &Value) -> Vec<String> {
    let stripe = stack.stand_in.as_ref().unwrap();
    let customers = stripe.customers_with("account", &account.id);
    let mut faults = Vec::new();
    if customers.len() > 1 {
        faults.push(format!("{} customers", customers.len()));
    }
    let ids = customers.iter().map(|it| it["id"].as_str().unwrap());
    let of_all = |list: &dyn Fn(&str) -> Vec<Value>| ids.clone().flat_map(list).collect::<Vec<_>>();
    let live: Vec<_> = of_all(&|customer| stripe.subscriptions_of(customer))
        .into_iter()
        .filter(|it| it["status"] == "active")
        .collect();
    if live.len() > 1 {
        faults.push(format!("{} live subscriptions", live.len()));
    }
    let payable = of_all(&|customer| stripe.sessions_of(customer));
    let payable = payable.iter().filter(|it| it["status"] == "open").count();
    if payable > 1 {
        faults.push(format!("{payable} payable checkouts"));
    }
    let paid = of_all(&|customer| stripe.invoices_of(customer));
    let paid = paid.iter().filter(|it| it["status"] == "paid").count();
    let covered = &billing["coveredUntil"];
    if (paid > 0) == covered.is_null() {
        faults.push(format!("{paid} paid invoices, covered until {covered}"));
    }
    if let [subscription] = &live[..] {
        let told = &billing["subscription"];
        let item = &subscription["items"]["data"][0];
        if told["quantity"] != item["quantity"] {
            faults.push(format!("{} numbers at Stripe, told {told}", item["quantity"]));
        }
        if covered != &told["periodEnd"] {
            faults.push(format!("covered until {covered}, told {told}"));
        }
        let interval = match item["price"]["recurring"]["interval"].as_str() {
            Some("year") => "annual",
            _ => "monthly",
        };
        if told["interval"] != interval {
            faults.push(format!("{interval} at Stripe, told {told}"));
        }
        if told["cancelAtPeriodEnd"] != subscription["cancel_at_period_end"] {
            faults.push(format!(
                "ends at Stripe: {}, told {told}",
                subscription["cancel_at_period_end"]
            ));
        }
    }
    faults
}

async fn billing(stack: &Arc<Stack>, account: &Account) -> Value {
    let client: Client<_, Empty<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::get(format!("{}/api/v1/billing", stack.directory.api))
        .header("authorization", format!("Bearer {}", account.key))
        .body(Empty::new())
        .unwrap();
    let answer = client.request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap_or_default()
}
