use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::step::Step;

/// How deep a set may be: as deep as objects may.
const MAX_DEPTH: usize = 128;

/// A set of fields of an object. That a field is in it does not mean that what is below it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet(BTreeMap<Step, Node>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    below: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl FieldSet {
    /// Whether no field is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a field into it; the object as a whole is never in a set.
    pub fn insert(&mut self, path: &[Step]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.0.entry(first.clone()).or_default();
        match rest {
            [] => node.member = true,
            rest => node.below.insert(rest),
        }
    }

    /// Whether a field is in it.
    pub fn has(&self, path: &[Step]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        self.0.get(first).is_some_and(|node| if rest.is_empty() { node.member } else { node.below.has(rest) })
    }

    /// Whether the field of this step is in it, and what of it is below that.
    pub(super) fn at(&self, step: &Step) -> (bool, Option<&FieldSet>) {
        match self.0.get(step) {
            None => (false, None),
            Some(node) => (node.member, Some(&node.below).filter(|below| !below.is_empty())),
        }
    }

    /// What is in one of the two.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.add(other);
        all
    }

    /// Puts into it what is in another: without a copy of what is there, as many are put together.
    pub(super) fn add(&mut self, other: &Self) {
        for (step, node) in &other.0 {
            let here = self.0.entry(step.clone()).or_default();
            here.member |= node.member;
            here.below.add(&node.below);
        }
    }

    /// What is in both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |here, there| here && there)
    }

    /// What is in this one alone.
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |here, there| here && !there)
    }

    fn combine(&self, other: &Self, member: fn(bool, bool) -> bool) -> Self {
        let nothing = Node::default();
        let nodes = self.0.iter().map(|(step, node)| {
            let there = other.0.get(step).unwrap_or(&nothing);
            let below = node.below.combine(&there.below, member);
            (step.clone(), Node { member: member(node.member, there.member), below })
        });
        Self(nodes.filter(|(_, node)| !node.is_empty()).collect())
    }

    /// What of it begins with steps that are right.
    pub(super) fn filter(&self, right: impl Fn(&Step) -> bool) -> Self {
        Self(self.0.iter().filter(|(step, _)| right(step)).map(|(step, node)| (step.clone(), node.clone())).collect())
    }

    /// Each step at its top, whether it is a member, and what is below.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&Step, bool, &FieldSet)> {
        self.0.iter().map(|(step, node)| (step, node.member, &node.below))
    }

    pub(super) fn from_steps(steps: impl Iterator<Item = (Step, bool, FieldSet)>) -> Self {
        let nodes = steps.map(|(step, member, below)| (step, Node { member, below }));
        Self(nodes.filter(|(_, node)| !node.is_empty()).collect())
    }

    /// The path of each field in it.
    pub fn paths(&self) -> Vec<Vec<Step>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, before: &mut Vec<Step>, paths: &mut Vec<Vec<Step>>) {
        for (step, node) in &self.0 {
            before.push(step.clone());
            if node.member {
                paths.push(before.clone());
            }
            node.below.collect(before, paths);
            before.pop();
        }
    }

    /// As `FieldsV1` has it.
    pub fn written(&self) -> Value {
        let fields = self.0.iter().map(|(step, node)| {
            let mut below = node.below.written();
            if let (true, Some(fields)) = (node.member, below.as_object_mut())
                && !fields.is_empty()
            {
                fields.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (step.written(), below)
        });
        Value::Object(fields.collect())
    }

    /// From what `FieldsV1` has; `None` if it is nothing of the kind.
    pub fn read(value: &Value) -> Option<Self> {
        Self::read_at(value, 0)
    }

    fn read_at(value: &Value, depth: usize) -> Option<Self> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut set = Self::default();
        for (name, value) in value.as_object()?.iter().filter(|(name, _)| *name != ".") {
            let below = Self::read_at(value, depth + 1)?;
            // What has nothing below it is meant itself.
            let member = below.is_empty() || value.get(".").is_some();
            set.0.insert(Step::read(name)?, Node { member, below });
        }
        Some(set)
    }
}
