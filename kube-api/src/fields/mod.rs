//! What can be said of the fields of any object: what is wrong with one, which are honoured, and the forms of their values.
//!
//! It knows no kind. Kinds, pod templates and the Pods of users are described by it.

pub(crate) mod field;
pub mod honoured;
pub mod label_selector;
pub(crate) mod labels;
pub(crate) mod schema;
pub(crate) mod values;

use serde_json::Value;

pub use field::{Cause, FieldError, nearest};
pub use labels::{is_label_value, is_qualified_name};
pub use schema::{MAX_UNKNOWN_FIELDS, Schema, decode};

/// Elements of a list, none if it is not there.
pub(crate) fn list_at<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
