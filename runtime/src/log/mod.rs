//! What a replica says: its lines, cut, bounded and sent to the session without waiting.

mod lines;
mod rate;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use api::{
    ReplicaId, Timestamp,
    replica::{LogLine, LogSource},
};
use tokio::sync::mpsc;

pub(crate) use lines::LineSplitter;

use rate::LineRate;

/// Lines of all replicas of a worker that wait for its session. Beyond it they are dropped and counted.
pub(crate) const LOG_QUEUE: usize = 8192;

/// The log of one replica.
pub(crate) struct ReplicaLog {
    id: ReplicaId,
    queue: mpsc::Sender<(ReplicaId, LogLine)>,
    rate: LineRate,
    dropped: AtomicU64,
}

impl ReplicaLog {
    pub(crate) fn new(id: ReplicaId, queue: mpsc::Sender<(ReplicaId, LogLine)>) -> Self {
        Self { id, queue, rate: LineRate::default(), dropped: AtomicU64::new(0) }
    }

    /// Writes one line. It never waits: when there is no room, the line is dropped, and the next that fits is
    /// preceded by how many were.
    pub(crate) fn line(&self, source: LogSource, text: impl Into<String>) {
        let at = now();
        if !self.rate.admit(at.as_secs()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let notice = format!("{dropped} lines were dropped: they came faster than the log takes them");
            if !self.send(at, LogSource::Sampan, notice) {
                self.dropped.fetch_add(dropped, Ordering::Relaxed);
            }
        }
        if !self.send(at, source, text.into()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a text of several lines, such as a backtrace.
    pub(crate) fn lines(&self, source: LogSource, text: &str) {
        text.lines().for_each(|line| self.line(source, line));
    }

    fn send(&self, at: Timestamp, source: LogSource, mut text: String) -> bool {
        lines::cut(&mut text);
        self.queue.try_send((self.id.clone(), LogLine { at, source, text })).is_ok()
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

    fn log(capacity: usize) -> (ReplicaLog, mpsc::Receiver<(ReplicaId, LogLine)>) {
        let (tx, rx) = mpsc::channel(capacity);
        (ReplicaLog::new(ReplicaId(api::ObjectKey::new("shop", "cart-1")), tx), rx)
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_said_with_the_next_that_fits() {
        let (log, mut rx) = log(2);
        (0..5).for_each(|n| log.line(LogSource::Stdout, format!("line {n}")));
        assert_eq!(rx.try_recv().unwrap().1.text, "line 0");
        assert_eq!(rx.try_recv().unwrap().1.text, "line 1");
        log.line(LogSource::Stdout, "line 5");
        let notice = rx.try_recv().unwrap().1;
        assert_eq!(notice.source, LogSource::Sampan);
        assert!(notice.text.starts_with("3 lines were dropped"), "{}", notice.text);
        assert_eq!(rx.try_recv().unwrap().1.text, "line 5");
    }

    #[test]
    fn a_backtrace_becomes_one_line_each() {
        let (log, mut rx) = log(8);
        log.lines(LogSource::Sampan, "trap\n  0: main\n");
        assert_eq!(rx.try_recv().unwrap().1.text, "trap");
        assert_eq!(rx.try_recv().unwrap().1.text, "  0: main");
        assert!(rx.try_recv().is_err());
    }
}
