use std::{rc::Rc, time::Duration};

use tokio_util::task::TaskTracker;

use super::watch::ConnectionWatch;

/// Runs HTTP/2's stream tasks on the connection's thread, and ends those whose client takes nothing.
#[derive(Clone)]
pub(super) struct StreamExecutor {
    pub(super) watch: Rc<ConnectionWatch>,
    pub(super) tasks: TaskTracker,
    pub(super) write_stall_timeout: Duration,
}

impl<F: Future + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, task: F) {
        // The service is called, and so the stream's watch made, right before its task is handed over here.
        let stream = self.watch.take_newest();
        let limit = self.write_stall_timeout;
        self.tasks.spawn_local(async move {
            let stalled = async {
                match stream {
                    Some(stream) => stream.stalled(limit).await,
                    None => std::future::pending().await,
                }
            };
            // A task that is dropped before its end resets its stream.
            tokio::select! { biased; _ = task => {} () = stalled => {} }
        });
    }
}
