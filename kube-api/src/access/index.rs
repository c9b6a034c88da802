use std::collections::{BTreeMap, HashMap};

use http_server::{MASTERS, User};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    fields::label_selector::selects,
    kind::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING, Kind, ROLE, ROLE_BINDING},
};

use super::{
    attributes::Attributes,
    rules::{NotCovered, Rule, covered, rules_of},
};

/// All roles and bindings. Pure: what is stored is given to it.
#[derive(Debug, Default)]
pub(crate) struct Index {
    cluster_roles: HashMap<String, Vec<Rule>>,
    /// By namespace and name.
    roles: HashMap<(String, String), Vec<Rule>>,
    cluster_bindings: Vec<Binding>,
    /// By namespace.
    bindings: HashMap<String, Vec<Binding>>,
}

#[derive(Debug)]
struct Binding {
    name: String,
    subjects: Vec<Subject>,
    role: RoleName,
}

/// Which role a binding gives.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RoleName {
    of_cluster: bool,
    name: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Subject {
    User(String),
    Group(String),
}

/// Whether somebody may do something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    /// By what.
    Yes(String),
    /// With roles that bindings name and that are not there.
    No(Vec<String>),
}

impl Index {
    /// Of stored objects, each with its key.
    pub(crate) fn of<'a>(objects: impl Iterator<Item = (&'a str, Value)>) -> Self {
        let mut index = Self::default();
        let mut cluster_roles = BTreeMap::new();
        for (key, object) in objects {
            let named = |kind: &Kind| kind.object(key).map(|key| (key.namespace.to_string(), key.name.to_string()));
            let of_cluster = |kind: &Kind| Some(key.strip_prefix(&kind.prefix())?.to_owned());
            if let Some(name) = of_cluster(&CLUSTER_ROLE) {
                cluster_roles.insert(name, object);
            } else if let Some(name) = of_cluster(&CLUSTER_ROLE_BINDING) {
                index.cluster_bindings.push(Binding::read(name, &object, None));
            } else if let Some(place) = named(&ROLE) {
                index.roles.insert(place, rules_of(&object));
            } else if let Some((namespace, name)) = named(&ROLE_BINDING) {
                let binding = Binding::read(name, &object, Some(&namespace));
                index.bindings.entry(namespace).or_default().push(binding);
            }
        }
        index.cluster_roles =
            cluster_roles.iter().map(|(name, role)| (name.clone(), aggregated(role, &cluster_roles))).collect();
        index
    }

    /// Whether a user may do something.
    pub(crate) fn decide(&self, user: &User, asked: &Attributes) -> Granted {
        if user.is_in(MASTERS) {
            return Granted::Yes(format!("{MASTERS} may do everything"));
        }
        let mut missing = Vec::new();
        for (binding, place) in self.bindings_of(user, asked.namespace()) {
            match self.rules(&binding.role, place) {
                Some(rules) if rules.iter().any(|rule| rule.allows(asked)) => {
                    return Granted::Yes(binding.tell(place));
                }
                Some(_) => {}
                None => missing.push(binding.role.not_found()),
            }
        }
        Granted::No(missing)
    }

    /// All that a user may do in a namespace; in none: in all of them.
    pub(crate) fn rules_for(&self, user: &User, namespace: &str) -> Vec<&Rule> {
        let roles = self.bindings_of(user, namespace).filter_map(|(binding, place)| self.rules(&binding.role, place));
        roles.flatten().collect()
    }

    /// Whether a user may give these rules to others in a namespace, or in all.
    pub(crate) fn may_give(&self, user: &User, namespace: &str, rules: &[Rule]) -> Result<(), NotCovered> {
        if user.is_in(MASTERS) {
            return Ok(());
        }
        covered(rules, &self.rules_for(user, namespace))
    }

    /// The rules of the role that a binding in a namespace names, or of the cluster's.
    pub(crate) fn rules_bound(&self, role_ref: &Value, namespace: Option<&str>) -> Option<&[Rule]> {
        self.rules(&RoleName::read(role_ref), namespace)
    }

    fn rules(&self, role: &RoleName, namespace: Option<&str>) -> Option<&[Rule]> {
        let rules = match (role.of_cluster, namespace) {
            (true, _) => self.cluster_roles.get(&role.name),
            (false, Some(namespace)) => self.roles.get(&(namespace.to_owned(), role.name.clone())),
            (false, None) => None,
        };
        rules.map(Vec::as_slice)
    }

    /// Those that name a user, with their namespace.
    fn bindings_of<'a>(
        &'a self,
        user: &'a User,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Binding, Option<&'a str>)> {
        let of_cluster = self.cluster_bindings.iter().map(|binding| (binding, None));
        let here = self.bindings.get(namespace).into_iter().flatten().map(move |binding| (binding, Some(namespace)));
        of_cluster.chain(here).filter(|(binding, _)| binding.subjects.iter().any(|subject| subject.is(user)))
    }
}

/// The rules of a role of the cluster: its own, or those of the roles that it is made of.
fn aggregated(role: &Value, all: &BTreeMap<String, Value>) -> Vec<Rule> {
    let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array();
    let Some(selectors) = selectors.filter(|selectors| !selectors.is_empty()) else { return rules_of(role) };
    let selectors: Vec<LabelSelector> =
        selectors.iter().filter_map(|selector| LabelSelector::deserialize(selector).ok()).collect();
    // A role that is made of others is none of those that others are made of: they could go in circles.
    let chosen = all.values().filter(|other| other["aggregationRule"].is_null()).filter(|other| {
        let labels = BTreeMap::deserialize(&other["metadata"]["labels"]).unwrap_or_default();
        selectors.iter().any(|selector| selects(selector, &labels))
    });
    rules_of(role).into_iter().chain(chosen.flat_map(rules_of)).collect()
}

impl Binding {
    fn read(name: String, object: &Value, namespace: Option<&str>) -> Self {
        let subjects = object["subjects"].as_array().into_iter().flatten();
        let subjects = subjects.filter_map(|subject| Subject::read(subject, namespace)).collect();
        Self { name, subjects, role: RoleName::read(&object["roleRef"]) }
    }

    fn tell(&self, namespace: Option<&str>) -> String {
        let RoleName { of_cluster, name } = &self.role;
        let role = if *of_cluster { "ClusterRole" } else { "Role" };
        match namespace {
            None => format!("RBAC: allowed by ClusterRoleBinding \"{}\" of {role} \"{name}\"", self.name),
            Some(namespace) => {
                format!("RBAC: allowed by RoleBinding \"{}/{namespace}\" of {role} \"{name}\"", self.name)
            }
        }
    }
}

impl RoleName {
    fn read(role_ref: &Value) -> Self {
        let name = role_ref["name"].as_str().unwrap_or_default().to_owned();
        Self { of_cluster: role_ref["kind"] == "ClusterRole", name }
    }

    fn not_found(&self) -> String {
        let kind = if self.of_cluster { "clusterrole" } else { "role" };
        format!("{kind}.rbac.authorization.k8s.io \"{}\" not found", self.name)
    }
}

impl Subject {
    /// An account without a namespace is in that of its binding.
    fn read(subject: &Value, namespace: Option<&str>) -> Option<Self> {
        let name = subject["name"].as_str()?.to_owned();
        match subject["kind"].as_str()? {
            "User" => Some(Self::User(name)),
            "Group" => Some(Self::Group(name)),
            "ServiceAccount" => {
                let given = subject["namespace"].as_str().filter(|given| !given.is_empty());
                Some(Self::User(format!("system:serviceaccount:{}:{name}", given.or(namespace)?)))
            }
            _ => None,
        }
    }

    fn is(&self, user: &User) -> bool {
        match self {
            Self::User(name) => *name == user.name,
            Self::Group(group) => user.is_in(group),
        }
    }
}
