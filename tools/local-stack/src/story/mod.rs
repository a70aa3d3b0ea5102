//! `cargo local demo`: the story of the product, told line by line by a client that knows only the addresses and keys that
//! `GET /_local` tells. The first thing that is not as told ends it.
//!
//! A chapter is a function of its own file; a new one is called at the end of `tell`.

use std::io::{self, Write};

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::control::Directory;
use crate::http_client::{HttpClient, NoAnswer};

/// An account subscribes, pays, and is covered.
mod subscribing;
/// She moves to a year, is quoted, and pays what was quoted.
mod changing;
/// An agency sells on its connected account.
mod selling;
/// An organisation sells a plan, and changes what was sold.
mod contracting;

/// Why the story was not told to its end.
#[derive(Debug, thiserror::Error)]
pub enum Twist {
    /// Something is not as told.
    #[error("not as told: {sentence}\n  {asked} answered {status}: {body}")]
    Otherwise {
        /// What was to be told.
        sentence: String,
        /// The request that shows the opposite.
        asked: String,
        /// Its answer.
        status: u16,
        /// Its answer.
        body: String,
    },
    /// Somebody does not answer at all.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// A request that cannot be written down.
    #[error("no request: {0}")]
    NoRequest(#[from] http::Error),
    /// Nobody listens.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// Tells everything there is to tell.
pub async fn tell(directory: &Directory, out: &mut (dyn Write + Send)) -> Result<(), Twist> {
    let mut narrator = Narrator {
        directory,
        http: HttpClient::default(),
        out,
    };
    subscribing::tell(&mut narrator).await?;
    changing::tell(&mut narrator).await?;
    selling::tell(&mut narrator).await?;
    contracting::tell(&mut narrator).await?;
    narrator.say("\nEverything is as told.")
}

/// Tells, asks, and compares.
struct Narrator<'a> {
    directory: &'a Directory,
    http: HttpClient,
    out: &'a mut (dyn Write + Send),
}

/// What was asked, and how it was answered.
struct Answer {
    asked: String,
    status: u16,
    body: Value,
}

impl Narrator<'_> {
    fn say(&mut self, line: &str) -> Result<(), Twist> {
        writeln!(self.out, "{line}")?;
        // Somebody may be watching through a pipe.
        Ok(self.out.flush()?)
    }

    /// Tells a sentence that an answer bears out, or ends the story.
    fn told(&mut self, sentence: &str, answer: &Answer, holds: bool) -> Result<(), Twist> {
        if holds {
            return self.say(&format!("  {sentence}"));
        }
        Err(Twist::Otherwise {
            sentence: sentence.to_owned(),
            asked: answer.asked.clone(),
            status: answer.status,
            body: answer.body.to_string(),
        })
    }

    /// Asks the API, as whoever has this key.
    async fn api(&self, method: Method, path: &str, key: Option<&str>, body: Value) -> Result<Answer, Twist> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.directory.api));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.ask(request, &body).await
    }

    /// Asks Stripe, as its owner.
    async fn stripe(&self, method: Method, path: &str, body: Value) -> Result<Answer, Twist> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.directory.stripe))
            .header("authorization", format!("Bearer {}", self.directory.stripe_key));
        self.ask(request, &body).await
    }

    /// Asks Stripe as its owner does, with a form.
    async fn stripe_form(&self, path: &str, form: &str) -> Result<Answer, Twist> {
        let request = Request::post(format!("{}{path}", self.directory.stripe))
            .header("authorization", format!("Bearer {}", self.directory.stripe_key))
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Bytes::from(form.to_owned()))?).await
    }

    /// The same on a connected account.
    async fn stripe_form_on(&self, account: &str, path: &str, form: &str) -> Result<Answer, Twist> {
        let request = Request::post(format!("{}{path}", self.directory.stripe))
            .header("authorization", format!("Bearer {}", self.directory.stripe_key))
            .header("stripe-account", account)
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Bytes::from(form.to_owned()))?).await
    }

    /// Lets time pass, and with it everything that falls due: with `0s`, the events that are on their way.
    async fn wait(&self, duration: &str) -> Result<Answer, Twist> {
        self.api(
            Method::POST,
            "/_local/clock",
            None,
            json!({ "advance": duration }),
        )
        .await
    }

    async fn ask(&self, request: http::request::Builder, body: &Value) -> Result<Answer, Twist> {
        let (request, body) = if body.is_null() {
            (request, Bytes::new())
        } else {
            (
                request.header("content-type", "application/json"),
                Bytes::from(body.to_string()),
            )
        };
        self.send(request.body(body)?).await
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Answer, Twist> {
        let asked = format!("{} {}", request.method(), request.uri());
        let answer = self.http.send(request).await?;
        let body = serde_json::from_slice(answer.body())
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(answer.body()).into_owned()));
        Ok(Answer {
            asked,
            status: answer.status().as_u16(),
            body,
        })
    }
}
