//! What values weigh in memory, roughly: a text of few bytes may say many of them.

use std::cell::{Cell, RefCell};

use serde_json::{Map, Value};

use super::{MAX_DUPLICATES, Path};

/// What all values of a text together may weigh, in bytes of memory. A text of 2 MiB that says nothing but `{"":0}` would take a
/// hundred times as much.
pub const MAX_HELD_BYTES: usize = 48 << 20;
/// Elements of all lists of one object together. Each may be given defaults, and is checked and told of by its place, which costs
/// a thousand times what `{}` does.
pub const MAX_LISTED: usize = 10_000;
/// Any value, beside its text.
const VALUE: usize = 32;
/// A key, beside its text and its value.
const KEY: usize = 64;
/// A mapping that is not empty: the first keys take the room of several.
const MAPPING: usize = 640;
/// The longest path of a key that is told of.
const MAX_PATH_BYTES: usize = 1024;

/// How many elements all sequences in a value have.
pub(crate) fn listed(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.len() + values.iter().map(listed).sum::<usize>(),
        Value::Object(fields) => fields.values().map(listed).sum(),
        _ => 0,
    }
}

pub(super) fn of_text(text: &str) -> usize {
    VALUE + text.len()
}

/// Of what stands in a mapping beside the value.
pub(super) fn of_key(key: &str) -> usize {
    KEY + key.len()
}

/// Of a mapping, without what is in it.
pub(super) fn of_mapping(fields: &Map<String, Value>) -> usize {
    if fields.is_empty() { VALUE } else { MAPPING }
}

pub(super) fn of_fields(fields: &Map<String, Value>) -> usize {
    of_mapping(fields) + fields.iter().map(|(key, value)| of_key(key) + of(value)).sum::<usize>()
}

/// Of a value with all that is in it.
pub(crate) fn of(value: &Value) -> usize {
    match value {
        Value::String(text) => of_text(text),
        Value::Array(values) => VALUE + values.iter().map(of).sum::<usize>(),
        Value::Object(fields) => of_fields(fields),
        _ => VALUE,
    }
}

/// What was found in a text so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    held: Cell<usize>,
    duplicates: RefCell<Vec<String>>,
}

impl Found {
    /// Takes note of memory that values take; fails beyond [`MAX_HELD_BYTES`].
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), String> {
        self.held.set(self.held.get() + bytes);
        match self.held.get() > MAX_HELD_BYTES {
            true => {
                Err(format!("its values would take more than {MAX_HELD_BYTES} bytes of memory: send less at a time"))
            }
            false => Ok(()),
        }
    }

    /// Takes note of a value, beside its text.
    pub(crate) fn value(&self) -> Result<(), String> {
        self.hold(VALUE)
    }

    /// Takes note of a key that is added to a mapping.
    pub(crate) fn key(&self, mapping: &Map<String, Value>, key: &str) -> Result<(), String> {
        self.hold(of_key(key) + if mapping.is_empty() { MAPPING } else { 0 })
    }

    /// Takes note of a key that is given twice. Its path is cut, since keys may be long, and many.
    pub(super) fn duplicate(&self, path: &Path<'_>) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() >= MAX_DUPLICATES {
            return;
        }
        let path = path.cut(MAX_PATH_BYTES);
        if !duplicates.contains(&path) {
            duplicates.push(path);
        }
    }

    pub(super) fn into_duplicates(self) -> Vec<String> {
        self.duplicates.into_inner()
    }
}
