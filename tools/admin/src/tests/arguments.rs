//! Command lines of any kind: whatever is typed in a place of one, it is done, or refused with a sentence, and then nothing has changed.

use std::cell::RefCell;
use std::fs;
use std::io::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// How often each command is tried with something in the place of `?`.
const CASES: u32 = 24;
/// What a catalog file may be, in bytes.
const MOST: usize = 4 * 1024 * 1024;
/// Every command that asks nobody but DynamoDB, with each of its places.
const COMMANDS: [&str; 33] = [
    "account create --id ?",
    "account create --id a --name ?",
    "account create --id b --email ?",
    "account create --id c --customer ?",
    "account create --id d --number ?",
    "account show ?",
    "account number add --account acme ?",
    "account number add --account ? +15551230009",
    "account number remove --account acme ?",
    "account number remove --account ? 15551230001",
    "agency create --id ?",
    "agency create --id e --name ?",
    "agency show ?",
    "connect link --agency north ?",
    "connect link --agency ? acct_2",
    "client add --agency ? --name Bakery",
    "client add --agency north --id ?",
    "client add --agency north --name ?",
    "client add --agency north --admin-email ?",
    "agent add --agency north --name ?",
    "agent add --agency north --name Night --id ?",
    "agent add --agency north --name Night --client ?",
    "key issue --account ?",
    "key issue --organisation ?",
    "key issue --account acme --mode ?",
    "key issue --account acme --scope ?",
    "key issue --account acme --expires ?",
    "key issue --account acme --impersonator ?",
    "key list --agency ?",
    "key revoke --account acme ?",
    "events show ?",
    "events show evt_1 --connected ?",
    "catalog check ?",
];
/// Those that ask Stripe or the webhook: read, and not carried out.
const ELSEWHERE: [&str; 9] = [
    "catalog apply catalog.toml --stripe-key sk_test_1 --stripe-url ?",
    "catalog apply catalog.toml --stripe-key ?",
    "events tell ? --webhook-url http://127.0.0.1:9 --stripe-key k --webhook-secrets w",
    "events replay ? --webhook-url http://127.0.0.1:9 --stripe-key k --webhook-secrets w",
    "events replay --all --webhook-url ? --stripe-key k --webhook-secrets w",
    "events replay --all --webhook-url http://127.0.0.1:9 --stripe-key k --webhook-secrets ?",
    "events replay --all --webhook-url http://127.0.0.1:9 --stripe-key k --webhook-secrets w --signed-at ?",
    "doctor --webhook-url ?",
    "--endpoint-url ? account show acme",
];

fn typed() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "",
        " ",
        "-",
        "--",
        "--help",
        "-1",
        "0",
        "\0",
        "\n",
        "é",
        "💶",
        "\u{202e}",
        "a b",
        "a/b#c",
        "../..",
        "/",
        "*",
        "NaN",
        "1e400",
        "99999999999999999999",
        "2027-02-30",
        "2027-13-01",
        "9999-12-31",
        "-009999-01-01",
        "-262143-01-01",
        "+262142-12-31",
        "2027-01-31T25:00:00Z",
        "2027-01-31T12:00:00",
        "tomorrow",
        "acct_",
        "cus_",
        "key_",
        "sub_",
        "in_",
        "evt_",
        "acct_1/2",
        "+",
        "+1",
        "+15551230001=",
        "+1555123é",
        "=",
        "live,test",
        "billing:*",
        "@",
        "a@",
        "a@b",
        "http://",
        "http:///",
        "ftp://127.0.0.1",
        "https://[",
        "127.0.0.1:9",
        "?",
    ];
    prop_oneof![
        6 => proptest::sample::select(KNOWN).prop_map(str::to_owned),
        3 => any::<String>(),
        1 => (0_usize..6).prop_map(|power| "9".repeat(10_usize.pow(u32::try_from(power).unwrap()))),
        1 => (0_usize..6).prop_map(|power| format!("+1555{}=x", "é".repeat(10_usize.pow(u32::try_from(power).unwrap())))),
    ]
}

/// The words of a command, with that in the place of `?`.
fn words(command: &str, typed: &str) -> Vec<String> {
    let words = std::iter::once("billing-admin").chain(command.split(' '));
    words
        .map(|word| if word == "?" { typed } else { word }.to_owned())
        .collect()
}

/// The command line, or none when it makes no sense: told with exit code 2, or by way of help.
fn read(command: &str, typed: &str) -> Result<Option<CommandLine>, TestCaseError> {
    match CommandLine::try_parse_from(words(command, typed)) {
        Ok(line) => Ok(Some(line)),
        Err(told) => {
            let helps = matches!(told.exit_code(), 0) && typed.starts_with('-');
            prop_assert!(helps || told.exit_code() == 2, "{told}");
            prop_assert!(helps || told.to_string().starts_with("error: "), "{told}");
            Ok(None)
        }
    }
}

fn always(judge: impl Fn(String) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    runner.run(&typed(), judge).unwrap();
}

/// What an administrator sees of everything that the commands are about.
async fn seen(admin: &Admin) -> Vec<String> {
    let mut seen = Vec::new();
    for command in [
        "account show acme",
        "agency show north",
        "key list --account acme",
        "key list --agency north",
    ] {
        seen.push(admin.prints(command).await.unwrap());
    }
    seen
}

#[test]
fn whatever_is_typed_is_done_or_refused_in_a_sentence_and_then_changes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let admin = runtime.block_on(async {
        let admin = Admin::new().await;
        for command in [
            "account create --id acme --number +15551230001",
            "agency create --id north",
            "connect link --agency north acct_1",
            "key issue --account acme",
        ] {
            admin.prints(command).await.unwrap();
        }
        admin
    });
    let before = RefCell::new(runtime.block_on(seen(&admin)));
    for command in COMMANDS {
        always(|typed| {
            let Some(line) = read(command, &typed)? else {
                return Ok(());
            };
            let Task::Stored(asked) = line.task else {
                return Ok(());
            };
            runtime.block_on(async {
                let done = run(&admin.0, asked, false, now(), &mut Vec::new()).await;
                let Err(failure) = done else {
                    before.replace(seen(&admin).await);
                    return Ok(());
                };
                prop_assert!(
                    !matches!(failure, Failure::Store(_)),
                    "{command}: {typed:?}: {failure}"
                );
                prop_assert!(!failure.to_string().trim().is_empty());
                prop_assert_eq!(
                    seen(&admin).await,
                    before.borrow().clone(),
                    "{}: {:?}",
                    command,
                    typed
                );
                Ok(())
            })
        });
    }
}

/// Addresses, keys and instants of others are judged before anybody is asked.
#[test]
fn whatever_is_typed_of_others_is_taken_or_refused_in_a_sentence() {
    for command in ELSEWHERE {
        always(|typed| read(command, &typed).map(|_| ()));
    }
    for (command, bad) in [
        (ELSEWHERE[0], "127.0.0.1:9"),
        (ELSEWHERE[0], "ftp://127.0.0.1"),
        (ELSEWHERE[1], " "),
        (ELSEWHERE[4], "webhook"),
        (ELSEWHERE[5], ""),
        (ELSEWHERE[6], "2027-02-30"),
        (ELSEWHERE[7], "http://"),
        (ELSEWHERE[8], "dynamodb"),
    ] {
        assert!(read(command, bad).unwrap().is_none(), "{command}: {bad:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_catalog_is_named_with_what_it_is() {
    let admin = Admin::new().await;
    let directory = std::env::temp_dir().join(format!("billing-admin-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, start: &[u8], filling: &str, length: usize| {
        let path = directory.join(name);
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(start).unwrap();
        file.write_all(filling.repeat(length).as_bytes()).unwrap();
        path
    };
    for (path, told) in [
        (directory.join("nothing"), "No such file"),
        (directory.clone(), "directory"),
        (file("latin", b"# \xe9\n", "", 0), "UTF-8"),
        (file("huge", b"#", "x", MOST), "a catalog is at most 4 MiB"),
        // The limit is in the middle of a letter.
        (
            file("huge-letters", b"#", "é", MOST),
            "a catalog is at most 4 MiB",
        ),
        (file("endless", b"", "\0", MOST + 1), "a catalog is at most 4 MiB"),
        // As much as may be: read, and found to name no organisation.
        (file("large", b"#", "x", MOST - 1), "organisation"),
        (file("empty", b"", "", 0), "organisation"),
    ] {
        for verb in ["check", "diff"] {
            let refused = admin
                .prints(&format!("catalog {verb} {}", path.display()))
                .await
                .unwrap_err();
            assert!(refused.contains(told), "{refused}");
            assert!(refused.contains(&path.display().to_string()), "{refused}");
        }
    }
    fs::remove_dir_all(&directory).unwrap();
}

/// Which of the two nicknames was meant nobody can tell.
#[tokio::test]
async fn a_number_that_is_named_twice_is_refused() {
    let admin = Admin::new().await;
    let twice = "account create --id twice --number +15551230001=desk --number +15551230001=door";
    assert_eq!(
        admin.prints(twice).await.unwrap_err(),
        "phone number 15551230001 is named twice; nothing was changed"
    );
    assert!(admin.prints("account show twice").await.is_err());
}
