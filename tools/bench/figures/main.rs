//! `cargo figures`: what a function costs to start and to run, measured.
//!
//! `docs/performance.md` has the figures, the method, and how the binaries are built. Nothing here is a test: wall time on a shared machine
//! judges nobody. `instructions` is what CI holds to: instructions do not depend on who else is running.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

/// What is measured: processes and their environment.
mod subject;
/// From the spawn to the first poll.
mod start;
/// Requests to a warm process, over a local stack with what they need.
mod warm;
/// The first request after a freeze.
mod thaw;
/// Instructions, counted by valgrind.
mod instructions;
/// The world that requests are made in.
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a function costs to start and to run.
#[derive(Parser)]
#[command(name = "cargo figures")]
struct CommandLine {
    /// The deployed binary, built for release
    #[arg(
        long,
        global = true,
        default_value = "target/x86_64-unknown-linux-gnu/release/billing-bundle"
    )]
    bundle: PathBuf,
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Subcommand)]
enum Figure {
    /// From the spawn to the first poll, with the memory then
    Start {
        /// Compared with: name=command, such as noop=target/release/noop or 'node=node bundle.mjs'
        #[arg(long = "with", value_name = "NAME=COMMAND")]
        others: Vec<String>,
        /// Starts of each
        #[arg(long, default_value_t = 100)]
        runs: usize,
    },
    /// Processor time and latency of requests to a warm process
    Warm {
        /// Requests of each kind
        #[arg(long, default_value_t = 200)]
        requests: usize,
    },
    /// The first request after a freeze that killed every connection
    Thaw {
        /// Freezes
        #[arg(long, default_value_t = 60)]
        freezes: usize,
    },
    /// Instructions of a start and of a request, by valgrind, held to the limits of a file
    Instructions {
        /// The limits
        #[arg(long, default_value = "tools/bench/instructions.json")]
        limits: PathBuf,
    },
}

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = match line.figure {
        Figure::Start { others, runs } => {
            start::measure(&line.bundle, &others, runs);
            true
        }
        Figure::Warm { requests } => {
            runtime.block_on(warm::measure(&line.bundle, requests));
            true
        }
        Figure::Thaw { freezes } => {
            runtime.block_on(thaw::measure(&line.bundle, freezes));
            true
        }
        Figure::Instructions { limits } => runtime.block_on(instructions::hold(&line.bundle, &limits)),
    };
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
