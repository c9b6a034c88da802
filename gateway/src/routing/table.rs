use std::{collections::HashMap, sync::Arc};

use api::session::PathMatch;
use rpds::HashTrieMapSync;

/// What a host is looked up in. `T` is where a request goes. A copy shares with its original what is the same in both, so
/// that a change costs the host that it is of.
#[derive(Debug)]
pub(crate) struct RouteTable<T> {
    exact: HashTrieMapSync<String, Paths<T>>,
    /// By what follows `*.`: a wildcard stands for one label, as in an Ingress.
    wildcard: HashTrieMapSync<String, Paths<T>>,
    any: Arc<Paths<T>>,
}

/// What a look-up came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Routed<'a, T> {
    To(&'a T),
    /// No rule names the host.
    UnknownHost,
    /// The host is known, but none of its rules is for this path.
    NoRuleForPath,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self { exact: HashTrieMapSync::default(), wildcard: HashTrieMapSync::default(), any: Arc::default() }
    }
}

// Derived, it would ask that `T` can be cloned.
impl<T> Clone for RouteTable<T> {
    fn clone(&self) -> Self {
        Self { exact: self.exact.clone(), wildcard: self.wildcard.clone(), any: self.any.clone() }
    }
}

impl<T> RouteTable<T> {
    /// Sets all rules of a host, as [`normal_host`] writes it. Of two for the same path the first holds.
    pub(crate) fn set(&mut self, host: Option<&str>, rules: impl IntoIterator<Item = (PathMatch, T)>) {
        let mut paths = Paths::default();
        rules.into_iter().for_each(|(path, target)| paths.insert(path, target));
        let (hosts, host) = match host.map(|host| (host.strip_prefix("*."), host)) {
            None => {
                self.any = Arc::new(paths);
                return;
            }
            Some((Some(suffix), _)) => (&mut self.wildcard, suffix),
            Some((None, host)) => (&mut self.exact, host),
        };
        if paths.is_empty() {
            hosts.remove_mut(host);
        } else {
            hosts.insert_mut(host.to_owned(), paths);
        }
    }

    /// Where the rules that name this very host send a request; `None`: there are none. `host` is lower-case and without port.
    pub(crate) fn by_name(&self, host: &str, path: &str) -> Option<Routed<'_, T>> {
        self.named(host).map(|paths| paths.route(path))
    }

    /// Where a request goes that no rule and no Service of this very host is for: to the rules of a wildcard, then to those
    /// without a host, and then to the default backend of whoever is nearest.
    pub(crate) fn by_wildcard(&self, host: &str, path: &str) -> Routed<'_, T> {
        let named = self.named(host);
        let wildcard = host.split_once('.').and_then(|(_, suffix)| self.wildcard.get(suffix));
        let found = wildcard.and_then(|paths| paths.find(path)).or_else(|| self.any.find(path));
        let nearest =
            || [named, wildcard, Some(&*self.any)].into_iter().flatten().find_map(|paths| paths.otherwise.as_ref());
        match found.or_else(nearest) {
            Some(target) => Routed::To(target),
            None if named.is_none() && wildcard.is_none() && self.any.is_empty() => Routed::UnknownHost,
            None => Routed::NoRuleForPath,
        }
    }

    fn named(&self, host: &str) -> Option<&Paths<T>> {
        if self.exact.is_empty() { None } else { self.exact.get(host) }
    }
}

/// A rule's host as it is looked up.
pub(crate) fn normal_host(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The rules of one host.
#[derive(Debug)]
struct Paths<T> {
    exact: HashMap<String, T>,
    /// Longest first, each without the slash at its end.
    prefixes: Vec<(String, T)>,
    /// For whatever no rule is for.
    otherwise: Option<T>,
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), prefixes: Vec::new(), otherwise: None }
    }
}

impl<T> Paths<T> {
    fn insert(&mut self, path: PathMatch, target: T) {
        match path {
            PathMatch::Exact(path) => {
                self.exact.entry(path).or_insert(target);
            }
            PathMatch::Otherwise => {
                self.otherwise.get_or_insert(target);
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

    fn route(&self, path: &str) -> Routed<'_, T> {
        self.find(path).map_or(Routed::NoRuleForPath, Routed::To)
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
        self.exact.is_empty() && self.prefixes.is_empty() && self.otherwise.is_none()
    }
}

/// Whether `path` is `prefix` or lies below it, element by element: `/ab` is not below `/a`.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
