//! What a replica says: its lines, cut, bounded and sent to the session without waiting.

mod lines;
mod rate;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use api::{
    ReplicaId, Timestamp,
    replica::{LogLine, LogSource},
};
use tokio::sync::mpsc;

pub(crate) use lines::LineSplitter;

use rate::LineRate;

use crate::replica::MemoryBudget;

/// Lines of all replicas of a worker that wait for its session. Beyond it they are dropped and counted.
pub(crate) const LOG_QUEUE: usize = 8192;

/// Bytes of one replica's lines that wait. Beyond it they are dropped and counted.
const WAITING_BYTES: u64 = 1 << 20;
/// What a line takes beside its text.
const LINE_BYTES: u64 = 128;

/// The log of one replica.
pub(crate) struct ReplicaLog {
    id: ReplicaId,
    queue: mpsc::Sender<Waiting>,
    rate: LineRate,
    dropped: AtomicU64,
    waiting: Arc<WaitingBytes>,
}

/// A line that waits for the worker's session.
pub(crate) struct Waiting {
    id: ReplicaId,
    line: LogLine,
    /// Counted until it is dropped.
    _counted: Counted,
}

impl Waiting {
    /// It waits no longer.
    pub(crate) fn into_line(self) -> (ReplicaId, LogLine) {
        (self.id, self.line)
    }
}

/// What the lines of a replica take that wait.
#[derive(Default)]
struct WaitingBytes {
    bytes: AtomicU64,
    /// The memory as a part of which they count, once there is a replica that has some.
    budget: OnceLock<Arc<MemoryBudget>>,
}

struct Counted {
    of: Arc<WaitingBytes>,
    bytes: u64,
    budget: Option<Arc<MemoryBudget>>,
}

impl WaitingBytes {
    fn count(self: &Arc<Self>, text: &str) -> Option<Counted> {
        let bytes = text.len() as u64 + LINE_BYTES;
        let within = |waiting: u64| waiting.checked_add(bytes).filter(|all| *all <= WAITING_BYTES);
        self.bytes.try_update(Ordering::Relaxed, Ordering::Relaxed, within).ok()?;
        let budget = self.budget.get().cloned();
        // Also where its replica's memory is used up: that is said in a line.
        if let Some(budget) = &budget {
            budget.take_anyway(bytes);
        }
        Some(Counted { of: self.clone(), bytes, budget })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if let Some(budget) = &self.budget {
            budget.give_back(self.bytes);
        }
    }
}

impl ReplicaLog {
    pub(crate) fn new(id: ReplicaId, queue: mpsc::Sender<Waiting>) -> Self {
        Self { id, queue, rate: LineRate::default(), dropped: AtomicU64::new(0), waiting: Arc::default() }
    }

    /// From now on lines that wait count as a part of this memory.
    pub(crate) fn count_in(&self, budget: &Arc<MemoryBudget>) {
        // A log has one replica.
        let _ = self.waiting.budget.set(budget.clone());
    }

    /// Writes one line. It never waits: when there is no room, the line is dropped, and the next that fits is
    /// preceded by how many were.
    pub(crate) fn line(&self, source: LogSource, text: impl Into<String>) {
        self.line_of(source, || text.into());
    }

    /// The same, of a text that is made only if its replica may write a line now. Answers whether it may: if not, further ones of
    /// the same moment need not be tried.
    pub(crate) fn line_of(&self, source: LogSource, text: impl FnOnce() -> String) -> bool {
        let at = now();
        if !self.rate.admit(at.as_secs()) {
            self.drop_lines(1);
            return false;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let notice = format!("{dropped} lines were dropped: they came faster than the log takes them");
            if !self.send(at, LogSource::Sampan, notice) {
                self.drop_lines(dropped);
            }
        }
        if !self.send(at, source, text()) {
            self.drop_lines(1);
        }
        true
    }

    /// Counts lines that are not written.
    pub(crate) fn drop_lines(&self, count: u64) {
        if count > 0 {
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Writes a text of several lines, such as a backtrace.
    pub(crate) fn lines(&self, source: LogSource, text: &str) {
        text.lines().for_each(|line| self.line(source, line));
    }

    fn send(&self, at: Timestamp, source: LogSource, mut text: String) -> bool {
        lines::cut(&mut text);
        let Some(counted) = self.waiting.count(&text) else { return false };
        let line = LogLine { at, source, text };
        self.queue.try_send(Waiting { id: self.id.clone(), line, _counted: counted }).is_ok()
    }
}

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { micros: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(capacity: usize) -> (ReplicaLog, mpsc::Receiver<Waiting>) {
        let (tx, rx) = mpsc::channel(capacity);
        (ReplicaLog::new(ReplicaId(api::ObjectKey::new("shop", "cart-1")), tx), rx)
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_said_with_the_next_that_fits() {
        let (log, mut rx) = log(2);
        (0..5).for_each(|n| log.line(LogSource::Stdout, format!("line {n}")));
        assert_eq!(rx.try_recv().unwrap().line.text, "line 0");
        assert_eq!(rx.try_recv().unwrap().line.text, "line 1");
        log.line(LogSource::Stdout, "line 5");
        let notice = rx.try_recv().unwrap().line;
        assert_eq!(notice.source, LogSource::Sampan);
        assert!(notice.text.starts_with("3 lines were dropped"), "{}", notice.text);
        assert_eq!(rx.try_recv().unwrap().line.text, "line 5");
    }

    #[test]
    fn lines_that_wait_count_as_memory_of_their_replica_and_are_bounded() {
        let (log, mut rx) = log(LOG_QUEUE);
        let budget = MemoryBudget::alone(1 << 30);
        log.count_in(&budget);
        (0..1000).for_each(|_| log.line(LogSource::Stdout, "x".repeat(16 << 10)));
        assert!(budget.used_bytes() <= WAITING_BYTES && budget.used_bytes() > WAITING_BYTES - (17 << 10));
        while rx.try_recv().is_ok() {}
        assert_eq!(budget.used_bytes(), 0);
        log.line(LogSource::Stdout, "next");
        assert!(rx.try_recv().unwrap().line.text.contains("lines were dropped"));
        assert_eq!(rx.try_recv().unwrap().line.text, "next");
    }

    #[test]
    fn a_backtrace_becomes_one_line_each() {
        let (log, mut rx) = log(8);
        log.lines(LogSource::Sampan, "trap\n  0: main\n");
        assert_eq!(rx.try_recv().unwrap().line.text, "trap");
        assert_eq!(rx.try_recv().unwrap().line.text, "  0: main");
        assert!(rx.try_recv().is_err());
    }
}
