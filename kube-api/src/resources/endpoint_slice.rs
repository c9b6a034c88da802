use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope,
    column::{AGE, Column, NAME, joined, list_at},
    resource::{no_checks, no_defaults},
    schema::Schema,
};

pub(super) static ENDPOINT_SLICE: Resource = Resource {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    durability: Durability::Live,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[],
    columns: &[
        NAME,
        Column::text("AddressType", |object, _| object["addressType"].clone()),
        Column::text("Ports", |object, _| {
            joined(list_at(object, "/ports").iter().map(|port| port["port"].to_string()))
        }),
        Column::text("Endpoints", |object, _| {
            let endpoints = list_at(object, "/endpoints").iter().flat_map(|one| list_at(one, "/addresses"));
            let addresses: Vec<_> = endpoints.filter_map(Value::as_str).collect();
            json!(if addresses.is_empty() { "<unset>".to_owned() } else { addresses.join(",") })
        }),
        AGE,
    ],
    schema: Schema::of::<EndpointSlice>(),
    honoured: &[],
    default: no_defaults,
    validate: no_checks,
    view: None,
};
