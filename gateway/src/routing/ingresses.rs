use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use api::{
    ObjectKey,
    session::{Ingress, IngressRule, PathMatch},
};

use super::table::normal_host;

/// A host as rules name it; `None`: every host that nothing else names.
type Host = Option<String>;

/// The rules of every Ingress, so that those of a host are found when one changes.
#[derive(Default)]
pub(crate) struct Ingresses {
    rules: BTreeMap<ObjectKey, Vec<IngressRule>>,
    /// The Ingresses that have rules for a host.
    naming: HashMap<Host, BTreeSet<ObjectKey>>,
}

impl Ingresses {
    /// Sets the rules of one Ingress; without rules, it is gone. Answers the hosts whose rules may have changed.
    pub(crate) fn set(&mut self, Ingress { key, rules }: Ingress) -> BTreeSet<Host> {
        let mut touched: BTreeSet<Host> = rules.iter().map(host).collect();
        for named in self.rules.remove(&key).iter().flatten().map(host) {
            if let Entry::Occupied(mut naming) = self.naming.entry(named.clone()) {
                naming.get_mut().remove(&key);
                if naming.get().is_empty() {
                    naming.remove();
                }
            }
            touched.insert(named);
        }
        for named in rules.iter().map(host) {
            self.naming.entry(named).or_default().insert(key.clone());
        }
        if !rules.is_empty() {
            self.rules.insert(key, rules);
        }
        touched
    }

    /// Hosts and paths of all rules with the Services that they lead to, by host; `None`: any host.
    pub(crate) fn all(&self) -> Vec<(Option<&str>, &str, &ObjectKey)> {
        let rules = self.rules.values().flatten();
        let mut all: Vec<_> = rules.map(|rule| (rule.host.as_deref(), path(&rule.path), &rule.service)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The Services that rules name.
    pub(crate) fn services(&self) -> impl Iterator<Item = &ObjectKey> {
        self.rules.values().flatten().map(|rule| &rule.service)
    }

    /// The rules for a host, by the names of their Ingresses.
    pub(crate) fn of<'a>(&'a self, named: &'a Host) -> impl Iterator<Item = &'a IngressRule> {
        let ingresses = self.naming.get(named).into_iter().flatten();
        ingresses.filter_map(|key| self.rules.get(key)).flatten().filter(move |rule| host(rule) == *named)
    }
}

fn host(rule: &IngressRule) -> Host {
    rule.host.as_deref().map(normal_host)
}

fn path(path: &PathMatch) -> &str {
    match path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path,
        PathMatch::Otherwise => "/",
    }
}
