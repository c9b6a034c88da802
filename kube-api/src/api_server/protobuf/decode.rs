//! From protobuf to JSON, by the schemas of the kinds.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    notation::{self, Found},
    schema::{Field, Member, Message, Shape, served},
    wire::{self, Malformed, Wire},
};

/// Why a message was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It says something that no schema has.
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

/// What stands under a number.
enum Numbered<'s> {
    Field(&'s str, &'s Field),
    /// A message whose fields JSON has beside those of the one that holds it.
    Inlined(&'s Message),
}

fn numbered(message: &'static Message, wanted: u64) -> Option<Numbered<'static>> {
    message.members.iter().find_map(|member| match member {
        Member::Field { number, name } if u64::from(*number) == wanted => {
            Some(Numbered::Field(name, message.fields.get(name)?))
        }
        Member::Inlined { number: 0, message } => numbered(served().message(*message), wanted),
        Member::Inlined { number, message } if u64::from(*number) == wanted => {
            Some(Numbered::Inlined(served().message(*message)))
        }
        _ => None,
    })
}

/// The fields of a message that say something; what they take in memory is noted, as of other notations.
pub(super) fn message(schema: &'static Message, bytes: &[u8], found: &Found) -> Result<Map<String, Value>, Unreadable> {
    let mut object = Map::new();
    read_into(&mut object, schema, bytes, found)?;
    Ok(object)
}

fn read_into(
    object: &mut Map<String, Value>,
    schema: &'static Message,
    bytes: &[u8],
    found: &Found,
) -> Result<(), Unreadable> {
    for field in wire::fields(bytes) {
        let (number, value) = field?;
        let (name, field) = match (numbered(schema, number).filter(|_| number > 0), value) {
            (Some(Numbered::Field(name, field)), _) => (name, field),
            (Some(Numbered::Inlined(inlined)), Wire::Bytes(bytes)) => {
                read_into(object, inlined, bytes, found)?;
                continue;
            }
            // Go writes most fields though they were never set.
            (None, Wire::Number(0) | Wire::Bytes([])) => continue,
            _ => return Err(Unreadable::Unknown),
        };
        if !object.contains_key(name) {
            found.key(object, name)?;
        }
        match (&field.shape, object.entry(name)) {
            (Shape::List(element, _), list) => {
                if let Value::Array(list) = list.or_insert_with(|| json!([])) {
                    list.push(read(element, value, found)?);
                }
            }
            (Shape::Map(element), map) => {
                if let Value::Object(map) = map.or_insert_with(|| json!({})) {
                    let (key, value) = entry(element, value, found)?;
                    if !map.contains_key(&key) {
                        found.key(map, &key)?;
                    }
                    map.insert(key, value);
                }
            }
            (shape, place) => {
                let value = read(shape, value, found)?;
                if says_something(field, &value) {
                    *place.or_insert(Value::Null) = value;
                }
            }
        }
    }
    Ok(())
}

fn read(shape: &Shape, value: Wire<'_>, found: &Found) -> Result<Value, Unreadable> {
    found.value()?;
    if let (Shape::Text | Shape::Bytes, Wire::Bytes(bytes)) = (shape, value) {
        found.hold(bytes.len())?;
    }
    match (shape, value) {
        (Shape::Text, Wire::Bytes(bytes)) => Ok(json!(text(bytes)?)),
        (Shape::Bytes, Wire::Bytes(bytes)) => Ok(json!(BASE64_STANDARD.encode(bytes))),
        // Negative numbers are written as the large ones with the same bits.
        (Shape::Int32 | Shape::Int64, Wire::Number(number)) => Ok(json!(number.cast_signed())),
        (Shape::Flag, Wire::Number(number)) => Ok(json!(number != 0)),
        (Shape::Double, Wire::Fixed(bits)) => Ok(json!(f64::from_bits(bits))),
        (Shape::Message(id), Wire::Bytes(bytes)) => message(served().message(*id), bytes, found).map(Value::Object),
        (Shape::Quantity, Wire::Bytes(bytes)) => match parts(bytes)?[0] {
            Some(Wire::Bytes(bytes)) => Ok(json!(text(bytes)?)),
            _ => Ok(json!("0")),
        },
        // Which of the two it is, the number, and the text.
        (Shape::IntOrString, Wire::Bytes(bytes)) => match parts(bytes)? {
            [Some(Wire::Number(1)), _, Some(Wire::Bytes(said))] => Ok(json!(text(said)?)),
            [Some(Wire::Number(1)), _, None] => Ok(json!("")),
            [_, Some(Wire::Number(number)), _] => Ok(json!(number.cast_signed())),
            _ => Ok(json!(0)),
        },
        (Shape::Time, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%SZ"),
        (Shape::MicroTime, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%S.%6fZ"),
        (Shape::Duration, Wire::Bytes(bytes)) => match parts(bytes)?[0] {
            Some(Wire::Number(nanos)) => Ok(json!(duration(nanos.cast_signed()))),
            _ => Ok(json!("0s")),
        },
        (Shape::Any, Wire::Bytes(bytes)) => any(bytes, found),
        _ => Err(Malformed("a field is not of the kind that its number stands for".into()).into()),
    }
}

/// The first three fields of a message that stands for one value.
fn parts(bytes: &[u8]) -> Result<[Option<Wire<'_>>; 3], Malformed> {
    let mut parts = [None; 3];
    for field in wire::fields(bytes) {
        let (number, value) = field?;
        let part = usize::try_from(number).ok().and_then(|number| parts.get_mut(number.checked_sub(1)?));
        if let Some(part) = part {
            *part = Some(value);
        }
    }
    Ok(parts)
}

/// A moment; one that is not set is null.
fn time(bytes: &[u8], format: &str) -> Result<Value, Unreadable> {
    let [seconds, nanos, _] = parts(bytes)?.map(|part| match part {
        Some(Wire::Number(number)) => number.cast_signed(),
        _ => 0,
    });
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(nanos).unwrap_or_default();
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| Malformed("a time is out of range".into()))?;
    Ok(json!(time.strftime(format).to_string()))
}

/// As Go writes it, for example `1m30s`.
fn duration(nanos: i64) -> String {
    let printer = jiff::fmt::friendly::SpanPrinter::new().spacing(jiff::fmt::friendly::Spacing::None);
    printer.duration_to_string(&jiff::SignedDuration::from_nanos(nanos))
}

/// What has no schema is JSON within protobuf.
fn any(bytes: &[u8], found: &Found) -> Result<Value, Unreadable> {
    let Some(Wire::Bytes(raw)) = parts(bytes)?[0] else { return Ok(Value::Null) };
    let text = notation::read_json(raw)
        .map_err(|error| Malformed(format!("a field that holds JSON cannot be read: {error}").into()))?;
    found.hold(notation::weight(&text.value))?;
    Ok(text.value)
}

fn entry(element: &Shape, value: Wire<'_>, found: &Found) -> Result<(String, Value), Unreadable> {
    let Wire::Bytes(bytes) = value else { return Err(Malformed("a map holds what is no entry".into()).into()) };
    // Go writes both always, others leave out what is empty.
    let (mut key, mut held) = (String::new(), None);
    for field in wire::fields(bytes) {
        match field? {
            (1, Wire::Bytes(bytes)) => text(bytes)?.clone_into(&mut key),
            (2, value) => held = Some(value),
            _ => return Err(Malformed("an entry of a map holds more than a key and a value".into()).into()),
        }
    }
    Ok((key, read(element, held.unwrap_or(Wire::Bytes(&[])), found)?))
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8".into()))
}

fn says_something(field: &Field, value: &Value) -> bool {
    match value {
        Value::Null => false,
        _ if field.optional || field.required => true,
        Value::Bool(flag) => *flag,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(number) if field.shape != Shape::IntOrString => number.as_i64() != Some(0),
        _ => true,
    }
}
