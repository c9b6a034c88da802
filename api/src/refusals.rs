//! What was refused, counted for `/metrics`. What is allowed does not come by here.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::OverQuotas;

/// Pairs of a reason and a name that are counted apart. Beyond, names are counted as one.
const MAX_COUNTS: usize = 1024;
/// The name of those.
const OTHERS: &str = "others";

/// Counts refusals since the process started. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    counts: Arc<Mutex<Counts>>,
    quotas: OverQuotas,
}

type Counts = BTreeMap<(Refused, &'static str), BTreeMap<String, u64>>;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// A write of a guest to its store, by namespace.
    Write,
    /// A worker or gateway that wants to join.
    Join,
    /// A request with a wrong token.
    Token,
    /// A call of a guest that a NetworkPolicy does not allow, by the Service, or by the namespace of the guest.
    Call,
}

/// How often something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Why, in a word.
    pub reason: &'static str,
    /// To whom; empty where that is not told apart.
    pub name: String,
    /// How often.
    pub count: u64,
}

impl Refusals {
    /// Something was refused.
    pub fn count(&self, what: Refused, reason: &'static str, name: &str) {
        self.add(what, reason, name, 1);
    }

    /// Something was refused so many times.
    pub fn add(&self, what: Refused, reason: &'static str, name: &str, times: u64) {
        let mut counts = self.counts.lock();
        let is_full = counts.values().map(BTreeMap::len).sum::<usize>() >= MAX_COUNTS;
        let of_reason = counts.entry((what, reason)).or_default();
        let count = match of_reason.get_mut(name) {
            Some(count) => count,
            None => of_reason.entry(if is_full { OTHERS } else { name }.to_owned()).or_default(),
        };
        *count = count.saturating_add(times);
    }

    /// What quotas have refused, for events.
    pub fn quotas(&self) -> &OverQuotas {
        &self.quotas
    }

    /// What was counted of one kind, in the order of reasons and names.
    pub fn of(&self, what: Refused) -> Vec<Count> {
        let counts = self.counts.lock();
        let of_kind = counts.iter().filter(|((kind, _), _)| *kind == what);
        let each =
            of_kind.flat_map(|((_, reason), names)| names.iter().map(move |(name, count)| (*reason, name, count)));
        each.map(|(reason, name, count)| Count { reason, name: name.clone(), count: *count }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_reason_and_name_and_take_a_bounded_room() {
        let refusals = Refusals::default();
        for _ in 0..3 {
            refusals.clone().count(Refused::Write, "quota", "shop");
        }
        refusals.count(Refused::Join, "used_up", "");
        let one = |reason, name: &str, count| Count { reason, name: name.to_owned(), count };
        assert_eq!(refusals.of(Refused::Write), [one("quota", "shop", 3)]);
        assert_eq!(refusals.of(Refused::Join), [one("used_up", "", 1)]);
        assert_eq!(refusals.of(Refused::Token), []);
        for number in 0..10 * MAX_COUNTS {
            refusals.count(Refused::Write, "quota", &number.to_string());
        }
        refusals.count(Refused::Write, "quota", "shop");
        let counts = refusals.of(Refused::Write);
        assert!(counts.len() <= MAX_COUNTS, "{}", counts.len());
        assert!(counts.contains(&one("quota", "shop", 4)));
        assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 10 * MAX_COUNTS as u64 + 4, "none is lost");
    }
}
