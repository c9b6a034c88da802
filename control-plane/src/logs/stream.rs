use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, stream::BoxStream};
use tokio::sync::watch;

use super::{Follow, LogItem, LogQuery, ring::Ring, ring::RingState};

/// Lines that a reader takes from the ring at a time.
const READ_AHEAD: usize = 256;

/// A replica's log as a stream. It ends at the end of what is there or, when it follows, when the replica is gone.
pub struct LogStream {
    items: BoxStream<'static, LogItem>,
}

impl LogStream {
    pub(super) fn new(ring: Arc<Ring>, query: LogQuery) -> Self {
        let state = ring.subscribe();
        let at = ring.start(query.tail, query.since);
        let reader = Reader { ring, state, at, follow: query.follow, ready: VecDeque::new() };
        let items = futures::stream::unfold(reader, |mut reader| async {
            let item = reader.next().await?;
            Some((item, reader))
        });
        Self { items: items.boxed() }
    }
}

impl Stream for LogStream {
    type Item = LogItem;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LogItem>> {
        self.items.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for LogStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStream").finish_non_exhaustive()
    }
}

struct Reader {
    ring: Arc<Ring>,
    state: watch::Receiver<RingState>,
    /// The number of the next line to read.
    at: u64,
    follow: Follow,
    ready: VecDeque<LogItem>,
}

impl Reader {
    async fn next(&mut self) -> Option<LogItem> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let state = *self.state.borrow_and_update();
            let (first, lines) = self.ring.read(self.at, READ_AHEAD);
            if first > self.at {
                self.ready.push_back(LogItem::Skipped(first - self.at));
            }
            self.at = first + lines.len() as u64;
            self.ready.extend(lines.into_iter().map(LogItem::Line));
            if !self.ready.is_empty() {
                continue;
            }
            if self.follow == Follow::No || state.closed {
                return None;
            }
            self.state.changed().await.ok()?;
        }
    }
}
