//! Reads JSON into Kubernetes' types and says of everything that does not fit where it stands.

use std::{cell::RefCell, fmt};

use serde::{
    Deserialize,
    de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::field::{Cause, FieldError, nearest};
use crate::notation::Path;

/// Fields that are reported as unknown of one object. Beyond that it is of another kind than it says.
pub const MAX_UNKNOWN_FIELDS: usize = 256;
/// The longest key that is compared with the fields that might have been meant.
const MAX_MISSPELT_BYTES: usize = 128;

/// The fields of a kind, and their types.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Refuses unknown fields and wrong types.
    pub check: fn(&Value) -> Vec<FieldError>,
    /// Takes every `null` out of an object. As in Kubernetes, whose Go reads it so: a field that is null is one that was not
    /// written, and a key of a map that is null has the empty value.
    pub take_nulls_out: fn(&mut Value),
}

impl Schema {
    /// Of a kind that k8s-openapi has a type for.
    pub(crate) const fn of<T: DeserializeOwned>() -> Self {
        Self { check: |value| decode::<T>(value).err().unwrap_or_default(), take_nulls_out: take_nulls_out::<T> }
    }
}

/// Reads a value. Refuses fields that the type does not have, and values of other types, by their paths.
pub fn decode<'de, T: Deserialize<'de>>(value: &Value) -> Result<T, Vec<FieldError>> {
    let notes = Notes::default();
    let decoded = T::deserialize(Node { value, path: &Path::Root, notes: &notes, null: None });
    let mut errors = notes.unknown.into_inner();
    match decoded {
        Ok(decoded) if errors.is_empty() => Ok(decoded),
        Ok(_) => Err(errors),
        Err(Mismatch(error)) => {
            errors.push(error);
            Err(errors)
        }
    }
}

fn take_nulls_out<T: DeserializeOwned>(value: &mut Value) {
    let notes = Notes::default();
    // What does not fit is refused by who reads it next.
    let _ = T::deserialize(Node { value, path: &Path::Root, notes: &notes, null: None });
    for (pointer, empty) in notes.emptied.into_inner() {
        if let Some(null) = value.pointer_mut(&pointer) {
            *null = Value::from(empty);
        }
    }
    remove_nulls(value);
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// What is found on the way.
#[derive(Default)]
struct Notes {
    unknown: RefCell<Vec<FieldError>>,
    /// Where keys of maps are null, as JSON pointers, and what they then have.
    emptied: RefCell<Vec<(String, &'static str)>>,
}

/// A value that is not of the type that its field has.
#[derive(Debug)]
struct Mismatch(FieldError);

impl Mismatch {
    /// Visitors know no paths: the innermost node that sees the error adds it.
    fn at(mut self, path: &Path<'_>) -> Self {
        if self.0.path.is_empty() {
            self.0.path = path.to_string();
        }
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(FieldError::invalid("", message.to_string()))
    }
}

#[derive(Clone, Copy)]
struct Node<'v, 'p> {
    value: &'v Value,
    path: &'p Path<'p>,
    notes: &'p Notes,
    /// What a null stands for here, in a map of texts.
    null: Option<&'static str>,
}

impl<'v, 'p> Node<'v, 'p> {
    fn entries(self, in_map: bool) -> Option<Entries<'v, 'p>> {
        let entries = self.value.as_object()?.iter();
        Some(Entries { entries, current: None, path: self.path, notes: self.notes, in_map })
    }

    /// The empty text that a null stands for here.
    fn empty(&self) -> Option<&'static str> {
        let empty = self.null.filter(|_| self.value.is_null())?;
        self.notes.emptied.borrow_mut().push((self.path.pointer(), empty));
        Some(empty)
    }

    fn report_unknown(&self, object: &Map<String, Value>, fields: &'static [&'static str]) {
        for key in object.keys().filter(|key| !fields.contains(&key.as_str())) {
            if self.notes.unknown.borrow().len() >= MAX_UNKNOWN_FIELDS {
                return;
            }
            let known = fields.iter().copied().filter(|_| key.len() <= MAX_MISSPELT_BYTES);
            let message = match nearest(key, known) {
                Some(field) => format!("unknown field: did you mean `{field}`?"),
                None => "unknown field: remove it".to_owned(),
            };
            let path = Path::Key(self.path, key).to_string();
            self.notes.unknown.borrow_mut().push(FieldError::new(Cause::Unknown, path, message));
        }
    }
}

impl<'de> de::Deserializer<'de> for Node<'_, '_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if let Some(empty) = self.empty() {
            return visitor.visit_str(empty);
        }
        let Node { value, path, notes, .. } = self;
        let result = match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::Array(values) => visitor.visit_seq(Elements { values, next: 0, path, notes }),
            Value::Object(object) => {
                visitor.visit_map(Entries { entries: object.iter(), current: None, path, notes, in_map: false })
            }
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_i64(value),
                (_, Some(value), _) => visitor.visit_u64(value),
                (_, _, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
        };
        result.map_err(|error: Mismatch| error.at(path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let path = self.path;
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self).map_err(|error: Mismatch| error.at(path)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        let path = self.path;
        let null = self.null.map(|empty| if name == "Quantity" { "0" } else { empty });
        visitor.visit_newtype_struct(Node { null, ..self }).map_err(|error: Mismatch| error.at(path))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let path = self.path;
        match self.entries(true) {
            Some(entries) => visitor.visit_map(entries).map_err(|error: Mismatch| error.at(path)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        if let Value::Object(object) = self.value {
            self.report_unknown(object, fields);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct enum identifier
    }
}

struct Elements<'v, 'p> {
    values: &'v [Value],
    next: usize,
    path: &'p Path<'p>,
    notes: &'p Notes,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Mismatch;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        let Some(value) = self.values.get(self.next) else { return Ok(None) };
        let path = Path::Index(self.path, self.next);
        self.next += 1;
        seed.deserialize(Node { value, path: &path, notes: self.notes, null: None }).map(Some)
    }
}

struct Entries<'v, 'p> {
    entries: serde_json::map::Iter<'v>,
    current: Option<(&'v str, &'v Value)>,
    path: &'p Path<'p>,
    notes: &'p Notes,
    /// Whether its keys are data, not fields.
    in_map: bool,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Mismatch;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.current = Some((key, value));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let (key, value) = self.current.take().ok_or_else(|| de::Error::custom("a value without a key"))?;
        let path = Path::Key(self.path, key);
        seed.deserialize(Node { value, path: &path, notes: self.notes, null: self.in_map.then_some("") })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::json;

    use super::*;

    fn errors(value: Value) -> Vec<String> {
        decode::<Deployment>(&value).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_fields_are_named_with_their_path_and_the_nearest_known_one() {
        let said = errors(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "spec": { "replcas": 1, "template": { "spec": { "containers": [ { "imagee": "a" }, { "zzz": 1 } ] } } },
        }));
        assert_eq!(said.len(), 3);
        assert!(said.contains(&"spec.replcas: unknown field: did you mean `replicas`?".to_owned()), "{said:?}");
        assert!(
            said.contains(&"spec.template.spec.containers[0].imagee: unknown field: did you mean `image`?".to_owned())
        );
        assert!(said.contains(&"spec.template.spec.containers[1].zzz: unknown field: remove it".to_owned()));
    }

    #[test]
    fn values_of_the_wrong_type_are_named_with_their_path() {
        assert_eq!(
            errors(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": { "replicas": "3" } })),
            ["spec.replicas: invalid type: string \"3\", expected i32"]
        );
        assert_eq!(errors(json!({ "spec": { "template": { "spec": { "containers": { "name": "a" } } } } })).len(), 1);
    }

    #[test]
    fn a_null_is_a_field_that_was_not_written_and_in_a_map_the_empty_value() {
        let mut value = json!({ "metadata": { "labels": { "a/b": null, "c": "d" }, "annotations": null },
            "spec": { "replicas": null, "strategy": null, "selector": { "matchLabels": null }, "template": { "spec": {
                "nodeSelector": { "e": null }, "containers": [ { "name": "f", "image": null, "env": [
                    { "name": "G", "value": null } ], "resources": { "limits": { "cpu": null } } } ] } } } });
        take_nulls_out::<Deployment>(&mut value);
        assert_eq!(
            value,
            json!({ "metadata": { "labels": { "a/b": "", "c": "d" } }, "spec": { "selector": {}, "template": { "spec": {
                "nodeSelector": { "e": "" }, "containers": [ { "name": "f", "env": [ { "name": "G" } ],
                    "resources": { "limits": { "cpu": "0" } } } ] } } } })
        );
    }

    #[test]
    fn what_fits_is_read() {
        let value = json!({ "metadata": { "name": "a", "creationTimestamp": "2024-01-01T00:00:00Z" },
            "spec": { "replicas": 2, "strategy": { "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": 1 } },
            "selector": {}, "template": { "spec": { "containers": [
                { "name": "c", "resources": { "limits": { "memory": "1Mi", "cpu": 1 } } } ] } } } });
        assert_eq!(errors(value), Vec::<String>::new());
    }
}
