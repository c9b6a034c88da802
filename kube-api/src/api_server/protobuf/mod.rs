//! Objects in protobuf, as kubectl sends what it makes from its command line, and as clients written in Go ask for what there
//! is. Both ways go by the schemas of the kinds, which have the numbers of Kubernetes' published `generated.proto` files.
//!
//! A field that no schema has is never dropped in silence: such a body is not taken, and the answer says how to send the object
//! otherwise.

mod decode;
mod encode;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use decode::{Unreadable, message};

use crate::{
    notation::Found,
    schema::{Gvk, Message, served},
    wire::{Malformed, Wire, Writer, fields},
};

/// What such a body says that it is.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What such a body begins with. Then comes `runtime.Unknown`, which names the kind (1) and holds the object (2).
const MAGIC: &[u8] = b"k8s\0";

/// The object as JSON would have it; `None` if it is of a kind, or says something, that no schema has.
pub(super) fn parse(body: &[u8]) -> Result<Option<Value>, Malformed> {
    match object(body) {
        Ok(object) => Ok(Some(object)),
        Err(Unreadable::Unknown) => Ok(None),
        Err(Unreadable::Malformed(malformed)) => Err(malformed),
    }
}

fn object(body: &[u8]) -> Result<Value, Unreadable> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Unreadable::Unknown)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in fields(envelope) {
        match field? {
            (1, Wire::Bytes(bytes)) => (api_version, kind) = type_meta(bytes)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            // How the object is encoded, which is always like this.
            _ => {}
        }
    }
    let schema = kind_of(&api_version, &kind).ok_or(Unreadable::Unknown)?;
    let mut object = message(schema, raw, &Found::default())?;
    object.entry("metadata").or_insert_with(|| json!({}));
    let names = [("apiVersion", api_version), ("kind", kind)].into_iter().filter(|(_, value)| !value.is_empty());
    object.extend(names.map(|(name, value)| (name.to_owned(), json!(value))));
    Ok(Value::Object(object))
}

fn type_meta(bytes: &[u8]) -> Result<(String, String), Unreadable> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    for field in fields(bytes) {
        match field? {
            (1, Wire::Bytes(bytes)) => decode::text(bytes)?.clone_into(&mut api_version),
            (2, Wire::Bytes(bytes)) => decode::text(bytes)?.clone_into(&mut kind),
            _ => return Err(Unreadable::Unknown),
        }
    }
    Ok((api_version, kind))
}

/// Clients name the kinds that all groups share by the version of what they ask for.
fn kind_of(api_version: &str, kind: &str) -> Option<&'static Message> {
    let of_all = || served().kind(&Gvk::of("v1", kind)).filter(|_| matches!(kind, "DeleteOptions" | "Status"));
    served().kind(&Gvk::of(api_version, kind)).or_else(of_all)
}

/// An object, a list of objects or the metadata of either, as such a body; `None`: no schema has its kind.
pub(super) fn write(object: &Value) -> Option<Vec<u8>> {
    let named = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (named("apiVersion"), named("kind"));
    let fields = object.as_object()?;
    let mut raw = Writer::default();
    match (kind_of(api_version, kind), kind.strip_suffix("List")) {
        (Some(schema), _) => encode::message(schema, fields, &mut raw),
        (None, None) if kind == METADATA => of_metadata(fields, &mut raw),
        (None, Some(METADATA)) => list(fields, &mut raw, of_metadata)?,
        (None, Some(of)) => {
            let schema = kind_of(api_version, of)?;
            list(fields, &mut raw, |item, out| encode::message(schema, item, out))?;
        }
        (None, None) => return None,
    }
    let mut envelope = Writer::from(MAGIC.to_vec());
    envelope.message(1, |of| {
        of.bytes(1, api_version.as_bytes());
        of.bytes(2, kind.as_bytes());
    });
    envelope.bytes(2, raw.written());
    envelope.bytes(3, b"");
    envelope.bytes(4, b"");
    Some(envelope.into_bytes())
}

/// The kind of an object of which nothing but its metadata is told.
const METADATA: &str = "PartialObjectMetadata";

fn shared(name: &str) -> &'static Message {
    served().named(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{name}")).expect("all groups share it")
}

fn of_metadata(object: &Map<String, Value>, out: &mut Writer) {
    if let Some(metadata) = object.get("metadata").and_then(Value::as_object) {
        out.message(1, |out| encode::message(shared("ObjectMeta"), metadata, out));
    }
}

/// Lists are the same of all kinds: their metadata (1) and their items (2).
fn list(fields: &Map<String, Value>, out: &mut Writer, write: impl Fn(&Map<String, Value>, &mut Writer)) -> Option<()> {
    if let Some(metadata) = fields.get("metadata").and_then(Value::as_object) {
        out.message(1, |out| encode::message(shared("ListMeta"), metadata, out));
    }
    for item in fields.get("items")?.as_array()? {
        out.message(2, |out| write(item.as_object().unwrap_or(&Map::new()), out));
    }
    Some(())
}

/// One change that a watch tells of, behind its length. `None`: no schema has the kind of the object.
pub(super) fn write_event(kind: &str, object: &Value) -> Option<Vec<u8>> {
    let object = write(object)?;
    let mut event = Writer::default();
    event.bytes(1, kind.as_bytes());
    event.message(2, |raw| raw.bytes(1, &object));
    let event = event.into_bytes();
    let length = u32::try_from(event.len()).ok()?.to_be_bytes();
    Some([&length[..], &event].concat())
}
