//! Label and field selectors.

mod fields;
mod labels;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::resources::Resource;

use super::{error::ApiError, params::Params};
use fields::FieldTerm;
use labels::Requirement;

/// Most requirements of one selector.
const MAX_REQUIREMENTS: usize = 64;

/// Which objects of a collection are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldTerm>,
}

impl Selector {
    /// Reads the selectors of a request for objects of this kind.
    ///
    /// Fails for what cannot be read, and for fields that objects of this kind are not selected by.
    pub(super) fn of(params: &Params, resource: &Resource) -> Result<Self, ApiError> {
        let labels = labels::parse(params.label_selector()).map_err(ApiError::BadRequest)?;
        let fields = fields::parse(params.field_selector(), resource).map_err(ApiError::BadRequest)?;
        if labels.len() + fields.len() > MAX_REQUIREMENTS {
            return Err(ApiError::BadRequest(format!("a selector has at most {MAX_REQUIREMENTS} requirements")));
        }
        Ok(Self { labels, fields })
    }

    /// Of the same objects the one with this name.
    pub(super) fn and_name(mut self, name: &str) -> Self {
        self.fields.push(FieldTerm::name(name));
        self
    }

    /// Whether every object is meant.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.holds(labels)) && self.fields.iter().all(|f| f.holds(object))
    }
}
