//! An agency sells on its connected account: a schedule that begins by the clock, is paid, counts minutes, and ends.

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Narrator, Twist};
use crate::world::DemoAgency;

pub(super) async fn tell(story: &mut Narrator<'_>) -> Result<(), Twist> {
    // An outside Stripe has no connected account of ours.
    let Some(agency) = story.directory.demo.agency.clone() else {
        return Ok(());
    };
    let agency = &agency;
    story.say("\nAn agency sells on its connected account\n")?;
    let now = story.api(Method::GET, "/_local/clock", None, Value::Null).await?;
    let now: jiff::Timestamp = now.body["now"]
        .as_str()
        .unwrap_or_default()
        .parse()
        .unwrap_or_default();
    let start = now.as_second() + 10 * 24 * 60 * 60;
    let order = json!({ "data": {
        "clientId": agency.client_id,
        "agentIds": agency.agent_ids,
        "selectedProduct": {
            "productId": agency.product_id,
            "startDate": start,
            "pricing": { "metrics": "minutes" },
        },
        "couponId": agency.coupon_id,
    } });
    let sold = ask(story, agency, Method::POST, "", order.clone()).await?;
    let schedule = sold.body["id"].as_str().unwrap_or_default().to_owned();
    story.told(
        "It sells two voice agents to its client, from in ten days on: a schedule that waits.",
        &sold,
        sold.status == 200 && sold.body["status"] == "not_started" && sold.body["startDate"] == start,
    )?;
    let again = ask(story, agency, Method::POST, "", order).await?;
    story.told(
        "A second click is answered with the same schedule.",
        &again,
        again.body["id"] == schedule.as_str(),
    )?;
    let stranger = story
        .api(
            Method::GET,
            "/v1/public/stripe/connect/accounts/acct_1Stranger/subscriptions",
            Some(&agency.key),
            Value::Null,
        )
        .await?;
    story.told(
        "Of an account that is not its own it learns nothing: 404.",
        &stranger,
        stranger.status == 404,
    )?;
    let customer = sold.body["customer"]["id"].as_str().unwrap_or_default();
    give_card(story, agency, customer).await?;

    story.wait("10d").await?;
    story.wait("2h").await?;
    let begun = ask(story, agency, Method::GET, &format!("/{schedule}"), Value::Null).await?;
    let subscription = begun.body["id"].as_str().unwrap_or_default().to_owned();
    story.told(
        "Ten days later it has begun: a running subscription, whose first month is paid.",
        &begun,
        begun.body["type"] == "subscription" && begun.body["status"] == "active",
    )?;
    let form = format!("event_name=agent_seconds&payload[stripe_customer_id]={customer}&payload[value]=6600");
    story
        .stripe_form_on(agency.account_id.as_str(), "/v1/billing/meter_events", &form)
        .await?;
    let used = ask(
        story,
        agency,
        Method::GET,
        &format!("/{subscription}"),
        Value::Null,
    )
    .await?;
    story.told(
        "Its agents talk for 110 minutes. A hundred are included, ten cost 0.15 USD each: 31.49 USD so far.",
        &used,
        used.body["totalUsage"] == 110 && used.body["totalPrice"] == 3149,
    )?;
    let ends = json!({ "data": { "cancelAtPeriodEnd": true } });
    let ends = ask(story, agency, Method::PUT, &format!("/{subscription}"), ends).await?;
    story.told(
        "The agency has it end with the month.",
        &ends,
        ends.body["cancel_at_period_end"] == true,
    )?;
    story.wait("32d").await?;
    let over = ask(
        story,
        agency,
        Method::GET,
        &format!("/{subscription}"),
        Value::Null,
    )
    .await?;
    story.told(
        "When the month is over, so is the subscription.",
        &over,
        over.body["status"] == "canceled",
    )
}

async fn ask(
    story: &Narrator<'_>,
    agency: &DemoAgency,
    method: Method,
    rest: &str,
    body: Value,
) -> Result<Answer, Twist> {
    let account = &agency.account_id;
    let path = format!("/v1/public/stripe/connect/accounts/{account}/subscriptions{rest}");
    story.api(method, &path, Some(&agency.key), body).await
}

/// The client puts a card down, on the agency's own page.
async fn give_card(story: &Narrator<'_>, agency: &DemoAgency, customer: &str) -> Result<(), Twist> {
    let account = agency.account_id.as_str();
    let path = "/v1/payment_methods/pm_card_visa/attach";
    let card = story
        .stripe_form_on(account, path, &format!("customer={customer}"))
        .await?;
    let card = card.body["id"].as_str().unwrap_or_default();
    let form = format!("invoice_settings[default_payment_method]={card}");
    let path = format!("/v1/customers/{customer}");
    story.stripe_form_on(account, &path, &form).await.map(drop)
}
