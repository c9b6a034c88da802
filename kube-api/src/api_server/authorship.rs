//! Who writes, and what `managedFields` say of it afterwards.

use http::{HeaderMap, header, request::Parts};
use serde_json::Value;

use crate::{
    ownership::{self, Kind, NotApplied, Owners, Reach, Writer},
    resources::{Resource, Subresource},
    schema::{self, Gvk},
};

use super::{
    body::{APPLY, media_type},
    error::ApiError,
    guard::Asker,
    metadata::rfc3339_now,
    params::Params,
    path::Target,
};

/// As Kubernetes: the longest name of a manager.
const MAX_MANAGER_BYTES: usize = 128;
/// What is kept of owners of one object, as JSON: beyond that nobody owns anything of it.
const MAX_OWNERS_BYTES: usize = 256 << 10;
/// As Kubernetes calls who says nothing of itself.
const UNKNOWN: &str = "unknown";

/// Who writes, and how.
#[derive(Debug)]
pub(super) struct Authorship {
    manager: String,
    /// Through which path below the object.
    below: Option<Subresource>,
    /// Whether it is a server-side apply.
    applies: bool,
    /// Whether that takes fields from others.
    force: bool,
    /// Who asks, and what they may do.
    asker: Option<Asker>,
}

impl Authorship {
    pub(super) fn of(params: &Params, request: &Parts, below: Option<Subresource>) -> Result<Self, ApiError> {
        let applies = media_type(&request.headers) == APPLY && request.method == http::Method::PATCH;
        let named = params.field_manager();
        if named.len() > MAX_MANAGER_BYTES || named.chars().any(char::is_control) {
            let why =
                format!("fieldManager: may not be longer than {MAX_MANAGER_BYTES} bytes, nor hold control characters");
            return Err(ApiError::BadRequest(why));
        }
        if params.force().is_some() && !applies {
            return Err(ApiError::BadRequest(
                "force: may not be specified for a patch that is no apply patch".to_owned(),
            ));
        }
        let manager = if named.is_empty() { program(&request.headers) } else { named };
        let asker = request.extensions.get::<Asker>().cloned();
        Ok(Self { manager: manager.to_owned(), below, applies, force: params.force().unwrap_or(false), asker })
    }

    /// Whether what is written gives nobody more than its writer has.
    pub(super) fn may_give(&self, target: &Target, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
        self.asker.as_ref().map_or(Ok(()), |asker| asker.may_give(target, old, new))
    }

    /// Whether they may make an object by a request that changes one.
    pub(super) fn may_create(&self, target: &Target) -> Result<(), ApiError> {
        self.asker.as_ref().map_or(Ok(()), |asker| asker.may_create(target))
    }

    fn writer(&self, resource: &Resource) -> Writer {
        let reach = match self.below {
            Some(Subresource::Status) => Reach::Status,
            _ if resource.subresources.contains(&Subresource::Status) => Reach::NotStatus,
            _ => Reach::All,
        };
        Writer {
            manager: self.manager.clone(),
            api_version: resource.api_version(),
            subresource: self.below.map(Subresource::name).unwrap_or_default().to_owned(),
            now: rfc3339_now(),
            reach,
        }
    }

    /// What is there, with what is applied in it and with its owners then.
    pub(super) fn apply(&self, resource: &Resource, live: &Value, applied: &Value) -> Result<Value, ApiError> {
        let Some(kind) = kind(resource) else {
            return Err(ApiError::BadRequest(format!("{} cannot be applied: use another patch", resource.plural)));
        };
        let outcome = ownership::apply(kind, live, applied, &self.writer(resource), self.force);
        let (mut merged, owners) = outcome.map_err(|error| match error {
            NotApplied::Conflicts(_) => ApiError::ApplyConflict { conflicts: error },
            NotApplied::Unmergeable(_) | NotApplied::Owners(_) => ApiError::BadRequest(error.to_string()),
        })?;
        owners.put_into(&mut merged);
        let bytes = size(&merged);
        if bytes > MAX_OWNERS_BYTES {
            let why = format!(
                "the owners of the fields would take {bytes} bytes, and {MAX_OWNERS_BYTES} are kept: apply fewer fields, or use another patch"
            );
            return Err(ApiError::TooLarge { why });
        }
        Ok(merged)
    }

    /// Writes into an object who owns its fields. `claimed` is what its writer says of that; `live` the object as it was.
    pub(super) fn own(&self, resource: &Resource, live: Option<&Value>, new: &mut Value, claimed: &Claimed) {
        // What cannot be read is nobody's.
        let before = live.and_then(|live| Owners::of(live).ok()).unwrap_or_default();
        let owners = match claimed {
            Claimed::Owners(owners) if self.below != Some(Subresource::Status) || self.applies => owners.clone(),
            _ => before.clone(),
        };
        let owners = match kind(resource) {
            Some(kind) if !self.applies => {
                ownership::update(kind, live, new, owners, &self.writer(resource)).unwrap_or(before)
            }
            _ => owners,
        };
        owners.put_into(new);
        if size(new) > MAX_OWNERS_BYTES {
            Owners::default().put_into(new);
        }
    }
}

/// What the owners of an object take.
fn size(object: &Value) -> usize {
    match &object["metadata"]["managedFields"] {
        Value::Null => 0,
        owners => owners.to_string().len(),
    }
}

/// What a writer says of the owners of an object.
#[derive(Debug)]
pub(super) enum Claimed {
    /// Nothing that can be read: they are as they were.
    Nothing,
    Owners(Owners),
}

impl Claimed {
    /// Takes it out of the object.
    pub(super) fn taken_from(object: &mut Value) -> Self {
        let owners = match object["metadata"]["managedFields"].is_null() {
            true => None,
            // More than is kept is not looked at: it is for whoever writes it to say less.
            false if size(object) > MAX_OWNERS_BYTES => None,
            false => Owners::of(object).ok(),
        };
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        owners.map_or(Self::Nothing, Self::Owners)
    }
}

/// The kind of a resource, as its objects are stored; `None`: nobody owns fields of it.
fn kind(resource: &Resource) -> Option<Kind<'static>> {
    let schemas = schema::served();
    let root = schemas.kind_id(&Gvk::of(&resource.api_version(), resource.kind))?;
    Some(Kind { schemas, root })
}

/// What a client calls itself.
fn program(headers: &HeaderMap) -> &str {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    match agent.split('/').next().unwrap_or_default() {
        "" => UNKNOWN,
        name => &name[..name.floor_char_boundary(MAX_MANAGER_BYTES)],
    }
}
