//! How lists are merged: as the schema of a kind says.

use crate::schema::{self, Message, Patch, Shape};

/// How a list of a patch is put into the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListRule {
    /// It takes its place.
    Replace,
    /// Values that are not there yet are added.
    Set,
    /// Elements with the same value of this field are merged.
    Keyed(&'static str),
}

/// The rule for the list at this path (without indices) of an object of this kind.
pub(super) fn list_rule(kind: Option<&'static Message>, path: &str) -> ListRule {
    let field = kind.and_then(|kind| schema::served().field(kind, path.split('.')));
    match field.map(|field| (&field.patch, &field.shape)) {
        Some((Patch::Set, Shape::List(..))) => ListRule::Set,
        Some((Patch::By(key), Shape::List(..))) => ListRule::Keyed(key),
        _ => ListRule::Replace,
    }
}
