//! What a PodDisruptionBudget says of the Pods that it is about. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_api::{
    conditions::condition,
    fields::{decode, label_selector},
    finalizers::is_deleted,
};
use serde_json::{Value, json};

const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";

/// What a namespace holds.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) pods: Vec<Value>,
    pub(super) replica_sets: Vec<Value>,
    pub(super) deployments: Vec<Value>,
}

/// The status of a budget, at this time.
pub(super) fn of(budget: &Value, counted: &Counted, now: &str) -> Value {
    let pods: Vec<&Value> = counted.pods.iter().filter(|pod| selects(budget, pod)).collect();
    let healthy = pods.iter().filter(|pod| is_healthy(pod)).count() as u64;
    let (expected, desired) = wanted(budget, &pods, counted);
    let allowed = if expected == 0 { 0 } else { healthy.saturating_sub(desired) };
    let generation = &budget["metadata"]["generation"];
    let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let before = condition(budget, DISRUPTION_ALLOWED).filter(|before| before["status"] == status);
    let since = before.map_or_else(|| json!(now), |before| before["lastTransitionTime"].clone());
    json!({
        "observedGeneration": generation,
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "conditions": [{ "type": DISRUPTION_ALLOWED, "status": status, "reason": reason, "message": "",
            "observedGeneration": generation, "lastTransitionTime": since }],
    })
}

/// A budget without a selector is about nothing.
fn selects(budget: &Value, pod: &Value) -> bool {
    let Ok(selector) = decode::<LabelSelector>(&budget["spec"]["selector"]) else { return false };
    let labels: BTreeMap<String, String> = decode(&pod["metadata"]["labels"]).unwrap_or_default();
    label_selector::unmet(&selector, &labels).is_none()
}

fn is_healthy(pod: &Value) -> bool {
    !is_deleted(pod) && condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// How many Pods there are to be, and how many of them are to be healthy.
fn wanted(budget: &Value, pods: &[&Value], counted: &Counted) -> (u64, u64) {
    let (least, most_gone) = (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]);
    if !most_gone.is_null() {
        let expected = of_controllers(pods, counted);
        return (expected, expected.saturating_sub(scaled(most_gone, expected)));
    }
    match least.as_u64() {
        // A number that is given says nothing of how many there are to be: those that there are count.
        Some(least) => (pods.len() as u64, least),
        None => {
            let expected = of_controllers(pods, counted);
            (expected, scaled(least, expected))
        }
    }
}

/// A number, or a share of the whole, rounded up.
fn scaled(amount: &Value, whole: u64) -> u64 {
    let share = |text: &str| text.strip_suffix('%')?.parse::<u64>().ok();
    match (amount.as_u64(), amount.as_str().and_then(share)) {
        (Some(count), _) => count,
        (_, Some(share)) => whole.saturating_mul(share).div_ceil(100),
        _ => 0,
    }
}

/// How many Pods those are to have that the Pods belong to: Deployments, and ReplicaSets of their own.
fn of_controllers(pods: &[&Value], counted: &Counted) -> u64 {
    let names: BTreeSet<&str> = pods.iter().filter_map(|pod| controller(pod, "ReplicaSet")).collect();
    let sets = counted.replica_sets.iter().filter(|set| names.contains(name(set)));
    let (mut deployments, mut expected) = (BTreeSet::new(), 0);
    for set in sets {
        match controller(set, "Deployment") {
            Some(deployment) => {
                deployments.insert(deployment);
            }
            None => expected += replicas(set),
        }
    }
    let owners = counted.deployments.iter().filter(|deployment| deployments.contains(name(deployment)));
    expected + owners.map(replicas).sum::<u64>()
}

fn replicas(object: &Value) -> u64 {
    object["spec"]["replicas"].as_u64().unwrap_or(1)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn controller<'v>(object: &'v Value, kind: &str) -> Option<&'v str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true && owner["kind"] == kind)?["name"].as_str()
}
