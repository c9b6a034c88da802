//! What quotas have refused, until users are told of it.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Refusals that are held apart until they are told. What comes beyond is counted in the metrics alone.
const MAX_HELD: usize = 256;

/// Holds what quotas have refused: often, perhaps, and so told in sums. Clones are handles to the same.
#[derive(Debug, Clone, Default)]
pub struct OverQuotas(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<BTreeMap<Whose, Told>>,
    came: Notify,
}

/// Which quota, and whose it is.
type Whose = (&'static str, String);
/// How often, and why the last time.
type Told = (u64, String);

/// A quota has refused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverQuota {
    /// Which quota, in words that are always the same.
    pub quota: &'static str,
    /// Whose: a namespace, or an owner of repositories.
    pub of: String,
    /// How often, since it was told last.
    pub times: u64,
    /// Why, the last time: how much it would have been, what the limit is, and what sets it.
    pub why: String,
}

impl OverQuotas {
    /// Something was refused. It does not wait.
    pub fn note(&self, quota: &'static str, of: &str, why: &str) {
        {
            let mut held = self.0.held.lock();
            let is_full = held.len() >= MAX_HELD;
            match held.get_mut(&(quota, of.to_owned())) {
                Some((times, last)) => (*times, *last) = (times.saturating_add(1), why.to_owned()),
                None if is_full => return,
                None => drop(held.insert((quota, of.to_owned()), (1, why.to_owned()))),
            }
        }
        self.0.came.notify_one();
    }

    /// Waits until something was refused, and takes all that was. One task at a time asks.
    pub async fn next(&self) -> Vec<OverQuota> {
        loop {
            let held = std::mem::take(&mut *self.0.held.lock());
            if !held.is_empty() {
                let one = |((quota, of), (times, why))| OverQuota { quota, of, times, why };
                return held.into_iter().map(one).collect();
            }
            self.0.came.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_refused_often_is_told_once_with_the_last_reason_and_takes_a_bounded_room() {
        let quotas = OverQuotas::default();
        for why in ["first", "last"] {
            quotas.note("bytes", "shop", why);
        }
        for number in 0..10 * MAX_HELD {
            quotas.note("keys", &number.to_string(), "why");
        }
        quotas.note("bytes", "shop", "the very last");
        let told = quotas.next().await;
        assert_eq!(told.len(), MAX_HELD);
        let (of, why) = ("shop".to_owned(), "the very last".to_owned());
        assert_eq!(told[0], OverQuota { quota: "bytes", of, times: 3, why });
        let mut next = Box::pin(quotas.next());
        assert!(futures::poll!(&mut next).is_pending(), "it was told");
        quotas.note("bytes", "other", "again");
        assert_eq!(next.await[0].of, "other");
    }
}
