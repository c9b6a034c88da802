//! What a write that is no apply does to the owners.

use serde_json::{Map, Value};

use super::{
    Kind, Writer,
    compare::{Differences, compare},
    owned_part,
    owners::{Entry, Operation, Owners},
    place::Unmergeable,
    set::FieldSet,
};

/// The owners after an object was written: what the writer changed is its own, and no longer anybody else's.
///
/// `live` is the object as it was; `None`: it is new.
pub fn update(
    kind: Kind<'_>,
    live: Option<&Value>,
    new: &Value,
    mut owners: Owners,
    writer: &Writer,
) -> Result<Owners, Unmergeable> {
    // What was there before anybody was asked is nobody's, until somebody applies something.
    if owners.is_empty() && live.is_some() {
        return Ok(owners);
    }
    let live = live.map_or_else(|| Value::Object(Map::new()), owned_part);
    let differences = within_reach(&compare(&live, &owned_part(new), kind.place())?, writer);
    take_from_others(&mut owners, &differences, writer, Operation::Update);
    let set = differences.set();
    match owners.0.iter_mut().find(|entry| entry.is_of(writer, Operation::Update)) {
        Some(entry) => {
            entry.fields = entry.fields.difference(&differences.removed).union(&set);
            if !set.is_empty() {
                entry.time = Some(writer.now.clone());
            }
        }
        None => owners.0.push(Entry::of(writer, Operation::Update, set)),
    }
    owners.0.retain(|entry| !entry.fields.is_empty());
    owners.cap();
    Ok(owners)
}

/// What of the differences the writer could make.
pub(super) fn within_reach(differences: &Differences, writer: &Writer) -> Differences {
    let reach = |set: &FieldSet| set.filter(|step| writer.reach.covers(step));
    Differences {
        added: reach(&differences.added),
        changed: reach(&differences.changed),
        removed: reach(&differences.removed),
    }
}

/// Takes from all others what has changed or gone.
pub(super) fn take_from_others(owners: &mut Owners, differences: &Differences, writer: &Writer, operation: Operation) {
    let gone = differences.set().union(&differences.removed);
    for entry in owners.0.iter_mut().filter(|entry| !entry.is_of(writer, operation)) {
        entry.fields = entry.fields.difference(&gone);
    }
    owners.0.retain(|entry| !entry.fields.is_empty() || entry.is_of(writer, operation));
}
