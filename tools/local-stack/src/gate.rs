//! What the API's requests go through, so that they can be held back while everything is written.
//!
//! A function changes Stripe, and writes to DynamoDB what came of it. What is kept of the two belongs together only when it is
//! taken while no function is between the one and the other.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::RwLock;
use tokio::task::JoinError;

/// How long requests under way are waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Open until it is closed for a while. Cloning it gives another handle of the same one.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<RwLock<()>>);

impl Gate {
    /// Does a request's work once the gate is open. It is under way until it is done, also when its client hangs up.
    pub(crate) async fn pass<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        let gate = Arc::clone(&self.0);
        let passed = tokio::spawn(async move {
            let _open = gate.read().await;
            work.await
        });
        passed.await
    }

    /// Lets nobody in, waits for those that are under way, and does the work. One that takes too long is not waited for any
    /// more: then the work finds it somewhere in its middle, as a crash would.
    pub(crate) async fn close_for<T>(&self, work: impl Future<Output = T>) -> T {
        // Fair: whoever comes now waits behind it, whether it is locked yet or not.
        let mut closing = pin!(self.0.write());
        let closed = tokio::time::timeout(PATIENCE, closing.as_mut()).await;
        let done = work.await;
        drop(closed);
        done
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    /// Has a request come in and wait until it is told to end.
    async fn begin(gate: &Gate) -> (oneshot::Sender<()>, Arc<AtomicBool>) {
        let (began, has_begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let done = Arc::new(AtomicBool::new(false));
        let (gate, told) = (gate.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let work = async move {
                began.send(()).unwrap();
                ended.await.unwrap_or_default();
                told.store(true, Ordering::SeqCst);
            };
            gate.pass(work).await.unwrap();
        });
        has_begun.await.unwrap();
        (end, done)
    }

    #[tokio::test]
    async fn what_is_under_way_ends_before_the_gate_is_closed() {
        let gate = Gate::default();
        let (end, done) = begin(&gate).await;
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            end.send(()).unwrap();
        });
        let was_done = gate.close_for(async { done.load(Ordering::SeqCst) }).await;
        assert!(was_done);
    }

    #[tokio::test]
    async fn what_does_not_end_is_left_and_nobody_else_comes_in_meanwhile() {
        let gate = Gate::default();
        let (_end, stuck) = begin(&gate).await;
        let newcomer = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&newcomer);
        let (door, closing) = (gate.clone(), gate.clone());
        let seen = Arc::clone(&newcomer);
        let closed = tokio::spawn(async move {
            let work = async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                seen.load(Ordering::SeqCst)
            };
            closing.close_for(work).await
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let came =
            tokio::spawn(async move { door.pass(async move { told.store(true, Ordering::SeqCst) }).await });
        assert!(!closed.await.unwrap(), "it came in while the gate was closed");
        came.await.unwrap().unwrap();
        assert!(newcomer.load(Ordering::SeqCst) && !stuck.load(Ordering::SeqCst));
    }
}
