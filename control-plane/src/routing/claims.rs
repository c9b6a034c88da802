//! Which Ingresses have a rule for the same requests. Of several the gateway goes by the first by name, and the others' rules
//! change nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use api::{
    ObjectKey,
    session::{IngressRule, PathMatch},
};

/// What a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// `None`: every host.
    host: Option<String>,
    /// 0: exactly the path; 1: the path and what is below it; 2: what no rule is for.
    kind: u8,
    path: String,
}

/// A rule that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Whose rule it is.
    pub(crate) of: ObjectKey,
    /// What it is for.
    pub(crate) place: Place,
    /// Whose rule is gone by.
    pub(crate) by: ObjectKey,
}

/// The rules of all Ingresses.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    holders: BTreeMap<Place, BTreeSet<ObjectKey>>,
    places: BTreeMap<ObjectKey, BTreeSet<Place>>,
}

impl Claims {
    /// An Ingress has these rules now; without any, it is gone. Answers what is taken since then, by it or of it.
    pub(crate) fn set(&mut self, key: &ObjectKey, rules: &[IngressRule]) -> Vec<Taken> {
        let places: BTreeSet<Place> = rules.iter().map(Place::of).collect();
        let before = self.places.remove(key).unwrap_or_default();
        for gone in before.difference(&places) {
            if let Some(holders) = self.holders.get_mut(gone) {
                holders.remove(key);
                if holders.is_empty() {
                    self.holders.remove(gone);
                }
            }
        }
        let mut taken = Vec::new();
        for place in places.difference(&before) {
            let holders = self.holders.entry(place.clone()).or_default();
            let first_before = holders.first().cloned();
            holders.insert(key.clone());
            let taken_of = match first_before {
                None => continue,
                Some(first) if first < *key => Taken { of: key.clone(), place: place.clone(), by: first },
                Some(first) => Taken { of: first, place: place.clone(), by: key.clone() },
            };
            taken.push(taken_of);
        }
        if !places.is_empty() {
            self.places.insert(key.clone(), places);
        }
        taken
    }
}

impl Place {
    fn of(rule: &IngressRule) -> Self {
        let (kind, path) = match &rule.path {
            PathMatch::Exact(path) => (0, path.clone()),
            PathMatch::Prefix(path) => (1, path.clone()),
            PathMatch::Otherwise => (2, String::new()),
        };
        Self { host: rule.host.clone(), kind, path }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            0 => write!(f, "exactly `{}`", self.path)?,
            1 => write!(f, "`{}`", self.path)?,
            _ => write!(f, "what no rule is for")?,
        }
        match &self.host {
            Some(host) => write!(f, " of host `{host}`"),
            None => write!(f, " of every host"),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, by, of) = (&self.place, &self.by, &self.of);
        write!(
            f,
            "Ingress {of} gets no requests for {place}: Ingress {by} has a rule for them too, and comes first by name; \
             keep one of them"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(host: &str, path: PathMatch) -> IngressRule {
        IngressRule { host: Some(host.to_owned()), path, service: key("s") }
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("default", name)
    }

    #[test]
    fn the_rule_of_the_first_by_name_holds_whoever_came_first() {
        let mut claims = Claims::default();
        let root = || rule("a.b", PathMatch::Prefix("/".to_owned()));
        assert_eq!(claims.set(&key("m"), &[root(), rule("a.b", PathMatch::Exact("/".to_owned()))]), []);
        let later = claims.set(&key("z"), &[root(), rule("c.d", PathMatch::Prefix("/".to_owned()))]);
        assert_eq!(later.len(), 1);
        assert_eq!((&later[0].of, &later[0].by), (&key("z"), &key("m")));
        assert!(later[0].to_string().contains("`/` of host `a.b`"), "{}", later[0]);
        let earlier = claims.set(&key("a"), &[root()]);
        assert_eq!((&earlier[0].of, &earlier[0].by), (&key("m"), &key("a")));
        assert_eq!(claims.set(&key("a"), &[root()]), [], "it is told once");
        assert_eq!(claims.set(&key("a"), &[]), []);
        assert_eq!(claims.set(&key("b"), &[root()])[0].of, key("m"));
    }
}
