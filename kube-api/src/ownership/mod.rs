//! Who set which fields of an object: server-side apply, and what every other write leaves behind in `metadata.managedFields`.
//!
//! The behaviour is that of Kubernetes, whose clients read it. Where a field is in the schema decides how it is merged: lists
//! by keys, sets, and what is atomic has one owner. Unlike Kubernetes, all owners name fields as the version has them in which
//! an object is stored.

mod apply;
mod compare;
mod fields;
mod merge;
mod owners;
mod place;
mod remove;
mod set;
mod step;
mod update;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use apply::{Conflict, NotApplied, apply};
pub use owners::{Entry, MAX_UPDATERS, Operation, Owners, UnreadableOwners};
pub use place::Unmergeable;
pub use set::FieldSet;
pub use step::Step;
pub use update::update;

use crate::schema::{MessageId, Schemas};

/// A kind in the version in which an object is stored.
#[derive(Debug, Clone, Copy)]
pub struct Kind<'s> {
    /// All schemas.
    pub schemas: &'s Schemas,
    /// That of the kind.
    pub root: MessageId,
}

/// Who writes, and how.
#[derive(Debug, Clone)]
pub struct Writer {
    /// What it calls itself.
    pub manager: String,
    /// For example `apps/v1`.
    pub api_version: String,
    /// Through which path below the object; empty: through its own.
    pub subresource: String,
    /// When, as Kubernetes writes times.
    pub now: String,
    /// The fields that writes through this path can set.
    pub reach: Reach,
}

/// The fields that writes through a path can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    All,
    /// All but the status, which has a path of its own.
    NotStatus,
    /// The status alone.
    Status,
}

impl Reach {
    fn covers(self, top: &Step) -> bool {
        let status = *top == Step::Field("status".to_owned());
        match self {
            Self::All => true,
            Self::NotStatus => !status,
            Self::Status => status,
        }
    }
}

/// An object without what nobody can own.
fn owned_part(object: &Value) -> Value {
    const NOT_OWNED: [&str; 8] =
        ["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"];
    let mut part = object.clone();
    if let Some(fields) = part.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| !NOT_OWNED.contains(&name.as_str()));
            if metadata.is_empty() {
                fields.remove("metadata");
            }
        }
    }
    part
}
