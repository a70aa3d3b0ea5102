//! Catalog files of any kind: whatever stands in one, it is read or refused with the places of what is wrong, and nothing crashes. What is
//! read can be compared with what is stored.

use billing_admin::catalog::{self, CatalogFile, Fault};
use billing_tests::World;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const EXAMPLE: &str = include_str!("../../docs/catalog.example.toml");
/// How often each property is tried.
const CASES: u32 = 400;

/// The same inputs in every run.
fn always<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, judge: impl Fn(T) -> Result<(), String>) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let judged = runner.run(&strategy, |input| judge(input).map_err(TestCaseError::fail));
    judged.unwrap();
}

/// A file that is refused says where, and what.
fn judged(text: &str) -> Result<Option<CatalogFile>, String> {
    let faults = match CatalogFile::read(text) {
        Ok(file) => return Ok(Some(file)),
        Err(faults) => faults,
    };
    if faults.is_empty() {
        return Err("refused without a reason".to_owned());
    }
    let lines = text.matches('\n').count() + 1;
    let lost = |fault: &&Fault| fault.line == 0 || fault.line > lines || fault.fault.is_empty();
    match faults.iter().find(lost) {
        Some(fault) => Err(format!("of {lines} lines: {fault}")),
        None => Ok(None),
    }
}

/// What may stand in the place of a value, also where something else is meant.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "0",
            "-1",
            "1",
            "32",
            "0x10",
            "1_000",
            "99999999999999999999",
            "-0.0",
            "1e400",
            "1e-400",
            "inf",
            "nan",
            "0.1",
            "1.00000000000000000000000001",
            "true",
            "\"\"",
            "\" \"",
            "\"start\"",
            "\"month\"",
            "\"usd\"",
            "\"jpy\"",
            "\"KWD\"",
            "\"a/b#c\"",
            "\"\\u0000\"",
            "\"Ünïcödé \\U0001F4B6\"",
            "''",
            "[]",
            "[[]]",
            "{}",
            "{ a = 1 }",
            "{ id = 1 }",
            "{ day_of_month = 31 }",
            "{ month = 2, day = 30 }",
            "{ up_to = 1 }",
            "2026-02-30",
            "1979-05-27T07:32:00Z",
            "[1, \"a\", {}]",
            "\"\"\"\n\n\"\"\"",
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<String>().prop_map(|text| format!("{text:?}")),
        (0_usize..400).prop_map(|length| "9".repeat(length + 1)),
        (0_usize..400).prop_map(|length| format!("0.{}1", "0".repeat(length))),
        (0_usize..2000).prop_map(|length| format!("\"{}\"", "x".repeat(length))),
    ]
}

/// Something done to a line of the example.
#[derive(Debug, Clone)]
enum Change {
    /// Another value.
    Value(String),
    /// Another name of a member, or of a table.
    Name(String),
    /// It is left out.
    Gone,
    /// It is there twice.
    Twice,
    /// It stands where another one stood.
    Swapped(usize),
    /// Another line before it.
    Before(String),
}

fn change() -> impl Strategy<Value = Change> {
    let name = proptest::sample::select(vec![
        "id",
        "name",
        "pricing",
        "tiers",
        "min",
        "max",
        "email",
        "a.b.c",
        "\"\"",
        "é",
        "[plans.team]",
        "[[plans]]",
        "[",
    ]);
    prop_oneof![
        6 => value().prop_map(Change::Value),
        2 => name.prop_map(str::to_owned).prop_map(Change::Name),
        1 => Just(Change::Gone),
        1 => Just(Change::Twice),
        1 => any::<usize>().prop_map(Change::Swapped),
        1 => (value(), any::<String>()).prop_map(|(value, name)| Change::Before(format!("{name} = {value}"))),
    ]
}

fn changed(changes: &[(usize, Change)]) -> String {
    let mut lines: Vec<String> = EXAMPLE.lines().map(str::to_owned).collect();
    for (place, change) in changes {
        let at = place % lines.len();
        let line = lines[at].clone();
        let (name, value) = line.split_once('=').unwrap_or((&line, ""));
        match change {
            Change::Value(other) => lines[at] = format!("{name}= {other}"),
            Change::Name(other) if value.is_empty() => lines[at] = format!("[{other}]"),
            Change::Name(other) => lines[at] = format!("{other} ={value}"),
            Change::Gone => lines[at].clear(),
            Change::Twice => lines.insert(at, line),
            Change::Swapped(other) => {
                let other = other % lines.len();
                lines.swap(at, other);
            }
            Change::Before(other) => lines.insert(at, other.clone()),
        }
    }
    lines.join("\n")
}

#[test]
fn any_bytes_are_refused_with_a_place() {
    let bytes = proptest::collection::vec(any::<u8>(), 0..400);
    let words = "[\\[\\]{}=,.\"'#a-c0-9eE+\\-\n \t]{0,200}";
    let text = prop_oneof![
        bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        words
    ];
    always(text, |text| match judged(&text)? {
        Some(_) => Err("it is a catalog".to_owned()),
        None => Ok(()),
    });
}

/// The example with something else in a few places; some of it is still a catalog, and can be compared with what is stored.
#[test]
fn any_change_of_a_good_file_is_read_or_refused_with_a_place() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::unjudged_at("2026-04-01T00:00:00Z"));
    let good = std::cell::Cell::new(0);
    always(
        proptest::collection::vec((any::<usize>(), change()), 1..4),
        |changes| {
            if let Some(file) = judged(&changed(&changes))? {
                good.set(good.get() + 1);
                let compared = catalog::difference(world.stack().app.store(), &file);
                runtime
                    .block_on(compared)
                    .map_err(|failure| failure.to_string())?;
            }
            Ok(())
        },
    );
    assert!(good.get() > 20, "most changes leave no catalog: {}", good.get());
}

/// Deeper than anybody writes: refused, without a stack that overflows.
#[test]
fn a_file_of_any_depth_is_refused() {
    const DEPTH: usize = 100_000;
    let key = vec!["a"; DEPTH].join(".");
    for text in [
        format!("a = {}", "[".repeat(DEPTH)),
        format!("a = {}{}", "[".repeat(DEPTH), "]".repeat(DEPTH)),
        format!("a = {}", "{a=".repeat(DEPTH)),
        format!("{key} = 1"),
        format!("[{key}]"),
        format!("[[{key}]]"),
        "\"\"\"".repeat(DEPTH),
        "#".repeat(DEPTH),
    ] {
        assert_eq!(
            judged(&text).map(|file| file.is_some()),
            Ok(false),
            "{}",
            &text[..20]
        );
    }
}

/// Thousands of lines, each of them wrong, thousands of customers, and one line without an end: what is told grows with the file, and so
/// does the time, no faster.
#[test]
fn a_long_file_is_read_to_its_end() {
    let wrong: String = (0..20_000).map(|at| format!("wrong_{at} = 1\n")).collect();
    let faults = CatalogFile::read(&format!("{EXAMPLE}\n[more]\n{wrong}")).unwrap_err();
    assert_eq!(faults.len(), 1, "the table itself is no member");
    let faults = CatalogFile::read(&format!("{wrong}{EXAMPLE}")).unwrap_err();
    assert_eq!(faults.len(), 20_000);
    assert_eq!((faults[0].line, faults[19_999].line), (1, 20_000));

    let customer = |at: usize| {
        format!(
            "[customers.c{at}]\nname = \"C\"\nemail = \"c{at}@example.com\"\nbusiness_entity = \"headquarters\"\n"
        )
    };
    let many: String = (0..5_000).map(customer).collect();
    let file = CatalogFile::read(&format!("{EXAMPLE}\n{many}")).unwrap();
    assert!(file.customers.len() > 5_000);

    let long = format!(
        "{EXAMPLE}\n[customers.long]\nname = \"{}\"",
        "x".repeat(1_000_000)
    );
    assert_eq!(judged(&long).map(|file| file.is_some()), Ok(false));
}
