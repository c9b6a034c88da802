use serde_json::Value;

use super::rules::ListRule;

/// The `$setElementOrder` directive of one list.
pub(super) struct ElementOrder<'a> {
    pub(super) rule: ListRule,
    /// Elements (or their keys) in the order in which they are to stand.
    pub(super) wanted: &'a [Value],
    /// The list before the patch.
    pub(super) before: &'a [Value],
}

impl ElementOrder<'_> {
    /// Sorts a merged list. What the directive does not name keeps its place relative to what was there before.
    pub(super) fn apply(&self, merged: &mut Vec<Value>) {
        let (mut named, others): (Vec<_>, Vec<_>) =
            merged.drain(..).partition(|element| self.wanted_at(element).is_some());
        named.sort_by_key(|element| self.wanted_at(element));
        let mut named = named.into_iter().peekable();
        for other in others {
            let before = self.before_at(&other);
            while let Some(next) = named.next_if(|next| self.stood_before(next, before)) {
                merged.push(next);
            }
            merged.push(other);
        }
        merged.extend(named);
    }

    /// What is new stands before what the directive does not name.
    fn stood_before(&self, element: &Value, other: Option<usize>) -> bool {
        match (self.before_at(element), other) {
            (Some(element), Some(other)) => element < other,
            _ => true,
        }
    }

    fn wanted_at(&self, element: &Value) -> Option<usize> {
        self.wanted.iter().position(|wanted| self.same(wanted, element))
    }

    fn before_at(&self, element: &Value) -> Option<usize> {
        self.before.iter().position(|before| self.same(before, element))
    }

    fn same(&self, a: &Value, b: &Value) -> bool {
        match self.rule {
            ListRule::Keyed(key) => !a[key].is_null() && a[key] == b[key],
            ListRule::Set | ListRule::Replace => a == b,
        }
    }
}
