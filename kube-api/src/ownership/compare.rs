//! Which fields differ between two objects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    place::{Place, Unmergeable},
    set::FieldSet,
    step::Step,
};

/// What is different in a new object.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) added: FieldSet,
    pub(super) changed: FieldSet,
    pub(super) removed: FieldSet,
}

impl Differences {
    /// All that the new object sets otherwise than the old one.
    pub(super) fn set(&self) -> FieldSet {
        self.added.union(&self.changed)
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>, path: &[Step]) {
        match (old, new) {
            (None, Some(_)) => self.added.insert(path),
            (Some(_), None) => self.removed.insert(path),
            (Some(old), Some(new)) if !is_same(old, new) => self.changed.insert(path),
            _ => {}
        }
    }

    fn walk(
        &mut self,
        old: Option<&Value>,
        new: Option<&Value>,
        place: Place<'_>,
        always: bool,
        path: &mut Vec<Step>,
    ) -> Result<(), Unmergeable> {
        let holds_nothing = |value: Option<&Value>| match value {
            Some(Value::Object(fields)) => fields.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            value => value.is_none_or(Value::is_null),
        };
        // Nothing and an empty object are not the same to whoever wrote it.
        if matches!(place, Place::Leaf) || (holds_nothing(old) && holds_nothing(new)) {
            self.leaf(old, new, path);
            return Ok(());
        }
        match place {
            Place::Leaf => {}
            Place::Fields(..) | Place::Map(..) => {
                let nothing = Map::new();
                let [before, after] = [old, new].map(|value| value.and_then(Value::as_object).unwrap_or(&nothing));
                for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                    let below = place.below(name);
                    path.push(Step::Field(name.clone()));
                    self.walk(before.get(name), after.get(name), below.place, below.always, path)?;
                    path.pop();
                }
            }
            Place::Keyed(..) | Place::Set => self.walk_lists(old, new, place, path)?,
        }
        // That it is there at all is owned too, where it could be absent.
        match (old, new) {
            (None, Some(_)) if !always => self.added.insert(path),
            (Some(_), None) if !always => self.removed.insert(path),
            _ => {}
        }
        Ok(())
    }

    fn walk_lists(
        &mut self,
        old: Option<&Value>,
        new: Option<&Value>,
        place: Place<'_>,
        path: &mut Vec<Step>,
    ) -> Result<(), Unmergeable> {
        let mut found: BTreeMap<Step, [Vec<&Value>; 2]> = BTreeMap::new();
        for (side, list) in [old, new].into_iter().enumerate() {
            let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for (step, element) in place.elements(list, path)? {
                found.entry(step).or_default()[side].push(element);
            }
        }
        for (step, [before, after]) in found {
            path.push(step);
            let single = |elements: &[&'_ Value]| elements.len() < 2;
            match (single(&before), single(&after)) {
                (true, true) => {
                    self.walk(before.first().copied(), after.first().copied(), place.element(), false, path)?;
                }
                // Of elements that are there several times all are one.
                (false, false) if before != after => self.changed.insert(path),
                (false, false) => {}
                (false, true) => {
                    if let Some(one) = after.first() {
                        self.walk(None, Some(one), place.element(), false, path)?;
                    } else {
                        self.removed.insert(path);
                    }
                }
                (true, false) => {
                    if let Some(one) = before.first() {
                        self.walk(Some(one), None, place.element(), false, path)?;
                    }
                    self.added.insert(path);
                }
            }
            path.pop();
        }
        Ok(())
    }
}

/// Whether two values are the same; a number is, however it is written.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || matches!((one.as_f64(), other.as_f64()), (Some(one), Some(other)) if one == other)
}

/// What is different in the new object.
pub(super) fn compare(old: &Value, new: &Value, place: Place<'_>) -> Result<Differences, Unmergeable> {
    let mut differences = Differences::default();
    differences.walk(Some(old), Some(new), place, true, &mut Vec::new())?;
    Ok(differences)
}
