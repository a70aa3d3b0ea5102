//! An answer on its way through the network: whole, or in one of the ways in which answers arrive badly.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Sleep;

/// How long each byte of an answer takes that trickles: no answer is so short that it ends within an invocation.
const EACH_BYTE: Duration = Duration::from_millis(50);

/// An answer's body.
pub(crate) struct Passed {
    rest: Bytes,
    pace: Pace,
}

enum Pace {
    /// All at once.
    Whole,
    /// Half of it, and the connection breaks.
    Torn,
    /// Half of it, and nothing more.
    Stalled,
    /// Byte by byte.
    Dripping { rests: bool },
    /// Byte by byte, each after its time.
    Trickling(Pin<Box<Sleep>>),
}

impl Passed {
    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        Self {
            rest: body.into(),
            pace: Pace::Whole,
        }
    }

    pub(crate) fn torn(self) -> Self {
        self.half(Pace::Torn)
    }

    pub(crate) fn stalled(self) -> Self {
        self.half(Pace::Stalled)
    }

    pub(crate) fn dripping(self) -> Self {
        Self {
            pace: Pace::Dripping { rests: false },
            ..self
        }
    }

    pub(crate) fn trickling(self) -> Self {
        Self {
            pace: Pace::Trickling(Box::pin(tokio::time::sleep(EACH_BYTE))),
            ..self
        }
    }

    fn half(self, pace: Pace) -> Self {
        Self {
            rest: self.rest.slice(..self.rest.len() / 2),
            pace,
        }
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            return match this.pace {
                Pace::Torn => Poll::Ready(Some(Err(Broken))),
                Pace::Stalled => Poll::Pending,
                _ => Poll::Ready(None),
            };
        }
        let length = match &mut this.pace {
            Pace::Whole | Pace::Torn | Pace::Stalled => this.rest.len(),
            // What is there is sent before the next byte is.
            Pace::Dripping { rests } => {
                *rests = !*rests;
                if *rests {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                1
            }
            Pace::Trickling(sleep) => {
                ready!(sleep.as_mut().poll(context));
                sleep.set(tokio::time::sleep(EACH_BYTE));
                1
            }
        };
        Poll::Ready(Some(Ok(Frame::data(this.rest.split_to(length)))))
    }
}

/// hyper closes the connection upon it, without an answer.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the connection breaks")
    }
}

impl std::error::Error for Broken {}
