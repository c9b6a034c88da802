//! What is answered to questions about who may do what.

use http_server::{MASTERS, Reference, User, Users};
use serde_json::{Value, json};

use crate::access::{Attributes, Granted, Rule, What};

use super::{account_token, error::ApiError, guard::Asker, metadata::check_kind, path::Target, strictness::Strictness};

/// The question with its answer.
pub(super) fn answer(
    target: &Target,
    mut asked: Value,
    strictness: &Strictness,
    asker: &Asker,
    users: &Users,
) -> Result<Value, ApiError> {
    check_kind(target.resource, &mut asked)?;
    strictness.prune(target.resource, &mut asked)?;
    asked["status"] = match target.resource.kind {
        "TokenReview" => account_token::whose(&asked["spec"], users)?,
        "SelfSubjectReview" => json!({ "userInfo": shown(&asker.user) }),
        "SelfSubjectRulesReview" => {
            let namespace = text(&asked["spec"], "namespace");
            if namespace.is_empty() {
                return Err(ApiError::BadRequest("spec.namespace: is missing: rules are of a namespace".to_owned()));
            }
            rules(asker, &namespace)
        }
        "SelfSubjectAccessReview" => decision(asker, &asker.user, &asked["spec"])?,
        _ => {
            let spec = &asked["spec"];
            let of = target.namespace.as_deref().unwrap_or_default();
            if !of.is_empty() && text(&spec["resourceAttributes"], "namespace") != of {
                let why = format!("spec.resourceAttributes.namespace: must be `{of}`, as in the path");
                return Err(ApiError::BadRequest(why));
            }
            let groups = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let user =
                User { name: text(spec, "user"), uid: text(spec, "uid"), groups: groups.map(str::to_owned).collect() };
            if user.name.is_empty() && user.groups.is_empty() {
                return Err(ApiError::BadRequest(
                    "spec.user: is missing, and so is spec.groups: name one of them".to_owned(),
                ));
            }
            decision(asker, &user, spec)?
        }
    };
    Ok(asked)
}

/// Who somebody is.
pub(super) fn shown(user: &User) -> Value {
    let mut shown = json!({ "username": user.name, "groups": user.groups });
    if !user.uid.is_empty() {
        shown["uid"] = json!(user.uid);
    }
    shown
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_default().to_owned()
}

fn decision(asker: &Asker, user: &User, spec: &Value) -> Result<Value, ApiError> {
    let asked = match (&spec["resourceAttributes"], &spec["nonResourceAttributes"]) {
        (Value::Null, Value::Null) => {
            let why = "spec: says not what it is about: give it `resourceAttributes` or `nonResourceAttributes`";
            return Err(ApiError::BadRequest(why.to_owned()));
        }
        (Value::Null, path) => Attributes { verb: text(path, "verb"), what: What::Path(text(path, "path")) },
        (object, _) => {
            let reference = Reference {
                group: text(object, "group"),
                version: text(object, "version"),
                resource: text(object, "resource"),
                namespace: text(object, "namespace"),
                name: text(object, "name"),
                subresource: text(object, "subresource"),
            };
            Attributes::object(&text(object, "verb"), reference)
        }
    };
    Ok(match asker.index.decide(user, &asked) {
        Granted::Yes(why) => json!({ "allowed": true, "reason": why }),
        Granted::No(missing) if missing.is_empty() => json!({ "allowed": false }),
        Granted::No(missing) => json!({ "allowed": false, "reason": format!("RBAC: {}", missing.join(", ")) }),
    })
}

/// All that somebody may do in a namespace.
fn rules(asker: &Asker, namespace: &str) -> Value {
    let all = [Rule::all_objects(), Rule::all_paths()];
    let rules = match asker.user.is_in(MASTERS) {
        true => all.iter().collect(),
        false => asker.index.rules_for(&asker.user, namespace),
    };
    let (of_paths, of_objects): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| !rule.urls.is_empty());
    let of_objects = of_objects.into_iter().map(|rule| {
        let mut shown = json!({ "verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources });
        if !rule.names.is_empty() {
            shown["resourceNames"] = json!(rule.names);
        }
        shown
    });
    let of_paths = of_paths.into_iter().map(|rule| json!({ "verbs": rule.verbs, "nonResourceURLs": rule.urls }));
    json!({
        "resourceRules": of_objects.collect::<Vec<_>>(), "nonResourceRules": of_paths.collect::<Vec<_>>(),
        "incomplete": false,
    })
}
