//! What Deployments are scaled by: a HorizontalPodAutoscaler that names them, or else their own annotation.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    ObjectKey, Quantity,
    annotations::{AUTOSCALER, SCALE, SCALE_TO_ZERO_AFTER},
};
use kube_api::resources::{parse_bounds, parse_idle};
use scheduler::{
    Event,
    autoscale::{Autoscaler, Behavior, Metric, PolicyKind, RulePolicy, Rules, Select, Target, TargetValue},
};
use serde_json::Value;

use super::{
    Shell,
    autoscaler_trouble::{Trouble, annotation_name},
};

/// Kubernetes' default, where an autoscaler names no metric.
const DEFAULT_CPU_PERCENT: u32 = 80;

/// The autoscalers that are stored, and what the scheduler was told of each Deployment.
#[derive(Debug, Default)]
pub(super) struct Autoscalers {
    /// By the Deployment that they name.
    objects: BTreeMap<ObjectKey, BTreeMap<ObjectKey, Arc<Autoscaler>>>,
    /// The Deployment that each names.
    targets: BTreeMap<ObjectKey, ObjectKey>,
    annotated: BTreeMap<ObjectKey, Arc<Autoscaler>>,
    told: BTreeMap<ObjectKey, Arc<Autoscaler>>,
    /// Objects that decide nothing, and why, as they were told.
    troubles: BTreeMap<ObjectKey, Trouble>,
    /// The same of annotations, by Deployment.
    annotation_troubles: BTreeMap<ObjectKey, Trouble>,
}

impl Autoscalers {
    /// Whether traffic decides a Deployment's number of replicas.
    pub(super) fn scales(&self, deployment: &ObjectKey) -> bool {
        self.told.contains_key(deployment)
    }

    /// What a Deployment is scaled by: an object, or what it says itself. Where there are several, by none of them.
    fn of(&self, deployment: &ObjectKey) -> Option<&Arc<Autoscaler>> {
        let mut all = self.named(deployment).map(|(_, named)| named).chain(self.annotated.get(deployment));
        all.next().filter(|_| all.next().is_none())
    }

    fn named(&self, deployment: &ObjectKey) -> impl Iterator<Item = (&ObjectKey, &Arc<Autoscaler>)> {
        self.objects.get(deployment).into_iter().flatten()
    }

    /// Whether an object decides nothing, as it was told.
    pub(super) fn is_in_trouble(&self, object: &ObjectKey) -> bool {
        self.troubles.contains_key(object)
    }

    /// The objects that name a Deployment, each with why it decides nothing. `there`: whether the Deployment is.
    pub(super) fn troubles(&self, deployment: &ObjectKey, there: bool) -> Vec<(ObjectKey, Option<Trouble>)> {
        let name = || deployment.name.to_string();
        let trouble = |object: &ObjectKey| match (there, self.others(deployment, Some(object))) {
            (false, _) => Some(Trouble::Missing { deployment: name() }),
            (true, others) if others.is_empty() => None,
            (true, others) => Some(Trouble::Ambiguous { deployment: name(), others }),
        };
        self.named(deployment).map(|(object, _)| (object.clone(), trouble(object))).collect()
    }

    /// Why the annotation of a Deployment decides nothing.
    pub(super) fn annotation_trouble(&self, deployment: &ObjectKey) -> Option<Trouble> {
        self.annotated.get(deployment)?;
        let others = self.others(deployment, None);
        (!others.is_empty()).then(|| Trouble::Ambiguous { deployment: deployment.name.to_string(), others })
    }

    /// Who else scales a Deployment than this object; `None`: than the annotation.
    fn others(&self, deployment: &ObjectKey, than: Option<&ObjectKey>) -> Vec<String> {
        let objects = self.named(deployment).map(|(object, _)| object).filter(|object| Some(*object) != than);
        let mut others: Vec<_> = objects.map(|object| format!("horizontalpodautoscaler/{}", object.name)).collect();
        if than.is_some() && self.annotated.contains_key(deployment) {
            others.push(annotation_name());
        }
        others
    }

    /// Keeps what an object is told; answers whether it was told the same before.
    pub(super) fn note_trouble(&mut self, object: &ObjectKey, trouble: Option<&Trouble>) -> bool {
        note(&mut self.troubles, object, trouble)
    }

    /// The same for the annotation of a Deployment.
    pub(super) fn note_annotation(&mut self, deployment: &ObjectKey, trouble: Option<&Trouble>) -> bool {
        note(&mut self.annotation_troubles, deployment, trouble)
    }

    /// Takes an object, or its absence, in. Answers the Deployments that it named or names.
    fn put(&mut self, key: ObjectKey, autoscaler: Option<Autoscaler>) -> Vec<ObjectKey> {
        if autoscaler.is_none() {
            self.troubles.remove(&key);
        }
        let before = self.targets.remove(&key);
        if let Some(before) = &before
            && let Some(named) = self.objects.get_mut(before)
        {
            named.remove(&key);
            if named.is_empty() {
                self.objects.remove(before);
            }
        }
        let now = autoscaler.map(|autoscaler| {
            let deployment = autoscaler.deployment.clone();
            self.targets.insert(key.clone(), deployment.clone());
            self.objects.entry(deployment.clone()).or_default().insert(key, Arc::new(autoscaler));
            deployment
        });
        before.into_iter().chain(now).collect()
    }
}

fn note(told: &mut BTreeMap<ObjectKey, Trouble>, key: &ObjectKey, trouble: Option<&Trouble>) -> bool {
    let before = match trouble {
        Some(trouble) => told.insert(key.clone(), trouble.clone()),
        None => told.remove(key),
    };
    before.as_ref() == trouble
}

impl Shell {
    pub(super) fn autoscaler_stored(&mut self, key: ObjectKey, object: Option<&Value>) {
        let read = object.map(|object| from_object(&key, object));
        for deployment in self.autoscalers.put(key, read) {
            self.tell_autoscaler(&deployment);
        }
    }

    /// A Deployment says by its annotations how it is scaled; `None`: it is gone.
    pub(super) fn annotations_stored(&mut self, key: &ObjectKey, object: Option<&Value>) {
        match object.and_then(|object| from_annotations(key, object)) {
            Some(autoscaler) => self.autoscalers.annotated.insert(key.clone(), Arc::new(autoscaler)),
            None => self.autoscalers.annotated.remove(key),
        };
        self.tell_autoscaler(key);
    }

    fn tell_autoscaler(&mut self, deployment: &ObjectKey) {
        self.judge_autoscalers(deployment);
        let now = self.autoscalers.of(deployment).cloned();
        if now.as_ref() == self.autoscalers.told.get(deployment) {
            return;
        }
        match now {
            Some(autoscaler) => {
                self.autoscalers.told.insert(deployment.clone(), autoscaler.clone());
                self.step(Event::Autoscaler(autoscaler));
            }
            None => {
                self.autoscalers.told.remove(deployment);
                self.measurements.not_scaled(deployment);
                self.step(Event::AutoscalerDeleted(deployment.clone()));
            }
        }
        self.network.set_scaled(deployment, self.autoscalers.scales(deployment));
    }
}

fn from_annotations(key: &ObjectKey, object: &Value) -> Option<Autoscaler> {
    let annotation = |name: &str| object["metadata"]["annotations"][name].as_str();
    let bounds = parse_bounds(annotation(SCALE)?).ok()?;
    Some(Autoscaler {
        deployment: key.clone(),
        object: None,
        min: *bounds.start(),
        max: *bounds.end(),
        policy: policy(annotation(AUTOSCALER)),
        targets: Vec::new(),
        behavior: None,
        idle_after: idle_after(annotation(SCALE_TO_ZERO_AFTER)),
    })
}

/// A stored HorizontalPodAutoscaler. It was checked when it was stored.
fn from_object(key: &ObjectKey, object: &Value) -> Autoscaler {
    let annotation = |name: &str| object["metadata"]["annotations"][name].as_str();
    let spec = &object["spec"];
    let target = spec["scaleTargetRef"]["name"].as_str().unwrap_or_default();
    let metrics = spec["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut targets: Vec<Target> = metrics.iter().filter_map(metric).collect();
    if targets.is_empty() {
        targets.push(Target { metric: Metric::Cpu, value: TargetValue::Utilization(DEFAULT_CPU_PERCENT) });
    }
    Autoscaler {
        deployment: ObjectKey::new(key.namespace.clone(), target),
        object: Some(key.clone()),
        min: count(&spec["minReplicas"]).unwrap_or(1),
        max: count(&spec["maxReplicas"]).unwrap_or(1),
        policy: policy(annotation(AUTOSCALER)),
        targets,
        behavior: spec["behavior"].as_object().map(|_| behavior(&spec["behavior"])),
        idle_after: idle_after(annotation(SCALE_TO_ZERO_AFTER)),
    }
}

fn policy(name: Option<&str>) -> PolicyKind {
    name.and_then(|name| name.parse().ok()).unwrap_or_default()
}

fn idle_after(text: Option<&str>) -> Option<Duration> {
    text.and_then(|text| parse_idle(text).ok())
}

fn metric(metric: &Value) -> Option<Target> {
    let (metric, target) = match metric["type"].as_str()? {
        "Pods" => {
            let source = &metric["pods"];
            let name = match source["metric"]["name"].as_str()? {
                "http_concurrency" => Metric::Concurrency,
                _ => Metric::RequestsPerSecond,
            };
            (name, &source["target"])
        }
        "ContainerResource" => (Metric::Cpu, &metric["containerResource"]["target"]),
        _ => (Metric::Cpu, &metric["resource"]["target"]),
    };
    let value = match count(&target["averageUtilization"]) {
        Some(percent) => TargetValue::Utilization(percent),
        None => {
            let quantity: Quantity = target["averageValue"].as_str()?.parse().ok()?;
            TargetValue::Average(quantity.as_millis() as f64 / 1000.0)
        }
    };
    Some(Target { metric, value })
}

fn behavior(behavior: &Value) -> Behavior {
    Behavior { scale_up: rules(&behavior["scaleUp"]), scale_down: rules(&behavior["scaleDown"]) }
}

fn rules(rules: &Value) -> Option<Rules> {
    rules.as_object()?;
    let policy = |policy: &Value| {
        let (value, period) = (count(&policy["value"])?, seconds(&policy["periodSeconds"])?);
        Some(match policy["type"].as_str()? {
            "Percent" => RulePolicy::Percent { percent: value, period },
            _ => RulePolicy::Pods { pods: value, period },
        })
    };
    let policies = rules["policies"].as_array();
    Some(Rules {
        policies: policies.map(|policies| policies.iter().filter_map(policy).collect()),
        select: match rules["selectPolicy"].as_str() {
            Some("Min") => Select::Min,
            Some("Disabled") => Select::Disabled,
            _ => Select::Max,
        },
        stabilization: seconds(&rules["stabilizationWindowSeconds"]),
        tolerance: rules["tolerance"]
            .as_str()
            .and_then(|text| text.parse::<Quantity>().ok())
            .map(|quantity| quantity.as_millis() as f64 / 1000.0),
    })
}

fn count(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn seconds(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_secs)
}
