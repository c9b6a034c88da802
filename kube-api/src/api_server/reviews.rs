//! What is answered to questions about who may do what: there is one token, which may do everything.

use serde_json::{Value, json};

use crate::resources::Resource;

use super::{error::ApiError, metadata::check_kind, strictness::Strictness};

/// Who has the token, as the audit log calls him.
const USER: &str = "sampan:admin";
const GROUPS: [&str; 2] = ["system:masters", "system:authenticated"];
const ONE_TOKEN: &str = "the API has one token, which may do everything";

/// The question with its answer.
pub(super) fn answer(resource: &Resource, mut asked: Value, strictness: &Strictness) -> Result<Value, ApiError> {
    check_kind(resource, &mut asked)?;
    strictness.prune(resource, &mut asked)?;
    asked["status"] = match resource.kind {
        "SelfSubjectReview" => json!({ "userInfo": { "username": USER, "groups": GROUPS } }),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
            "incomplete": false,
        }),
        "SelfSubjectAccessReview" => json!({ "allowed": true, "reason": ONE_TOKEN }),
        _ => of_another(&asked["spec"]),
    };
    Ok(asked)
}

/// Whoever is asked about by name, or by group.
fn of_another(spec: &Value) -> Value {
    let mut groups = spec["groups"].as_array().into_iter().flatten();
    match spec["user"] == USER || groups.any(|group| group == GROUPS[0]) {
        true => json!({ "allowed": true, "reason": ONE_TOKEN }),
        false => json!({ "allowed": false, "reason": "there is no such user: the API has one token" }),
    }
}
