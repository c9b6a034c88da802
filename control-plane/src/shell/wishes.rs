//! What is to be written, by object.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use scheduler::{AutoscalerStatus, DeploymentStatus, Revision, RevisionStatus};
use tokio::time::Instant;

use super::{autoscaler_trouble::Trouble, ingress_status::IngressStatus, service_status::ServiceStatus};

/// How long what follows the traffic waits for what comes next, and is then written at once.
const SETTLES: Duration = Duration::from_secs(1);

/// What is to become of one object. Later wishes replace earlier ones of the same kind.
#[derive(Debug, Default, Clone)]
pub(super) struct Wish {
    pub(super) revision: Option<Revision>,
    pub(super) status: Option<Status>,
    /// How many replicas a Deployment is to have, as its autoscaler decided.
    pub(super) replicas: Option<u32>,
    /// The whole of something that is no object of the API.
    pub(super) record: Option<Bytes>,
    pub(super) delete: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Status {
    Deployment(DeploymentStatus),
    Revision(RevisionStatus),
    Service(ServiceStatus),
    Ingress(IngressStatus),
    Autoscaler(AutoscalerStatus),
    AutoscalerTrouble(Trouble),
}

#[derive(Debug, Default)]
pub(super) struct Wishes {
    by_key: BTreeMap<String, Held>,
    order: VecDeque<String>,
    /// Those that have time until then, in the order of it.
    later: VecDeque<(Instant, String)>,
}

#[derive(Debug, Default)]
struct Held {
    wish: Wish,
    /// Whether it is in the order, and not only among those that have time.
    queued: bool,
}

/// When a wish is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Now,
    /// It follows the traffic, and may change again soon.
    Soon,
}

impl Wishes {
    pub(super) fn change(&mut self, key: String, pace: Pace, now: Instant, change: impl FnOnce(&mut Wish)) {
        let is_new = !self.by_key.contains_key(&key);
        let held = self.by_key.entry(key.clone()).or_default();
        change(&mut held.wish);
        match pace {
            Pace::Now if !held.queued => {
                held.queued = true;
                self.order.push_back(key);
            }
            Pace::Soon if is_new => self.later.push_back((now + SETTLES, key)),
            _ => {}
        }
    }

    /// Puts those into the order that have had their time; without one, all of them.
    pub(super) fn make_due(&mut self, now: Option<Instant>) {
        let due = |(due, _): &mut (Instant, String)| now.is_none_or(|now| *due <= now);
        while let Some((_, key)) = self.later.pop_front_if(due) {
            if let Some(held) = self.by_key.get_mut(&key).filter(|held| !held.queued) {
                held.queued = true;
                self.order.push_back(key);
            }
        }
    }

    /// When there is something to write.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.order.is_empty() { self.later.front().map(|(due, _)| *due) } else { Some(Instant::now()) }
    }

    /// Whether nothing is in the order.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn take(&mut self, limit: usize) -> Vec<(String, Wish)> {
        let keys = self.order.drain(..limit.min(self.order.len()));
        keys.filter_map(|key| self.by_key.remove_entry(&key)).map(|(key, held)| (key, held.wish)).collect()
    }

    /// Puts back what failed, unless it has been overtaken.
    pub(super) fn put_back(&mut self, key: String, failed: Wish) {
        self.change(key, Pace::Now, Instant::now(), |wish| {
            if wish.delete {
                return;
            }
            wish.delete = failed.delete && wish.revision.is_none() && wish.record.is_none();
            wish.record = wish.record.take().or(failed.record);
            wish.revision = wish.revision.take().or(failed.revision);
            wish.status = wish.status.take().or(failed.status);
            wish.replicas = wish.replicas.or(failed.replicas);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(wishes: &mut Wishes, key: &str, pace: Pace, now: Instant, replicas: u32) {
        wishes.change(key.to_owned(), pace, now, |wish| wish.replicas = Some(replicas));
    }

    fn due(wishes: &mut Wishes, now: Instant) -> Vec<(String, Option<u32>)> {
        wishes.make_due(Some(now));
        wishes.take(10).into_iter().map(|(key, wish)| (key, wish.replicas)).collect()
    }

    #[test]
    fn what_follows_the_traffic_is_written_once_and_no_later_than_it_was_first_wished_for() {
        let (mut wishes, start) = (Wishes::default(), Instant::now());
        replicas(&mut wishes, "a", Pace::Soon, start, 1);
        replicas(&mut wishes, "a", Pace::Soon, start + SETTLES / 2, 0);
        assert_eq!(due(&mut wishes, start + SETTLES / 2), []);
        assert_eq!(wishes.next_due(), Some(start + SETTLES));
        assert_eq!(due(&mut wishes, start + SETTLES), [("a".to_owned(), Some(0))]);
        assert_eq!(wishes.next_due(), None);
    }

    #[test]
    fn what_cannot_wait_takes_along_what_could() {
        let (mut wishes, start) = (Wishes::default(), Instant::now());
        replicas(&mut wishes, "a", Pace::Soon, start, 1);
        replicas(&mut wishes, "b", Pace::Soon, start, 2);
        replicas(&mut wishes, "a", Pace::Now, start, 3);
        assert_eq!(due(&mut wishes, start), [("a".to_owned(), Some(3))]);
        assert_eq!(due(&mut wishes, start + SETTLES), [("b".to_owned(), Some(2))]);
    }

    #[test]
    fn at_the_end_everything_is_due() {
        let (mut wishes, start) = (Wishes::default(), Instant::now());
        replicas(&mut wishes, "a", Pace::Soon, start, 1);
        wishes.make_due(None);
        assert_eq!(wishes.take(10).len(), 1);
    }
}
