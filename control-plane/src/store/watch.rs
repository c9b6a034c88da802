use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt, stream::BoxStream};

use super::{Revision, WatchEvent, index::Index};

/// How often a watcher that has nothing to tell says how far it is.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// Changes that a watcher takes from the log at a time.
const READ_AHEAD: usize = 256;

/// The changes of a store, as a stream. It holds no lock and no buffer of note: it reads on in the store's log.
pub struct Watch {
    events: BoxStream<'static, WatchEvent>,
}

impl Watch {
    /// A watch made of any stream of events, for stores of other kinds.
    pub fn new(events: impl Stream<Item = WatchEvent> + Send + 'static) -> Self {
        Self { events: events.boxed() }
    }

    pub(super) fn of_index(index: Arc<Index>, prefix: String, from: Revision) -> Self {
        let changed = index.subscribe();
        let reader =
            Reader { index, changed, prefix, told: from, caught_up: None, ready: VecDeque::new(), ended: false };
        Self::new(futures::stream::unfold(reader, |mut reader| async {
            let event = reader.next().await?;
            Some((event, reader))
        }))
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.events.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

struct Reader {
    index: Arc<Index>,
    changed: tokio::sync::watch::Receiver<Revision>,
    prefix: String,
    /// Everything up to here has been read.
    told: Revision,
    /// The last progress that was told; `None` until the watcher has caught up once.
    caught_up: Option<Revision>,
    ready: VecDeque<WatchEvent>,
    ended: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.changed.mark_unchanged();
            let Some((changes, up_to)) = self.index.changes_after(self.told, &self.prefix, READ_AHEAD) else {
                self.ended = true;
                return Some(WatchEvent::Compacted);
            };
            self.told = up_to;
            self.ready.extend(changes.iter().filter_map(|change| change.to_event()));
            if !self.ready.is_empty() || up_to < self.index.revision() {
                continue;
            }
            if self.caught_up.is_none() {
                self.caught_up = Some(up_to);
                return Some(WatchEvent::Progress(up_to));
            }
            if let Some(progress) = self.wait().await {
                return Some(progress);
            }
        }
    }

    /// Waits for a change; if none comes for a while, says how far the watcher is.
    async fn wait(&mut self) -> Option<WatchEvent> {
        match tokio::time::timeout(PROGRESS_EVERY, self.changed.changed()).await {
            Ok(Ok(())) => None,
            // The sender lives in the index that this reader holds.
            Ok(Err(_)) => None,
            Err(_) if self.caught_up == Some(self.told) => None,
            Err(_) => {
                self.caught_up = Some(self.told);
                Some(WatchEvent::Progress(self.told))
            }
        }
    }
}
