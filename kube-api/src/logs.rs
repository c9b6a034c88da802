//! What replicas write, as the API asks for it: whoever serves the API keeps it.

use api::{ReplicaId, Timestamp, replica::LogLine};
use futures::stream::BoxStream;

/// Whether a reader waits for what is yet to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Until the replica is gone.
    Yes,
    /// Ends with what is there.
    No,
}

/// Which part of a log is read.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// Only the last lines that are there now; `None`: all that are kept.
    pub tail: Option<usize>,
    /// Only lines written since then.
    pub since: Option<Timestamp>,
    /// Whether to wait for more.
    pub follow: Follow,
}

/// What a reader of a log is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// A line.
    Line(LogLine),
    /// So many lines were lost because the reader was slower than the writer.
    Skipped(u64),
}

/// The logs of all Pods, as far as they are kept.
pub trait PodLogs: Send + Sync + 'static {
    /// Opens a Pod's log. `None` if there is no such Pod, and none is remembered.
    fn open(&self, id: &ReplicaId, query: LogQuery) -> Option<BoxStream<'static, LogItem>>;
    /// Makes a Pod known, so that its log can be opened before it has written anything.
    fn announce(&self, id: &ReplicaId);
    /// Adds lines, oldest first.
    fn append(&self, id: &ReplicaId, lines: Vec<LogLine>, now: Timestamp);
    /// Says that a Pod writes no more: followers end.
    fn retire(&self, id: &ReplicaId, now: Timestamp);
}
