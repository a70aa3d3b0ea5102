//! Every command, from its command line to what it prints, against an embedded DynamoDB.

use std::sync::Arc;

use billing_core::access::Mode;
use clap::Parser;
use local_stack::dynamodb::Embedded;
use local_stack::tables;
use local_stack::template::Template;
use serde_json::Value;

use super::*;
use crate::command::{CommandLine, Task};

/// Whatever is typed.
mod arguments;

fn now() -> Timestamp {
    "2026-04-01T00:00:00Z".parse().unwrap()
}

/// An administrator at an empty deployment.
struct Admin(Store);

impl Admin {
    async fn new() -> Self {
        let database = Embedded::empty(Arc::new(now)).unwrap();
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", port.local_addr().unwrap());
        tokio::spawn(database.serve(port, std::future::pending()));
        tables::create_missing(&url, &Template::project().unwrap().tables)
            .await
            .unwrap();
        let line = CommandLine::parse_from(["billing-admin", "--endpoint-url", &url, "account", "show", "x"]);
        Self(
            connection::open(&line.place, billing_edge::transport())
                .await
                .unwrap(),
        )
    }

    /// What a command prints, or its one sentence of failure.
    async fn prints(&self, command: &str) -> Result<String, String> {
        self.prints_at(now(), command).await
    }

    async fn prints_at(&self, now: Timestamp, command: &str) -> Result<String, String> {
        let words = std::iter::once("billing-admin").chain(command.split(' '));
        let line = CommandLine::try_parse_from(words).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let Task::Stored(command) = line.task else {
            panic!("{command} is not about what is stored")
        };
        let done = run(&self.0, command, line.place.json, now, &mut out).await;
        done.map_err(|failure| failure.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    async fn json(&self, command: &str) -> Value {
        serde_json::from_str(&self.prints(&format!("--json {command}")).await.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn an_account_is_created_once_and_shown() {
    let admin = Admin::new().await;
    let create = "account create --id acme --name Acme --number +15551230001=desk --number +15551230002";
    let created = admin.prints(create).await.unwrap();
    assert_eq!(
        created,
        "\
account       acme
name          Acme
e-mail        none
created       2026-04-01T00:00:00Z
customer      none
subscription  none
covered       no
numbers       +15551230001  15551230001  desk
              +15551230002  15551230002
ledger        none
"
    );
    assert_eq!(admin.prints("account show acme").await.unwrap(), created);
    assert_eq!(
        admin.prints(create).await.unwrap_err(),
        "account acme exists already; nothing was changed"
    );
    assert_eq!(
        admin.prints("account show acne").await.unwrap_err(),
        "there is no account acne"
    );
}

/// What is not named stays, and nobody is told at Stripe without its key.
#[tokio::test]
async fn a_name_and_an_address_are_changed() {
    let admin = Admin::new().await;
    admin
        .prints("account create --id acme --name Acme --email old@acme.example")
        .await
        .unwrap();
    let told = admin.prints("account update acme --email new@acme.example").await;
    let told = told.unwrap();
    assert!(
        told.contains("name          Acme\ne-mail        new@acme.example\n")
            && told
                .ends_with("\nStripe has no customer of it yet; its first checkout makes one with this.\n"),
        "{told}"
    );
    let told = admin.json("account update acme --name Globex").await;
    assert_eq!(
        (&told["name"], &told["email"], &told["atStripe"]),
        (&json!("Globex"), &json!("new@acme.example"), &json!("none"))
    );

    admin
        .prints("account create --id north --customer cus_1")
        .await
        .unwrap();
    let told = admin.prints("account update north --name North").await.unwrap();
    assert!(
        told.contains("Stripe's customer cus_1 keeps the name and address"),
        "{told}"
    );
    for (command, part) in [
        ("account update acne --name Acne", "there is no account acne"),
        ("account update acme", "required"),
        ("account update acme --email nowhere", "invalid value"),
    ] {
        let told = admin.prints(command).await.unwrap_err();
        assert!(told.contains(part), "{command}: {told}");
    }
}

/// It is logged whenever the key is refused something, and the log holds no e-mail addresses.
#[tokio::test]
async fn an_impersonator_is_a_name_and_no_address() {
    let admin = Admin::new().await;
    admin
        .prints("account create --id acme --name Acme")
        .await
        .unwrap();
    let issue = "key issue --account acme --impersonator sam@example.com";
    let refused = admin.prints(issue).await.unwrap_err();
    assert!(
        refused.contains("a name, not an address: it is logged"),
        "{refused}"
    );
    assert_eq!(admin.json("key list --account acme").await, json!([]));
}

/// Nothing was ever sold to it: Stripe is not asked.
#[tokio::test]
async fn an_account_is_erased_for_good() {
    let admin = Admin::new().await;
    let create = "account create --id acme --name Acme --email ada@acme.example --number +15551230001=ada";
    admin.prints(create).await.unwrap();
    let issue = "key issue --account acme --impersonator sam";
    admin.prints(issue).await.unwrap();
    let erase = "account erase acme --stripe-key sk_test_none --stripe-url http://127.0.0.1:1";
    let erased = admin.prints(erase).await.unwrap();
    assert_eq!(
        erased,
        "\
account       acme
name          none
e-mail        none
created       2026-04-01T00:00:00Z
erased        2026-04-01T00:00:00Z
customer      none
subscription  none
covered       no
numbers       none
ledger        none

Stripe has no customer of it.
"
    );
    assert_eq!(admin.prints(erase).await.unwrap(), erased, "it may be repeated");
    let key = &admin.json("key list --account acme").await[0];
    assert_eq!(
        (&key["revokedAt"], &key["impersonator"]),
        (&json!("2026-04-01T00:00:00Z"), &Value::Null)
    );
    let over = "account acme was erased; who comes back gets another account";
    for (command, told) in [
        ("account update acme --name Acme", over),
        ("account number add --account acme +15551230002", over),
        ("key issue --account acme", over),
        (create, "account acme exists already; nothing was changed"),
        (
            "account erase acne --stripe-key sk_test_none",
            "there is no account acne",
        ),
    ] {
        assert_eq!(admin.prints(command).await.unwrap_err(), told, "{command}");
    }
}

/// Nothing of theirs is found at Stripe with a key of the other mode, so that nothing would seem to be under way.
#[tokio::test]
async fn a_stripe_key_of_the_other_mode_is_refused() {
    let admin = Admin::new().await;
    admin.prints("account create --id acme").await.unwrap();
    admin
        .prints("key issue --account acme --mode live")
        .await
        .unwrap();
    let place = "--stripe-key sk_test_none --stripe-url http://127.0.0.1:1";
    for command in ["account erase acme", "account update acme --name Acme"] {
        let refused = admin.prints(&format!("{command} {place}")).await.unwrap_err();
        assert_eq!(
            refused,
            "STRIPE_SECRET_KEY is of the other mode than the keys of account acme; nothing was changed"
        );
    }
    assert_eq!(admin.json("account show acme").await["name"], Value::Null);
}

#[tokio::test]
async fn an_id_is_made_for_an_account_that_is_given_none() {
    let admin = Admin::new().await;
    let (one, other) = (
        admin.json("account create").await,
        admin.json("account create").await,
    );
    assert!(one["id"].as_str().unwrap().starts_with("acc_"), "{one}");
    assert_ne!(one["id"], other["id"]);
}

#[tokio::test]
async fn phone_numbers_come_and_go() {
    let admin = Admin::new().await;
    admin
        .prints("account create --id acme --number +15551230001")
        .await
        .unwrap();
    // The same number again is renamed, not billed twice.
    admin
        .prints("account number add --account acme +15551230001=desk")
        .await
        .unwrap();
    let added = admin.json("account number add --account acme +15551230002").await;
    let numbers = |account: &Value| {
        let numbers = account["numbers"].as_array().unwrap().iter();
        numbers
            .map(|it| format!("{} {}", it["number"], it["nickname"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        numbers(&added),
        [r#""+15551230001" "desk""#, r#""+15551230002" null"#]
    );
    let left = admin
        .json("account number remove --account acme +15551230001")
        .await;
    assert_eq!(numbers(&left), [r#""+15551230002" null"#]);

    for (command, told) in [
        (
            "account number remove --account acme 15551230001",
            "account acme has no phone number 15551230001",
        ),
        (
            "account number add --account acne +15551230003",
            "there is no account acne",
        ),
    ] {
        assert_eq!(admin.prints(command).await.unwrap_err(), told);
    }
}

#[tokio::test]
async fn a_key_is_shown_once_listed_without_its_secret_and_revoked() {
    let admin = Admin::new().await;
    admin.prints("account create --id acme").await.unwrap();
    let issued = admin.json("key issue --account acme --mode live").await;
    let (id, secret) = (issued["id"].as_str().unwrap(), issued["key"].as_str().unwrap());
    assert!(secret.starts_with("sk_live_"), "{secret}");
    let stored = admin
        .0
        .api_key(&billing_edge::key::hash(secret))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (stored.id.as_str(), stored.mode, &stored.scopes[..]),
        (id, Mode::Live, &Scope::ALL[..])
    );

    let listed = admin.prints("key list --account acme").await.unwrap();
    assert_eq!(
        listed,
        format!("{id}  live  billing:read,billing:write  issued 2026-04-01T00:00:00Z  good\n")
    );
    let revoked = admin
        .prints(&format!("key revoke --account acme {id}"))
        .await
        .unwrap();
    assert!(revoked.ends_with("revoked 2026-04-01T00:00:00Z\n"), "{revoked}");
    let stored = admin
        .0
        .api_key(&billing_edge::key::hash(secret))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.admit::<AccountId>(Mode::Live, now()), None);
}

#[tokio::test]
async fn a_key_may_be_limited_and_may_be_for_support() {
    let admin = Admin::new().await;
    admin.prints("account create --id acme").await.unwrap();
    // Last year's: nothing is issued that opens nothing.
    assert_eq!(
        admin
            .prints("key issue --account acme --expires 2025-05-01")
            .await
            .unwrap_err(),
        "2025-05-01T00:00:00Z is over: such a key would open nothing; none was issued"
    );
    let issue = "key issue --account acme --scope billing:read --scope billing:read --expires 2026-05-01 --impersonator sam";
    admin.prints(issue).await.unwrap();
    let listed = &admin.json("key list --account acme").await[0];
    assert_eq!(listed["mode"], "test");
    assert_eq!(listed["scopes"], json!(["billing:read"]));
    assert_eq!(listed["expiresAt"], "2026-05-01T00:00:00Z");
    assert_eq!(listed["impersonator"], "sam");
}

#[tokio::test]
async fn what_is_not_there_has_no_keys() {
    let admin = Admin::new().await;
    admin.prints("account create --id acme").await.unwrap();
    assert_eq!(
        admin.prints("key list --account acme").await.unwrap(),
        "no keys\n"
    );
    for (command, told) in [
        ("key list --account acne", "there is no account acne"),
        ("key issue --account acne", "there is no account acne"),
        ("key revoke --account acme key_1", "account acme has no key key_1"),
    ] {
        assert_eq!(admin.prints(command).await.unwrap_err(), told);
    }
}

#[tokio::test]
async fn an_agency_is_created_furnished_and_shown() {
    let admin = Admin::new().await;
    admin
        .prints("agency create --id north --name North")
        .await
        .unwrap();
    let (client, agent) = ("0123456789abcdef01234567", "0123456789abcdef0123456a");
    for command in [
        "connect link --agency north acct_1",
        "connect link --agency north acct_1",
        &format!("client add --agency north --id {client} --name Bakery --admin-email ada@example.com"),
        &format!("agent add --agency north --id {agent} --name Reception --client {client}"),
    ] {
        admin.prints(command).await.unwrap();
    }
    assert_eq!(
        admin.prints("agency show north").await.unwrap(),
        format!(
            "\
agency        north
name          North
created       2026-04-01T00:00:00Z
connected     acct_1
clients       {client}  Bakery  ada@example.com
agents        {agent}  Reception  {client}
"
        )
    );
    admin.prints("agency create --id south").await.unwrap();
    for (command, told) in [
        (
            "agency create --id north",
            "agency north exists already; nothing was changed",
        ),
        ("agency show west", "there is no agency west"),
        ("connect link --agency west acct_2", "there is no agency west"),
        (
            "connect link --agency south acct_1",
            "acct_1 is linked to another agency; nothing was changed",
        ),
        ("client add --agency west", "there is no agency west"),
        (
            "agent add --agency west --name Reception",
            "there is no agency west",
        ),
        (
            &format!("agent add --agency south --name Reception --client {client}"),
            &format!("agency south has no client {client}"),
        ),
        ("key list --agency west", "there is no agency west"),
    ] {
        assert_eq!(admin.prints(command).await.unwrap_err(), told);
    }
    let key = admin.json("key issue --agency north").await;
    let listed = admin.json("key list --agency north").await;
    assert_eq!(listed[0]["id"], key["id"]);
    assert_eq!(
        admin.prints("key list --agency south").await.unwrap(),
        "no keys\n"
    );
    let unnamed = admin.prints("key list").await.unwrap_err();
    assert!(unnamed.contains("--account"), "{unnamed}");
}

/// A program learns the id that was made. What is put in the place of another was created when that was, and has what is named this time.
#[tokio::test]
async fn what_is_added_to_an_agency_is_told_by_its_id() {
    let admin = Admin::new().await;
    admin.prints("agency create --id north").await.unwrap();
    let later = "2026-05-01T00:00:00Z".parse().unwrap();
    for (first, again, listed) in [
        (
            "client add --agency north --name Bakery --admin-email ada@example.com",
            "client add --agency north --name Bakers",
            "clients",
        ),
        (
            "agent add --agency north --name Reception",
            "agent add --agency north --name Front",
            "agents",
        ),
    ] {
        let made = admin.json(first).await;
        let id = made["added"].as_str().unwrap();
        assert_eq!(made[listed][0]["id"], id);
        let told = admin
            .prints_at(later, &format!("{again} --id {id}"))
            .await
            .unwrap();
        assert!(told.ends_with(&format!("\n{id} was added.\n")), "{told}");
        let shown = admin.json("agency show north").await;
        let shown = &shown[listed][0];
        assert_eq!(shown["createdAt"], "2026-04-01T00:00:00Z", "{shown}");
        assert_ne!(shown["name"], made[listed][0]["name"]);
        assert!(shown["adminEmail"].is_null(), "{shown}");
    }
}

/// The word alone sends nobody to the names of the tables.
#[tokio::test]
async fn a_table_that_is_not_there_is_told_with_where_its_name_comes_from() {
    let database = Embedded::empty(Arc::new(now)).unwrap();
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", port.local_addr().unwrap());
    tokio::spawn(database.serve(port, std::future::pending()));
    let line = CommandLine::parse_from(["billing-admin", "--endpoint-url", &url, "account", "show", "x"]);
    let store = connection::open(&line.place, billing_edge::transport())
        .await
        .unwrap();
    let told = Admin(store).prints("account show x").await.unwrap_err();
    assert!(
        told.contains("ResourceNotFoundException; the table is not there")
            && told.contains("--accounts-table"),
        "{told}"
    );
}
