//! From JSON to protobuf, by the schemas of the kinds.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use crate::{
    schema::{Member, Message, Shape, served},
    wire::Writer,
};

/// The fields of a message that are there. What is not as the schema says, is left out, as one that is not there.
pub(super) fn message(schema: &Message, fields: &Map<String, Value>, out: &mut Writer) {
    for member in &schema.members {
        match member {
            Member::Inlined { number: 0, message: inlined } => message(served().message(*inlined), fields, out),
            Member::Inlined { number, message: inlined } => {
                let inlined = served().message(*inlined);
                if inlined.fields.keys().any(|name| fields.contains_key(name)) {
                    out.message(*number, |out| message(inlined, fields, out));
                }
            }
            Member::Field { number: 0, .. } => {}
            Member::Field { number, name } => {
                if let (Some(field), Some(value)) = (schema.fields.get(name), fields.get(name)) {
                    write(*number, &field.shape, value, out);
                }
            }
        }
    }
}

fn write(number: u32, shape: &Shape, value: &Value, out: &mut Writer) {
    match (shape, value) {
        (_, Value::Null) => {}
        (Shape::List(element, _), Value::Array(values)) => {
            values.iter().for_each(|value| write(number, element, value, out));
        }
        (Shape::Map(element), Value::Object(values)) => {
            for (key, value) in values {
                out.message(number, |entry| {
                    entry.bytes(1, key.as_bytes());
                    write(2, element, value, entry);
                });
            }
        }
        (Shape::Text, Value::String(text)) => out.bytes(number, text.as_bytes()),
        (Shape::Bytes, Value::String(text)) => {
            if let Ok(bytes) = BASE64_STANDARD.decode(text) {
                out.bytes(number, &bytes);
            }
        }
        (Shape::Flag, Value::Bool(flag)) => out.number(number, u64::from(*flag)),
        (Shape::Int32 | Shape::Int64, Value::Number(is)) => {
            if let Some(is) = is.as_i64() {
                out.number(number, is.cast_unsigned());
            }
        }
        (Shape::Double, Value::Number(is)) => {
            if let Some(is) = is.as_f64() {
                out.fixed(number, is.to_bits());
            }
        }
        (Shape::Quantity, Value::String(text)) => out.message(number, |out| out.bytes(1, text.as_bytes())),
        (Shape::Quantity, Value::Number(is)) => out.message(number, |out| out.bytes(1, is.to_string().as_bytes())),
        // Which of the two it is, the number, and the text.
        (Shape::IntOrString, Value::String(text)) => out.message(number, |out| {
            out.number(1, 1);
            out.number(2, 0);
            out.bytes(3, text.as_bytes());
        }),
        (Shape::IntOrString, Value::Number(is)) => out.message(number, |out| {
            out.number(1, 0);
            out.number(2, is.as_i64().unwrap_or_default().cast_unsigned());
            out.bytes(3, b"");
        }),
        (Shape::Time, Value::String(text)) => time(number, text, 0, out),
        (Shape::MicroTime, Value::String(text)) => time(number, text, 1000, out),
        (Shape::Duration, Value::String(text)) => {
            let nanos =
                text.parse::<jiff::SignedDuration>().ok().and_then(|length| i64::try_from(length.as_nanos()).ok());
            out.message(number, |out| out.number(1, nanos.unwrap_or_default().cast_unsigned()));
        }
        (Shape::Any, any) => out.message(number, |out| out.bytes(1, any.to_string().as_bytes())),
        (Shape::Message(id), Value::Object(fields)) => {
            out.message(number, |out| message(served().message(*id), fields, out));
        }
        _ => {}
    }
}

/// A moment in seconds and nanoseconds, which are whole multiples of some; 0: there are none.
fn time(number: u32, text: &str, of_nanos: i32, out: &mut Writer) {
    let Ok(time) = text.parse::<jiff::Timestamp>() else { return };
    let nanos = if of_nanos > 0 { time.subsec_nanosecond() / of_nanos * of_nanos } else { 0 };
    out.message(number, |out| {
        out.number(1, time.as_second().cast_unsigned());
        out.number(2, i64::from(nanos).cast_unsigned());
    });
}
