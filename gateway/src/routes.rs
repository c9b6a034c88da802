//! Which Service a request is for, decided by host and path alone. Pure: no I/O, no clock.

use std::collections::HashMap;

use api::session::PathMatch;

/// What a host is looked up in. `T` is where a request goes.
#[derive(Debug)]
pub(crate) struct RouteTable<T> {
    exact: HashMap<String, Paths<T>>,
    /// By what follows `*.`: a wildcard stands for one label, as in an Ingress.
    wildcard: HashMap<String, Paths<T>>,
    any: Paths<T>,
}

/// A rule before it is put into a table.
#[derive(Debug, Clone)]
pub(crate) struct Rule<T> {
    pub(crate) host: Option<String>,
    pub(crate) path: PathMatch,
    pub(crate) target: T,
}

/// What a look-up came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Routed<'a, T> {
    To(&'a T),
    /// No rule and no Service names the host.
    UnknownHost,
    /// The host is known, but none of its rules is for this path.
    NoRuleForPath,
}

impl<T> RouteTable<T> {
    /// A table of these rules. Of two rules for the same host and path the first wins.
    pub(crate) fn new(rules: impl IntoIterator<Item = Rule<T>>) -> Self {
        let mut table = Self { exact: HashMap::new(), wildcard: HashMap::new(), any: Paths::default() };
        for rule in rules {
            let host = rule.host.map(|host| host.trim_end_matches('.').to_ascii_lowercase());
            let paths = match host {
                None => &mut table.any,
                Some(host) => match host.strip_prefix("*.") {
                    Some(suffix) => table.wildcard.entry(suffix.to_owned()).or_default(),
                    None => table.exact.entry(host).or_default(),
                },
            };
            paths.insert(rule.path, rule.target);
        }
        table
    }

    /// Where a request goes. `host` is lower-case and without port; the most specific host that is named decides.
    pub(crate) fn route(&self, host: &str, path: &str) -> Routed<'_, T> {
        let wildcard = || host.split_once('.').and_then(|(_, suffix)| self.wildcard.get(suffix));
        let paths = self.exact.get(host).or_else(wildcard).unwrap_or(&self.any);
        match paths.find(path) {
            Some(target) => Routed::To(target),
            None if paths.is_empty() => Routed::UnknownHost,
            None => Routed::NoRuleForPath,
        }
    }
}

/// The rules of one host.
#[derive(Debug)]
struct Paths<T> {
    exact: HashMap<String, T>,
    /// Longest first, each without the slash at its end.
    prefixes: Vec<(String, T)>,
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), prefixes: Vec::new() }
    }
}

impl<T> Paths<T> {
    fn insert(&mut self, path: PathMatch, target: T) {
        match path {
            PathMatch::Exact(path) => {
                self.exact.entry(path).or_insert(target);
            }
            PathMatch::Prefix(prefix) => {
                let prefix = prefix.trim_end_matches('/').to_owned();
                let at = self.prefixes.partition_point(|(other, _)| other.len() > prefix.len());
                let same_length = self.prefixes[at..].iter().take_while(|(other, _)| other.len() == prefix.len());
                let behind = at + same_length.clone().count();
                if !same_length.into_iter().any(|(other, _)| *other == prefix) {
                    self.prefixes.insert(behind, (prefix, target));
                }
            }
        }
    }

    fn find(&self, path: &str) -> Option<&T> {
        if !self.exact.is_empty()
            && let Some(target) = self.exact.get(path)
        {
            return Some(target);
        }
        self.prefixes.iter().find(|(prefix, _)| is_below(path, prefix)).map(|(_, target)| target)
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }
}

/// Whether `path` is `prefix` or lies below it, element by element: `/ab` is not below `/a`.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
