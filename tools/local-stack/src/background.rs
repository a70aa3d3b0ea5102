//! Tasks that run until they are told to end.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long tasks may take to end before they are cut off.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tasks with one end. Dropping it cuts them off.
pub(crate) struct Background {
    end: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Background {
    pub(crate) fn new() -> Self {
        Self {
            end: watch::Sender::new(false),
            tasks: JoinSet::new(),
        }
    }

    /// Resolves when the tasks are to end.
    pub(crate) fn end(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut end = self.end.subscribe();
        async move {
            // An error means that whoever could tell is gone, which is the end too.
            let _ = end.wait_for(|ended| *ended).await;
        }
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Tells the tasks to end and waits for them.
    pub(crate) async fn finish(mut self) {
        self.end.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(PATIENCE, all).await.unwrap_or_default();
    }
}
