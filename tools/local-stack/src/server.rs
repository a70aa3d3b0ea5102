//! The HTTP server in front of the stack: reads whole requests, writes whole answers, and ends when it is told to.
//!
//! HTTP/1.1 without TLS; what a request means is the handler's business.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use crate::event::message;

/// The largest request that API Gateway lets through.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// How long requests under way may take once the end was asked for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Answers requests until `end` comes; those under way then are finished.
pub(crate) async fn serve<H, F>(listener: TcpListener, handler: H, end: impl Future<Output = ()>)
where
    H: Fn(Request<Bytes>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Bytes>> + Send,
{
    let connections = GracefulShutdown::new();
    let mut end = std::pin::pin!(end);
    loop {
        let stream = tokio::select! {
            () = &mut end => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors, or a client that was gone again: the next one may succeed.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        // Small answers are not to wait for a full packet. A connection that refuses the option works without it.
        stream.set_nodelay(true).unwrap_or_default();
        let handler = handler.clone();
        let service = service_fn(move |request| answer(request, handler.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        // A connection that breaks off is its client's affair.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
    }
    drop(listener);
    // Whoever still holds a connection open after that loses it with the process.
    tokio::time::timeout(LAST_WORDS, connections.shutdown())
        .await
        .unwrap_or_default();
}

async fn answer<H, F>(request: Request<Incoming>, handler: H) -> Result<Response<Full<Bytes>>, Infallible>
where
    H: Fn(Request<Bytes>) -> F,
    F: Future<Output = Response<Bytes>>,
{
    let (parts, body) = request.into_parts();
    let response = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => handler(Request::from_parts(parts, body.to_bytes())).await,
        Err(_) => message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
    };
    Ok(response.map(Full::new))
}
