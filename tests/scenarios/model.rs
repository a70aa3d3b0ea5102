//! A model test: random histories of several accounts, of agencies on connected ones, and of an organisation that sells plans, in which
//! machines die, events are lost, doubled, delayed and shuffled, and time passes. Whatever happened, once everything is delivered and reconciled, everything adds up.
//!
//! A history that does not is told with its seed, shrunk to what is needed. `MODEL_RUNS` says how many are told (a few by default, a
//! thousand in CI, millions by whoever has a night), `MODEL_SEED` which ones, `MODEL_OF` of what (`accounts`, `agencies`, `plans`).

/// What can happen.
mod history;
/// On which machines something is asked.
mod asking;
/// What is asked, heard and done at once.
mod crossing;
/// What that does to accounts.
mod calling;
/// What operators, banks and payers do at Stripe.
mod operating;
/// What can happen on connected accounts.
mod selling;
/// What can happen to plans and contracts.
mod contracting;
/// What that does to an organisation.
mod shop;
/// What must be true in the end.
mod invariants;
/// What must be true of contracts, at every moment and in the end.
mod contracts;

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use history::Step;

/// How many histories are told when nobody says. A run takes about a quarter of a second.
const FEW: u32 = 60;
/// How many steps a history has at most.
const MOST_STEPS: usize = 18;
/// How often a failing history is tried with something left out.
const MOST_SHRINKS: u32 = 300;

/// A number from the environment of whoever runs the test.
#[expect(
    clippy::disallowed_methods,
    reason = "how many histories are told is for the one who runs them to say"
)]
fn told<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

fn rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// Tells that many histories; answers what went wrong with the first that does not add up.
fn tell(seed: u64, runs: u32, stop: &AtomicBool) -> Result<(), String> {
    let config = Config {
        cases: runs,
        max_shrink_iters: MOST_SHRINKS,
        failure_persistence: None,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kind: Option<String> = told("MODEL_OF");
    let mut runner = TestRunner::new_with_rng(config, rng(seed));
    let histories = history::history(MOST_STEPS, kind.as_deref());
    let told = runner.run(&histories, |history: Vec<Step>| {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let outcome = runtime.block_on(history::live_through(&history));
        outcome.map_err(TestCaseError::fail)
    });
    match told {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, history)) => {
            stop.store(true, Ordering::Relaxed);
            let steps: Vec<_> = history.iter().map(|step| format!("    {step:?}")).collect();
            Err(format!("MODEL_SEED={seed}: {why}\n  after\n{}", steps.join("\n")))
        }
        Err(TestError::Abort(why)) => Err(format!("MODEL_SEED={seed}: {why}")),
    }
}

#[test]
fn whatever_happens_everything_adds_up() {
    let runs: u32 = told("MODEL_RUNS").unwrap_or(FEW);
    let seed: u64 = told("MODEL_SEED").unwrap_or(1);
    let threads = std::thread::available_parallelism().map_or(1, |it| u32::try_from(it.get()).unwrap_or(1));
    let stop = AtomicBool::new(false);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let tellers: Vec<_> = (0..threads)
            .map(|thread| {
                let share = runs / threads + u32::from(thread < runs % threads);
                let (stop, seed) = (&stop, seed + u64::from(thread));
                scope.spawn(move || tell(seed, share, stop))
            })
            .collect();
        let told = tellers.into_iter().map(|teller| teller.join().unwrap());
        told.filter_map(Result::err).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
