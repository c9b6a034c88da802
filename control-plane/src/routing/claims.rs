//! Which Ingress has which hosts and paths. As the Gateway API decides of its routes, the older one has what both ask for, and
//! of two of the same second the first by namespace and name. A host is had by a namespace as a whole: of another one nothing
//! of it is taken, not even a path that is free. A wildcard, a name that it covers, and "every host" are three hosts: who names
//! a host more exactly takes it from nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use api::{
    ObjectKey,
    session::{IngressRule, PathMatch},
};

use super::reserved::{Reserved, reserved};

/// So many hosts and paths of an Ingress that it does not get, or gets again, are told one by one. Of more it is said how many they are.
pub(crate) const TOLD: usize = 10;

/// A host as rules name it; `None`: every host that no rule names.
type Host = Option<String>;

/// What an Ingress asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// When it was made, as RFC 3339 writes it in UTC.
    pub(crate) made: String,
    pub(crate) rules: Vec<IngressRule>,
}

/// What it gets of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) rules: Vec<IngressRule>,
    pub(crate) refused: BTreeSet<Refused>,
}

/// What it does not get, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refused {
    /// A host, or a path of one.
    pub(crate) what: Asked,
    why: Why,
}

/// What a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    host: Host,
    /// `None`: all of the host.
    path: Option<Path>,
}

/// A path, as one that leads the same way is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    Exact(String),
    /// Without the slash at its end.
    Prefix(String),
    Otherwise,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// This one has it.
    Taken(ObjectKey),
    /// It is not to be had, for this reason.
    Reserved(String),
}

/// What an Ingress asks for, and the paths of each of its hosts.
#[derive(Debug)]
struct Asking {
    claim: Claim,
    paths: BTreeMap<Host, Vec<Path>>,
}

/// Who comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    made: String,
    key: ObjectKey,
}

/// What all Ingresses ask for, and who gets it.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    claims: BTreeMap<ObjectKey, Asking>,
    asking: BTreeMap<Host, BTreeSet<Rank>>,
    /// Those that do not get all that they ask for of a host.
    refused: BTreeMap<ObjectKey, BTreeMap<Host, BTreeSet<Refused>>>,
}

impl Claims {
    /// An Ingress asks for this now; `None`: it is gone. Answers whose grants are others since then, first its own if it is there.
    pub(crate) fn set(&mut self, key: &ObjectKey, claim: Option<Claim>) -> Vec<ObjectKey> {
        let mut hosts = self.leave(key);
        self.refused.remove(key);
        if let Some(claim) = claim {
            let mut paths: BTreeMap<Host, Vec<Path>> = BTreeMap::new();
            for rule in &claim.rules {
                paths.entry(rule.host.clone()).or_default().push(Path::of(&rule.path));
            }
            for host in paths.keys() {
                let rank = Rank { made: claim.made.clone(), key: key.clone() };
                self.asking.entry(host.clone()).or_default().insert(rank);
            }
            hosts.extend(paths.keys().cloned());
            self.claims.insert(key.clone(), Asking { claim, paths });
        }
        let others: BTreeSet<ObjectKey> = hosts.iter().flat_map(|host| self.decide(host)).collect();
        let own = self.claims.contains_key(key).then(|| key.clone());
        own.into_iter().chain(others.into_iter().filter(|other| other != key)).collect()
    }

    /// What an Ingress gets.
    pub(crate) fn granted(&self, key: &ObjectKey) -> Granted {
        let Some(Asking { claim, .. }) = self.claims.get(key) else { return Granted::default() };
        let refused: BTreeSet<Refused> =
            self.refused.get(key).into_iter().flat_map(BTreeMap::values).flatten().cloned().collect();
        let not_had: BTreeSet<&Asked> = refused.iter().map(|refused| &refused.what).collect();
        let is_refused = |asked: &Asked| not_had.contains(asked);
        let is_granted = |rule: &&IngressRule| !is_refused(&Asked::host(rule)) && !is_refused(&Asked::path(rule));
        let rules = claim.rules.iter().filter(is_granted).cloned().collect();
        Granted { rules, refused }
    }

    /// Takes out what an Ingress asked for, and answers the hosts.
    fn leave(&mut self, key: &ObjectKey) -> BTreeSet<Host> {
        let Some(Asking { claim, paths }) = self.claims.remove(key) else { return BTreeSet::new() };
        let hosts: BTreeSet<Host> = paths.into_keys().collect();
        let rank = Rank { made: claim.made, key: key.clone() };
        for host in &hosts {
            if let Some(asking) = self.asking.get_mut(host) {
                asking.remove(&rank);
                if asking.is_empty() {
                    self.asking.remove(host);
                }
            }
        }
        hosts
    }

    /// Decides who gets what of a host, and answers for whom that is another decision than before.
    fn decide(&mut self, host: &Host) -> Vec<ObjectKey> {
        let mut owner: Option<ObjectKey> = None;
        let mut taken: BTreeMap<Path, ObjectKey> = BTreeMap::new();
        let mut changed = Vec::new();
        for Rank { key, .. } in self.asking.get(host).into_iter().flatten() {
            let whole = |why| BTreeSet::from([Refused { what: Asked { host: host.clone(), path: None }, why }]);
            let is_reserved = host.as_ref().and_then(|host| reserved(host, &key.namespace));
            let refused = match (is_reserved, &owner) {
                (Some(why), _) => whole(Why::reserved(&why)),
                (None, Some(owner)) if owner.namespace != key.namespace => whole(Why::Taken(owner.clone())),
                (None, _) => {
                    owner.get_or_insert_with(|| key.clone());
                    self.paths(key, host).filter_map(|path| Refused::unless_free(host, path, key, &mut taken)).collect()
                }
            };
            let before = self.refused.get(key).and_then(|hosts| hosts.get(host));
            if before.map_or(refused.is_empty(), |before| *before == refused) {
                continue;
            }
            changed.push(key.clone());
            let hosts = self.refused.entry(key.clone()).or_default();
            if refused.is_empty() {
                hosts.remove(host);
            } else {
                hosts.insert(host.clone(), refused);
            }
            if hosts.is_empty() {
                self.refused.remove(key);
            }
        }
        changed
    }

    fn paths(&self, key: &ObjectKey, host: &Host) -> impl Iterator<Item = Path> {
        self.claims.get(key).and_then(|asking| asking.paths.get(host)).into_iter().flatten().cloned()
    }
}

impl Granted {
    /// The hosts, and paths of them, that are among what it gets.
    pub(crate) fn held(&self) -> BTreeSet<Asked> {
        self.rules.iter().flat_map(|rule| [Asked::host(rule), Asked::path(rule)]).collect()
    }
}

impl Refused {
    /// Takes a path for an Ingress, unless an older one has it.
    fn unless_free(host: &Host, path: Path, key: &ObjectKey, taken: &mut BTreeMap<Path, ObjectKey>) -> Option<Self> {
        let by = taken.entry(path.clone()).or_insert_with(|| key.clone());
        let what = Asked { host: host.clone(), path: Some(path) };
        (by != key).then(|| Self { what, why: Why::Taken(by.clone()) })
    }

    /// For machines.
    pub(crate) fn reason(&self) -> &'static str {
        match (&self.why, &self.what.path) {
            (Why::Taken(_), None) => "HostTaken",
            (Why::Taken(_), Some(_)) => "PathTaken",
            (Why::Reserved(_), _) => "HostReserved",
        }
    }
}

impl Why {
    fn reserved(why: &Reserved) -> Self {
        Self::Reserved(why.to_string())
    }
}

impl Asked {
    fn host(rule: &IngressRule) -> Self {
        Self { host: rule.host.clone(), path: None }
    }

    fn path(rule: &IngressRule) -> Self {
        Self { host: rule.host.clone(), path: Some(Path::of(&rule.path)) }
    }
}

impl Path {
    fn of(path: &PathMatch) -> Self {
        match path {
            PathMatch::Exact(path) => Self::Exact(path.clone()),
            PathMatch::Prefix(path) => Self::Prefix(path.trim_end_matches('/').to_owned()),
            PathMatch::Otherwise => Self::Otherwise,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            None => {}
            Some(Path::Exact(path)) => write!(f, "exactly `{path}` of ")?,
            Some(Path::Prefix(path)) if path.is_empty() => write!(f, "`/` of ")?,
            Some(Path::Prefix(path)) => write!(f, "`{path}` of ")?,
            Some(Path::Otherwise) => write!(f, "what no rule is for of ")?,
        }
        match &self.host {
            Some(host) => write!(f, "host `{host}`"),
            None => write!(f, "hosts that no rule names"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gets no requests for {}: ", self.what)?;
        match (&self.why, &self.what.path) {
            (Why::Reserved(why), _) => write!(f, "{why}"),
            (Why::Taken(by), None) => {
                write!(
                    f,
                    "Ingress {by} of another namespace is older and has it; choose another, or wait until that is gone"
                )
            }
            (Why::Taken(by), Some(_)) => {
                write!(f, "Ingress {by} is older and has a rule for them too; keep one of them")
            }
        }
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
