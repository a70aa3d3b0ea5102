//! Ada moves to a year: a quote, a code, a payment that has to be confirmed, and an end that is taken back.

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Narrator, Twist};

const BILLING: &str = "/api/v1/billing";
const SUBSCRIPTION: &str = "/api/v1/billing/subscription";

pub(super) async fn tell(story: &mut Narrator<'_>) -> Result<(), Twist> {
    let demo = &story.directory.demo;
    let (ada, support) = (&demo.account.key, &demo.account.impersonated_key);
    let code = demo.promotion_code.unwrap_or("LAUNCH20");

    story.say("\nShe moves to a year\n")?;
    let plain = ask(story, support, "preview", json!({ "interval": "annual" })).await?;
    let due = plain.body["amountDueCents"].as_i64().unwrap_or_default();
    story.told(
        &format!("Support sees what a year would cost her today: {} USD, with what is left of her month given back.", dollars(due)),
        &plain,
        due > 0 && plain.body["lines"][0]["amountCents"].as_i64() < Some(0),
    )?;
    let refused = ask(story, support, "change", json!({ "interval": "annual" })).await?;
    story.told(
        "Support cannot change it in her name: 403.",
        &refused,
        refused.status == 403,
    )?;
    let unknown = ask(
        story,
        ada,
        "preview",
        json!({ "interval": "annual", "promotionCode": "NOBODY" }),
    )
    .await?;
    story.told(
        "A code that nobody made is refused: 400.",
        &unknown,
        unknown.status == 400,
    )?;

    let wish = json!({ "interval": "annual", "promotionCode": code.to_lowercase() });
    let quote = ask(story, ada, "preview", wish.clone()).await?;
    let quoted = quote.body["amountDueCents"].as_i64().unwrap_or_default();
    story.told(
        &format!(
            "With {code}, spelt in small letters, it is {} USD.",
            dollars(quoted)
        ),
        &quote,
        quote.status == 200 && 0 < quoted && quoted < due,
    )?;

    let ended = ask(story, ada, "cancel", Value::Null).await?;
    let holds = ended.body["cancelAtPeriodEnd"] == true;
    story.told(
        "She hesitates, and cancels to the end of the month.",
        &ended,
        holds,
    )?;
    confirming(story, ada, wish, &quote, quoted).await?;

    let ended = ask(story, ada, "cancel", Value::Null).await?;
    let resumed = ask(story, ada, "resume", Value::Null).await?;
    let holds = ended.body["cancelAtPeriodEnd"] == true && resumed.body["cancelAtPeriodEnd"] == false;
    story.told("She cancels the year, and takes that back.", &resumed, holds)?;
    let sentence = "Renewals are to be paid by a card whose bank asks no questions.";
    gives_card(story, "pm_card_visa", sentence).await.map(drop)
}

/// She agrees to the quote ten minutes later; her bank wants her to confirm.
async fn confirming(
    story: &mut Narrator<'_>,
    ada: &str,
    mut wish: Value,
    quote: &Answer,
    quoted: i64,
) -> Result<(), Twist> {
    wish["prorationDate"] = quote.body["prorationDate"].clone();
    let before = billing(story, ada).await?;
    let id = gives_card(
        story,
        "pm_card_authenticationRequired",
        "Meanwhile she has a new card.",
    )
    .await?;
    story.wait("10m").await?;
    let changed = ask(story, ada, "change", wish.clone()).await?;
    let waits = changed.body["changed"] == true && changed.body["payment"]["status"] == "requires_action";
    story.told(
        "Ten minutes later she agrees. Her bank asks her to confirm.",
        &changed,
        waits,
    )?;
    story.wait("0s").await?;
    let meanwhile = billing(story, ada).await?;
    story.told(
        "Until she does, nothing has changed: monthly, cancelled, covered as before.",
        &meanwhile,
        meanwhile.body["subscription"] == before.body["subscription"]
            && meanwhile.body["coveredUntil"] == before.body["coveredUntil"],
    )?;

    let subscription = story
        .stripe(Method::GET, &format!("/v1/subscriptions/{id}"), Value::Null)
        .await?;
    let invoice = subscription.body["latest_invoice"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let paid = story
        .stripe(Method::POST, &format!("/_test/invoices/{invoice}/pay"), json!({}))
        .await?;
    story.wait("0s").await?;
    let paid_cents = story
        .stripe(Method::GET, &format!("/v1/invoices/{invoice}"), Value::Null)
        .await?;
    story.told(
        "She confirms, and pays what she was quoted, to the cent.",
        &paid_cents,
        paid.status == 200 && paid_cents.body["amount_paid"] == quoted,
    )?;
    let after = billing(story, ada).await?;
    let until = after.body["coveredUntil"].as_str().unwrap_or_default();
    let subscription = &after.body["subscription"];
    story.told(
        &format!("The cancellation is taken back, and her numbers are covered until {until}."),
        &after,
        subscription["interval"] == "annual"
            && subscription["cancelAtPeriodEnd"] == false
            && subscription["periodEnd"] == after.body["coveredUntil"],
    )?;
    let again = ask(story, ada, "change", wish).await?;
    story.told(
        "Changing once more changes nothing.",
        &again,
        again.body["changed"] == false,
    )
}

/// Gives Ada one of Stripe's test cards, and answers the id of her subscription.
async fn gives_card(story: &mut Narrator<'_>, card: &str, sentence: &str) -> Result<String, Twist> {
    let all = story
        .stripe(Method::GET, "/v1/subscriptions?limit=1", Value::Null)
        .await?;
    let subscription = &all.body["data"][0];
    let id = subscription["id"].as_str().unwrap_or_default().to_owned();
    let customer = subscription["customer"].as_str().unwrap_or_default();
    let path = format!("/v1/payment_methods/{card}/attach");
    let card = story.stripe_form(&path, &format!("customer={customer}")).await?;
    let method = card.body["id"].as_str().unwrap_or_default();
    let path = format!("/v1/subscriptions/{id}");
    let form = format!("default_payment_method={method}");
    let given = story.stripe_form(&path, &form).await?;
    story.told(sentence, &given, given.status == 200)?;
    Ok(id)
}

async fn billing(story: &Narrator<'_>, key: &str) -> Result<Answer, Twist> {
    story.api(Method::GET, BILLING, Some(key), Value::Null).await
}

async fn ask(story: &Narrator<'_>, key: &str, what: &str, body: Value) -> Result<Answer, Twist> {
    story
        .api(Method::POST, &format!("{SUBSCRIPTION}/{what}"), Some(key), body)
        .await
}

/// `26800` is `268.00`.
fn dollars(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
