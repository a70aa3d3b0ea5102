//! `cargo load`: thousands of accounts at a local stack at once, and whether a promise broke.
//!
//! Callers choose what to do at random, some send the same request twice at the same time, and Stripe's events arrive in parallel as the
//! stand-in delivers them. In the end everything that both sides know of every account is compared. All of it is on loopback and in one
//! process, bounded in accounts, callers and time. `docs/scale.md` has the figures.

#![expect(clippy::unwrap_used, reason = "a load that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

/// What callers do.
mod caller;
/// What must be true in the end.
mod promises;
/// What was measured.
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use local_stack::{Settings, Stack};

use crate::caller::{Account, Caller};
use crate::tally::Tally;

/// Thousands of accounts at a local stack at once, and whether a promise broke.
#[derive(Parser)]
#[command(name = "cargo load")]
struct Options {
    /// Accounts
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    accounts: u32,
    /// Callers at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    callers: u32,
    /// How long they go on, at most ten minutes
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Another number, another order of things
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let stack = Arc::new(Stack::start(Settings::free_ports()).await.unwrap());
    let accounts: Arc<[Account]> = make_accounts(&stack, options.accounts).await.into();
    println!(
        "{} accounts, {} callers, {} s",
        accounts.len(),
        options.callers,
        options.seconds
    );

    let began = Instant::now();
    let until = began + Duration::from_secs(options.seconds);
    let callers: Vec<_> = (0..u64::from(options.callers))
        .map(|nth| {
            let seed = options.seed.wrapping_mul(1_000_003).wrapping_add(nth);
            let mut caller = Caller::new(Arc::clone(&stack), Arc::clone(&accounts), seed);
            tokio::spawn(async move {
                while Instant::now() < until {
                    caller.acts().await;
                }
                caller.tally
            })
        })
        .collect();
    let mut tally = Tally::default();
    for caller in callers {
        tally.add(caller.await.unwrap());
    }
    let took = began.elapsed();
    let stripe = stack.stand_in.as_ref().unwrap();
    stripe.settle().await;
    let events = stripe.delivery_attempts().len();

    tally.print(took);
    println!(
        "{events} deliveries of events, all done {} ms after the last call",
        (began.elapsed() - took).as_millis()
    );
    let mut broken = tally.failures();
    broken.extend(promises::broken(&stack, &accounts).await);
    for promise in broken.iter().take(20) {
        println!("BROKEN: {promise}");
    }
    println!(
        "{} promises broken, over {} accounts",
        broken.len(),
        accounts.len()
    );
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn make_accounts(stack: &Arc<Stack>, count: u32) -> Vec<Account> {
    const MAKERS: u32 = 16;
    let left = Arc::new(AtomicUsize::new(usize::try_from(count).unwrap()));
    let makers = (0..MAKERS).map(|_| {
        let (left, stack) = (Arc::clone(&left), Arc::clone(stack));
        tokio::spawn(async move {
            let caller = Caller::new(stack, Arc::new([]), 0);
            let mut made = Vec::new();
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                made.push(caller.makes_account().await);
            }
            made
        })
    });
    let makers: Vec<_> = makers.collect();
    let mut accounts = Vec::new();
    for maker in makers {
        accounts.extend(maker.await.unwrap());
    }
    accounts
}
