//! Bodies in protobuf, which kubectl sends when it makes an object from its command line, whatever the server says: of the
//! kinds that are made so, and of the Evictions of `kubectl drain`.
//!
//! One decoder goes by tables of fields (`tables`) to the JSON that the rest of the server reads. A field that no table names is
//! never dropped in silence: the body is not taken, and the answer says how to send the object otherwise.

mod decode;
mod tables;
mod wire;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use decode::{Unreadable, message};
use wire::{Malformed, Wire, fields};

use crate::notation::Found;

/// What such a body begins with. Then comes `runtime.Unknown`, which names the kind (1) and holds the object (2).
const MAGIC: &[u8] = b"k8s\0";

/// The object as JSON would have it; `None` if it is of a kind, or says something, that is not read in this form.
pub(super) fn parse(body: &[u8]) -> Result<Option<Value>, Malformed> {
    match object(body) {
        Ok(object) => Ok(Some(object)),
        Err(Unreadable::Unknown) => Ok(None),
        Err(Unreadable::Malformed(malformed)) => Err(malformed),
    }
}

fn object(body: &[u8]) -> Result<Value, Unreadable> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Unreadable::Unknown)?;
    let (mut kind, mut raw) = (serde_json::Map::new(), &[][..]);
    let found = Found::default();
    for field in fields(envelope) {
        match field? {
            (1, Wire::Bytes(bytes)) => kind = message(tables::TYPE_META, bytes, &found)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            // How the object is encoded, which is always like this.
            _ => {}
        }
    }
    let named = |field: &str| kind.get(field).and_then(Value::as_str).unwrap_or_default();
    let table = tables::of_kind(named("apiVersion"), named("kind")).ok_or(Unreadable::Unknown)?;
    let mut object = message(table, raw, &found)?;
    object.entry("metadata").or_insert_with(|| json!({}));
    object.append(&mut kind);
    Ok(Value::Object(object))
}
