//! The first request after a freeze: Lambda stops the process between two requests, for minutes, and meanwhile every connection that it kept
//! is closed by the other side. The process does not know until it writes.
//!
//! DynamoDB and Stripe are behind proxies that can reset all their connections at once.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::subject::{Warm, percentile};
use crate::warm::request;
use crate::world::World;

/// A way to an address whose connections can be killed.
struct Proxy {
    way: String,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Proxy {
    async fn to(address: &str) -> Self {
        let upstream = address
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let way = format!("http://{}", listener.local_addr().unwrap());
        let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let kept = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut server = TcpStream::connect(&upstream).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                // Closing then resets.
                client.set_zero_linger().unwrap();
                let passing = tokio::spawn(async move {
                    drop(copy_bidirectional(&mut client, &mut server).await);
                });
                kept.lock().unwrap().push(passing);
            }
        });
        Self { way, connections }
    }

    /// Resets every connection.
    async fn kill(&self) {
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        for connection in connections {
            connection.abort();
            drop(connection.await);
        }
    }
}

/// Measures and prints.
pub(crate) async fn measure(bundle: &Path, freezes: usize) {
    let world = World::start().await;
    let mut variables = world.stack.variables.clone();
    let dynamodb = Proxy::to(&variables["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let stripe = Proxy::to(&variables["STRIPE_API_BASE"]).await;
    variables.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamodb.way.clone());
    variables.insert("STRIPE_API_BASE".to_owned(), stripe.way.clone());
    let key = world.subscriber().await;
    let function = "change-subscription-interval";
    let event = request("change-subscription-interval.same", &key);
    let process = Warm::start(&[bundle.to_str().unwrap()], function, &variables).await;
    let (mut thawed, mut usual) = (Vec::new(), Vec::new());
    for _ in 0..freezes {
        for _ in 0..3 {
            let began = Instant::now();
            assert_eq!(process.answer(&event).await["statusCode"], 200);
            usual.push(began.elapsed());
        }
        process.signal("STOP").await;
        dynamodb.kill().await;
        stripe.kill().await;
        let answer = process.answer(&event);
        let mut answer = std::pin::pin!(answer);
        // The event is handed out while the process is frozen, as after Lambda's thaw.
        let early = tokio::time::timeout(Duration::from_millis(20), &mut answer).await;
        assert!(early.is_err(), "a frozen process answers");
        process.signal("CONT").await;
        let began = Instant::now();
        assert_eq!(answer.await["statusCode"], 200);
        thawed.push(began.elapsed());
    }
    println!("| | median | p95 | slowest |\n| --- | --- | --- | --- |");
    for (told, mut times) in [
        ("with its connections", usual),
        ("after a freeze that killed them", thawed),
    ] {
        times.sort();
        let at = |percent| percentile(&times, percent).as_micros();
        println!("| {told} | {} µs | {} µs | {} µs |", at(50), at(95), at(100));
    }
}
