//! What stands below objects in Kubernetes and not here: who asks for it is told why, and what to do instead.

use super::error::ApiError;

const NO_PROCESS: &str = "a guest is no process, and has no shell, files or terminal: read what it says with `kubectl logs`, \
     or ask it by HTTP (`sampan port-forward`)";
const NO_PORT: &str =
    "a replica listens at no port of its own: `sampan port-forward service/NAME 9000:80` reaches its Service";
const NO_KUBELET: &str =
    "a worker answers no requests of its own: `kubectl get pods` and `kubectl logs` show what runs on it";
const IN_PLACE: &str =
    "a replica keeps the resources that it began with: change the Deployment, and sampan replaces its Pods";
const SCHEDULED: &str = "sampan's scheduler places Pods: say where with `nodeSelector` in the Deployment";

/// By what the path ends in: a kind, and what is below one of its objects.
const INSTEAD: &[(&str, &str, &str)] = &[
    ("pods", "exec", NO_PROCESS),
    ("pods", "attach", NO_PROCESS),
    ("pods", "ephemeralcontainers", NO_PROCESS),
    ("pods", "portforward", NO_PORT),
    ("pods", "proxy", NO_PORT),
    ("pods", "resize", IN_PLACE),
    ("pods", "binding", SCHEDULED),
    ("nodes", "proxy", NO_KUBELET),
];

/// Why there is nothing at a path at which Kubernetes has something; `None`: it is none of these.
pub(super) fn below(path: &str) -> Option<ApiError> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let ["api", "v1", rest @ ..] = segments.as_slice() else { return None };
    let (plural, below) = match rest {
        ["namespaces", _, plural, _, below, ..] | [plural, _, below, ..] => (*plural, *below),
        _ => return None,
    };
    let (.., instead) = INSTEAD.iter().find(|(kind, name, _)| (*kind, *name) == (plural, below))?;
    Some(ApiError::MethodNotAllowed { why: format!("{plural}/{below} is not there: {instead}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_has_below_objects_is_refused_by_one_sentence() {
        for path in ["/api/v1/namespaces/shop/pods/cart-1/exec", "/api/v1/nodes/vm/proxy/metrics"] {
            assert!(below(path).is_some(), "{path}");
        }
        for path in
            ["/api/v1/namespaces/shop/pods/exec", "/api/v1/namespaces/shop/pods/cart/else", "/apis/a/v1/pods/b/exec"]
        {
            assert!(below(path).is_none(), "{path}");
        }
    }
}
