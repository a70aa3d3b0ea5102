//! Instructions of a start and of a request, counted by valgrind's callgrind: the same on any machine and in any company.
//!
//! A request's are the difference between a run of few and a run of many, so the start and the first connections are not in it. A figure over
//! its limit fails; one far below it asks for a lower limit, so that what was won is not lost unseen.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::subject::{Warm, nowhere};
use crate::warm::request;
use crate::world::World;

const FEW: usize = 10;
const MANY: usize = 60;
/// What is let pass: another version of a library, a page of memory more.
const SLACK_PERCENT: u64 = 5;
/// From here on below its limit, a limit is out of date.
const LOOSE_PERCENT: u64 = 15;

/// Counts, prints, and says whether every limit is kept.
pub(crate) async fn hold(bundle: &Path, limits: &Path) -> bool {
    let limits: Value = serde_json::from_str(&fs::read_to_string(limits).unwrap()).unwrap();
    let bundle = bundle.to_str().unwrap();
    let world = World::start().await;
    let key = world.subscriber().await;
    let mut kept = true;
    let mut judge = |name: &str, counted: u64| {
        let limit = limits[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no limit for {name:?}"));
        let verdict = if counted * 100 > limit * (100 + SLACK_PERCENT) {
            kept = false;
            "over its limit"
        } else if counted * 100 < limit * (100 - LOOSE_PERCENT) {
            "kept; lower the limit"
        } else {
            "kept"
        };
        println!("{name}: {counted} instructions, limit {limit}: {verdict}");
    };

    let start = count(bundle, "get-billing", &json!(nowhere()), &[]).await;
    judge("start", start);
    for (name, file) in [
        ("refused without a key", "get-billing.unauthorized.json"),
        ("billing shown", "get-billing.json"),
        (
            "change to what is there already",
            "change-subscription-interval.same",
        ),
    ] {
        let function = file.split('.').next().unwrap();
        let variables = json!(world.stack.variables);
        let event = request(file, &key);
        let few = count(bundle, function, &variables, &vec![event.clone(); FEW]).await;
        let many = count(bundle, function, &variables, &vec![event; MANY]).await;
        judge(name, (many - few) / u64::try_from(MANY - FEW).unwrap());
    }
    // What was changed is changed: each request needs a subscriber of its own.
    let mut counted = Vec::new();
    for requests in [FEW, MANY] {
        let mut events = Vec::new();
        for _ in 0..requests {
            events.push(request(
                "change-subscription-interval.json",
                &world.subscriber().await,
            ));
        }
        let variables = json!(world.stack.variables);
        counted.push(count(bundle, "change-subscription-interval", &variables, &events).await);
    }
    judge(
        "change of the interval",
        (counted[1] - counted[0]) / u64::try_from(MANY - FEW).unwrap(),
    );
    kept
}

/// Instructions of a process that starts and answers these events.
async fn count(bundle: &str, function: &str, variables: &Value, events: &[Value]) -> u64 {
    let environment = serde_json::from_value(variables.clone()).unwrap();
    let out = std::env::temp_dir().join(format!("callgrind.{}", std::process::id()));
    let file = format!("--callgrind-out-file={}", out.display());
    let program = ["valgrind", "--quiet", "--tool=callgrind", &file, bundle];
    let process = Warm::start(&program, function, &environment).await;
    for event in events {
        process.answer(event).await;
    }
    process.end().await;
    let told = fs::read_to_string(&out).unwrap();
    fs::remove_file(&out).unwrap();
    let summary = told.lines().find_map(|line| {
        line.strip_prefix("summary: ")
            .or_else(|| line.strip_prefix("totals: "))
    });
    summary.unwrap().trim().parse().unwrap()
}
