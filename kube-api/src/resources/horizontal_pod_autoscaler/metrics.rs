//! `spec.metrics`: what an autoscaler looks at. Which metrics there are, the rules of the kind say.

use api::Quantity;
use k8s_openapi::{
    api::autoscaling::v2::{MetricSpec, MetricTarget},
    apimachinery::pkg::api::resource,
};
use serde_json::{Value, json};

use crate::{
    resources::{column::list_at, field::FieldError},
    template,
};

/// As Kubernetes: what is looked at if nothing is named.
const DEFAULT_CPU_UTILIZATION: u32 = 80;
/// The fields that hold what a metric of each type is.
const SOURCES: [(&str, &str); 3] =
    [("Pods", "pods"), ("Resource", "resource"), ("ContainerResource", "containerResource")];

/// The default metric, and numbers written as the texts that quantities are.
pub(super) fn set_defaults(metrics: &mut Value) {
    if metrics.is_null() || metrics.as_array().is_some_and(Vec::is_empty) {
        let target = json!({ "type": "Utilization", "averageUtilization": DEFAULT_CPU_UTILIZATION });
        *metrics = json!([{ "type": "Resource", "resource": { "name": "cpu", "target": target } }]);
    }
    for metric in metrics.as_array_mut().into_iter().flatten() {
        for (_, source) in SOURCES {
            let value = metric.pointer_mut(&format!("/{source}/target/averageValue"));
            if let Some(number) = value.filter(|value| value.is_number()) {
                *number = json!(number.to_string());
            }
        }
    }
}

pub(super) fn check(metrics: &[MetricSpec]) -> Vec<FieldError> {
    let each = metrics.iter().enumerate();
    each.flat_map(|(index, metric)| check_metric(&format!("spec.metrics[{index}]"), metric)).collect()
}

fn check_metric(path: &str, metric: &MetricSpec) -> Vec<FieldError> {
    let Some((_, expected)) = SOURCES.into_iter().find(|(kind, _)| *kind == metric.type_) else {
        let missing = || FieldError::required(format!("{path}.type"), "is missing: write `Pods` or `Resource`");
        // Other types are refused by the rules.
        return if metric.type_.is_empty() { vec![missing()] } else { Vec::new() };
    };
    let given = [metric.pods.is_some(), metric.resource.is_some(), metric.container_resource.is_some()];
    let others = SOURCES.iter().zip(given).filter(|((_, source), given)| *given && *source != expected);
    let mut errors: Vec<_> = others
        .map(|((_, source), _)| {
            let message = format!("does not belong to the type `{}`: remove it", metric.type_);
            FieldError::invalid(format!("{path}.{source}"), message)
        })
        .collect();
    let path = format!("{path}.{expected}");
    let missing = |field: &str, message: &str| FieldError::required(format!("{path}{field}"), message);
    match (expected, &metric.pods, &metric.resource, &metric.container_resource) {
        ("pods", Some(pods), ..) => {
            if pods.metric.name.is_empty() {
                errors.push(missing(
                    ".metric.name",
                    "is missing: write `http_requests_per_second` or `http_concurrency`",
                ));
            }
            errors.extend(check_average(&path, &pods.target));
        }
        ("resource", _, Some(resource), _) => {
            if resource.name.is_empty() {
                errors.push(missing(".name", "is missing: write `cpu`"));
            }
            errors.extend(check_cpu(&path, &resource.target));
        }
        ("containerResource", .., Some(resource)) => {
            if resource.name.is_empty() {
                errors.push(missing(".name", "is missing: write `cpu`"));
            }
            if resource.container.is_empty() {
                errors.push(missing(".container", "is missing: name the container of the template"));
            }
            errors.extend(check_cpu(&path, &resource.target));
        }
        _ => errors.push(missing("", "is missing: it says what is measured, and the target")),
    }
    errors
}

fn check_cpu(path: &str, target: &MetricTarget) -> Vec<FieldError> {
    if target.type_ != "Utilization" {
        let mut errors = check_average(path, target);
        if target.average_utilization.is_some() {
            let message = "does not belong to the type `AverageValue`: remove it, or write `type: Utilization`";
            errors.push(FieldError::invalid(format!("{path}.target.averageUtilization"), message));
        }
        return errors;
    }
    let mut errors = Vec::new();
    let field = format!("{path}.target.averageUtilization");
    match target.average_utilization {
        None => {
            errors.push(FieldError::required(field, "is missing: write a percentage of what is requested, such as 80"))
        }
        Some(percent) if percent < 1 => {
            errors.push(FieldError::invalid(field, format!("{percent} is out of range: use 1 or more")));
        }
        Some(_) => {}
    }
    if target.average_value.is_some() {
        let message = "does not belong to the type `Utilization`: remove it, or write `type: AverageValue`";
        errors.push(FieldError::invalid(format!("{path}.target.averageValue"), message));
    }
    errors
}

fn check_average(path: &str, target: &MetricTarget) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if target.type_.is_empty() {
        errors.push(FieldError::required(format!("{path}.target.type"), "is missing: write `AverageValue`"));
    }
    let field = format!("{path}.target.averageValue");
    match &target.average_value {
        None => errors.push(FieldError::required(field, "is missing: write the target of one replica, such as `50`")),
        Some(resource::Quantity(text)) => match text.parse::<Quantity>() {
            Ok(quantity) if quantity.as_millis() == 0 => {
                errors.push(FieldError::invalid(field, format!("`{text}` is out of range: use more than 0")));
            }
            Ok(_) => {}
            Err(error) => errors.push(FieldError::invalid(field, error.to_string())),
        },
    }
    errors
}

/// What a user should know of an autoscaler that is right, given the Deployment that it names, if that is there.
pub(crate) fn warnings(autoscaler: &Value, target: Option<&Value>) -> Vec<String> {
    let Some(target) = target else { return Vec::new() };
    let name = target["metadata"]["name"].as_str().unwrap_or_default();
    let template = &target["spec"]["template"];
    let requests_cpu = template::parse(template).is_ok_and(|template| template.requests.cpu_millis > 0);
    let container = &template["spec"]["containers"][0]["name"];
    let warning = |(index, metric): (usize, &Value)| {
        let path = format!("spec.metrics[{index}]");
        let (_, source) = SOURCES.into_iter().find(|(kind, _)| metric["type"] == *kind)?;
        let metric = &metric[source];
        if source == "containerResource" && metric["container"] != *container {
            return Some(format!("{path}: Deployment `{name}` has no container {}", metric["container"]));
        }
        (metric["target"]["type"] == "Utilization" && !requests_cpu).then(|| {
            format!(
                "{path}: a target of type `Utilization` is a share of the CPU that is requested, and Deployment `{name}` \
                 requests none: set `resources.requests.cpu` in its template, or use `AverageValue`"
            )
        })
    };
    list_at(autoscaler, "/spec/metrics").iter().enumerate().filter_map(warning).collect()
}
