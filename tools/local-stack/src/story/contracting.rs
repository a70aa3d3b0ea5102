//! An organisation sells a plan, changes what was sold, and lets an offer expire.

use http::{Method, Request};
use serde_json::{Value, json};

use super::{Answer, Narrator, Twist};
use crate::world::DemoOrganisation;

pub(super) async fn tell(story: &mut Narrator<'_>) -> Result<(), Twist> {
    // An outside Stripe has no catalog of ours.
    let Some(organisation) = story.directory.demo.organisation.clone() else {
        return Ok(());
    };
    story.say("\nAn organisation sells a plan\n")?;
    let contract = selling(story, &organisation).await?;
    updating(story, &organisation, &contract).await?;
    upgrading(story, &organisation, &contract).await?;
    expiring(story, &organisation).await
}

/// Three seats at 10.00 and the archive at 5.00.
async fn selling(story: &mut Narrator<'_>, organisation: &DemoOrganisation) -> Result<String, Twist> {
    let order =
        json!({ "plan_id": organisation.plans.get("starter"), "customer_id": organisation.customer_id });
    let offered = checkouts(story, organisation, "", &order).await?;
    let total = offered.body["estimates"]["current_invoice"]["total"].clone();
    story.told(
        "It offers the starter plan: 35.00 now, and every month.",
        &offered,
        offered.status == 201 && total == 3500,
    )?;
    let id = text(&offered, "id");
    let pending = checkouts(story, organisation, &format!("/{id}/confirm"), &json!({})).await?;
    let url = text(&pending, "url");
    story.told(
        "Its customer has no card here, and is shown Stripe's page.",
        &pending,
        pending.body["checkout_status"] == "pending" && !url.is_empty(),
    )?;
    let page = url.rsplit('/').next().unwrap_or_default();
    let path = format!("/_test/checkout/sessions/{page}/complete");
    let paid = story
        .stripe(Method::POST, &path, json!({ "payment": "succeed" }))
        .await?;
    story.told("The customer pays there.", &paid, paid.status == 200)?;
    story.wait("0s").await?;
    let done = read(story, organisation, &id).await?;
    story.told(
        "Stripe's events arrive, and there is a contract.",
        &done,
        done.body["checkout_status"] == "contract_created",
    )?;
    Ok(text(&done, "contract_id"))
}

/// Half-way through the month the archive goes, with credit.
async fn updating(
    story: &mut Narrator<'_>,
    organisation: &DemoOrganisation,
    contract: &str,
) -> Result<(), Twist> {
    story.wait("10d").await?;
    let order =
        json!({ "plan_id": organisation.plans.get("starter"), "customer_id": organisation.customer_id });
    let lines = checkouts(story, organisation, "/preview", &order).await?;
    let archive = lines.body["estimates"]["current_invoice"]["lines"][1]["product_id"].clone();
    let drop = json!({
        "contract_id": contract, "product_overrides": [{ "product_id": archive, "is_enabled": false }],
    });
    let offered = checkouts(story, organisation, "", &drop).await?;
    let invoice = &offered.body["estimates"]["current_invoice"];
    let credited = invoice["total"].as_i64().is_some_and(|total| total < 0) && invoice["amount_due"] == 0;
    story.told(
        "Ten days later the archive is dropped: what is left of it comes back, to the second.",
        &offered,
        offered.body["type"] == "quantity_update" && credited,
    )?;
    let confirmed = confirm(story, organisation, &offered).await?;
    story.told(
        "The contract is amended.",
        &confirmed,
        confirmed.body["checkout_status"] == "contract_created",
    )
}

/// A longer cadence is an upgrade, and takes effect at once.
async fn upgrading(
    story: &mut Narrator<'_>,
    organisation: &DemoOrganisation,
    contract: &str,
) -> Result<(), Twist> {
    let change = json!({ "contract_id": contract, "plan_id": organisation.plans.get("team-annual") });
    let offered = checkouts(story, organisation, "", &change).await?;
    story.told(
        "It moves to the team plan for a year, an upgrade: at once, less what is left of the month.",
        &offered,
        offered.body["type"] == "plan_change" && offered.status == 201,
    )?;
    let confirmed = confirm(story, organisation, &offered).await?;
    story.told(
        "The customer's card is charged what was estimated.",
        &confirmed,
        confirmed.body["checkout_status"] == "contract_created",
    )?;
    let back = json!({ "contract_id": contract, "plan_id": organisation.plans.get("starter") });
    let offered = checkouts(story, organisation, "", &back).await?;
    let free = offered.body["estimates"]["current_invoice"]["total"] == 0;
    let effective_at = text(&offered, "effective_at");
    story.told(
        &format!(
            "Going back would be a downgrade: nothing is charged, and it takes effect at {effective_at}."
        ),
        &offered,
        free && !effective_at.is_empty(),
    )
}

/// An offer that nobody takes.
async fn expiring(story: &mut Narrator<'_>, organisation: &DemoOrganisation) -> Result<(), Twist> {
    let order =
        json!({ "plan_id": organisation.plans.get("business"), "customer_id": organisation.customer_id });
    let offered = checkouts(story, organisation, "", &order).await?;
    story.told(
        "It offers the business plan, with what Stripe cannot express itself.",
        &offered,
        offered.status == 201,
    )?;
    story.wait("24h").await?;
    let late = confirm(story, organisation, &offered).await?;
    story.told(
        "A day later that offer has expired: 410, and nothing is charged.",
        &late,
        late.status == 410,
    )
}

async fn confirm(
    story: &Narrator<'_>,
    organisation: &DemoOrganisation,
    offered: &Answer,
) -> Result<Answer, Twist> {
    let path = format!("/{}/confirm", text(offered, "id"));
    checkouts(story, organisation, &path, &json!({})).await
}

async fn checkouts(
    story: &Narrator<'_>,
    organisation: &DemoOrganisation,
    path: &str,
    body: &Value,
) -> Result<Answer, Twist> {
    let request = as_organisation(story, organisation, Method::POST, path);
    story.ask(request, body).await
}

async fn read(story: &Narrator<'_>, organisation: &DemoOrganisation, id: &str) -> Result<Answer, Twist> {
    let request = as_organisation(story, organisation, Method::GET, &format!("/{id}"));
    story.ask(request, &Value::Null).await
}

fn as_organisation(
    story: &Narrator<'_>,
    organisation: &DemoOrganisation,
    method: Method,
    path: &str,
) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("{}/checkouts{path}", story.directory.api))
        .header("x-api-key", &organisation.key)
        .header("organisation", organisation.id.as_str())
}

fn text(answer: &Answer, member: &str) -> String {
    answer.body[member].as_str().unwrap_or_default().to_owned()
}
