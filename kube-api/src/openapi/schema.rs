//! Messages as OpenAPI has them.

use serde_json::{Map, Value, json};

use crate::schema::{Elements, Field, MessageId, Patch, Schemas, Shape, Treatment};

/// Which version of OpenAPI is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const ANY: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// Types that documents name though JSON has them as single values.
pub(super) fn named_types(dialect: Dialect) -> Map<String, Value> {
    let described = |mut schema: Value, sentence: &str| {
        schema["description"] = json!(sentence);
        schema
    };
    let (quantity, count) = match dialect {
        Dialect::V2 => (json!({ "type": "string" }), json!({ "type": "string", "format": "int-or-string" })),
        Dialect::V3 => (
            json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }),
            json!({ "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] }),
        ),
    };
    let moment = json!({ "type": "string", "format": "date-time" });
    [
        (QUANTITY, described(quantity, "A number with a unit, such as `100m` or `64Mi`.")),
        (INT_OR_STRING, described(count, "A whole number, or a text such as `25%` or the name of a port.")),
        (TIME, described(moment.clone(), "A moment, such as `2026-01-31T12:00:00Z`.")),
        (MICRO_TIME, described(moment, "A moment with microseconds, such as `2026-01-31T12:00:00.000001Z`.")),
        (ANY, json!({ "type": "object", "description": "Any object." })),
    ]
    .map(|(name, schema)| (name.to_owned(), schema))
    .into_iter()
    .collect()
}

/// How another schema is named.
pub(super) fn reference(name: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::V2 => json!({ "$ref": format!("#/definitions/{name}") }),
        Dialect::V3 => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

/// The schema of a message.
pub(super) fn definition(schemas: &Schemas, id: MessageId, dialect: Dialect) -> Value {
    let message = schemas.message(id);
    let mut properties: Map<String, Value> = Map::new();
    let mut required: Vec<&str> = Vec::new();
    if message.kind.is_some() {
        let text = |sentence: &str| json!({ "type": "string", "description": sentence });
        properties.insert("apiVersion".to_owned(), text("The group and version of this object."));
        properties.insert("kind".to_owned(), text("The kind of this object."));
    }
    for (name, field) in &message.fields {
        properties.insert(name.clone(), property(schemas, field, dialect));
        if field.required {
            required.push(name);
        }
    }
    let mut schema = json!({ "type": "object", "description": message.sentence, "properties": properties });
    if properties_are_absent(&schema) {
        schema.as_object_mut().map(|fields| fields.remove("properties"));
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if let Some(gvk) = &message.kind {
        schema["x-kubernetes-group-version-kind"] =
            json!([{ "group": gvk.group, "version": gvk.version, "kind": gvk.kind }]);
    }
    schema
}

fn properties_are_absent(schema: &Value) -> bool {
    schema["properties"].as_object().is_some_and(Map::is_empty)
}

fn property(schemas: &Schemas, field: &Field, dialect: Dialect) -> Value {
    let mut schema = shape(schemas, &field.shape, dialect);
    let described = describe(field);
    // Beside a reference nothing else counts in version 3.
    if dialect == Dialect::V3 && schema.get("$ref").is_some() {
        schema = json!({ "allOf": [schema] });
    }
    if !described.is_empty() {
        schema["description"] = json!(described);
    }
    if let Some(default) = &field.default {
        schema["default"] = default.clone();
    }
    if !field.one_of.is_empty() {
        match schema.get_mut("items") {
            Some(items) => items["enum"] = json!(field.one_of),
            None => schema["enum"] = json!(field.one_of),
        }
    }
    if field.atomic {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    if let Shape::List(_, elements) = &field.shape {
        match elements {
            Elements::Atomic => schema["x-kubernetes-list-type"] = json!("atomic"),
            Elements::Set => schema["x-kubernetes-list-type"] = json!("set"),
            Elements::Keyed(keys) => {
                schema["x-kubernetes-list-type"] = json!("map");
                schema["x-kubernetes-list-map-keys"] = json!(keys);
            }
        }
    }
    match &field.patch {
        Patch::Usual => {}
        Patch::Set => schema["x-kubernetes-patch-strategy"] = json!("merge"),
        Patch::By(key) => {
            schema["x-kubernetes-patch-strategy"] = json!("merge");
            schema["x-kubernetes-patch-merge-key"] = json!(key);
        }
        Patch::RetainKeys => schema["x-kubernetes-patch-strategy"] = json!("retainKeys"),
    }
    schema
}

/// The field's sentence, and what Sampan does with it.
fn describe(field: &Field) -> String {
    let treatment = match field.treatment {
        Treatment::Honoured => "",
        Treatment::Ignored => "Sampan takes it, and it changes nothing here.",
        Treatment::Refused => "Sampan refuses it.",
    };
    [field.sentence.as_str(), treatment].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn shape(schemas: &Schemas, shape: &Shape, dialect: Dialect) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Bytes => json!({ "type": "string", "format": "byte" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Int32 => json!({ "type": "integer", "format": "int32" }),
        Shape::Int64 => json!({ "type": "integer", "format": "int64" }),
        Shape::Double => json!({ "type": "number", "format": "double" }),
        Shape::Duration => json!({ "type": "string" }),
        Shape::Quantity => reference(QUANTITY, dialect),
        Shape::IntOrString => reference(INT_OR_STRING, dialect),
        Shape::Time => reference(TIME, dialect),
        Shape::MicroTime => reference(MICRO_TIME, dialect),
        Shape::Any => reference(ANY, dialect),
        Shape::Message(id) => reference(&schemas.message(*id).name, dialect),
        Shape::List(of, _) => json!({ "type": "array", "items": self::shape(schemas, of, dialect) }),
        Shape::Map(of) => json!({ "type": "object", "additionalProperties": self::shape(schemas, of, dialect) }),
    }
}
