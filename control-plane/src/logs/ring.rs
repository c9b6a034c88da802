use std::collections::VecDeque;

use api::{Timestamp, replica::LogLine};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{MAX_BYTES, MAX_LINES};

/// What a line weighs beside its text.
const LINE_OVERHEAD_BYTES: usize = size_of::<LogLine>();

/// The last lines of one replica.
#[derive(Debug)]
pub(super) struct Ring {
    kept: Mutex<Kept>,
    /// The number of the next line, and told when there is one; closed with the replica.
    state: watch::Sender<RingState>,
}

/// How far a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RingState {
    pub(super) next: u64,
    pub(super) closed: bool,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// The number of the first kept line.
    first: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self { kept: Mutex::default(), state: watch::Sender::new(RingState { next: 0, closed: false }) }
    }
}

impl Ring {
    pub(super) fn append(&self, lines: Vec<LogLine>) {
        let next = {
            let mut kept = self.kept.lock();
            lines.into_iter().for_each(|line| kept.push(line));
            kept.first + kept.lines.len() as u64
        };
        self.state.send_modify(|state| state.next = next);
    }

    pub(super) fn open(&self) {
        self.state.send_modify(|state| state.closed = false);
    }

    pub(super) fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<RingState> {
        self.state.subscribe()
    }

    /// Where a reader starts that wants the last `tail` lines since `since`.
    pub(super) fn start(&self, tail: Option<usize>, since: Option<Timestamp>) -> u64 {
        let kept = self.kept.lock();
        let by_time = since.map_or(0, |since| kept.lines.iter().take_while(|line| line.at < since).count());
        let by_count = tail.map_or(0, |tail| kept.lines.len().saturating_sub(tail));
        kept.first + by_time.max(by_count) as u64
    }

    /// At most `limit` lines from number `from`, and the number of the first of them, which is later if lines were lost.
    pub(super) fn read(&self, from: u64, limit: usize) -> (u64, Vec<LogLine>) {
        let kept = self.kept.lock();
        let first = from.max(kept.first);
        let skip = usize::try_from(first - kept.first).unwrap_or(usize::MAX).min(kept.lines.len());
        (first, kept.lines.range(skip..).take(limit).cloned().collect())
    }
}

impl Kept {
    fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len() + LINE_OVERHEAD_BYTES;
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.text.len() + LINE_OVERHEAD_BYTES;
            self.first += 1;
        }
    }
}
