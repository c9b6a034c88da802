//! What a value is at its place in an object, by the schema: what has one owner, and how the rest is taken apart.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Kind, step::Step};
use crate::schema::{Elements, Field, Message, Schemas, Shape};

/// Why an object cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct Unmergeable {
    /// Where.
    pub path: String,
    /// What is wrong there.
    pub why: String,
}

/// What a value is at its place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'s> {
    /// It has one owner, whatever it holds.
    Leaf,
    /// Its fields have owners, and are of these types.
    Fields(&'s Message, &'s Schemas),
    /// The values of its keys have owners.
    Map(&'s Shape, &'s Schemas),
    /// Its elements have owners; they are told apart by keys.
    Keyed(&'s [String], &'s Shape, &'s Schemas),
    /// Its elements have owners; each value is there once.
    Set,
}

/// A place, and whether Kubernetes knows a value there even if none is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Below<'s> {
    pub(super) place: Place<'s>,
    /// Whether it is a field that the type names, not a key of a map.
    pub(super) named: bool,
    /// Whether it is there as long as what holds it is, so that nobody owns that it is there.
    pub(super) always: bool,
}

impl<'s> Kind<'s> {
    pub(super) fn place(&self) -> Place<'s> {
        Place::Fields(self.schemas.message(self.root), self.schemas)
    }
}

impl<'s> Place<'s> {
    fn of_field(field: &'s Field, schemas: &'s Schemas) -> Self {
        if field.atomic { Self::Leaf } else { Self::of(&field.shape, schemas) }
    }

    fn of(shape: &'s Shape, schemas: &'s Schemas) -> Self {
        match shape {
            Shape::Message(id) => Self::Fields(schemas.message(*id), schemas),
            Shape::Map(of) => Self::Map(of, schemas),
            Shape::List(of, Elements::Keyed(keys)) => Self::Keyed(keys, of, schemas),
            Shape::List(_, Elements::Set) => Self::Set,
            _ => Self::Leaf,
        }
    }

    /// What stands under a name.
    pub(super) fn below(&self, name: &str) -> Below<'s> {
        let unknown = Below { place: Place::Leaf, named: false, always: false };
        match self {
            Self::Fields(message, schemas) => message.fields.get(name).map_or(unknown, |field| Below {
                place: Self::of_field(field, schemas),
                named: true,
                always: field.required || (matches!(field.shape, Shape::Message(_)) && !field.optional),
            }),
            Self::Map(of, schemas) => Below { place: Self::of(of, schemas), named: false, always: false },
            _ => unknown,
        }
    }

    /// What each element of a list is.
    pub(super) fn element(&self) -> Self {
        match self {
            Self::Keyed(_, of, schemas) => Self::of(of, schemas),
            _ => Self::Leaf,
        }
    }

    /// What the elements of a list are told apart by, each with its step. `path` is where the list is.
    pub(super) fn elements<'v>(&self, list: &'v [Value], path: &[Step]) -> Result<Vec<(Step, &'v Value)>, Unmergeable> {
        list.iter().enumerate().map(|(index, element)| Ok((self.step(element, index, path)?, element))).collect()
    }

    fn step(&self, element: &Value, index: usize, path: &[Step]) -> Result<Step, Unmergeable> {
        let wrong = |why: String| Unmergeable { path: format!("{}[{index}]", written(path)), why };
        match (self, element) {
            (Self::Keyed(keys, of, schemas), Value::Object(fields)) => {
                let values: Map<String, Value> = keys
                    .iter()
                    .filter_map(|key| {
                        let default = || default_of(of, key, schemas);
                        Some((key.clone(), fields.get(key).filter(|value| !value.is_null()).cloned().or_else(default)?))
                    })
                    .collect();
                match values.is_empty() {
                    true => Err(wrong(format!(
                        "has none of the fields `{}`, by which elements are told apart",
                        keys.join("`, `")
                    ))),
                    false => Ok(Step::of_keys(values)),
                }
            }
            (Self::Set, Value::String(_) | Value::Number(_) | Value::Bool(_)) => Ok(Step::of_value(element)),
            (Self::Set, _) => Err(wrong("is no single value".to_owned())),
            _ => Err(wrong("is no object".to_owned())),
        }
    }
}

/// The value that a key field has if it is not written.
fn default_of(of: &Shape, key: &str, schemas: &Schemas) -> Option<Value> {
    let field = schemas.message(of.inner()?).fields.get(key)?;
    let empty = || (field.required && field.shape == Shape::Text).then(|| Value::from(""));
    field.default.clone().or_else(empty)
}

/// The first of these elements that is there twice.
pub(super) fn first_twice<'e>(elements: &'e [(Step, &Value)]) -> Option<&'e Step> {
    let mut seen = HashSet::new();
    elements.iter().map(|(step, _)| step).find(|step| !seen.insert(*step))
}

/// As Kubernetes writes paths.
pub(super) fn written(path: &[Step]) -> String {
    path.iter().map(ToString::to_string).collect()
}
