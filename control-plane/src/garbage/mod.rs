//! Garbage collection: objects go when all of their owners are gone, and owners wait for what they own where their deletion
//! asks for it. As Kubernetes' own collector (`pkg/controller/garbagecollector`), with a watch for its informers.
//!
//! `graph` knows who owns whom and decides, purely; this follows the stores and carries out. Live objects, which are the
//! shell's, are never deleted here: they keep owners waiting, and own.

mod action;
mod graph;
mod node;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt, future::join_all};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use graph::{Graph, Verdict};
use store::{Store, StoreError, Watch, WatchEvent};

/// Objects read from a store at a time.
const PAGE: usize = 1000;
/// Objects that are changed at the same time: the store makes them durable together.
const MAX_AT_ONCE: usize = 64;
/// The wait after a failed write.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// After a start Pods and Nodes are made again from what workers say: until then those that are missing are not gone.
const LIVE_SETTLES: Duration = Duration::from_secs(60);

/// Collects until the token is cancelled. Fails if a store cannot be read.
pub(crate) async fn run(
    durable: Arc<dyn Store>,
    live: Arc<dyn Store>,
    shutdown: CancellationToken,
) -> Result<(), StoreError> {
    let mut collector =
        Collector { durable, live, graph: Graph::default(), due: BTreeSet::new(), failed: BTreeSet::new() };
    let (mut stored, mut living) = collector.load().await?;
    let settled = Instant::now() + LIVE_SETTLES;
    let mut retry_at = None;
    loop {
        collector.collect().await;
        if !collector.failed.is_empty() && retry_at.is_none() {
            retry_at = Some(Instant::now() + RETRY_AFTER);
        }
        let event = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            event = stored.next() => event,
            event = living.next() => event,
            () = tokio::time::sleep_until(retry_at.unwrap_or(settled)), if retry_at.is_some() || !collector.graph.is_settled() => {
                if retry_at.take().is_some() {
                    collector.due.append(&mut collector.failed);
                } else {
                    collector.due.extend(collector.graph.settle());
                }
                continue;
            }
        };
        match event {
            Some(WatchEvent::Put { key, value, revision, .. }) => {
                collector.due.extend(collector.graph.put(&key, &value, revision));
            }
            Some(WatchEvent::Delete { key, .. }) => collector.due.extend(collector.graph.remove(&key)),
            Some(WatchEvent::Progress(_)) => {}
            Some(WatchEvent::Compacted) | None => {
                (stored, living) = collector.load().await?;
            }
        }
    }
}

struct Collector {
    durable: Arc<dyn Store>,
    live: Arc<dyn Store>,
    graph: Graph,
    /// Objects that are to be judged.
    due: BTreeSet<Arc<str>>,
    /// Those whose judgement could not be carried out.
    failed: BTreeSet<Arc<str>>,
}

impl Collector {
    /// Reads both stores anew; answers watches from there.
    async fn load(&mut self) -> Result<(Watch, Watch), StoreError> {
        let settled = self.graph.is_settled();
        self.graph = Graph::default();
        if settled {
            self.graph.settle();
        }
        let mut watches = Vec::with_capacity(2);
        for store in [self.durable.clone(), self.live.clone()] {
            let (mut first, mut after) = (None, None::<Arc<str>>);
            loop {
                let page = store.list("", PAGE, after.as_deref()).await?;
                first.get_or_insert(page.revision);
                for item in &page.items {
                    self.graph.put(&item.key, &item.value, item.revision);
                }
                after = page.items.last().map(|item| item.key.clone());
                if page.remaining == 0 {
                    break;
                }
            }
            watches.push(store.watch("", first.unwrap_or_default()));
        }
        self.due = self.graph.to_judge();
        let living = watches.pop().expect("there are two stores");
        Ok((watches.pop().expect("there are two stores"), living))
    }

    /// Judges what is due, and carries it out. What others changed in between is judged again when their change is told.
    async fn collect(&mut self) {
        while !self.due.is_empty() {
            let mut verdicts = Vec::with_capacity(MAX_AT_ONCE);
            while verdicts.len() < MAX_AT_ONCE
                && let Some(key) = self.due.pop_first()
            {
                match self.graph.judge(&key) {
                    Verdict::Keep => {}
                    Verdict::OrphanDependents(dependents) => {
                        let uid = self.graph.uid(&key).unwrap_or_default().to_owned();
                        verdicts.extend(dependents.into_iter().map(|key| (key, Verdict::Release(vec![uid.clone()]))));
                    }
                    verdict => verdicts.push((key, verdict)),
                }
            }
            let (store, graph) = (&*self.durable, &self.graph);
            let done = join_all(verdicts.into_iter().map(|(key, verdict)| async move {
                let result = action::carry_out(store, &key, graph.node(&key), &verdict).await;
                (key, result)
            }));
            for (key, result) in done.await {
                match result {
                    Ok(()) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => {
                        tracing::warn!(%key, %error, "an object could not be collected; it is tried again");
                        self.failed.insert(key);
                    }
                }
            }
        }
    }
}
