use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt, stream::BoxStream};

use super::{
    Revision, WatchEvent,
    index::{Index, Place},
};

/// How often a watcher that has nothing to tell says how far it is.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// The changes of a store, as a stream. It holds no lock and no change: it reads on in the store's log when it is asked.
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
        let place = Place { told: from, within: 0 };
        let reader = Reader { index, changed, prefix, place, caught_up: None, ended: false };
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
    /// How far it has read.
    place: Place,
    /// The last progress that was told; `None` until the watcher has caught up once.
    caught_up: Option<Revision>,
    ended: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if self.ended {
                return None;
            }
            self.changed.mark_unchanged();
            let Some((change, place)) = self.index.next_change(self.place, &self.prefix) else {
                self.ended = true;
                return Some(WatchEvent::Compacted);
            };
            self.place = place;
            if let Some(change) = change {
                match change.to_event() {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            if self.caught_up.is_none() {
                self.caught_up = Some(place.told);
                return Some(WatchEvent::Progress(place.told));
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
            Err(_) if self.caught_up == Some(self.place.told) => None,
            Err(_) => {
                self.caught_up = Some(self.place.told);
                Some(WatchEvent::Progress(self.place.told))
            }
        }
    }
}
