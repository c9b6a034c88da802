use std::collections::BTreeSet;

use http_server::Reference;
use serde_json::Value;

use super::attributes::{Attributes, What};

const ALL: &str = "*";
/// What rules stand for, one verb with one resource of one name each, that are held against others.
const MAX_COMBINATIONS: usize = 100_000;

/// What may be done with what: a `PolicyRule`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) verbs: BTreeSet<String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) resources: BTreeSet<String>,
    /// Empty: all.
    pub(crate) names: BTreeSet<String>,
    pub(crate) urls: BTreeSet<String>,
}

/// Why somebody's rules are not more than all of others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotCovered {
    /// This is in none of them.
    Beyond(String),
    /// There is too much to compare.
    TooMany,
}

/// The rules of a role.
pub(crate) fn rules_of(role: &Value) -> Vec<Rule> {
    role["rules"].as_array().into_iter().flatten().map(Rule::read).collect()
}

fn has(all: &BTreeSet<String>, one: &str) -> bool {
    all.contains(ALL) || all.contains(one)
}

impl Rule {
    /// Everything with every object.
    pub(crate) fn all_objects() -> Self {
        let all = || BTreeSet::from([ALL.to_owned()]);
        Self { verbs: all(), groups: all(), resources: all(), ..Self::default() }
    }

    /// Everything at every path.
    pub(crate) fn all_paths() -> Self {
        let all = || BTreeSet::from([ALL.to_owned()]);
        Self { verbs: all(), urls: all(), ..Self::default() }
    }

    fn read(rule: &Value) -> Self {
        let strings = |field: &str| {
            rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            verbs: strings("verbs"),
            groups: strings("apiGroups"),
            resources: strings("resources"),
            names: strings("resourceNames"),
            urls: strings("nonResourceURLs"),
        }
    }

    /// Whether it lets somebody do this.
    pub(crate) fn allows(&self, asked: &Attributes) -> bool {
        if !has(&self.verbs, &asked.verb) {
            return false;
        }
        match &asked.what {
            What::Path(path) => self.has_url(path),
            What::Object(object) => self.has_object(object),
        }
    }

    fn has_url(&self, path: &str) -> bool {
        self.urls.iter().any(|url| match url.strip_suffix(ALL) {
            Some(begins) => path.starts_with(begins),
            None => url == path,
        })
    }

    fn has_object(&self, object: &Reference) -> bool {
        let Reference { group, resource, subresource, name, .. } = object;
        let is_of = |resources: &BTreeSet<String>| match subresource.as_str() {
            "" => has(resources, resource),
            below => has(resources, &format!("{resource}/{below}")) || resources.contains(&format!("*/{below}")),
        };
        has(&self.groups, group)
            && is_of(&self.resources)
            && (self.names.is_empty() || (!name.is_empty() && self.names.contains(name)))
    }

    /// One for each verb, with each resource of each name, as the API's words for them.
    fn combinations(&self) -> impl Iterator<Item = Attributes> + '_ {
        let none = BTreeSet::from([String::new()]);
        let names: Vec<String> = if self.names.is_empty() { none } else { self.names.clone() }.into_iter().collect();
        let objects = self.groups.iter().flat_map(move |group| {
            let names = names.clone();
            self.resources.iter().flat_map(move |resource| {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                names.clone().into_iter().map(move |name| {
                    let (group, resource) = (group.clone(), resource.to_owned());
                    let subresource = subresource.to_owned();
                    What::Object(Reference { group, resource, subresource, name, ..Reference::default() })
                })
            })
        });
        let paths = self.urls.iter().cloned().map(What::Path);
        objects
            .chain(paths)
            .flat_map(|what| self.verbs.iter().map(move |verb| Attributes { verb: verb.clone(), what: what.clone() }))
    }

    fn count(&self) -> usize {
        let objects = self.groups.len().saturating_mul(self.resources.len()).saturating_mul(self.names.len().max(1));
        objects.saturating_add(self.urls.len()).saturating_mul(self.verbs.len())
    }
}

/// Whether rules allow nothing that others do not, as Kubernetes' resolver compares them (`validation.Covers`): what a role may
/// give nobody who has less may give.
pub(crate) fn covered(rules: &[Rule], by: &[&Rule]) -> Result<(), NotCovered> {
    if rules.iter().fold(0_usize, |all, rule| all.saturating_add(rule.count())) > MAX_COMBINATIONS {
        return Err(NotCovered::TooMany);
    }
    let beyond = rules.iter().flat_map(Rule::combinations).find(|one| !by.iter().any(|rule| rule.allows(one)));
    beyond.map_or(Ok(()), |one| Err(NotCovered::Beyond(named(&one))))
}

/// What is allowed, in short.
fn named(one: &Attributes) -> String {
    let of = match &one.what {
        What::Object(object) if !object.group.is_empty() => format!(".{}", object.group),
        _ => String::new(),
    };
    format!("{} {}{of}", one.verb, one.resource())
}
