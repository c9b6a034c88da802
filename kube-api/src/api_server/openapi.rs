//! The OpenAPI documents of the kinds that are served. Each is made when it is first asked for, and kept.

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::{
    openapi::{self, Info, ServedKind},
    resources::{ALL, Resource, Scope, Subresource},
    schema::{self, Gvk},
};

const JSON: &str = "application/json";
const INFO: Info = Info { title: "Sampan", version: env!("CARGO_PKG_VERSION") };

/// A document that is made when it is first asked for.
type Document = LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>;

static V2_JSON: LazyLock<Bytes> = LazyLock::new(|| encode(&v2()));
/// Some 250 kB; what kubectl before 1.27 asks for.
static V2_PROTOBUF: LazyLock<Bytes> = LazyLock::new(|| openapi::to_protobuf(&v2()).into());
/// One document for each group and version, by its root such as `apis/apps/v1`.
static V3: LazyLock<BTreeMap<String, Document>> = LazyLock::new(|| {
    let mut roots: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for resource in ALL {
        roots.entry(root_of(resource)).or_default().push(served(resource));
    }
    let document = |kinds: Vec<ServedKind>| -> Box<dyn FnOnce() -> Bytes + Send> {
        Box::new(move || encode(&openapi::v3(schema::served(), &kinds, INFO)))
    };
    roots.into_iter().map(|(root, kinds)| (root, LazyLock::new(document(kinds)))).collect()
});

fn encode(document: &Value) -> Bytes {
    document.to_string().into()
}

fn v2() -> Value {
    openapi::v2(schema::served(), &ALL.iter().map(|resource| served(resource)).collect::<Vec<_>>(), INFO)
}

fn root_of(resource: &Resource) -> String {
    match resource.group {
        "" => format!("api/{}", resource.version),
        group => format!("apis/{group}/{}", resource.version),
    }
}

fn served(resource: &Resource) -> ServedKind {
    let gvk = Gvk::of(&resource.api_version(), resource.kind);
    let below = resource.subresources.iter().filter_map(|below| {
        let (of, verbs): (_, &[&str]) = match below {
            Subresource::Status => (gvk.clone(), &["get", "update", "patch"]),
            Subresource::Scale => (Gvk::of("autoscaling/v1", "Scale"), &["get", "update", "patch"]),
            Subresource::Eviction => (Gvk::of("policy/v1", "Eviction"), &["create"]),
            Subresource::Token => (Gvk::of("authentication.k8s.io/v1", "TokenRequest"), &["create"]),
            Subresource::Log => return None,
        };
        Some((below.name(), of, verbs))
    });
    ServedKind {
        below: below.collect(),
        plural: resource.plural,
        namespaced: resource.scope == Scope::Namespaced,
        verbs: resource.verbs(),
        gvk,
    }
}

/// Where the document of each group and version is. Clients keep documents by the hash in its place.
pub(super) fn index() -> Value {
    let mut paths = Map::new();
    for root in V3.keys() {
        let url = format!("/openapi/v3/{root}?hash={}-{:016x}", env!("CARGO_PKG_VERSION"), schema::fingerprint());
        paths.insert(root.clone(), json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

/// The document of one group and version, such as `apis/apps/v1`; `None` if there is none.
pub(super) fn document(root: &str) -> Option<(&'static str, Bytes)> {
    V3.get(root).map(|document| (JSON, Bytes::clone(document)))
}

/// The document of version 2 in the first form of the `Accept` header that there is; JSON if none is.
pub(super) fn v2_document(headers: &HeaderMap) -> (&'static str, Bytes) {
    let accept = headers.get(http::header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut forms = accept.split(',').map(str::trim);
    let protobuf = forms.find_map(|form| match form.split(';').next() {
        Some("application/json") => Some(false),
        Some(form) if form.starts_with("application/com.github.proto-openapi.spec.v2") => Some(true),
        _ => None,
    });
    match protobuf {
        Some(true) => (openapi::V2_PROTOBUF, V2_PROTOBUF.clone()),
        _ => (JSON, V2_JSON.clone()),
    }
}
