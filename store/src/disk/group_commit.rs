use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Writes that wait at most. Beyond it, callers are told that the store is busy.
pub(super) const QUEUE: usize = 4096;
/// Writes that are made durable together at most.
pub(super) const MAX_BATCH: usize = 512;

/// Makes batches of writes durable and answers each of them.
pub trait Commit<Job>: Send + 'static {
    /// Called on the writer thread, with at least one write.
    fn commit(&mut self, batch: Vec<Job>);
}

/// The way to a writer thread. The thread ends, with everything written that was queued, when it is closed or dropped.
#[derive(Debug)]
pub struct Queue<Job> {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why a write was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueError {
    /// As many wait as may.
    Busy,
    /// The writer ends.
    Closed,
}

impl<Job: Send + 'static> Queue<Job> {
    /// Starts a writer thread.
    pub fn start(name: &str, mut committer: impl Commit<Job>) -> std::io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut batch = Vec::with_capacity(MAX_BATCH);
            // Whatever queues up while one batch is written goes into the next one: the slower the disk, the larger they are.
            while waiting.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
                committer.commit(std::mem::take(&mut batch));
            }
        })?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Hands a write over.
    pub fn push(&self, job: Job) -> Result<(), QueueError> {
        let jobs = self.jobs.lock();
        let jobs = jobs.as_ref().ok_or(QueueError::Closed)?;
        jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => QueueError::Busy,
            mpsc::error::TrySendError::Closed(_) => QueueError::Closed,
        })
    }

    /// Takes no more writes, and waits until those that were taken are written.
    pub fn close(&self) {
        self.jobs.lock().take();
        if let Some(thread) = self.thread.lock().take() {
            // A writer thread that panicked has dropped its callers' answers, which they see as `Closed`.
            let _ = thread.join();
        }
    }
}

impl<Job> Drop for Queue<Job> {
    fn drop(&mut self) {
        self.jobs.get_mut().take();
        if let Some(thread) = self.thread.get_mut().take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc as std_mpsc};

    use super::*;

    /// Writes what it is told to, once it is let.
    struct Gated {
        gate: std_mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<usize>>>,
        batches: Arc<Mutex<usize>>,
    }

    impl Commit<usize> for Gated {
        fn commit(&mut self, batch: Vec<usize>) {
            // A gate whose holder is gone is open.
            let _ = self.gate.recv();
            self.written.lock().extend(batch);
            *self.batches.lock() += 1;
        }
    }

    #[test]
    fn what_waits_is_bounded_written_together_and_in_order_and_closing_writes_the_rest() {
        let (open, gate) = std_mpsc::channel();
        let (written, batches) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let queue = Queue::start("test", Gated { gate, written: written.clone(), batches: batches.clone() }).unwrap();
        let mut taken = 0;
        while queue.push(taken).is_ok() {
            taken += 1;
            assert!(taken <= QUEUE + MAX_BATCH, "the queue is bounded");
        }
        assert_eq!(queue.push(0), Err(QueueError::Busy));
        drop(open);
        queue.close();
        assert_eq!(queue.push(0), Err(QueueError::Closed));
        assert_eq!(*written.lock(), (0..taken).collect::<Vec<_>>());
        assert!(*batches.lock() <= 2 + taken / MAX_BATCH, "{} batches", batches.lock());
    }
}
