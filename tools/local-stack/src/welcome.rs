//! What `cargo local` prints when everything answers.
//!
//! Its last line stands alone and is what scripts wait for.

use crate::control::Directory;

/// The whole text.
#[must_use]
pub fn text(directory: &Directory, data: Option<&std::path::Path>) -> String {
    let Directory {
        api,
        stripe,
        dynamodb,
        stripe_key,
        demo,
        ..
    } = directory;
    let state = data.map_or_else(
        || "in memory; gone with this process".to_owned(),
        |data| format!("kept in {}", data.display()),
    );
    let (id, key) = (&demo.account.id, &demo.account.key);
    let (support, empty) = (&demo.account.impersonated_key, &demo.empty_account.key);
    let numbers = demo.account.phone_numbers;
    let agency = demo.agency.as_ref().map_or_else(String::new, |agency| {
        let (account, key) = (&agency.account_id, &agency.key);
        format!("Demo agency with the connected account {account}\n  its key     {key}\n")
    });
    let organisation = demo
        .organisation
        .as_ref()
        .map_or_else(String::new, |organisation| {
            let (id, key) = (&organisation.id, &organisation.key);
            format!("Demo organisation {id}, which sells plans\n  its key     {key}\n")
        });
    format!(
        r#"
The billing API is running on this machine.

  API         {api}
  Stripe      {stripe}   key {stripe_key}
  DynamoDB    {dynamodb}   tables accounts, sessions
  State       {state}

Demo account {id} with {numbers} phone numbers
  its key     {key}
  as support  {support}
Account without phone numbers
  its key     {empty}
{agency}{organisation}
Try
  curl -s {api}/api/v1/billing -H 'Authorization: Bearer {key}'
  curl -s {api}/api/v1/billing/checkout/subscription -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{"interval":"monthly"}}'
  curl -s {api}/_local/clock -d '{{"advance":"10d"}}'

A checkout answers a clientSecret, cs_test_…_secret_…: pay it on {stripe}/checkout/cs_test_… (the part before _secret_).
More for scripts: {api}/_local. The whole story: cargo local demo. Ctrl-C ends it.

ready {api}
"#
    )
}
