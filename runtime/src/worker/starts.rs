use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::oneshot, time::sleep};

/// How long starts are gathered before the lives of the replicas are told.
const GATHER: Duration = Duration::from_millis(2);

/// Starts that requests have brought about, which the lives of the replicas are told many at a time: a thread that serves a burst
/// of first requests then wakes the threads in the background once, not for each.
#[derive(Default)]
pub(super) struct Starts(Mutex<Vec<oneshot::Sender<()>>>);

impl Starts {
    /// Tells a life within [`GATHER`], from a task of `runtime`.
    pub(super) fn tell(self: &Arc<Self>, life: oneshot::Sender<()>, runtime: &Handle) {
        let mut gathered = self.0.lock();
        gathered.push(life);
        if gathered.len() == 1 {
            let starts = self.clone();
            runtime.spawn(async move {
                sleep(GATHER).await;
                for life in std::mem::take(&mut *starts.0.lock()) {
                    // One that has ended was told to stop, and has seen the start by itself.
                    let _ = life.send(());
                }
            });
        }
    }
}
