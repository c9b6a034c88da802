//! From JSON to a value, noting keys that are given twice, and how much all that takes.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    Path,
    weight::{self, Found},
};

/// A value that is about to be read.
#[derive(Clone, Copy)]
pub(super) struct Node<'p> {
    pub(super) path: &'p Path<'p>,
    pub(super) found: &'p Found,
}

impl Node<'_> {
    /// A value that was read, if there is room for it.
    fn held<E: de::Error>(&self, value: Value) -> Result<Value, E> {
        // Of lists and mappings what is in them was counted before.
        let bytes = match &value {
            Value::String(text) => weight::of_text(text),
            Value::Object(fields) => weight::of_mapping(fields),
            _ => weight::of(&Value::Null),
        };
        self.found.hold(bytes).map_err(E::custom)?;
        Ok(value)
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

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.held(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.held(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.held(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).map(Value::Number);
        self.held(number.ok_or_else(|| E::custom(format!("{value} is no number that JSON can hold")))?)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.held(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.held(value.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.held(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.held(Value::Null)
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
                None => return self.held(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = Path::Key(self.path, &key);
            let value = entries.next_value_seed(Node { path: &path, ..self })?;
            if fields.contains_key(&key) {
                self.found.duplicate(&path);
            }
            self.found.hold(weight::of_key(&key)).map_err(de::Error::custom)?;
            fields.insert(key, value);
        }
        self.held(Value::Object(fields))
    }
}
