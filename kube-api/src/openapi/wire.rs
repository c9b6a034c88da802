//! A document of version 2 in protobuf, as kubectl before 1.27 asks for it. The numbers are those of gnostic's `OpenAPIv2.proto`.

use serde_json::{Map, Value};

use crate::wire::Writer;

/// What such a document is called.
pub const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The document of version 2 in protobuf.
pub fn to_protobuf(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    out.message(2, {
        let mut info = Message::default();
        info.text(1, &document["info"]["title"]);
        info.text(2, &document["info"]["version"]);
        info
    });
    let mut paths = Message::default();
    for (name, item) in entries(&document["paths"]) {
        paths.message(2, named(name, path_item(item)));
    }
    out.message(8, paths);
    let mut definitions = Message::default();
    for (name, definition) in entries(&document["definitions"]) {
        definitions.message(1, named(name, schema(definition)));
    }
    out.message(9, definitions);
    out.0.into_bytes()
}

/// A message, as it comes to be.
#[derive(Debug, Default)]
struct Message(Writer);

impl Message {
    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.0.bytes(field, bytes);
    }

    fn message(&mut self, field: u32, message: Message) {
        self.0.bytes(field, message.0.written());
    }

    /// Nothing, if it is no text.
    fn text(&mut self, field: u32, value: &Value) {
        if let Some(text) = value.as_str() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u32, values: &Value) {
        values.as_array().into_iter().flatten().for_each(|value| self.text(field, value));
    }

    fn flag(&mut self, field: u32, value: &Value) {
        if *value == true {
            self.0.number(field, 1);
        }
    }

    /// A value of any type, which gnostic has as YAML: JSON is that too.
    fn any(&mut self, field: u32, value: &Value) {
        let mut any = Message::default();
        any.bytes(2, value.to_string().as_bytes());
        self.message(field, any);
    }

    fn extensions(&mut self, field: u32, of: &Value) {
        for (name, value) in entries(of).filter(|(name, _)| name.starts_with("x-")) {
            let mut any = Message::default();
            any.bytes(2, value.to_string().as_bytes());
            self.message(field, named(name, any));
        }
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// A pair of a name and what has it.
fn named(name: &str, value: Message) -> Message {
    let mut pair = Message::default();
    pair.bytes(1, name.as_bytes());
    pair.message(2, value);
    pair
}

fn path_item(item: &Value) -> Message {
    let mut out = Message::default();
    for (method, number) in [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)] {
        if let Some(found) = item.get(method) {
            out.message(number, operation(found));
        }
    }
    for found in item["parameters"].as_array().into_iter().flatten() {
        out.message(9, parameter(found));
    }
    out
}

fn operation(operation: &Value) -> Message {
    let mut out = Message::default();
    out.texts(7, &operation["consumes"]);
    for found in operation["parameters"].as_array().into_iter().flatten() {
        out.message(8, parameter(found));
    }
    let mut responses = Message::default();
    for (code, answer) in entries(&operation["responses"]) {
        let mut response = Message::default();
        response.text(1, &answer["description"]);
        if let Some(of) = answer.get("schema") {
            response.message(2, wrapped(1, schema(of)));
        }
        responses.message(1, named(code, wrapped(1, response)));
    }
    out.message(9, responses);
    out.extensions(13, operation);
    out
}

/// A choice, of which this is taken.
fn wrapped(choice: u32, message: Message) -> Message {
    let mut out = Message::default();
    out.message(choice, message);
    out
}

fn parameter(parameter: &Value) -> Message {
    let mut out = Message::default();
    let within = parameter["in"].as_str().unwrap_or_default();
    if within == "body" {
        out.text(2, &parameter["name"]);
        out.text(3, &parameter["in"]);
        out.flag(4, &parameter["required"]);
        out.message(5, schema(&parameter["schema"]));
        return wrapped(1, wrapped(1, out));
    }
    // Those of paths have one field less, and so lower numbers behind it.
    let (choice, shift) = if within == "path" { (4, 1) } else { (3, 0) };
    out.flag(1, &parameter["required"]);
    out.text(2, &parameter["in"]);
    out.text(4, &parameter["name"]);
    out.text(6 - shift, &parameter["type"]);
    out.flag(20 - shift, &parameter["uniqueItems"]);
    wrapped(1, wrapped(2, wrapped(choice, out)))
}

fn schema(schema: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &schema["$ref"]);
    out.text(2, &schema["format"]);
    out.text(4, &schema["description"]);
    if let Some(default) = schema.get("default") {
        out.any(5, default);
    }
    out.texts(19, &schema["required"]);
    for value in schema["enum"].as_array().into_iter().flatten() {
        out.any(20, value);
    }
    if let Some(of) = schema.get("additionalProperties") {
        out.message(21, wrapped(1, self::schema(of)));
    }
    if let Some(of) = schema["type"].as_str() {
        let mut types = Message::default();
        types.bytes(1, of.as_bytes());
        out.message(22, types);
    }
    if let Some(of) = schema.get("items") {
        out.message(23, wrapped(1, self::schema(of)));
    }
    if let Some(of) = schema.get("properties") {
        let mut properties = Message::default();
        for (name, property) in entries(of) {
            properties.message(1, named(name, self::schema(property)));
        }
        out.message(25, properties);
    }
    out.extensions(31, schema);
    out
}
