use k8s_openapi::api::autoscaling::v1::Scale;

use super::{Resource, schema::Schema, stored::STORED};

/// What the `scale` subresource shows of an object. It is stored nowhere, and so in no list of kinds.
pub(crate) static SCALE: Resource = Resource {
    group: "autoscaling",
    kind: "Scale",
    plural: "scales",
    singular: "scale",
    schema: Schema::of::<Scale>(),
    ..STORED
};
