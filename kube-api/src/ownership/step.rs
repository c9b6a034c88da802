use std::fmt;

use serde_json::{Map, Value};

/// One step of a path through an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// To a field, or the key of a map.
    Field(String),
    /// To the element of a list that has these values in its key fields, as JSON with sorted keys.
    Key(String),
    /// To the element of a set that is this value, as JSON.
    Value(String),
    /// To the element of a list at this index.
    Index(u64),
}

impl Step {
    /// To the element with these values.
    pub(super) fn of_keys(keys: Map<String, Value>) -> Self {
        let sorted: std::collections::BTreeMap<_, _> =
            keys.into_iter().map(|(key, of)| (key, canonical(&of))).collect();
        Self::Key(serde_json::to_string(&sorted).unwrap_or_default())
    }

    /// To the element that is this value.
    pub(super) fn of_value(value: &Value) -> Self {
        Self::Value(canonical(value).to_string())
    }

    /// As it stands in `FieldsV1`.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// From what stands in `FieldsV1`; `None` if it is nothing of the kind.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (of, rest) = text.split_once(':')?;
        match of {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => match serde_json::from_str(rest).ok()? {
                Value::Object(keys) if !keys.is_empty() => Some(Self::of_keys(keys)),
                _ => None,
            },
            "v" => Some(Self::of_value(&serde_json::from_str(rest).ok()?)),
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }
}

/// A number that is whole is written as one.
fn canonical(value: &Value) -> Value {
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough to be exact")]
        Some(number) if !value.is_i64() && number.fract() == 0.0 && number.abs() < 9.0e15 => Value::from(number as i64),
        _ => value.clone(),
    }
}

/// As Kubernetes writes paths, for example `.spec.containers[name="web"].image`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "[{}]", keys.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}
