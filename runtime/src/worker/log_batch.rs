use std::collections::HashMap;

use api::{
    ReplicaId,
    replica::{LogLine, LogSource},
    session::WorkerUp,
};
use tokio::sync::mpsc;

use crate::log;

/// Lines that go into the session at once.
pub(super) const BATCH_LINES: usize = 512;

/// Sends log lines up, by replica, without waiting. What does not fit is counted, and said when there is room again.
pub(super) struct LogBatches {
    /// Places in the session's queue that logs leave to others.
    reserved: usize,
    dropped: HashMap<ReplicaId, usize>,
}

impl LogBatches {
    pub(super) fn new(reserved: usize) -> Self {
        Self { reserved, dropped: HashMap::new() }
    }

    /// Sends these lines, which are in the order in which they were written.
    pub(super) fn send(&mut self, lines: impl IntoIterator<Item = (ReplicaId, LogLine)>, up: &mpsc::Sender<WorkerUp>) {
        let mut by_replica: HashMap<ReplicaId, Vec<LogLine>> = HashMap::new();
        for (id, line) in lines {
            by_replica.entry(id).or_default().push(line);
        }
        for (id, mut lines) in by_replica {
            let count = lines.len();
            let dropped = self.dropped.remove(&id).unwrap_or(0);
            if dropped > 0 {
                lines.insert(0, notice(dropped));
            }
            if up.capacity() <= self.reserved || up.try_send(WorkerUp::Log { id: id.clone(), lines }).is_err() {
                self.dropped.insert(id, dropped + count);
            }
        }
    }
}

fn notice(dropped: usize) -> LogLine {
    let text = format!("{dropped} lines were dropped: the control plane did not take them in time");
    LogLine { at: log::now(), source: LogSource::Sampan, text }
}

#[cfg(test)]
mod tests {
    use api::ObjectKey;

    use super::*;

    fn line(name: &str, text: &str) -> (ReplicaId, LogLine) {
        let id = ReplicaId(ObjectKey::new("shop", name));
        (id, LogLine { at: log::now(), source: LogSource::Stdout, text: text.to_owned() })
    }

    #[test]
    fn lines_that_the_session_does_not_take_are_counted_and_said_later() {
        let (tx, mut rx) = mpsc::channel(1);
        let mut batches = LogBatches::new(0);
        batches.send([line("a", "1"), line("a", "2")], &tx);
        batches.send([line("a", "3")], &tx);
        let texts = |message| match message {
            WorkerUp::Log { lines, .. } => lines.into_iter().map(|line| line.text).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(texts(rx.try_recv().unwrap()), ["1", "2"]);
        batches.send([line("a", "4")], &tx);
        let later = texts(rx.try_recv().unwrap());
        assert!(later[0].starts_with("1 lines were dropped"), "{later:?}");
        assert_eq!(later[1], "4");
    }
}
