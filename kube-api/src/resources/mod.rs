//! The one table of kinds that the API serves. A new kind is a new file and a line in [`ALL`].
//!
//! It knows what each kind is called, how it is printed, what of it Sampan honours and what is wrong with it. It stores
//! nothing and answers no request.

mod absent;
mod column;
mod config;
mod default_account;
mod deployment;
mod endpoint_slice;
mod endpoints;
mod event;
mod hints;
mod horizontal_pod_autoscaler;
mod ingress;
mod ingress_checks;
mod metadata;
mod namespace;
mod network_policy;
mod network_policy_checks;
mod node;
mod pod;
mod priority_class;
mod pruning;
mod replica_set;
mod resource;
mod reviews;
mod scale;
mod selectable;
mod service;
mod service_checks;
mod stored;
mod stored_checks;
mod workload;

pub(crate) mod scaling;

#[cfg(test)]
mod tests;

pub use crate::fields::{Cause, FieldError, MAX_UNKNOWN_FIELDS, Schema};
use crate::fields::{field, honoured, label_selector, labels::check_labels, schema, values};

pub use absent::instead;
pub use column::Column;
pub use default_account::{DEFAULT_ACCOUNT, default_account};
pub(crate) use hints::hints;
pub(crate) use horizontal_pod_autoscaler::warnings as autoscaler_warnings;
pub use priority_class::SYSTEM_CLASSES;
pub(crate) use priority_class::is_system_class;
pub use pruning::remove_field;
pub use resource::{Durability, NameRule, Resource, Scope, Subresource, View};
pub(crate) use reviews::TOKEN_REQUEST;
pub(crate) use scale::SCALE;
pub use scaling::{parse_bounds, parse_idle};
pub use selectable::{Selectable, selectable};

/// Every kind, in the order of discovery. Where a kind has several versions, the first is preferred.
pub static ALL: &[&Resource] = &[
    &namespace::NAMESPACE,
    &config::CONFIG_MAP,
    &config::SECRET,
    &service::SERVICE,
    &pod::POD,
    &node::NODE,
    &event::EVENT,
    &event::EVENT_V1,
    &deployment::DEPLOYMENT,
    &replica_set::REPLICA_SET,
    &horizontal_pod_autoscaler::HORIZONTAL_POD_AUTOSCALER,
    &horizontal_pod_autoscaler::HORIZONTAL_POD_AUTOSCALER_V1,
    &ingress::INGRESS,
    &endpoint_slice::ENDPOINT_SLICE,
    &endpoints::ENDPOINTS,
    &priority_class::PRIORITY_CLASS,
    &stored::SERVICE_ACCOUNT,
    &stored::ROLE,
    &stored::CLUSTER_ROLE,
    &stored::ROLE_BINDING,
    &stored::CLUSTER_ROLE_BINDING,
    &stored::POD_DISRUPTION_BUDGET,
    &stored::INGRESS_CLASS,
    &network_policy::NETWORK_POLICY,
    &stored::LEASE,
    &reviews::SELF_SUBJECT_ACCESS_REVIEW,
    &reviews::SELF_SUBJECT_RULES_REVIEW,
    &reviews::SUBJECT_ACCESS_REVIEW,
    &reviews::LOCAL_SUBJECT_ACCESS_REVIEW,
    &reviews::SELF_SUBJECT_REVIEW,
    &reviews::TOKEN_REVIEW,
    &absent::STATEFUL_SET,
    &absent::DAEMON_SET,
    &absent::REPLICATION_CONTROLLER,
    &absent::CONTROLLER_REVISION,
    &absent::JOB,
    &absent::CRON_JOB,
    &absent::PERSISTENT_VOLUME_CLAIM,
    &absent::PERSISTENT_VOLUME,
    &absent::STORAGE_CLASS,
    &absent::RESOURCE_QUOTA,
    &absent::LIMIT_RANGE,
    &absent::CUSTOM_RESOURCE_DEFINITION,
];

/// The kind that is served under this group, version and plural.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.iter().copied().find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// The kind of this name, in any group and version.
pub fn find_kind(kind: &str) -> Option<&'static Resource> {
    ALL.iter().copied().find(|resource| resource.kind == kind)
}
