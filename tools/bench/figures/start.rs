//! From the spawn of a process to its first poll, as Lambda's init is: in turns, so that a busy moment of the machine hits all alike.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::subject::{lambda, nowhere, percentile, resident};

/// The function that is started; they all start alike.
const FUNCTION: &str = "change-subscription-interval";

struct Variant {
    name: String,
    command: Vec<String>,
    starts: Vec<Duration>,
    memory: Vec<u64>,
}

/// Measures and prints a table.
pub(crate) fn measure(bundle: &Path, others: &[String], runs: usize) {
    let own = format!("bundle={}", bundle.display());
    let mut variants: Vec<_> = std::iter::once(&own)
        .chain(others)
        .map(|told| {
            let (name, command) = told.split_once('=').expect("NAME=COMMAND");
            Variant {
                name: name.to_owned(),
                command: command.split(' ').map(str::to_owned).collect(),
                starts: Vec::new(),
                memory: Vec::new(),
            }
        })
        .collect();
    for _ in 0..runs {
        for variant in &mut variants {
            let (start, memory) = once(&variant.command);
            variant.starts.push(start);
            variant.memory.push(memory);
        }
    }
    println!("| | median | fastest | p95 | memory at the first poll |\n| --- | --- | --- | --- | --- |");
    for variant in &mut variants {
        variant.starts.sort();
        variant.memory.sort_unstable();
        let milliseconds = |percent| percentile(&variant.starts, percent).as_micros();
        println!(
            "| {} | {} µs | {} µs | {} µs | {} KiB |",
            variant.name,
            milliseconds(50),
            milliseconds(0),
            milliseconds(95),
            variant.memory[variant.memory.len() / 2]
        );
    }
}

fn once(command: &[String]) -> (Duration, u64) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut prepared = Command::new(&command[0]);
    prepared
        .args(&command[1..])
        .env_clear()
        .envs(nowhere())
        .envs(lambda(FUNCTION, &address))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let began = Instant::now();
    let mut child = prepared.spawn().unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut first = String::new();
    BufReader::new(&stream).read_line(&mut first).unwrap();
    let took = began.elapsed();
    assert!(
        first.starts_with("GET /2018-06-01/runtime/invocation/next "),
        "{first}"
    );
    let memory = resident(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    (took, memory)
}
