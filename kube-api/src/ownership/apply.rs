//! Server-side apply.

use std::fmt;

use serde_json::Value;

use super::{
    Kind, Writer,
    compare::compare,
    fields::{fields_of, with_named},
    merge::merge,
    owned_part,
    owners::{Entry, Operation, Owners, UnreadableOwners},
    place::{Unmergeable, written},
    remove::without,
    set::FieldSet,
    step::Step,
    update::{take_from_others, within_reach},
};

/// Who owns what was there before anybody applied: as Kubernetes calls it.
const BEFORE: &str = "before-first-apply";
/// Where `kubectl apply` keeps what it applied, if it merges by itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What kubectl calls itself when it applies at the server's side.
const KUBECTL: &str = "kubectl";

/// A field that is another manager's, and would be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Whose it is, as messages of Kubernetes say it.
    pub manager: String,
    /// Where it is, for example `.spec.replicas`.
    pub field: String,
    path: Vec<Step>,
}

/// Why nothing was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotApplied {
    /// Fields of others would be changed, and it was not forced.
    Conflicts(Vec<Conflict>),
    /// It, or what is there, cannot be merged.
    Unmergeable(Unmergeable),
    /// The owners of what is there cannot be read.
    Owners(UnreadableOwners),
}

impl From<Unmergeable> for NotApplied {
    fn from(unmergeable: Unmergeable) -> Self {
        Self::Unmergeable(unmergeable)
    }
}

impl From<UnreadableOwners> for NotApplied {
    fn from(unreadable: UnreadableOwners) -> Self {
        Self::Owners(unreadable)
    }
}

/// As Kubernetes says it.
impl fmt::Display for NotApplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conflicts = match self {
            Self::Unmergeable(unmergeable) => return unmergeable.fmt(f),
            Self::Owners(unreadable) => return unreadable.fmt(f),
            Self::Conflicts(conflicts) => conflicts,
        };
        if let [Conflict { manager, field, .. }] = &conflicts[..] {
            return write!(f, "Apply failed with 1 conflict: conflict with {manager}: {field}");
        }
        write!(f, "Apply failed with {} conflicts: ", conflicts.len())?;
        let mut last = None;
        for Conflict { manager, field, .. } in conflicts {
            if last != Some(manager) {
                let end = if last.is_some() { "\n" } else { "" };
                write!(f, "{end}conflicts with {manager}:")?;
                last = Some(manager);
            }
            write!(f, "\n- {field}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotApplied {}

/// What is there with what is applied in it, and who owns its fields then. What the manager applied before, applies no
/// longer, and no other owns is gone. Fields of others are changed by force alone.
pub fn apply(
    kind: Kind<'_>,
    live: &Value,
    applied: &Value,
    writer: &Writer,
    force: bool,
) -> Result<(Value, Owners), NotApplied> {
    let mut owners = Owners::of(live)?;
    if owners.is_empty() {
        let all = super::Reach::All;
        let before = Writer { manager: BEFORE.to_owned(), subresource: String::new(), reach: all, ..writer.clone() };
        let fields = compare(&Value::Object(serde_json::Map::new()), &owned_part(live), kind.place())?.set();
        if !fields.is_empty() {
            owners.0.push(Entry::of(&before, Operation::Update, fields));
        }
    }
    let fields = fields_of(&owned_part(applied), kind.place())?.filter(|step| writer.reach.covers(step));
    let mut merged = merge(live, applied, kind.place())?;
    let last = owners.0.iter().position(|entry| entry.is_of(writer, Operation::Apply));
    let last = last.map(|at| owners.0.remove(at));
    if let Some(last) = &last {
        merged = prune(kind, &merged, &owners, &fields, last)?;
    }
    let live_part = owned_part(live);
    let differences = within_reach(&compare(&live_part, &owned_part(&merged), kind.place())?, writer);
    let set = differences.set();
    let mut conflicts = Vec::new();
    for entry in &owners.0 {
        conflicts.extend(entry.fields.intersection(&set).paths().into_iter().map(|path| Conflict {
            manager: entry.called(),
            field: written(&path),
            path,
        }));
    }
    if writer.manager == KUBECTL && !conflicts.is_empty() && !force {
        let own = last_applied(kind, live, writer);
        conflicts.retain(|conflict| !own.has(&conflict.path));
    }
    if !force && !conflicts.is_empty() {
        conflicts.sort_by(|a, b| (&a.manager, &a.field).cmp(&(&b.manager, &b.field)));
        return Err(NotApplied::Conflicts(conflicts));
    }
    take_from_others(&mut owners, &differences, writer, Operation::Apply);
    let mut mine = Entry::of(writer, Operation::Apply, fields);
    if let Some(last) = last
        && last.fields == mine.fields
        && owned_part(&merged) == live_part
    {
        // Who applies the same again changes nothing.
        mine.time = last.time;
    }
    if !mine.fields.is_empty() {
        owners.0.push(mine);
    }
    Ok((merged, owners))
}

/// What was merged, without what the manager applied before, does not apply now, and nobody else owns.
fn prune(
    kind: Kind<'_>,
    merged: &Value,
    others: &Owners,
    fields: &FieldSet,
    last: &Entry,
) -> Result<Value, Unmergeable> {
    let named = |set: &FieldSet| with_named(set, kind.place());
    let nothing = || Value::Object(serde_json::Map::new());
    let pruned = without(merged, &named(&last.fields), kind.place()).unwrap_or_else(nothing);
    // What is owned comes back, and so does what stood below something that went and was never the manager's.
    let mut owned = fields.clone();
    others.0.iter().for_each(|entry| owned.add(&entry.fields));
    let here = named(&fields_of(&owned_part(merged), kind.place())?);
    let left = named(&fields_of(&owned_part(&pruned), kind.place())?);
    let gone = here.difference(&left.union(&named(&owned)));
    let left = without(merged, &gone, kind.place()).unwrap_or_else(nothing);
    let left = named(&fields_of(&owned_part(&left), kind.place())?);
    let gone = here.difference(&left).intersection(&named(&last.fields));
    Ok(without(merged, &gone, kind.place()).unwrap_or_else(nothing))
}

/// What `kubectl apply` set before it applied at the server's side, as far as it is still so.
fn last_applied(kind: Kind<'_>, live: &Value, writer: &Writer) -> FieldSet {
    let read = || {
        let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
        let last: Value = serde_json::from_str(text).ok()?;
        (last["apiVersion"] == writer.api_version.as_str()).then_some(())?;
        let last = owned_part(&last);
        let fields = fields_of(&last, kind.place()).ok()?;
        let since = compare(&last, &owned_part(live), kind.place()).ok()?;
        Some(fields.difference(&since.set()).difference(&since.removed))
    };
    read().unwrap_or_default()
}

impl Entry {
    fn called(&self) -> String {
        let mut called = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            called.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            called.push_str(&format!(" using {}", self.api_version));
            if let Some(time) = &self.time {
                called.push_str(&format!(" at {time}"));
            }
        }
        called
    }
}
