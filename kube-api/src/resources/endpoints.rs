use k8s_openapi::api::core::v1::Endpoints;

use super::{
    Durability, Resource,
    column::{AGE, Column, NAME, joined, list_at},
    schema::Schema,
    stored::STORED,
};

/// What came before EndpointSlices: tools of before go by it.
pub(super) static ENDPOINTS: Resource = Resource {
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    durability: Durability::Live,
    columns: &[
        NAME,
        // Their addresses are all the same: names tell replicas apart.
        Column::text("Endpoints", |object, _| {
            let addresses = list_at(object, "/subsets").iter().flat_map(|subset| list_at(subset, "/addresses"));
            joined(addresses.filter_map(|address| address["targetRef"]["name"].as_str().map(str::to_owned)))
        }),
        AGE,
    ],
    schema: Schema::of::<Endpoints>(),
    ..STORED
};
