use std::collections::HashMap;

use serde_json::Value;

use super::{
    index::{Key, first_places},
    rules::ListRule,
};

/// The `$setElementOrder` directive of one list.
pub(super) struct ElementOrder<'a> {
    rule: ListRule,
    /// Elements (or their keys), and the order in which they are to stand.
    wanted: HashMap<Key<'a>, usize>,
    /// The list before the patch.
    before: HashMap<Key<'static>, usize>,
}

/// An element, and where it stood before.
type Placed = (Value, Option<usize>);

impl<'a> ElementOrder<'a> {
    /// For a list that is not changed yet.
    pub(super) fn of(rule: ListRule, wanted: &'a [Value], before: &[Value]) -> Self {
        let before = first_places(rule, before).into_iter().map(|(key, at)| (key.into_owned(), at)).collect();
        Self { rule, wanted: first_places(rule, wanted), before }
    }

    /// Sorts a merged list. What the directive does not name keeps its place relative to what was there before.
    pub(super) fn apply(&self, merged: &mut Vec<Value>) {
        let (mut named, mut others): (Vec<(usize, Placed)>, Vec<Placed>) = (Vec::new(), Vec::new());
        for element in merged.drain(..) {
            let (wanted, before) = self.places_of(&element);
            match wanted {
                Some(wanted) => named.push((wanted, (element, before))),
                None => others.push((element, before)),
            }
        }
        named.sort_by_key(|(wanted, _)| *wanted);
        let mut named = named.into_iter().map(|(_, placed)| placed).peekable();
        for (other, before) in others {
            while let Some((next, _)) = named.next_if(|(_, stood)| stood_before(*stood, before)) {
                merged.push(next);
            }
            merged.push(other);
        }
        merged.extend(named.map(|(element, _)| element));
    }

    /// Where an element is to stand, and where it stood.
    fn places_of(&self, element: &Value) -> (Option<usize>, Option<usize>) {
        let Some(key) = Key::of_element(self.rule, element) else { return (None, None) };
        (self.wanted.get(&key).copied(), self.before.get(&key).copied())
    }
}

/// What is new stands before what the directive does not name.
fn stood_before(element: Option<usize>, other: Option<usize>) -> bool {
    match (element, other) {
        (Some(element), Some(other)) => element < other,
        _ => true,
    }
}
