//! The program as a user starts it: arguments, HTTP as it is on the wire, test routes, the page, the end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stripe-stand-in");

/// A running program on a port of its own; ended when dropped.
struct Program {
    child: Child,
    base: String,
    /// What it said before it was ready.
    said: Vec<String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let base = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap)
            .find_map(|line| {
                let ready = line.strip_prefix("ready ").map(str::to_owned);
                said.push(line);
                ready
            })
            .expect("the program says where it is ready");
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            child,
            base,
            said,
            client,
        }
    }

    async fn send(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", "Bearer sk_test_123");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let answer = async {
            let response = self.client.request(request).await.ok()?;
            let (head, body) = response.into_parts();
            let body = String::from_utf8(body.collect().await.ok()?.to_bytes().to_vec()).unwrap();
            Some(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(Duration::from_secs(10), answer)
            .await
            .expect("an answer in time")
    }

    async fn api(&self, method: &str, path: &str, form: &str) -> Value {
        let answer = self.send(method, path, form, &[]).await.unwrap();
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        answer.json()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}

#[tokio::test]
async fn a_person_subscribes_on_the_page() {
    let program = Program::start(&[]);
    let price = program
        .api(
            "POST",
            "/v1/prices",
            "currency=usd&unit_amount=1000&recurring[interval]=month&product_data[name]=Number%20%3Cone%3E",
        )
        .await;
    let form = format!(
        "mode=subscription&success_url=https%3A%2F%2Fexample.com%2F%3Fs%3D%7BCHECKOUT_SESSION_ID%7D\
         &line_items%5B0%5D%5Bprice%5D={}&line_items[0][quantity]=3",
        price["id"].as_str().unwrap()
    );
    let session = program.api("POST", "/v1/checkout/sessions", &form).await;
    let id = session["id"].as_str().unwrap();
    assert_eq!(session["url"], format!("{}/checkout/{id}", program.base));

    let page = program
        .send("GET", &format!("/checkout/{id}"), "", &[])
        .await
        .unwrap();
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(
        page.body.contains(&format!("https://example.com/?s={id}")),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<one>"), "a product's name is no HTML");

    let complete = format!("/_test/checkout/sessions/{id}/complete");
    let declined = program
        .send("POST", &complete, r#"{"payment": "decline"}"#, &[])
        .await
        .unwrap();
    assert_eq!(declined.json()["status"], "open");
    let paid = program.send("POST", &complete, "", &[]).await.unwrap();
    assert_eq!(paid.json()["payment_status"], "paid");
    let invoice = format!("/invoice/{}", paid.json()["invoice"].as_str().unwrap());
    let page = program.send("GET", &invoice, "", &[]).await.unwrap();
    assert!(page.body.contains(r#""status":"paid""#), "{}", page.body);
    for nothing in ["/invoice/in_none", "/authenticate/pi_none"] {
        let page = program.send("GET", nothing, "", &[]).await.unwrap();
        assert_eq!(page.status, 404);
    }
    assert_eq!(
        program.send("POST", &complete, "", &[]).await.unwrap().status,
        400
    );
    assert_eq!(
        program
            .send("POST", &complete, r#"{"pay": 1}"#, &[])
            .await
            .unwrap()
            .status,
        400
    );
    assert_eq!(
        program
            .send("GET", "/checkout/cs_test_none", "", &[])
            .await
            .unwrap()
            .status,
        404
    );
}

#[tokio::test]
async fn answers_carry_stripes_headers() {
    let program = Program::start(&[]);
    let headers = [("idempotency-key", "k1"), ("stripe-version", "2026-09-30.endive")];
    let first = program.send("POST", "/v1/customers", "", &headers).await.unwrap();
    assert!(first.header("request-id").starts_with("req_"));
    assert_eq!(first.header("stripe-version"), "2026-09-30.endive");
    assert_eq!(first.header("idempotency-key"), "k1");
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again = program.send("POST", "/v1/customers", "", &headers).await.unwrap();
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.json()["id"], again.json()["id"]);
    let log = program
        .send("GET", "/_test/requests", "", &[])
        .await
        .unwrap()
        .json();
    assert_eq!(log["requests"][1]["idempotencyKey"], "k1");
    assert_eq!(log["requests"][1]["replayed"], true);
    assert_eq!(
        program.send("GET", "/healthz", "", &[]).await.unwrap().json()["status"],
        "ok"
    );
}

#[tokio::test]
async fn a_lost_answer_is_a_closed_connection() {
    let program = Program::start(&[]);
    let fault = r#"{"fault": "drop_after", "method": "POST", "path": "/v1/customers"}"#;
    assert_eq!(
        program
            .send("POST", "/_test/faults", fault, &[])
            .await
            .unwrap()
            .status,
        200
    );
    assert!(
        program
            .send("POST", "/v1/customers", "email=a%40b.c", &[])
            .await
            .is_none()
    );
    let list = program.api("GET", "/v1/customers?limit=3", "").await;
    assert_eq!(
        list["data"].as_array().unwrap().len(),
        1,
        "it was done all the same"
    );
    let misspelt = program
        .send(
            "POST",
            "/_test/faults",
            r#"{"fault": "drop_after", "pth": "/"}"#,
            &[],
        )
        .await;
    assert_eq!(misspelt.unwrap().status, 400);
    let reset = program.send("POST", "/_test/reset", "", &[]).await.unwrap();
    assert_eq!(reset.status, 200);
    assert_eq!(program.api("GET", "/v1/customers", "").await["data"], json!([]));
}

#[tokio::test]
async fn a_seed_file_is_there_from_the_start() {
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/seed.json");
    let program = Program::start(&["--seed", seed, "--webhook", "http://127.0.0.1:1/hook"]);
    assert!(
        program
            .said
            .iter()
            .any(|line| line.starts_with("webhook http://127.0.0.1:1/hook secret whsec_"))
    );
    let prices = program
        .api("GET", "/v1/prices?lookup_keys[]=number-monthly", "")
        .await;
    let price = prices["data"][0]["id"].as_str().unwrap();
    assert!(
        program.said.contains(&format!("seed monthly {price}")),
        "{:?}",
        program.said
    );
}

#[test]
fn only_loopback_addresses_are_listened_on() {
    let outcome = Command::new(PROGRAM)
        .args(["--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert!(!outcome.status.success());
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("not a loopback address"));
}

#[test]
fn an_interrupt_ends_it_cleanly() {
    let mut program = Program::start(&[]);
    let pid = program.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn help_names_every_argument() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    for argument in ["--listen", "--seed", "--webhook", "--connect"] {
        assert!(text.contains(argument), "{text}");
    }
}
