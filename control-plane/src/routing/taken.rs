use std::collections::BTreeMap;

use api::ObjectKey;
use kube_api::identity::{now, rfc3339};
use serde_json::Value;

use super::{Claims, TOLD, ingress_claim};

/// What of an Ingress that is written another one takes, or it of another one, each as a sentence.
pub(crate) fn taken_paths(others: &[Value], object: &Value) -> Vec<String> {
    let name = |object: &Value| {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        ObjectKey::new(text("namespace"), text("name"))
    };
    let (own, mut claims) = (name(object), Claims::default());
    for other in others.iter().filter(|other| name(other) != own) {
        claims.set(&name(other), Some(ingress_claim(&name(other), other)));
    }
    let refused = |claims: &Claims, key: &ObjectKey| claims.granted(key).refused;
    let before: BTreeMap<_, _> = others.iter().map(|other| (name(other), refused(&claims, &name(other)))).collect();
    let mut claim = ingress_claim(&own, object);
    if claim.made.is_empty() {
        // It is about to be made, and the youngest.
        claim.made = rfc3339(now());
    }
    let changed = claims.set(&own, Some(claim));
    let known = |key: &ObjectKey| before.get(key).filter(|_| *key != own).cloned().unwrap_or_default();
    let new = changed.iter().flat_map(|key| {
        let refused: Vec<_> = refused(&claims, key).difference(&known(key)).cloned().collect();
        refused.into_iter().map(move |refused| format!("Ingress {key} {refused}"))
    });
    new.take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ingress(name: &str, made: Option<&str>) -> Value {
        json!({
            "metadata": { "namespace": "default", "name": name, "creationTimestamp": made },
            "spec": { "rules": [{ "http": { "paths": [{
                "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "a", "port": { "number": 80 } } },
            }] } }] },
        })
    }

    #[test]
    fn the_writer_of_an_ingress_is_told_what_an_older_one_has_and_whom_it_takes_requests_from() {
        let others = [ingress("m", Some("2026-01-01T00:00:00Z"))];
        let said = |name, made| taken_paths(&others, &ingress(name, made)).join("; ");
        // One that is about to be made is the youngest; of two of the same second the first by name has them.
        assert!(said("a", None).starts_with("Ingress default/a gets no requests"), "{}", said("a", None));
        let same = Some("2026-01-01T00:00:00Z");
        assert!(said("z", same).starts_with("Ingress default/z gets no requests"), "{}", said("z", same));
        assert!(said("a", same).starts_with("Ingress default/m gets no requests"), "{}", said("a", same));
        assert_eq!(said("m", same), "");
    }
}
