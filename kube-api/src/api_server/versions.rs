//! Versions of a kind: its objects are stored in one, and seen and written in others too.

use std::borrow::Cow;

use serde_json::Value;

use crate::resources::Resource;

use super::{error::ApiError, metadata::check_kind, path::Target, strictness::Strictness};

/// A stored object, as the version that was asked for has it.
pub(super) fn of_stored(resource: &Resource, object: Value) -> Value {
    match &resource.view {
        Some(view) => (view.of_stored)(object),
        None => object,
    }
}

/// An object that was written in the version of the target, as it is to be stored. Its fields are checked on the way.
pub(super) fn to_stored(target: &Target, mut object: Value, strictness: &Strictness) -> Result<Value, ApiError> {
    let Some(view) = &target.resource.view else { return Ok(object) };
    check_kind(target.resource, &mut object)?;
    let name = object["metadata"]["name"].as_str().or(target.name.as_deref()).unwrap_or_default().to_owned();
    let invalid = |errors| ApiError::Invalid { resource: target.resource, name: name.clone(), errors };
    strictness.prune(target.resource, &mut object)?;
    let errors = (target.resource.schema.check)(&object);
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    (view.to_stored)(object).map_err(|error| invalid(vec![error]))
}

/// The other way of [`of_stored`]: what columns and advice are made of.
pub(super) fn in_stored_form<'a>(resource: &Resource, object: &'a Value) -> Cow<'a, Value> {
    let stored = resource.view.as_ref().and_then(|view| (view.to_stored)(object.clone()).ok());
    stored.map_or(Cow::Borrowed(object), Cow::Owned)
}

impl Target {
    /// What the path names, in the version that is stored.
    pub(super) fn stored(&self) -> Self {
        Self { resource: self.resource.stored(), ..self.clone() }
    }
}
