//! Watching: the changes of a collection as a stream of JSON lines, or of messages in protobuf.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::CancellationToken;

use store::{Item, Revision, Store, Versioned, Watch, WatchEvent};

use super::{
    accept::{Form, Notation},
    error::ApiError,
    frames::Frames,
    objects::{Objects, decode, prefix},
    params::Params,
    path::Target,
    protobuf,
    selector::Selector,
    table::Presentation,
    verbatim,
};

/// The longest that a watch lasts, whatever the client asks for: then it asks again.
const MAX_DURATION: Duration = Duration::from_secs(3600);
/// Objects that are read at a time when a watch begins.
const PAGE: usize = 64;
/// What such a page may hold of the store, if it is more than one object.
const MAX_PAGE_BYTES: usize = 256 << 10;
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
        let lines = Lines {
            presentation,
            selector,
            bookmarks: params.allow_watch_bookmarks(),
            frames: Frames::default(),
            first: true,
        };
        let (objects, prefix) = (store.clone(), prefix(target));
        let (from, initial) = match Start::of(params, store.revision())? {
            Start::After(revision) => (revision, None),
            Start::State => {
                let mut initial = Initial::of(objects, prefix.clone(), params.send_initial_events() == Some(true));
                initial.read_on().await?;
                (initial.revision, Some(initial))
            }
        };
        // Clients that write every field send 0, which is the server's own time.
        let wanted = params.timeout_seconds()?.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let deadline = wanted.unwrap_or(MAX_DURATION).min(MAX_DURATION);
        let events = store.watch(&prefix, from);
        let state = Watching { lines, initial, events, deadline: Instant::now() + deadline, shutdown, _permit: permit };
        let body = stream::unfold(state, |mut state| async {
            let line = state.next().await?;
            Some((Ok::<_, std::convert::Infallible>(line), state))
        });
        let media_type = match presentation.notation {
            Notation::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
            Notation::Json | Notation::Yaml => "application/json",
        };
        let mut response = Response::new(Body::from_stream(body));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
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

/// The objects that there are when a watch begins, read as the client takes them: what is held is one page at most.
struct Initial {
    store: Arc<dyn Store>,
    prefix: String,
    /// All of them are as they were at this revision.
    revision: Revision,
    /// The last one that was read; `None`: none was.
    after: Option<Arc<str>>,
    page: VecDeque<Item>,
    more: bool,
    /// Whether the client wants to know where they end.
    told_apart: bool,
}

impl Initial {
    fn of(store: Arc<dyn Store>, prefix: String, told_apart: bool) -> Self {
        let page = VecDeque::new();
        Self { store, prefix, revision: Revision(0), after: None, page, more: true, told_apart }
    }

    /// Reads the next page. Fails if what was is no longer known, so that the client has to begin again.
    async fn read_on(&mut self) -> Result<(), ApiError> {
        let page = match &self.after {
            None => {
                let page = self.store.list(&self.prefix, PAGE, None).await?;
                self.revision = page.revision;
                page
            }
            Some(after) => {
                let page = self.store.list_as_of(self.revision, &self.prefix, PAGE, Some(after)).await?;
                page.ok_or_else(|| ApiError::Expired { version: self.revision.to_string() })?
            }
        };
        let (found, mut bytes) = (page.items.len(), 0);
        let within = page.items.into_iter().enumerate().take_while(|(index, item)| {
            bytes += item.value.len();
            *index == 0 || bytes <= MAX_PAGE_BYTES
        });
        self.page.extend(within.map(|(_, item)| item));
        self.more = page.remaining > 0 || self.page.len() < found;
        if let Some(last) = self.page.back() {
            self.after = Some(last.key.clone());
        }
        Ok(())
    }

    /// `None`: all were told.
    async fn next(&mut self) -> Result<Option<Item>, ApiError> {
        if self.page.is_empty() && self.more {
            self.read_on().await?;
        }
        Ok(self.page.pop_front())
    }
}

/// One watch. A client that does not read holds its place in the store, and no more than a page of what there is: when the store
/// has gone on without it, it is told to list again.
struct Watching {
    lines: Lines,
    /// `None`: all that there was has been told.
    initial: Option<Initial>,
    events: Watch,
    deadline: Instant,
    shutdown: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Watching {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.lines.frames.pop() {
                return Some(frame);
            }
            if let Some(initial) = &mut self.initial {
                match initial.next().await {
                    Ok(Some(item)) => {
                        if self.lines.matches(&item.value, item.revision) {
                            self.lines.push("ADDED", &item.value, item.revision);
                        }
                    }
                    Ok(None) => {
                        if initial.told_apart {
                            self.lines.push_bookmark(initial.revision, true);
                        }
                        self.initial = None;
                    }
                    Err(error) => {
                        self.lines.push_line("ERROR", &error.to_status());
                        self.initial = None;
                        self.events = Watch::new(stream::empty());
                    }
                }
                continue;
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
    frames: Frames,
    /// Whether no object was told yet.
    first: bool,
}

impl Lines {
    fn push_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Put { value, revision, previous, .. } => self.push_change(previous, &value, revision),
            WatchEvent::Delete { revision, previous, .. } => {
                if self.matches(&previous.value, revision) {
                    self.push("DELETED", &previous.value, revision);
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
    fn push_change(&mut self, before: Option<Versioned>, now: &Bytes, revision: Revision) {
        let before = before.filter(|before| self.matches(&before.value, revision));
        match (before, self.matches(now, revision)) {
            (None, true) => self.push("ADDED", now, revision),
            (Some(_), true) => self.push("MODIFIED", now, revision),
            (Some(before), false) => self.push("DELETED", &before.value, revision),
            (None, false) => {}
        }
    }

    fn matches(&self, stored: &Bytes, revision: Revision) -> bool {
        let matches = |object: Value| self.selector.matches(&object);
        self.selector.is_empty() || self.read(stored, revision).is_some_and(matches)
    }

    fn read(&self, bytes: &Bytes, revision: Revision) -> Option<Value> {
        decode(self.presentation.resource, bytes, revision).inspect_err(|error| tracing::error!(%error)).ok()
    }

    fn push(&mut self, kind: &str, stored: &Bytes, revision: Revision) {
        let presentation = Presentation { now: crate::identity::now(), ..self.presentation };
        if presentation.notation == Notation::Protobuf {
            if let Some(object) = self.read(stored, revision) {
                self.push_line(kind, &presentation.event_object(object, self.first));
                self.first = false;
            }
            return;
        }
        let pieces = match presentation.form {
            Form::Object => verbatim::pieces(presentation.resource, stored, revision),
            Form::Table | Form::Metadata => decode(presentation.resource, stored, revision)
                .map(|object| vec![presentation.event_object(object, self.first).to_string().into()]),
        };
        match pieces {
            Ok(pieces) => {
                self.first = false;
                self.push_pieces(kind, pieces);
            }
            Err(error) => tracing::error!(%error, "a change was not told"),
        }
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
        if self.presentation.notation == Notation::Protobuf {
            match protobuf::write_event(kind, object) {
                Some(event) => self.frames.push(event),
                None => tracing::error!(%object, "a change has no form in protobuf"),
            }
            return self.frames.flush();
        }
        self.push_pieces(kind, vec![object.to_string().into()]);
    }

    fn push_pieces(&mut self, kind: &str, object: Vec<Bytes>) {
        self.frames.push(format!("{{\"type\":\"{kind}\",\"object\":"));
        object.into_iter().for_each(|piece| self.frames.push(piece));
        self.frames.push("}\n");
        self.frames.flush();
    }
}
