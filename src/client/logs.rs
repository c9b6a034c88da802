//! Reads the logs of replicas, and of replicas yet to come.

use std::{collections::HashSet, pin::pin};

use futures::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api,
    api::LogParams,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{sync::mpsc, task::JoinSet};

use super::connection::Connection;

/// Lines that wait to be printed before the readers wait.
pub(crate) const LINE_QUEUE: usize = 1024;

/// Logs that are followed at the same time.
pub(crate) const MAX_FOLLOWED: usize = 256;

/// One line of a replica's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodLine {
    pub(crate) pod: String,
    pub(crate) text: String,
}

/// Which part of a log is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogOptions {
    /// The last so many lines before what is new.
    pub(crate) tail: Option<i64>,
    /// Go on with what is written from now on.
    pub(crate) follow: bool,
    /// Begin each line with its time.
    pub(crate) timestamps: bool,
}

impl From<&LogOptions> for LogParams {
    fn from(options: &LogOptions) -> Self {
        Self { follow: options.follow, tail_lines: options.tail, timestamps: options.timestamps, ..Self::default() }
    }
}

/// Sends the lines of one Pod's log until it ends, or nobody reads any more.
pub(crate) async fn read(
    connection: &Connection,
    namespace: &str,
    pod: &str,
    options: &LogOptions,
    lines: &mpsc::Sender<PodLine>,
) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(connection.client(), namespace);
    let stream = pods.log_stream(pod, &options.into()).await.map_err(|error| connection.explain(error))?;
    let (mut stream, mut line) = (pin!(stream), Vec::new());
    while stream.read_until(b'\n', &mut line).await? > 0 {
        // A line that is no text is shown as far as it is.
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        line.clear();
        if lines.send(PodLine { pod: pod.to_owned(), text }).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Follows the logs of every Pod that matches, those that come later included, up to [`MAX_FOLLOWED`] at a
/// time. Ends when nobody reads any more; dropping it ends it too.
pub(crate) async fn follow_all(
    connection: &Connection,
    pods: Api<Pod>,
    selector: &str,
    options: LogOptions,
    lines: mpsc::Sender<PodLine>,
) {
    let mut watch = watcher(pods, watcher::Config::default().labels(selector)).default_backoff().boxed();
    let mut readers = JoinSet::new();
    let mut followed = HashSet::new();
    loop {
        let (pod, options) = tokio::select! {
            () = lines.closed() => return,
            Some(Ok(unread)) = readers.join_next() => {
                // A log that could not be read yet is read when its Pod is heard of again.
                followed.remove(&unread);
                continue;
            }
            event = watch.next() => match event {
                None => return,
                Some(Ok(watcher::Event::InitApply(pod))) => (pod, options.clone()),
                // Of a replica that came later, all is news.
                Some(Ok(watcher::Event::Apply(pod))) => (pod, LogOptions { tail: None, ..options.clone() }),
                Some(_) => continue,
            },
        };
        let (Some(name), Some(namespace)) = (pod.metadata.name, pod.metadata.namespace) else { continue };
        if is_started(pod.status.as_ref()) && readers.len() < MAX_FOLLOWED && followed.insert(name.clone()) {
            let (connection, lines) = (connection.clone(), lines.clone());
            readers.spawn(async move {
                let read = read(&connection, &namespace, &name, &options, &lines).await;
                if read.is_ok() { String::new() } else { name }
            });
        }
    }
}

fn is_started(status: Option<&PodStatus>) -> bool {
    status.and_then(|status| status.phase.as_deref()).is_some_and(|phase| phase != "Pending")
}
