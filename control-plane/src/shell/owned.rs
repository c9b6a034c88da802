//! Which fields are the shell's own. Statuses are nobody else's anyway, so that nothing is noted of them; the number of replicas
//! is what users apply too.

use kube_api::{
    identity::{now, rfc3339},
    kind::DEPLOYMENT,
    ownership::{self, Kind, Owners, Reach, Writer},
    schema::{self, Gvk},
};
use serde_json::Value;

/// What autoscaling is called among managers.
const AUTOSCALING: &str = "sampan-autoscaling";

/// A Deployment whose number of replicas autoscaling has changed, with that said of it, if its owners are kept.
pub(super) fn scaled(before: &Value, mut after: Value) -> Value {
    let owners = Owners::of(before).unwrap_or_default();
    let root = schema::served().kind_id(&Gvk::of(DEPLOYMENT.api_version, DEPLOYMENT.kind));
    if let (Some(root), false) = (root, owners.is_empty()) {
        let writer = Writer {
            manager: AUTOSCALING.to_owned(),
            api_version: DEPLOYMENT.api_version.to_owned(),
            subresource: "scale".to_owned(),
            now: rfc3339(now()),
            reach: Reach::NotStatus,
        };
        let kind = Kind { schemas: schema::served(), root };
        if let Ok(owners) = ownership::update(kind, Some(before), &after, owners, &writer) {
            owners.put_into(&mut after);
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_that_autoscaling_has_changed_is_no_longer_its_appliers() {
        let entry = |fields: Value| json!({ "manager": "user", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields });
        let before = json!({ "metadata": { "managedFields": [entry(json!({ "f:spec": { "f:paused": {}, "f:replicas": {} } }))] },
            "spec": { "replicas": 1, "paused": false } });
        let mut after = before.clone();
        assert_eq!(scaled(&before, after.clone()), before, "nothing has changed");
        after["spec"]["replicas"] = json!(3);
        let owners = scaled(&before, after)["metadata"]["managedFields"].clone();
        assert_eq!(owners[0], entry(json!({ "f:spec": { "f:paused": {} } })));
        assert_eq!(
            (&owners[1]["manager"], &owners[1]["fieldsV1"]),
            (&json!(AUTOSCALING), &json!({ "f:spec": { "f:replicas": {} } }))
        );
        assert!(scaled(&json!({ "spec": {} }), json!({ "spec": { "replicas": 3 } }))["metadata"].is_null());
    }
}
