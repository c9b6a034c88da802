//! An object without some of its fields.

use serde_json::{Map, Value};

use super::{place::Place, set::FieldSet, step::Step};

/// The value without these fields; `None` if nothing is left of it.
pub(super) fn without(value: &Value, fields: &FieldSet, place: Place<'_>) -> Option<Value> {
    match (place, value) {
        (Place::Fields(..) | Place::Map(..), Value::Object(object)) => {
            let kept: Map<String, Value> = object
                .iter()
                .filter_map(|(name, value)| {
                    // That it is there may be another's still: as in Kubernetes, a null says so until the object is read.
                    let left = left(value, fields, &Step::Field(name.clone()), place.below(name).place)?;
                    Some((name.clone(), left.unwrap_or(Value::Null)))
                })
                .collect();
            (!kept.is_empty() || object.is_empty()).then_some(Value::Object(kept))
        }
        (Place::Keyed(..) | Place::Set, Value::Array(list)) => {
            // What cannot be told apart was never owned.
            let Ok(elements) = place.elements(list, &[]) else { return Some(value.clone()) };
            let kept: Vec<Value> =
                elements.iter().filter_map(|(step, element)| left(element, fields, step, place.element())?).collect();
            (!kept.is_empty() || list.is_empty()).then_some(Value::Array(kept))
        }
        _ => Some(value.clone()),
    }
}

/// `None`: it goes; `Some(None)`: all that it held does.
fn left(value: &Value, fields: &FieldSet, step: &Step, place: Place<'_>) -> Option<Option<Value>> {
    match fields.at(step) {
        (true, _) => None,
        (false, None) => Some(Some(value.clone())),
        (false, Some(below)) => Some(without(value, below, place)),
    }
}
