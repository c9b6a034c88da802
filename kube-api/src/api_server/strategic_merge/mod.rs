//! Kubernetes' strategic merge patch: a merge patch whose lists of objects are merged by a key, with directives.

mod index;
mod order;
mod rules;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde_json::{Map, Value};

use index::{Key, Places};
use order::ElementOrder;
use rules::{ListRule, list_rule};

use crate::schema::Message;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

/// Why a patch cannot be applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StrategicMergeError {
    #[error("`$patch: {0}` is not known: it is `replace`, `delete` or `merge`")]
    UnknownDirective(String),
    #[error("`{directive}` at `{path}` is not a list")]
    NotAList { directive: String, path: String },
    #[error("an element of `{path}` has no `{key}`, by which such elements are told apart")]
    NoKey { path: String, key: &'static str },
}

/// Applies a patch to an object of a kind; without a schema every list takes the place of the one that is there.
pub(super) fn apply(
    kind: Option<&'static Message>,
    object: &mut Value,
    patch: &Value,
) -> Result<(), StrategicMergeError> {
    let Some(patch) = patch.as_object() else { return Ok(()) };
    if let Some(fields) = object.as_object_mut() {
        Merge { kind }.object(fields, patch, "")?;
    }
    Ok(())
}

/// What a patch does to the whole of an object or an element.
#[derive(Debug, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

impl Directive {
    fn of(patch: &Map<String, Value>) -> Result<Self, StrategicMergeError> {
        match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
            None | Some("merge") => Ok(Self::Merge),
            Some("replace") => Ok(Self::Replace),
            Some("delete") => Ok(Self::Delete),
            Some(other) => Err(StrategicMergeError::UnknownDirective(other.to_owned())),
        }
    }
}

struct Merge {
    kind: Option<&'static Message>,
}

impl Merge {
    fn object(
        &self,
        current: &mut Map<String, Value>,
        patch: &Map<String, Value>,
        path: &str,
    ) -> Result<(), StrategicMergeError> {
        match Directive::of(patch)? {
            Directive::Merge => {}
            Directive::Replace | Directive::Delete => current.clear(),
        }
        if let Some(retained) = patch.get(RETAIN_KEYS) {
            let retained = list(retained, RETAIN_KEYS, path)?;
            let retained: HashSet<_> = retained.iter().filter_map(Value::as_str).collect();
            current.retain(|key, _| retained.contains(key.as_str()));
        }
        for (key, value) in patch {
            if let Some(field) = key.strip_prefix(DELETE_FROM_LIST) {
                let deleted = list(value, key, path)?;
                if let Some(values) = current.get_mut(field).and_then(Value::as_array_mut) {
                    let deleted: HashSet<_> = deleted.iter().map(Key::of).collect();
                    values.retain(|value| !deleted.contains(&Key::of(value)));
                }
            } else if !key.starts_with('$') {
                self.field(current, key, value, patch, &join(path, key))?;
            }
        }
        self.order_untouched_lists(current, patch, path)
    }

    fn field(
        &self,
        current: &mut Map<String, Value>,
        key: &str,
        value: &Value,
        siblings: &Map<String, Value>,
        path: &str,
    ) -> Result<(), StrategicMergeError> {
        match value {
            Value::Null => {
                current.remove(key);
            }
            Value::Object(patch) if patch.get(PATCH).is_some_and(|directive| directive == "delete") => {
                current.remove(key);
            }
            Value::Object(patch) => {
                let held = entry(current, key, Value::is_object, || Value::Object(Map::new()));
                if let Some(held) = held.as_object_mut() {
                    self.object(held, patch, path)?;
                }
            }
            Value::Array(patch) => {
                let held = entry(current, key, Value::is_array, || Value::Array(Vec::new()));
                if let Some(held) = held.as_array_mut() {
                    let order = siblings.get(&format!("{SET_ELEMENT_ORDER}{key}"));
                    self.list(held, patch, order, path)?;
                }
            }
            scalar => {
                current.insert(key.to_owned(), scalar.clone());
            }
        }
        Ok(())
    }

    fn list(
        &self,
        current: &mut Vec<Value>,
        patch: &[Value],
        order: Option<&Value>,
        path: &str,
    ) -> Result<(), StrategicMergeError> {
        let rule = list_rule(self.kind, path);
        let order = order.map(|order| list(order, SET_ELEMENT_ORDER, path)).transpose()?;
        let order = order.map(|wanted| ElementOrder::of(rule, wanted, current));
        match rule {
            ListRule::Replace => *current = patch.to_vec(),
            ListRule::Set => {
                let mut held: HashSet<_> = current.iter().map(|value| Key::of(value).into_owned()).collect();
                current.extend(patch.iter().filter(|value| held.insert(Key::of(value).into_owned())).cloned());
            }
            ListRule::Keyed(key) => self.keyed_list(current, patch, key, path)?,
        }
        if let Some(order) = order {
            order.apply(current);
        }
        Ok(())
    }

    fn keyed_list(
        &self,
        current: &mut Vec<Value>,
        patch: &[Value],
        key: &'static str,
        path: &str,
    ) -> Result<(), StrategicMergeError> {
        let replaces = |element: &Value| element[PATCH] == "replace" && element.get(key).is_none();
        if patch.iter().any(replaces) {
            current.clear();
        }
        let mut places = Places::of(current, key);
        for element in patch.iter().filter(|element| !replaces(element)) {
            let (Some(fields), Some(name)) = (element.as_object(), element.get(key)) else {
                return Err(StrategicMergeError::NoKey { path: path.to_owned(), key });
            };
            if Directive::of(fields)? == Directive::Delete {
                places.remove(name);
                continue;
            }
            let at = places.find_or_add(name, current.len());
            if at == current.len() {
                current.push(Value::Object(Map::new()));
            }
            if let Some(held) = current[at].as_object_mut() {
                self.object(held, fields, path)?;
            }
        }
        places.sweep(current);
        Ok(())
    }

    /// A patch may set the order of a list of which it changes nothing.
    fn order_untouched_lists(
        &self,
        current: &mut Map<String, Value>,
        patch: &Map<String, Value>,
        path: &str,
    ) -> Result<(), StrategicMergeError> {
        for (directive, order) in patch {
            let Some(key) = directive.strip_prefix(SET_ELEMENT_ORDER).filter(|key| !patch.contains_key(*key)) else {
                continue;
            };
            if let Some(held) = current.get_mut(key).and_then(Value::as_array_mut) {
                let path = join(path, key);
                let wanted = list(order, directive, &path)?;
                ElementOrder::of(list_rule(self.kind, &path), wanted, held).apply(held);
            }
        }
        Ok(())
    }
}

fn entry<'a>(
    fields: &'a mut Map<String, Value>,
    key: &str,
    fits: fn(&Value) -> bool,
    empty: fn() -> Value,
) -> &'a mut Value {
    let held = fields.entry(key).or_insert_with(empty);
    if !fits(held) {
        *held = empty();
    }
    held
}

fn list<'a>(value: &'a Value, directive: &str, path: &str) -> Result<&'a [Value], StrategicMergeError> {
    let not_a_list = || StrategicMergeError::NotAList { directive: directive.to_owned(), path: path.to_owned() };
    value.as_array().map(Vec::as_slice).ok_or_else(not_a_list)
}

/// Elements of a list have the path of the list: their fields are the same, wherever they stand.
fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
