//! From protobuf to JSON, by tables of fields.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use crate::notation::Found;

use super::wire::{self, Malformed, Wire};

/// A field of a message: its number, its name in JSON, and what it holds.
#[derive(Debug)]
pub(super) struct Field(pub(super) u64, pub(super) &'static str, pub(super) Type);

/// What a field holds.
#[derive(Debug)]
pub(super) enum Type {
    Text,
    /// Bytes, which JSON has as Base64.
    Bytes,
    /// A number that Go always writes: zero says nothing.
    Number,
    /// A number that Go writes if it is set: zero says something.
    OptionalNumber,
    /// As [`Type::Number`].
    Flag,
    /// As [`Type::OptionalNumber`].
    OptionalFlag,
    Quantity,
    /// A count or a percentage, or a port's number or name.
    IntOrString,
    /// A moment; one that is not set says nothing.
    Time,
    /// A message whose fields JSON has beside those of the one that holds it.
    Inlined(&'static [Field]),
    Message(&'static [Field]),
    /// A message that Go writes if it is set: one without fields says something.
    OptionalMessage(&'static [Field]),
    List(&'static Type),
    Map(&'static Type),
    /// Not the client's to say.
    Ignored,
}

/// Why a message was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It says something that no table knows.
    Unknown,
    Malformed(Malformed),
}

/// More than a body may hold.
impl From<String> for Unreadable {
    fn from(too_much: String) -> Self {
        Malformed(too_much.into()).into()
    }
}

impl From<Malformed> for Unreadable {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

const QUANTITY: &[Field] = &[Field(1, "string", Type::Text)];
const INT_OR_STRING: &[Field] =
    &[Field(1, "type", Type::Number), Field(2, "number", Type::Number), Field(3, "text", Type::Text)];
const TIME: &[Field] = &[Field(1, "seconds", Type::Number), Field(2, "nanos", Type::Number)];

/// The fields of a message that say something; what they take in memory is noted, as of other notations.
pub(super) fn message(table: &[Field], bytes: &[u8], found: &Found) -> Result<Map<String, Value>, Unreadable> {
    let mut object = Map::new();
    for field in wire::fields(bytes) {
        let (number, value) = field?;
        let Some(Field(_, name, holds)) = table.iter().find(|Field(known, ..)| *known == number) else {
            // Go writes most fields though they were never set.
            match value {
                Wire::Number(0) | Wire::Bytes([]) => continue,
                _ => return Err(Unreadable::Unknown),
            }
        };
        if let Type::Inlined(table) = holds {
            if let Value::Object(mut fields) = read(&Type::Message(table), value, found)? {
                object.append(&mut fields);
            }
            continue;
        }
        if !object.contains_key(*name) {
            found.key(&object, name)?;
        }
        match (holds, object.entry(*name)) {
            (Type::Ignored, _) => {}
            (Type::List(element), list) => {
                if let Value::Array(list) = list.or_insert_with(|| json!([])) {
                    list.push(read(element, value, found)?);
                }
            }
            (Type::Map(element), map) => {
                if let Value::Object(map) = map.or_insert_with(|| json!({})) {
                    let (key, value) = entry(element, value, found)?;
                    if !map.contains_key(&key) {
                        found.key(map, &key)?;
                    }
                    map.insert(key, value);
                }
            }
            (holds, place) => {
                let value = read(holds, value, found)?;
                if says_something(holds, &value) {
                    *place.or_insert(Value::Null) = value;
                }
            }
        }
    }
    Ok(object)
}

fn read(holds: &Type, value: Wire<'_>, found: &Found) -> Result<Value, Unreadable> {
    found.value()?;
    if let (Type::Text | Type::Bytes, Wire::Bytes(bytes)) = (holds, value) {
        found.hold(bytes.len())?;
    }
    match (holds, value) {
        (Type::Text, Wire::Bytes(bytes)) => Ok(json!(text(bytes)?)),
        (Type::Bytes, Wire::Bytes(bytes)) => Ok(json!(BASE64_STANDARD.encode(bytes))),
        // Negative numbers are written as the large ones with the same bits.
        (Type::Number | Type::OptionalNumber, Wire::Number(number)) => Ok(json!(number.cast_signed())),
        (Type::Flag | Type::OptionalFlag, Wire::Number(number)) => Ok(json!(number != 0)),
        (Type::Message(table) | Type::OptionalMessage(table), Wire::Bytes(bytes)) => {
            message(table, bytes, found).map(Value::Object)
        }
        (Type::Quantity, Wire::Bytes(bytes)) => {
            Ok(message(QUANTITY, bytes, found)?.remove("string").unwrap_or(json!("0")))
        }
        (Type::IntOrString, Wire::Bytes(bytes)) => {
            let mut parts = message(INT_OR_STRING, bytes, found)?;
            let text = parts.get("type").is_some_and(|kind| *kind == 1);
            let said = if text {
                parts.remove("text").unwrap_or(json!(""))
            } else {
                parts.remove("number").unwrap_or(json!(0))
            };
            Ok(said)
        }
        (Type::Time, Wire::Bytes(bytes)) => time(&message(TIME, bytes, found)?),
        _ => Err(Malformed("a field is not of the kind that its number stands for".into()).into()),
    }
}

fn time(parts: &Map<String, Value>) -> Result<Value, Unreadable> {
    let part = |name: &str| parts.get(name).and_then(Value::as_i64).unwrap_or_default();
    if parts.is_empty() {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(part("nanos")).unwrap_or_default();
    let time = jiff::Timestamp::new(part("seconds"), nanos).map_err(|_| Malformed("a time is out of range".into()))?;
    let format = if nanos == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%6fZ" };
    Ok(json!(time.strftime(format).to_string()))
}

fn entry(element: &Type, value: Wire<'_>, found: &Found) -> Result<(String, Value), Unreadable> {
    let Wire::Bytes(bytes) = value else { return Err(Malformed("a map holds what is no entry".into()).into()) };
    let (mut key, mut held) = (String::new(), read(element, Wire::Bytes(&[]), found)?);
    for field in wire::fields(bytes) {
        match field? {
            (1, Wire::Bytes(bytes)) => text(bytes)?.clone_into(&mut key),
            (2, value) => held = read(element, value, found)?,
            _ => return Err(Malformed("an entry of a map holds more than a key and a value".into()).into()),
        }
    }
    Ok((key, held))
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8".into()))
}

fn says_something(holds: &Type, value: &Value) -> bool {
    match (holds, value) {
        (Type::Number, Value::Number(number)) => number.as_i64() != Some(0),
        (Type::Flag, value) => *value == true,
        (Type::Text | Type::Bytes, Value::String(text)) => !text.is_empty(),
        (Type::Message(_), Value::Object(fields)) => !fields.is_empty(),
        (Type::Time, time) => !time.is_null(),
        _ => true,
    }
}
