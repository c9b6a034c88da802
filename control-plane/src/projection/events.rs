use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use api::Timestamp;
use bytes::Bytes;
use kube_api::{
    identity::{derived_uid, rfc3339},
    kind::EVENT,
};
use scheduler::EventKind;
use serde_json::json;
use store::{MemoryStore, Revision, collection_prefix};

use super::About;

/// How long an event is kept after it last happened, as in Kubernetes.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Events kept at most; those that are the longest past go first.
const MAX_EVENTS: usize = 4096;

/// Something that a user wants to know happened.
#[derive(Debug, Clone)]
pub(crate) struct Report<'a> {
    pub(crate) about: &'a About,
    pub(crate) kind: EventKind,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
}

/// Events by what they say: one that happens again is counted, not added.
#[derive(Debug)]
pub(crate) struct Events {
    store: MemoryStore,
    known: HashMap<String, Known>,
    /// Store keys by when the event last happened.
    by_age: BTreeMap<(Timestamp, u64), String>,
    /// Tells apart what happened in the same microsecond.
    sequence: u64,
    /// What users have written: as it stands, and since when at least.
    written: HashMap<String, (Revision, Timestamp)>,
    /// Namespaces that were deleted, and when: what still happens in them is not noted.
    gone: HashMap<String, Timestamp>,
}

#[derive(Debug)]
struct Known {
    first: Timestamp,
    age: (Timestamp, u64),
    count: u64,
}

impl Events {
    pub(super) fn new(store: MemoryStore) -> Self {
        Self {
            store,
            known: HashMap::new(),
            by_age: BTreeMap::new(),
            sequence: 0,
            written: HashMap::new(),
            gone: HashMap::new(),
        }
    }

    /// Notes that something happened.
    pub(crate) fn report(&mut self, report: &Report<'_>, now: Timestamp) {
        self.report_series(report, report.message, 1, now);
    }

    /// Notes what happened so many times, and is the same as before if the `series` is: what it says may differ each time.
    pub(crate) fn report_series(&mut self, report: &Report<'_>, series: &str, times: u64, now: Timestamp) {
        let namespace = if report.about.key.namespace.is_empty() { "default" } else { &report.about.key.namespace };
        if self.gone.contains_key(namespace) {
            return;
        }
        let uid = derived_uid(&[namespace, &report.about.uid, report.reason, series]);
        let name = format!("{}.{}", report.about.key.name, uid.replace('-', "").split_at(16).0);
        let key = EVENT.key(&api::ObjectKey::new(namespace, name.as_str()));
        self.sequence += 1;
        let age = (now, self.sequence);
        let known = self.known.entry(key.clone()).or_insert(Known { first: now, age, count: 0 });
        self.by_age.remove(&known.age);
        known.age = age;
        known.count = known.count.saturating_add(times);
        self.by_age.insert(age, key.clone());
        let kind = report.about.kind;
        let object = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid,
                "creationTimestamp": rfc3339(known.first),
            },
            "involvedObject": {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "name": &*report.about.key.name,
                "namespace": &*report.about.key.namespace,
                "uid": report.about.uid,
            },
            "type": match report.kind { EventKind::Normal => "Normal", EventKind::Warning => "Warning" },
            "reason": report.reason,
            "message": report.message,
            "count": known.count,
            "firstTimestamp": rfc3339(known.first),
            "lastTimestamp": rfc3339(now),
            "source": { "component": "sampan" },
            "reportingComponent": "sampan",
            "reportingInstance": "",
        });
        self.store.put(key, Bytes::from(object.to_string()));
        self.expire(now);
    }

    /// A namespace is there.
    pub(crate) fn namespace_stands(&mut self, name: &str) {
        self.gone.remove(name);
    }

    /// A namespace is gone, and with it what happened in it.
    pub(crate) fn namespace_gone(&mut self, name: &str, now: Timestamp) {
        self.gone.insert(name.to_owned(), now);
        let prefix = collection_prefix(EVENT.group, EVENT.plural, Some(name));
        self.known.retain(|key, _| !key.starts_with(&prefix));
        self.by_age.retain(|_, key| !key.starts_with(&prefix));
        self.store.peek_all(&prefix, usize::MAX).items.iter().for_each(|item| {
            self.store.delete(item.key.to_string());
        });
    }

    /// Forgets what users wrote and nobody has written for as long as events are kept, and of more than [`MAX_EVENTS`] those
    /// that were written first.
    pub(crate) fn expire_written(&mut self, now: Timestamp) {
        self.gone.retain(|_, since| now.since(*since) < KEPT_FOR);
        let all = self.store.peek_all(&EVENT.prefix(), usize::MAX).items;
        let mut theirs: Vec<_> = all.into_iter().filter(|item| !self.known.contains_key(&*item.key)).collect();
        theirs.sort_by_key(|item| item.revision);
        let (before, too_many) = (std::mem::take(&mut self.written), theirs.len().saturating_sub(MAX_EVENTS));
        for (at, item) in theirs.iter().enumerate() {
            let same = before.get(&*item.key).filter(|(revision, _)| *revision == item.revision);
            let since = same.map_or(now, |(_, since)| *since);
            if at < too_many || now.since(since) >= KEPT_FOR {
                self.store.delete(item.key.to_string());
            } else {
                self.written.insert(item.key.to_string(), (item.revision, since));
            }
        }
    }

    /// Forgets what is long past.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some(oldest) = self.by_age.first_entry() {
            let past = now.since(oldest.key().0) >= KEPT_FOR;
            if !past && self.known.len() <= MAX_EVENTS {
                return;
            }
            let key = oldest.remove();
            self.known.remove(&key);
            self.store.delete(key);
        }
    }
}
