//! Where elements of a list stand, by what tells them apart: found in one step each, so that a merge costs what its lists are long.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{Hash, Hasher},
};

use serde_json::Value;

use super::rules::ListRule;

/// What tells an element from others: a field of it, or all of it.
#[derive(Debug, Clone, Eq)]
pub(super) struct Key<'v>(Cow<'v, Value>);

impl<'v> Key<'v> {
    pub(super) fn of(value: &'v Value) -> Self {
        Self(Cow::Borrowed(value))
    }

    /// Of an element of a list with this rule; `None`: nothing tells it from others.
    pub(super) fn of_element(rule: ListRule, element: &'v Value) -> Option<Self> {
        match rule {
            ListRule::Keyed(key) => element.get(key).filter(|value| !value.is_null()).map(Self::of),
            ListRule::Set | ListRule::Replace => Some(Self::of(element)),
        }
    }

    pub(super) fn into_owned(self) -> Key<'static> {
        Key(Cow::Owned(self.0.into_owned()))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        work::count();
        self.0 == other.0
    }
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        #[cfg(test)]
        work::count();
        self.0.hash(state);
    }
}

/// The places of the elements of a list that is changed meanwhile. What is removed leaves its place empty until the end.
pub(super) struct Places {
    at: HashMap<Key<'static>, Vec<usize>>,
    removed: HashSet<usize>,
}

impl Places {
    /// Of a list whose elements are told apart by this field. Those without it are told from all that have it.
    pub(super) fn of(list: &[Value], field: &str) -> Self {
        let mut places = Self { at: HashMap::with_capacity(list.len()), removed: HashSet::new() };
        for (at, element) in list.iter().enumerate() {
            places.at.entry(Key::of(&element[field]).into_owned()).or_default().push(at);
        }
        places
    }

    /// The place of the first such element, or the next one at the end of a list of this length.
    pub(super) fn find_or_add(&mut self, name: &Value, length: usize) -> usize {
        match self.at.entry(Key::of(name).into_owned()) {
            Entry::Occupied(places) => places.get().first().copied().unwrap_or(length),
            Entry::Vacant(free) => {
                free.insert(vec![length]);
                length
            }
        }
    }

    /// Every such element.
    pub(super) fn remove(&mut self, name: &Value) {
        self.removed.extend(self.at.remove(&Key::of(name).into_owned()).unwrap_or_default());
    }

    /// Takes out what was removed.
    pub(super) fn sweep(self, list: &mut Vec<Value>) {
        if self.removed.is_empty() {
            return;
        }
        let mut at = 0;
        list.retain(|_| {
            at += 1;
            !self.removed.contains(&(at - 1))
        });
    }
}

/// The first place of each element.
pub(super) fn first_places<'v>(rule: ListRule, list: &'v [Value]) -> HashMap<Key<'v>, usize> {
    let mut places = HashMap::with_capacity(list.len());
    for (at, element) in list.iter().enumerate() {
        if let Some(key) = Key::of_element(rule, element) {
            places.entry(key).or_insert(at);
        }
    }
    places
}

/// How often elements were compared or hashed, by the thread of one test.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local!(static DONE: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count() {
        DONE.set(DONE.get() + 1);
    }

    pub(in super::super) fn done_by(act: impl FnOnce()) -> usize {
        let before = DONE.get();
        act();
        DONE.get() - before
    }
}
