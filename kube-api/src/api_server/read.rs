//! Listing. What is listed stays the store's: a client is sent it object by object, as it takes it.

use std::vec;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use store::{Item, Revision};

use crate::resources::Resource;

use super::{
    error::ApiError,
    frames::Frames,
    objects::{Objects, decode, prefix},
    params::{ListVersion, Params},
    path::Target,
    selector::Selector,
    table::Presentation,
};

/// Objects read from the store at a time.
const CHUNK: usize = 500;

/// Part of a collection.
pub(super) struct Listed {
    items: Vec<Item>,
    resource: &'static Resource,
    /// Watching from here misses nothing.
    pub(super) revision: Revision,
    /// Where the next part starts; `None`: there is none.
    next: Option<String>,
    /// Objects after this part, if that is known.
    remaining: Option<usize>,
}

impl Listed {
    /// The objects themselves.
    pub(super) fn objects(&self) -> Result<Vec<Value>, ApiError> {
        self.items.iter().map(|item| decode(self.resource, &item.value, item.revision)).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// As the body of an answer. A short one is made at once, a long one as the client takes it.
    pub(super) fn into_body(self, presentation: Presentation) -> Result<Body, ApiError> {
        let (start, end) = presentation.list_ends(&self.metadata());
        let mut frames = Frames::default();
        frames.push(start);
        let mut telling = Telling { items: self.items.into_iter(), presentation, frames, told: 0, end: Some(end) };
        let first = telling.next()?.unwrap_or_default();
        if telling.end.is_none() && telling.frames.is_empty() {
            return Ok(Body::from(first));
        }
        let rest = stream::unfold(telling, |mut telling| async {
            let frame = telling.next().inspect_err(|error| tracing::error!(%error, "a list broke off"));
            frame.map_err(std::io::Error::other).transpose().map(|frame| (frame, telling))
        });
        // Who compresses it asks again behind its end.
        Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest).fuse()))
    }

    /// The `metadata` of a list.
    fn metadata(&self) -> Value {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        if let Some(next) = &self.next {
            metadata["continue"] = json!(next);
            metadata["remainingItemCount"] = self.remaining.map_or(Value::Null, |remaining| json!(remaining));
        }
        metadata
    }
}

/// A list on its way to a client.
struct Telling {
    items: vec::IntoIter<Item>,
    presentation: Presentation,
    frames: Frames,
    told: usize,
    /// What stands behind the last object; `None`: it was told.
    end: Option<String>,
}

impl Telling {
    fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            if let Some(frame) = self.frames.pop() {
                return Ok(Some(frame));
            }
            match (self.items.next(), self.end.take()) {
                (Some(item), end) => {
                    self.end = end;
                    if self.told > 0 {
                        self.frames.push(",");
                    }
                    self.told += 1;
                    self.presentation.list_item(&item)?.into_iter().for_each(|piece| self.frames.push(piece));
                }
                (None, Some(end)) => {
                    self.frames.push(end);
                    self.frames.flush();
                }
                (None, None) => return Ok(None),
            }
        }
    }
}

impl Objects {
    /// At most `limit` objects of a collection that the selector matches.
    pub(super) async fn list(&self, target: &Target, selector: &Selector, params: &Params) -> Result<Listed, ApiError> {
        let limit = match params.limit()? {
            None | Some(0) => usize::MAX,
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        check_version(params.list_version()?, self.store(target.resource).revision())?;
        let start = match params.r#continue() {
            "" => None,
            token => Some(parse_token(token)?),
        };
        self.list_from(target, selector, limit, start).await
    }

    /// Every object of a collection that the selector matches.
    pub(super) async fn list_all(&self, target: &Target, selector: &Selector) -> Result<Listed, ApiError> {
        self.list_from(target, selector, usize::MAX, None).await
    }

    /// The first objects of a collection, at most so many.
    pub(super) async fn some(&self, target: &Target, at_most: usize) -> Result<Vec<Value>, ApiError> {
        self.list_from(target, &Selector::default(), at_most, None).await?.objects()
    }

    async fn list_from(
        &self,
        target: &Target,
        selector: &Selector,
        limit: usize,
        start: Option<(Revision, String)>,
    ) -> Result<Listed, ApiError> {
        let store = self.store(target.resource);
        let prefix = prefix(target);
        let resumed = start.is_some();
        let (mut revision, mut after) = match start {
            Some((revision, after)) => (Some(revision), Some(after)),
            None => (None, None),
        };
        let resource = target.resource;
        let mut items = Vec::new();
        loop {
            let at_most = CHUNK.min(limit - items.len());
            let page = match revision {
                None => store.list(&prefix, at_most, after.as_deref()).await?,
                // What comes after the first part is as it was then, so that together they are one list.
                Some(first) => match store.list_as_of(first, &prefix, at_most, after.as_deref()).await? {
                    Some(page) => page,
                    None if resumed => return Err(ApiError::Expired { version: first.to_string() }),
                    None => store.list(&prefix, at_most, after.as_deref()).await?,
                },
            };
            let revision = *revision.get_or_insert(page.revision);
            after = page.items.last().map(|item| item.key.to_string());
            for item in page.items {
                if selector.is_empty() || selector.matches(&decode(resource, &item.value, item.revision)?) {
                    items.push(item);
                }
            }
            let full = items.len() >= limit;
            if full || page.remaining == 0 {
                let next = after.filter(|_| page.remaining > 0).map(|after| token(revision, &after));
                let remaining = selector.is_empty().then_some(page.remaining);
                return Ok(Listed { items, resource, revision, next, remaining });
            }
            // A long list that is selected from is read object by object: others have their turn.
            tokio::task::yield_now().await;
        }
    }
}

/// What was is not kept, so only what is can be listed.
fn check_version(wanted: ListVersion, now: Revision) -> Result<(), ApiError> {
    match wanted {
        ListVersion::NotOlderThan(version) | ListVersion::Exact(version) if version > now.0 => {
            Err(ApiError::FromTheFuture { version, now: now.0 })
        }
        ListVersion::Exact(version) if version < now.0 => Err(ApiError::Expired { version: version.to_string() }),
        _ => Ok(()),
    }
}

fn token(revision: Revision, after: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{revision}:{after}"))
}

fn parse_token(token: &str) -> Result<(Revision, String), ApiError> {
    let parse = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (revision, after) = text.split_once(':')?;
        Some((Revision(revision.parse().ok()?), after.to_owned()))
    };
    parse().ok_or_else(|| ApiError::BadRequest("the continue token is not one of this server: list again".to_owned()))
}
