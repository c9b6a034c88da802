//! From a pod template as users write it to what the scheduler and the worker need.
//!
//! This is the only place that reads pod templates: the API refuses what it refuses, and the shell runs what it answers.

mod annotations;
mod container_rules;
mod environment;
mod hash;
mod node_selector;
mod priority;
mod probes;
mod pull;
mod quantities;
mod rules;
mod spread;
mod tolerations;
mod values;
mod volumes;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use api::template::{Template, TemplateSource};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use registry_client::ImageReference;
use serde_json::{Value, json};

use crate::fields::{
    Cause, FieldError, decode,
    honoured::{self, Rules},
    labels::check_labels,
};

/// Longest time that a replica may take to finish its requests when it is stopped.
pub const MAX_GRACE: Duration = Duration::from_secs(3600);
/// What is shown as the address of replicas, and where they run, to those who go by one. They have none: a gateway finds them by
/// their names. Guests that ask for theirs are told the same.
pub const NO_ADDRESS: &str = "127.0.0.1";
/// As Kubernetes: what a pod gets that names no grace period.
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// Reads a pod template (`metadata` and `spec`). Paths in errors start at the template.
///
/// Equal templates give equal results; what Kubernetes fills in by itself makes no difference.
pub fn parse(template: &Value) -> Result<Template, Vec<FieldError>> {
    let errors = honoured::check(template, RULES).errors;
    parse_honoured(template, errors)
}

pub(crate) use environment::is_address;

/// What is done with each field of a template, relative to it.
pub(crate) const RULES: Rules = rules::POD_TEMPLATE;

/// Everything that is wrong with a template but for fields that [`RULES`] refuse.
pub(crate) fn problems(template: &Value) -> Vec<FieldError> {
    parse_honoured(template, Vec::new()).err().unwrap_or_default()
}

/// What else Kubernetes would refuse of a template that is written. What is stored is not measured by it.
pub(crate) fn wrong_values(template: &Value) -> Vec<FieldError> {
    values::wrong(template)
}

fn parse_honoured(template: &Value, mut errors: Vec<FieldError>) -> Result<Template, Vec<FieldError>> {
    let typed: PodTemplateSpec = decode(template)?;
    let parsed = read(template, &typed, &mut errors);
    match parsed {
        Some(template) if errors.is_empty() => Ok(template),
        _ => Err(errors),
    }
}

/// Fills in what Kubernetes fills in and what means something here.
pub fn set_defaults(template: &mut Value) {
    let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("restartPolicy").or_insert_with(|| json!("Always"));
    spec.entry("securityContext").or_insert_with(|| json!({}));
    spec.entry("terminationGracePeriodSeconds").or_insert_with(|| json!(DEFAULT_GRACE_SECONDS));
    let containers = spec.get_mut("containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let ports = container.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
            port.entry("protocol").or_insert_with(|| json!("TCP"));
        }
        probes::set_defaults(container);
    }
}

/// Reads what it can; `None` if nothing useful is left once the errors are mended.
fn read(source: &Value, typed: &PodTemplateSpec, errors: &mut Vec<FieldError>) -> Option<Template> {
    let metadata = typed.metadata.clone().unwrap_or_default();
    let labels = metadata.labels.unwrap_or_default();
    errors.extend(check_labels("metadata.labels", &labels));
    let annotations = metadata.annotations.unwrap_or_default();
    let Some(spec) = &typed.spec else {
        errors.push(FieldError::required("spec", "is missing: it holds the container to run"));
        return None;
    };
    let container = the_container(spec, errors)?;
    let (mut limits, grants) = annotations::read(&annotations, errors);
    let requests = quantities::read(container, &mut limits, errors);
    let (node_selector, node_affinity) = node_selector::read(spec, errors);
    let mut normal = source.clone();
    set_defaults(&mut normal);
    Some(Template {
        hash: hash::of(&normal),
        source: TemplateSource::new(&normal),
        container: container.name.clone(),
        spread: spread::read(spec, &labels, errors),
        tolerations: tolerations::read(spec, errors),
        priority: priority::read(spec, errors),
        labels,
        image: image(container, errors),
        pull: pull::read(spec, container, errors),
        environment: environment::read(spec, container, errors),
        grants,
        limits,
        probes: probes::read(container, errors),
        grace: grace(spec, errors),
        requests,
        node_selector,
        node_affinity,
    })
}

fn the_container<'a>(spec: &'a PodSpec, errors: &mut Vec<FieldError>) -> Option<&'a Container> {
    const PATH: &str = "spec.containers";
    match spec.containers.as_slice() {
        [] => errors.push(FieldError::required(PATH, "is missing: name one container with its image")),
        [_, _, ..] => errors.push(FieldError::not_supported(
            format!("{PATH}[1]"),
            "a replica runs one component: make each further container a Deployment of its own, \
             and let them call each other by Service name",
        )),
        [_] => {}
    }
    let container = spec.containers.first()?;
    if let Err(error) = api::check_dns_label(&container.name) {
        let path = format!("{PATH}[0].name");
        errors.push(match container.name.as_str() {
            "" => FieldError::required(path, "is missing: a container needs a name"),
            _ => FieldError::invalid(path, error.to_string()),
        });
    }
    check_command_line(container, errors);
    check_ports(container, errors);
    volumes::check(spec, container, errors);
    Some(container)
}

fn check_command_line(container: &Container, errors: &mut Vec<FieldError>) {
    let given = |words: &Option<Vec<String>>| words.as_ref().is_some_and(|words| !words.is_empty());
    let field = match (given(&container.command), given(&container.args)) {
        (false, false) => return,
        (true, _) => "command",
        (false, true) => "args",
    };
    let message = format!("is not supported: {}", container_rules::ARGUMENTS);
    errors.push(FieldError::not_supported(format!("spec.containers[0].{field}"), message));
}

fn check_ports(container: &Container, errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty())
            && !names.insert(name)
        {
            let path = format!("spec.containers[0].ports[{index}].name");
            errors.push(FieldError::new(Cause::Duplicate, path, format!("`{name}` stands twice")));
        }
        if !(1..=65535).contains(&port.container_port) {
            let path = format!("spec.containers[0].ports[{index}].containerPort");
            errors.push(FieldError::invalid(path, format!("{} is not a port: use 1 to 65535", port.container_port)));
        }
    }
}

fn image(container: &Container, errors: &mut Vec<FieldError>) -> String {
    const PATH: &str = "spec.containers[0].image";
    let image = container.image.clone().unwrap_or_default();
    if image.is_empty() {
        errors.push(FieldError::required(
            PATH,
            "is missing: name the component to run, such as `hello:v1` (`sampan build` makes one)",
        ));
    } else if let Err(error) = ImageReference::from_str(&image) {
        errors.push(FieldError::invalid(PATH, error.to_string()));
    }
    image
}

fn grace(spec: &PodSpec, errors: &mut Vec<FieldError>) -> Duration {
    // As Kubernetes: one that is negative is the shortest.
    let seconds = match spec.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS) {
        negative if negative < 0 => 1,
        seconds => seconds,
    };
    match u64::try_from(seconds).map(Duration::from_secs) {
        Ok(grace) if grace <= MAX_GRACE => grace,
        _ => {
            let most = MAX_GRACE.as_secs();
            let message = format!("{seconds} is out of range: use 0 to {most} seconds");
            errors.push(FieldError::invalid("spec.terminationGracePeriodSeconds", message));
            MAX_GRACE
        }
    }
}
