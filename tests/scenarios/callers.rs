//! Who may call what: keys of three kinds, and the headers that they come in.
//!
//! The endpoints here are of the test's own: each says who called, once for an `Idempotency-Key`.

use billing_core::access::{Holder, Key, Mode, Scope};
use billing_core::agency::Agency;
use billing_core::id::AgencyId;
use billing_core::organisation::Organisation;
use billing_edge::key::NewKey;
use billing_edge::{Call, Function, Problem, Reply};
use billing_tests::World;
use lambda_http::Request;
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const REFUSED: &str = r#"401 {"error":"missing or invalid API key"}"#;

static FOR_ACCOUNTS: Function = Function::new("for-accounts", |call| {
    Box::pin(async {
        let caller = call.authenticate().await?;
        told(call, caller.account().into()).await
    })
});
static FOR_AGENCIES: Function = Function::new("for-agencies", |call| {
    Box::pin(async {
        let (caller, _) = call.authenticate_agency().await?;
        told(call, caller.agency().into()).await
    })
});
static FOR_ORGANISATIONS: Function = Function::new("for-organisations", |call| {
    Box::pin(async {
        let (caller, _) = call.authenticate_organisation_beside(async |_| ()).await?;
        let owner = caller.owner()?;
        told(call, owner.organisation().into()).await
    })
});

async fn told(call: &Call<'_>, holder: Holder) -> Result<Reply, Problem> {
    let answer = json!({ "caller": holder.to_string() });
    call.once(holder, "tell", async { Ok(Reply::ok(&answer)) }).await
}

/// For whom an endpoint is, the endpoint, and the headers of somebody who calls it.
type Door<'a> = (&'static str, &'static Function, Vec<(&'a str, &'a str)>);

/// One of each kind, all called `ada`, and a key for each.
struct Callers {
    world: World,
    account: String,
    agency: String,
    organisation: String,
}

impl Callers {
    async fn new() -> Self {
        let world = World::at(NOW).await;
        let account = world.account(0).await;
        let (id, account) = (account.id.clone(), account.key.clone());
        let store = world.stack().app.store();
        let agency = Agency {
            id: id.parse().unwrap(),
            name: None,
            created_at: world.now(),
        };
        store.create_agency(&agency).await.unwrap();
        let organisation = Organisation {
            id: id.parse().unwrap(),
            name: None,
            created_at: world.now(),
        };
        store.create_organisation(&organisation).await.unwrap();
        Self {
            account,
            agency: issued(&world, Holder::Agency(agency.id)).await,
            organisation: issued(&world, Holder::Organisation(organisation.id)).await,
            world,
        }
    }

    /// Their common id.
    async fn id(&self) -> String {
        let key = self.stored(&self.agency).await;
        AgencyId::try_from(key.holder).unwrap().to_string()
    }

    async fn stored(&self, secret: &str) -> Key {
        let store = self.world.stack().app.store();
        let hash = billing_edge::key::hash(secret);
        store.api_key(&hash).await.unwrap().unwrap()
    }

    /// What a function answers to a request with these headers, and how it says that a key is to be presented.
    async fn asks(&self, function: &'static Function, headers: &[(&str, &str)]) -> (String, String) {
        let mut request = Request::default();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = function.answer(&self.world.stack().app, request).await;
        let challenge = answer.headers().get("www-authenticate");
        let challenge = challenge.map_or("", |value| value.to_str().unwrap()).to_owned();
        let body: Value = serde_json::from_slice(answer.body().as_ref()).unwrap();
        (format!("{} {body}", answer.status().as_u16()), challenge)
    }
}

async fn issued(world: &World, holder: Holder) -> String {
    let new = NewKey::generate(Mode::Test).unwrap();
    let key = Key {
        id: new.id,
        holder,
        mode: Mode::Test,
        scopes: Scope::ALL.to_vec(),
        impersonator: None,
        created_at: world.now(),
        expires_at: None,
        revoked_at: None,
    };
    world
        .stack()
        .app
        .store()
        .put_api_key(&new.hash, &key)
        .await
        .unwrap();
    new.secret.expose().to_owned()
}

#[tokio::test]
async fn a_key_opens_the_endpoints_of_its_kind_alone() {
    let callers = Callers::new().await;
    let id = callers.id().await;
    let kinds = [
        ("account", &callers.account),
        ("agency", &callers.agency),
        ("organisation", &callers.organisation),
    ];
    for (kind, key) in kinds {
        let bearer = format!("Bearer {key}");
        let doors: [Door<'_>; 4] = [
            ("account", &FOR_ACCOUNTS, vec![("authorization", &bearer)]),
            ("agency", &FOR_AGENCIES, vec![("authorization", key)]),
            ("agency", &FOR_AGENCIES, vec![("authorization", &bearer)]),
            (
                "organisation",
                &FOR_ORGANISATIONS,
                vec![("x-api-key", key), ("organisation", &id)],
            ),
        ];
        for (opens_to, function, headers) in doors {
            let (answer, challenge) = callers.asks(function, &headers).await;
            if opens_to == kind {
                assert_eq!(answer, format!(r#"200 {{"caller":"{kind} {id}"}}"#));
            } else {
                assert_eq!(answer, REFUSED, "{kind} at {}", function.name);
                let organisation = opens_to == "organisation";
                assert_eq!(challenge, if organisation { "ApiKey" } else { "Bearer" });
            }
        }
    }
}

#[tokio::test]
async fn an_account_says_bearer() {
    let callers = Callers::new().await;
    let key = callers.account.as_str();
    for wrong in [
        key,
        "Bearer",
        "Bearer sk_test_1",
        &format!("Basic {key}"),
        &format!("Bearer {key},{key}"),
    ] {
        let (answer, _) = callers.asks(&FOR_ACCOUNTS, &[("authorization", wrong)]).await;
        assert_eq!(answer, REFUSED, "{wrong}");
    }
    let spelt = format!("bEARER  {key} ");
    let (answer, _) = callers.asks(&FOR_ACCOUNTS, &[("authorization", &spelt)]).await;
    assert!(answer.starts_with("200"), "{answer}");
}

#[tokio::test]
async fn an_organisation_presents_its_key_and_its_id() {
    let callers = Callers::new().await;
    let (key, id) = (callers.organisation.as_str(), callers.id().await);
    let another = Organisation {
        id: "another".parse().unwrap(),
        name: None,
        created_at: callers.world.now(),
    };
    let store = callers.world.stack().app.store();
    store.create_organisation(&another).await.unwrap();
    let bearer = format!("Bearer {key}");
    for wrong in [
        vec![],
        vec![("x-api-key", key)],
        vec![("organisation", id.as_str())],
        vec![("x-api-key", key), ("organisation", "another")],
        vec![("x-api-key", key), ("organisation", "nobody")],
        vec![("x-api-key", key), ("organisation", "a#b")],
        vec![("x-api-key", &bearer), ("organisation", &id)],
        vec![("authorization", &bearer), ("organisation", &id)],
    ] {
        let told = callers.asks(&FOR_ORGANISATIONS, &wrong).await;
        assert_eq!(told, (REFUSED.to_owned(), "ApiKey".to_owned()), "{wrong:?}");
    }
}

/// The same id, operation and `Idempotency-Key`, and still three answers.
#[tokio::test]
async fn callers_of_different_kinds_share_no_idempotency_key() {
    let callers = Callers::new().await;
    let id = callers.id().await;
    let bearer = format!("Bearer {}", callers.account);
    let doors: [Door<'_>; 3] = [
        ("account", &FOR_ACCOUNTS, vec![("authorization", &bearer)]),
        ("agency", &FOR_AGENCIES, vec![("authorization", &callers.agency)]),
        (
            "organisation",
            &FOR_ORGANISATIONS,
            vec![("x-api-key", &callers.organisation), ("organisation", &id)],
        ),
    ];
    for _ in 0..2 {
        for (kind, function, headers) in &doors {
            let mut headers = headers.clone();
            headers.push(("idempotency-key", "k1"));
            let (answer, _) = callers.asks(function, &headers).await;
            assert_eq!(answer, format!(r#"200 {{"caller":"{kind} {id}"}}"#));
        }
    }
}

#[tokio::test]
async fn keys_of_every_kind_are_listed_and_revoked_by_whom_they_belong_to() {
    let callers = Callers::new().await;
    let store = callers.world.stack().app.store();
    let id = callers.id().await;
    for (secret, listed) in [
        (&callers.account, 2),
        (&callers.agency, 1),
        (&callers.organisation, 1),
    ] {
        let key = callers.stored(secret).await;
        let keys = store.api_keys(&key.holder).await.unwrap();
        assert_eq!(keys.len(), listed, "{}", key.holder);
        assert!(keys.contains(&key), "{}", key.holder);
    }
    let agency = callers.stored(&callers.agency).await;
    let account = Holder::Account(id.parse().unwrap());
    let now = callers.world.now();
    assert_eq!(
        store.revoke_api_key(&account, &agency.id, now).await,
        Ok(false),
        "it is not the account's"
    );
    assert_eq!(
        store.revoke_api_key(&agency.holder, &agency.id, now).await,
        Ok(true)
    );
    let (answer, _) = callers
        .asks(&FOR_AGENCIES, &[("authorization", &callers.agency)])
        .await;
    assert_eq!(answer, REFUSED);
    let nobody = Key {
        id: "key_nobody".parse().unwrap(),
        holder: Holder::Agency("nobody".parse().unwrap()),
        ..agency
    };
    assert!(
        store.put_api_key("0", &nobody).await.is_err(),
        "there is no such agency"
    );
}
