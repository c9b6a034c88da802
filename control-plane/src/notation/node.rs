//! From a parser's events to a value, noting keys that are given twice and merging what merge keys name.

use std::{cell::RefCell, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{MAX_DUPLICATES, Path};

/// The merge key of YAML 1.1 (<https://yaml.org/type/merge.html>).
const MERGE: &str = "<<";

/// Whether merge keys mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Merging {
    Yes,
    No,
}

/// A value that is about to be read.
#[derive(Clone, Copy)]
pub(super) struct Node<'p> {
    pub(super) path: &'p Path<'p>,
    pub(super) merging: Merging,
    pub(super) duplicates: &'p RefCell<Vec<String>>,
}

impl Node<'_> {
    fn note_duplicate(&self, key: &str) {
        let path = Path::Key(self.path, key).to_string();
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() < MAX_DUPLICATES && !duplicates.contains(&path) {
            duplicates.push(path);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can hold")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).map(Value::Number);
        number.ok_or_else(|| E::custom(format!("{value} is no number that JSON can hold")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        parser.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let path = Path::Index(self.path, values.len());
            match elements.next_element_seed(Node { path: &path, ..self })? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (mut fields, mut merged) = (Map::new(), Vec::new());
        while let Some(key) = entries.next_key::<String>()? {
            let path = Path::Key(self.path, &key);
            let value = entries.next_value_seed(Node { path: &path, ..self })?;
            if self.merging == Merging::Yes && key == MERGE {
                collect_merged(value, &mut merged).map_err(de::Error::custom)?;
            } else if fields.contains_key(&key) {
                self.note_duplicate(&key);
                fields.insert(key, value);
            } else {
                fields.insert(key, value);
            }
        }
        // What stands here goes before what is merged in, and the first of those before the others.
        for (key, value) in merged.into_iter().flatten() {
            fields.entry(key).or_insert(value);
        }
        Ok(Value::Object(fields))
    }
}

fn collect_merged(value: Value, merged: &mut Vec<Map<String, Value>>) -> Result<(), &'static str> {
    const WRONG: &str = "the merge key `<<` takes a mapping, or a list of mappings";
    match value {
        Value::Object(fields) => merged.push(fields),
        Value::Array(all) => {
            for one in all {
                let Value::Object(fields) = one else { return Err(WRONG) };
                merged.push(fields);
            }
        }
        _ => return Err(WRONG),
    }
    Ok(())
}
