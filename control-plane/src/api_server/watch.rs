//! Watching: the changes of a collection as a stream of JSON lines.

use std::{collections::VecDeque, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::store::{Revision, Watch, WatchEvent};

use super::{
    accept::Form,
    error::ApiError,
    objects::{Objects, decode, prefix},
    params::Params,
    path::Target,
    selector::Selector,
    table::Presentation,
};

/// The longest that a watch lasts, whatever the client asks for: then it asks again.
const MAX_DURATION: Duration = Duration::from_secs(3600);
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// From where a watch tells.
enum Start {
    /// Everything that there is, then changes.
    State,
    /// Changes after this revision.
    After(Revision),
}

impl Start {
    fn of(params: &Params, now: Revision) -> Result<Self, ApiError> {
        match (params.send_initial_events(), params.resource_version()) {
            (Some(true), _) | (None, "" | "0") => Ok(Self::State),
            (Some(false), "" | "0") => Ok(Self::After(now)),
            (_, version) => version
                .parse()
                .map(|version| Self::After(Revision(version)))
                .map_err(|_| ApiError::BadRequest(format!("resourceVersion `{version}` is not one of this server"))),
        }
    }
}

impl Objects {
    /// Starts a watch. The permit is held as long as it lasts.
    pub(super) async fn watch(
        &self,
        target: &Target,
        params: &Params,
        presentation: Presentation,
        permit: OwnedSemaphorePermit,
        shutdown: CancellationToken,
    ) -> Result<Response<Body>, ApiError> {
        let selector = selector_of(target, params)?;
        params.check_watch_version()?;
        let store = self.store(target.resource);
        let mut lines = Lines {
            presentation,
            selector,
            bookmarks: params.allow_watch_bookmarks(),
            ready: VecDeque::new(),
            first: true,
        };
        let from = match Start::of(params, store.revision())? {
            Start::After(revision) => revision,
            Start::State => {
                let listed = self.list_all(target, &lines.selector).await?;
                listed.objects.into_iter().for_each(|object| lines.push("ADDED", object));
                if params.send_initial_events() == Some(true) {
                    lines.push_bookmark(listed.revision, true);
                }
                listed.revision
            }
        };
        // Clients that write every field send 0, which is the server's own time.
        let wanted = params.timeout_seconds()?.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let deadline = wanted.unwrap_or(MAX_DURATION).min(MAX_DURATION);
        let events = store.watch(&prefix(target), from);
        let state = Watching { lines, events, deadline: Instant::now() + deadline, shutdown, _permit: permit };
        let body = stream::unfold(state, |mut state| async {
            let line = state.next().await?;
            Some((Ok::<_, std::convert::Infallible>(line), state))
        });
        let mut response = Response::new(Body::from_stream(body));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

/// A watch on one object is one on its collection, by its name.
fn selector_of(target: &Target, params: &Params) -> Result<Selector, ApiError> {
    let selector = Selector::of(params, target.resource)?;
    Ok(match &target.name {
        Some(name) => selector.and_name(name),
        None => selector,
    })
}

struct Watching {
    lines: Lines,
    events: Watch,
    deadline: Instant,
    shutdown: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Watching {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.ready.pop_front() {
                return Some(line);
            }
            let event = tokio::select! {
                event = self.events.next() => event?,
                () = tokio::time::sleep_until(self.deadline) => return None,
                () = self.shutdown.cancelled() => return None,
            };
            self.lines.push_event(event);
        }
    }
}

/// Turns changes of the store into lines for one client.
struct Lines {
    presentation: Presentation,
    selector: Selector,
    bookmarks: bool,
    ready: VecDeque<Bytes>,
    /// Whether no object was told yet.
    first: bool,
}

impl Lines {
    fn push_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Put { value, revision, previous, .. } => {
                let before = previous.and_then(|previous| self.read(&previous.value, revision));
                if let Some(object) = self.read(&value, revision) {
                    self.push_change(before, object);
                }
            }
            WatchEvent::Delete { revision, previous, .. } => {
                if let Some(object) =
                    self.read(&previous.value, revision).filter(|object| self.selector.matches(object))
                {
                    self.push("DELETED", object);
                }
            }
            WatchEvent::Progress(revision) if self.bookmarks => self.push_bookmark(revision, false),
            WatchEvent::Progress(_) => {}
            WatchEvent::Compacted => {
                let error = ApiError::Expired { version: "the one asked for".to_owned() };
                self.push_line("ERROR", &error.to_status());
            }
        }
    }

    /// To a client that selects, an object comes and goes as it begins and ceases to match.
    fn push_change(&mut self, before: Option<Value>, object: Value) {
        let matched = before.as_ref().is_some_and(|before| self.selector.matches(before));
        match (matched, self.selector.matches(&object), before) {
            (false, true, _) => self.push("ADDED", object),
            (true, true, _) => self.push("MODIFIED", object),
            (true, false, Some(before)) => self.push("DELETED", before),
            _ => {}
        }
    }

    fn read(&self, bytes: &Bytes, revision: Revision) -> Option<Value> {
        decode(self.presentation.resource, bytes, revision).inspect_err(|error| tracing::error!(%error)).ok()
    }

    fn push(&mut self, kind: &str, object: Value) {
        let presentation = Presentation { now: crate::identity::now(), ..self.presentation };
        let object = presentation.event_object(object, self.first);
        self.first = false;
        self.push_line(kind, &object);
    }

    fn push_bookmark(&mut self, revision: Revision, ends_initial_events: bool) {
        let resource = self.presentation.resource;
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if ends_initial_events {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let object = match self.presentation.form {
            Form::Table => json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "columnDefinitions": null, "rows": [] }),
            Form::Metadata => {
                json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
            }
            Form::Object => {
                json!({ "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata })
            }
        };
        self.push_line("BOOKMARK", &object);
    }

    fn push_line(&mut self, kind: &str, object: &Value) {
        let mut line = json!({ "type": kind, "object": object }).to_string();
        line.push('\n');
        self.ready.push_back(line.into());
    }
}
