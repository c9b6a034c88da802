//! `metadata.managedFields`, read and written.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Writer, set::FieldSet};

/// As Kubernetes: entries of writes that are no applies. Beyond that the oldest become one.
pub const MAX_UPDATERS: usize = 10;
/// As Kubernetes calls it, so that its tools know it.
const OLD_UPDATES: &str = "ancient-changes";

/// How fields were set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// In any other way.
    Update,
}

/// The fields that one manager has set in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the manager calls itself.
    pub manager: String,
    /// In which way.
    pub operation: Operation,
    /// In which version of the API.
    pub api_version: String,
    /// Through which path below the object; empty: through its own.
    pub subresource: String,
    /// When it last set something else; `None`: nobody knows.
    pub time: Option<String>,
    /// Which fields.
    pub fields: FieldSet,
}

/// Who owns the fields of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners(pub(super) Vec<Entry>);

/// Why an entry is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("metadata.managedFields: is no list of entries of `FieldsV1`: leave it as it was")]
pub struct UnreadableOwners;

impl Owners {
    /// Of an object, or of nothing if it has none.
    pub fn of(object: &Value) -> Result<Self, UnreadableOwners> {
        match &object["metadata"]["managedFields"] {
            Value::Null => Ok(Self::default()),
            Value::Array(entries) => {
                // One empty entry is how a client asks to forget them all.
                if let [Value::Object(only)] = &entries[..]
                    && only.is_empty()
                {
                    return Ok(Self::default());
                }
                entries.iter().map(Entry::read).collect::<Option<_>>().map(Self).ok_or(UnreadableOwners)
            }
            _ => Err(UnreadableOwners),
        }
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Puts them into an object.
    pub fn put_into(&self, object: &mut Value) {
        if let Some(fields) = object.as_object_mut()
            && let Some(metadata) = fields.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
        {
            match self.0.is_empty() {
                true => metadata.remove("managedFields"),
                false => metadata.insert("managedFields".to_owned(), self.written()),
            };
        }
    }

    fn written(&self) -> Value {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by(|a, b| a.order().cmp(&b.order()));
        entries.into_iter().map(Entry::written).collect()
    }

    /// Makes one of the oldest entries of each version, until there are not too many. A client may send thousands.
    pub(super) fn cap(&mut self) {
        let is_update = |entry: &Entry| entry.operation == Operation::Update;
        let mut left = self.0.iter().filter(|entry| is_update(entry)).count();
        if left <= MAX_UPDATERS {
            return;
        }
        let (mut updates, mut kept): (Vec<_>, Vec<_>) = self.0.drain(..).partition(is_update);
        updates.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut first_of_version = BTreeMap::new();
        for entry in updates {
            match first_of_version.get(&entry.api_version) {
                Some(&first) if left > MAX_UPDATERS => {
                    let into: &mut Entry = &mut kept[first];
                    into.fields.add(&entry.fields);
                    into.time = entry.time;
                    OLD_UPDATES.clone_into(&mut into.manager);
                    into.subresource.clear();
                    left -= 1;
                }
                _ => {
                    first_of_version.entry(entry.api_version.clone()).or_insert(kept.len());
                    kept.push(entry);
                }
            }
        }
        self.0 = kept;
    }
}

impl Entry {
    /// What a writer has set.
    pub(super) fn of(writer: &Writer, operation: Operation, fields: FieldSet) -> Self {
        Self {
            manager: writer.manager.clone(),
            operation,
            api_version: writer.api_version.clone(),
            subresource: writer.subresource.clone(),
            time: Some(writer.now.clone()),
            fields,
        }
    }

    /// Whether it is what this writer sets in this way.
    pub(super) fn is_of(&self, writer: &Writer, operation: Operation) -> bool {
        self.manager == writer.manager && self.operation == operation && self.subresource == writer.subresource
    }

    fn order(&self) -> (Operation, &str, &str, &str, &str) {
        let time = self.time.as_deref().unwrap_or_default();
        (self.operation, time, &self.manager, &self.api_version, &self.subresource)
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |field: &str| match &value[field] {
            Value::Null => Some(String::new()),
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        let operation = match text("operation")?.as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        if value["fieldsType"].as_str().is_some_and(|of| of != "FieldsV1") {
            return None;
        }
        let fields = match &value["fieldsV1"] {
            Value::Null => FieldSet::default(),
            fields => FieldSet::read(fields)?,
        };
        let time = Some(text("time")?).filter(|time| !time.is_empty());
        let (manager, api_version, subresource) = (text("manager")?, text("apiVersion")?, text("subresource")?);
        Some(Self { manager, operation, api_version, subresource, time, fields })
    }

    fn written(&self) -> Value {
        let operation = if self.operation == Operation::Apply { "Apply" } else { "Update" };
        let mut entry = Map::new();
        let mut put = |field: &str, value: Value| entry.insert(field.to_owned(), value);
        put("manager", json!(self.manager));
        put("operation", json!(operation));
        put("apiVersion", json!(self.api_version));
        if let Some(time) = &self.time {
            put("time", json!(time));
        }
        put("fieldsType", json!("FieldsV1"));
        put("fieldsV1", self.fields.written());
        if !self.subresource.is_empty() {
            put("subresource", json!(self.subresource));
        }
        Value::Object(entry)
    }
}
