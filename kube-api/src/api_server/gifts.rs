//! What a write would give to others: nobody gives rights that they do not have, as Kubernetes prevents escalation.

use base64::{Engine, prelude::BASE64_STANDARD};
use http_server::Reference;
use serde_json::Value;

use crate::access::{Attributes, Granted, NotCovered, Rule, TOKEN_TYPE, USERS_NAMESPACE, rules_of};

use super::{error::ApiError, guard::Asker, path::Target};

const RBAC: &str = "rbac.authorization.k8s.io";

impl Asker {
    /// Whether they may write this object, of whose collection they may write.
    pub(super) fn may_give(&self, target: &Target, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
        let namespace = target.namespace.as_deref();
        match (target.resource.group, target.resource.plural) {
            (RBAC, "roles" | "clusterroles") => {
                let changes = |field: &str| old.is_none_or(|old| old[field] != new[field]);
                let mut rules = if changes("rules") { rules_of(new) } else { Vec::new() };
                // What a role is made of may become anything.
                if changes("aggregationRule") && !new["aggregationRule"].is_null() {
                    rules.extend([Rule::all_objects(), Rule::all_paths()]);
                }
                self.may_give_rules(target, namespace, &rules, ("escalate", target.resource.plural, target.name()))
            }
            (RBAC, "rolebindings" | "clusterrolebindings") => {
                if old.is_some_and(|old| old["subjects"] == new["subjects"] && old["roleRef"] == new["roleRef"]) {
                    return Ok(());
                }
                let role = &new["roleRef"];
                let plural = if role["kind"] == "ClusterRole" { "clusterroles" } else { "roles" };
                let name = role["name"].as_str().unwrap_or_default();
                // Of one that is not there nobody knows what it will give.
                let everything = || vec![Rule::all_objects(), Rule::all_paths()];
                let rules = self.index.rules_bound(role, namespace).map_or_else(everything, <[Rule]>::to_vec);
                self.may_give_rules(target, namespace, &rules, ("bind", plural, name))
            }
            ("", "secrets") if namespace == Some(USERS_NAMESPACE) && new["type"] == TOKEN_TYPE => {
                let field = |name: &str| {
                    let given = new["data"][name].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
                    given.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
                };
                let groups = field("groups");
                let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned);
                self.may_be(&field("user"), &groups.collect::<Vec<_>>())
            }
            _ => Ok(()),
        }
    }

    /// Whether they may write an object that is not there, by a request that changes one that is.
    pub(super) fn may_create(&self, target: &Target) -> Result<(), ApiError> {
        self.may(&Attributes::object("create", self.reference(target, target.resource.plural, target.name())))
    }

    fn may_give_rules(
        &self,
        target: &Target,
        namespace: Option<&str>,
        rules: &[Rule],
        (verb, plural, name): (&str, &str, &str),
    ) -> Result<(), ApiError> {
        let Err(beyond) = self.index.may_give(&self.user, namespace.unwrap_or_default(), rules) else { return Ok(()) };
        let all_the_same = Attributes::object(verb, self.reference(target, plural, name));
        if matches!(self.index.decide(&self.user, &all_the_same), Granted::Yes(_)) {
            return Ok(());
        }
        let user = &self.user.name;
        let why = match beyond {
            NotCovered::Beyond(what) => format!(
                "User \"{user}\" would give rights that they do not have themselves: {what}; who may `{verb}` {plural} may do so"
            ),
            NotCovered::TooMany => {
                "its rules are too many to be compared with those of its writer: write fewer verbs, resources and names"
                    .to_owned()
            }
        };
        Err(ApiError::Forbidden { resource: target.resource, name: target.name().to_owned(), why })
    }

    fn reference(&self, target: &Target, plural: &str, name: &str) -> Reference {
        Reference {
            group: target.resource.group.to_owned(),
            version: target.resource.version.to_owned(),
            resource: plural.to_owned(),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
            subresource: String::new(),
        }
    }
}
