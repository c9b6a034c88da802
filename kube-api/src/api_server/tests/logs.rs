use std::{collections::HashMap, sync::Arc};

use api::{ReplicaId, Timestamp, replica::LogLine};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use crate::logs::{Follow, LogItem, LogQuery, PodLogs};

/// Logs that are kept whole, and never end.
#[derive(Debug, Clone, Default)]
pub(super) struct Logs(Arc<watch::Sender<HashMap<ReplicaId, Vec<LogLine>>>>);

impl PodLogs for Logs {
    fn open(&self, id: &ReplicaId, query: LogQuery) -> Option<BoxStream<'static, LogItem>> {
        let (logs, id) = (self.0.subscribe(), id.clone());
        let written = logs.borrow().get(&id)?.len();
        let at = written - query.tail.unwrap_or(written).min(written);
        let lines = stream::unfold((logs, at), move |(mut logs, at)| {
            let id = id.clone();
            async move {
                loop {
                    let line = logs.borrow_and_update()[&id].get(at).cloned();
                    if let Some(line) = line {
                        return Some((LogItem::Line(line), (logs, at + 1)));
                    }
                    if query.follow == Follow::No {
                        return None;
                    }
                    logs.changed().await.ok()?;
                }
            }
        });
        Some(lines.boxed())
    }

    fn announce(&self, id: &ReplicaId) {
        self.0.send_modify(|logs| {
            logs.entry(id.clone()).or_default();
        });
    }

    fn append(&self, id: &ReplicaId, lines: Vec<LogLine>, _: Timestamp) {
        self.0.send_modify(|logs| logs.entry(id.clone()).or_default().extend(lines));
    }

    fn retire(&self, _: &ReplicaId, _: Timestamp) {}
}
