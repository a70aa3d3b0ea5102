//! An account starts a checkout, pays, is covered, and stays covered when the month is over.

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Narrator, Twist};

const BILLING: &str = "/api/v1/billing";
const CHECKOUT: &str = "/api/v1/billing/checkout/subscription";

pub(super) async fn tell(story: &mut Narrator<'_>) -> Result<(), Twist> {
    let demo = &story.directory.demo;
    let (ada, support) = (&demo.account.key, &demo.account.impersonated_key);
    let nobody = &demo.empty_account.key;

    story.say("An account subscribes, pays, and is covered\n")?;
    let before = billing(story, ada).await?;
    let fresh = before.body["subscription"].is_null() && before.body["coveredUntil"].is_null();
    story.told(
        "Ada has 3 phone numbers and no subscription.",
        &before,
        fresh && modes(&before) == ["PAYG"; 3],
    )?;

    refusals(story, ada, support, nobody).await?;
    let session = choosing(story, ada).await?;

    let path = format!("/_test/checkout/sessions/{session}/complete");
    let paid = story
        .stripe(Method::POST, &path, json!({ "payment": "succeed" }))
        .await?;
    story.told("She pays on Stripe's page.", &paid, paid.status == 200)?;
    let delivered = story.wait("0s").await?;
    story.told(
        "Stripe delivers its events to the webhook.",
        &delivered,
        delivered.status == 200,
    )?;

    let covered = billing(story, ada).await?;
    let subscription = &covered.body["subscription"];
    let until = covered.body["coveredUntil"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let holds = subscription["interval"] == "monthly"
        && subscription["quantity"] == 3
        && subscription["periodEnd"] == covered.body["coveredUntil"]
        && modes(&covered) == ["FIXED"; 3];
    story.told(
        &format!("All 3 numbers are covered until {until}."),
        &covered,
        holds,
    )?;

    redelivery(story, ada, &covered).await?;
    let second = checkout(story, ada, "monthly").await?;
    story.told(
        "A second subscription is refused: 409.",
        &second,
        second.status == 409,
    )?;

    // 32 days are more than a month and Stripe's hour between an invoice and its payment.
    let later = story.wait("32d").await?;
    story.told("A month goes by.", &later, later.status == 200)?;
    let renewed = billing(story, ada).await?;
    let then = renewed.body["coveredUntil"].as_str().unwrap_or_default();
    // Both are ISO 8601 in UTC, which sorts as it reads.
    let sentence = format!("Stripe renews, the invoice is paid, and the numbers are covered until {then}.");
    story.told(
        &sentence,
        &renewed,
        then > until.as_str() && modes(&renewed) == ["FIXED"; 3],
    )
}

async fn refusals(story: &mut Narrator<'_>, ada: &str, support: &str, nobody: &str) -> Result<(), Twist> {
    let stranger = story.api(Method::GET, BILLING, None, Value::Null).await?;
    story.told(
        "Without a key nobody learns that: 401.",
        &stranger,
        stranger.status == 401,
    )?;
    let seen = billing(story, support).await?;
    story.told(
        "Support, acting as Ada, sees what she sees.",
        &seen,
        seen.status == 200,
    )?;
    let acted = checkout(story, support, "monthly").await?;
    story.told(
        "Support cannot buy in her name: 403.",
        &acted,
        acted.status == 403,
    )?;
    let weekly = checkout(story, ada, "weekly").await?;
    let told = weekly.status == 400 && weekly.body["error"]["fieldErrors"]["interval"].is_array();
    story.told(
        "There is no weekly plan: 400, with the field's name.",
        &weekly,
        told,
    )?;
    let empty = checkout(story, nobody, "monthly").await?;
    story.told(
        "An account without phone numbers has nothing to subscribe: 400.",
        &empty,
        empty.status == 400,
    )
}

/// Starts checkouts until Ada has made up her mind, and answers the id of the session that is left.
async fn choosing(story: &mut Narrator<'_>, ada: &str) -> Result<String, Twist> {
    let (one, other) = (checkout(story, ada, "monthly"), checkout(story, ada, "monthly"));
    let (one, other) = tokio::try_join!(one, other)?;
    let holds = one.status == 200 && one.body["clientSecret"] == other.body["clientSecret"];
    story.told(
        "She starts a monthly checkout; a double click starts the same one.",
        &other,
        holds,
    )?;

    let yearly = checkout(story, ada, "annual").await?;
    let first = session(&one);
    let holds = yearly.status == 200 && session(&yearly) != first;
    story.told("She changes her mind: an annual checkout.", &yearly, holds)?;
    let dropped = story
        .stripe(
            Method::GET,
            &format!("/v1/checkout/sessions/{first}"),
            Value::Null,
        )
        .await?;
    story.told(
        "The monthly one can no longer be paid.",
        &dropped,
        dropped.body["status"] == "expired",
    )?;

    let monthly = checkout(story, ada, "monthly").await?;
    story.told("Monthly after all.", &monthly, monthly.status == 200)?;
    Ok(session(&monthly))
}

/// Stripe delivers at least once: what it delivers again changes nothing.
async fn redelivery(story: &mut Narrator<'_>, ada: &str, before: &Answer) -> Result<(), Twist> {
    let paid = story
        .stripe(Method::GET, "/v1/events?type=invoice.paid", Value::Null)
        .await?;
    let event = paid.body["data"][0]["id"].as_str().unwrap_or_default();
    let again = story
        .stripe(
            Method::POST,
            &format!("/_test/events/{event}/deliver"),
            Value::Null,
        )
        .await?;
    let accepted = again.body["deliveries"][0]["status"] == 200;
    story.told(
        "Stripe delivers the paid invoice a second time.",
        &again,
        accepted,
    )?;
    let after = billing(story, ada).await?;
    story.told("Nothing changes.", &after, after.body == before.body)
}

async fn billing(story: &Narrator<'_>, key: &str) -> Result<Answer, Twist> {
    story.api(Method::GET, BILLING, Some(key), Value::Null).await
}

async fn checkout(story: &Narrator<'_>, key: &str, interval: &str) -> Result<Answer, Twist> {
    story
        .api(Method::POST, CHECKOUT, Some(key), json!({ "interval": interval }))
        .await
}

/// The id of the session whose client secret was answered.
fn session(answer: &Answer) -> String {
    let secret = answer.body["clientSecret"].as_str().unwrap_or_default();
    secret.split("_secret_").next().unwrap_or_default().to_owned()
}

/// How each phone number is billed.
fn modes(answer: &Answer) -> Vec<&str> {
    let numbers = answer.body["numbers"].as_array().into_iter().flatten();
    numbers.filter_map(|number| number["mode"].as_str()).collect()
}
