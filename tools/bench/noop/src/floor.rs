//! The floor of a start: a process that asks for its first event over a bare socket, and waits.

use std::io::{Read, Write};
use std::net::TcpStream;

#[expect(
    clippy::disallowed_methods,
    reason = "it is told where to poll as Lambda tells it"
)]
fn main() -> std::io::Result<()> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
    let mut stream = TcpStream::connect(&address)?;
    let request = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.read(&mut [0; 1024]).map(drop)
}
