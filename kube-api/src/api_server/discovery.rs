//! What the server has: groups, versions, kinds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::resources::{ALL, Resource, Scope, Subresource};

/// The version of Kubernetes whose API this is modelled after, and Sampan's own.
pub(super) fn version() -> Value {
    json!({
        "major": "1", "minor": "35", "gitVersion": concat!("v1.35.0+sampan-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// The versions of the core group.
pub(super) fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

/// The named groups and their versions, preferred ones first.
fn groups() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for resource in ALL.iter().filter(|resource| !resource.group.is_empty()) {
        let versions = groups.entry(resource.group).or_default();
        if !versions.contains(&resource.version) {
            versions.push(resource.version);
        }
    }
    groups
}

fn describe_group(name: &str, versions: &[&str]) -> Value {
    let version = |version: &&str| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    let described: Vec<_> = versions.iter().map(version).collect();
    json!({ "name": name, "preferredVersion": described.first(), "versions": described })
}

/// All named groups.
pub(super) fn group_list() -> Value {
    let groups: Vec<_> = groups().iter().map(|(name, versions)| describe_group(name, versions)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// One named group; `None` if there is none of this name.
pub(super) fn group(name: &str) -> Option<Value> {
    let mut group = describe_group(name, groups().get(name)?);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    Some(group)
}

/// The kinds of one version of a group; `None` if there is none.
pub(super) fn resource_list(group: &str, version: &str) -> Option<Value> {
    let here = ALL.iter().filter(|resource| resource.group == group && resource.version == version);
    let described: Vec<_> = here.flat_map(|resource| describe(resource)).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!described.is_empty()).then(|| {
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": described })
    })
}

fn describe(resource: &Resource) -> Vec<Value> {
    let namespaced = resource.scope == Scope::Namespaced;
    let mut described = vec![json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": namespaced, "kind": resource.kind,
        "verbs": resource.verbs(), "shortNames": resource.short_names, "categories": resource.categories,
    })];
    described.extend(resource.subresources.iter().map(|subresource| {
        let name = format!("{}/{}", resource.plural, subresource.name());
        match subresource {
            Subresource::Status => json!({ "name": name, "singularName": "", "namespaced": namespaced,
                "kind": resource.kind, "verbs": ["get", "patch", "update"] }),
            Subresource::Scale => json!({ "name": name, "singularName": "", "namespaced": namespaced,
                "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"] }),
            Subresource::Eviction => json!({ "name": name, "singularName": "", "namespaced": namespaced,
                "group": "policy", "version": "v1", "kind": "Eviction", "verbs": ["create"] }),
            Subresource::Token => json!({ "name": name, "singularName": "", "namespaced": namespaced,
                "group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest", "verbs": ["create"] }),
            Subresource::Log => json!({ "name": name, "singularName": "", "namespaced": namespaced,
                "kind": resource.kind, "verbs": ["get"] }),
        }
    }));
    described
}

/// All groups with all of their kinds in one document, which spares clients a request for each group: of the core group, or
/// of the named ones. It is the same as `apidiscovery.k8s.io/v2` and `v2beta1`, but for `version`.
pub(super) fn aggregated(core: bool, version: &str) -> Value {
    let groups = if core { BTreeMap::from([("", vec!["v1"])]) } else { groups() };
    let kinds = |group: &str, version: &str| {
        let here = ALL.iter().filter(|resource| resource.group == group && resource.version == version);
        here.map(|resource| whole(resource)).collect::<Vec<_>>()
    };
    let of_group = |(group, versions): (&&str, &Vec<&str>)| {
        let versions = versions
            .iter()
            .map(|version| json!({ "version": version, "resources": kinds(group, version), "freshness": "Current" }));
        json!({ "metadata": { "name": group, "creationTimestamp": null }, "versions": versions.collect::<Vec<_>>() })
    };
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {},
        "items": groups.iter().map(of_group).collect::<Vec<_>>() })
}

/// A kind with what stands below its objects, out of the lines of the plain list.
fn whole(resource: &Resource) -> Value {
    let kind_of = |line: &Value| {
        let own = |field: &str, of_kind: &str| json!(line[field].as_str().unwrap_or(of_kind));
        json!({ "group": own("group", resource.group), "version": own("version", resource.version), "kind": line["kind"] })
    };
    let lines = describe(resource);
    let (line, below) = lines.split_first().expect("a kind has a line of its own");
    let below = below.iter().map(|line| {
        let name = line["name"].as_str().and_then(|name| name.split_once('/')).map(|(_, below)| below);
        json!({ "subresource": name, "responseKind": kind_of(line), "verbs": line["verbs"] })
    });
    json!({
        "resource": resource.plural, "responseKind": kind_of(line), "singularResource": resource.singular,
        "scope": if resource.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
        "verbs": line["verbs"], "shortNames": resource.short_names, "categories": resource.categories,
        "subresources": below.collect::<Vec<_>>(),
    })
}
