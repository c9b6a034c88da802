use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::audit::cut;

/// The longest name that is read; what is behind is cut.
const MAX_NAME_BYTES: usize = 4096;

/// The group of what is Sampan's own, and what of a repository its paths lead to.
const SAMPAN: &str = "sampan.dev";
const PARTS: [&str; 4] = ["manifests", "blobs", "tags", "referrers"];

/// What a path under `/api`, `/apis` and `/sampan` is about, of whatever kind, and one of the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference {
    /// Empty for the core group.
    pub group: String,
    /// Of the group.
    pub version: String,
    /// The kind, as it stands in paths.
    pub resource: String,
    /// Empty for kinds without namespaces, and for all of them.
    pub namespace: String,
    /// Empty for collections.
    pub name: String,
    /// What below the object; empty for itself.
    pub subresource: String,
}

impl Reference {
    /// Reads a path; `None`: it is about no object.
    pub fn of(path: &str) -> Option<Self> {
        let segments: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|segment| cut(&percent_decode_str(segment).decode_utf8_lossy(), MAX_NAME_BYTES))
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            ["sampan", version, rest @ ..] => (SAMPAN, *version, rest),
            ["v2", rest @ ..] => return Self::of_registry(rest),
            _ => return None,
        };
        // What stands below a namespace itself is no resource in it.
        let (namespace, rest) = match rest {
            ["namespaces", namespace, resource, ..] if !matches!(*resource, "status" | "finalize") => {
                (*namespace, &rest[2..])
            }
            ["namespaces", namespace, ..] => (*namespace, rest),
            _ => ("", rest),
        };
        let (resource, rest) = rest.split_first()?;
        let text = |at: usize| rest.get(at).map_or_else(String::new, |text| (*text).to_owned());
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            resource: (*resource).to_owned(),
            namespace: namespace.to_owned(),
            name: text(0),
            subresource: text(1),
        })
    }

    /// A repository, whose name has any number of segments, and what of it is asked for.
    fn of_registry(path: &[&str]) -> Option<Self> {
        let (name, subresource) = match path {
            ["_catalog"] => (String::new(), ""),
            path => {
                // What is asked for comes last; an upload is one of `blobs/uploads`.
                let upload = path.len().checked_sub(3).filter(|at| path[*at..].starts_with(&["blobs", "uploads"]));
                let part = path.len().checked_sub(2).filter(|at| PARTS.contains(&path[*at]));
                let at = part.or(upload).filter(|at| *at > 0)?;
                (path[..at].join("/"), path[at])
            }
        };
        let (group, version, resource) = (SAMPAN.to_owned(), "v2".to_owned(), "repositories".to_owned());
        Some(Self { group, version, resource, name, subresource: subresource.to_owned(), namespace: String::new() })
    }

    /// What a method does with it, as Kubernetes calls that.
    pub fn verb(&self, method: &Method, watches: bool) -> &'static str {
        let one = !self.name.is_empty();
        match *method {
            Method::GET | Method::HEAD if watches => "watch",
            Method::GET | Method::HEAD if one => "get",
            Method::GET | Method::HEAD => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if one => "delete",
            Method::DELETE => "deletecollection",
            _ => "",
        }
    }

    /// `created`: the name of what was made, which the path of a collection does not say.
    pub(crate) fn to_json(&self, created: Option<&str>) -> Value {
        let name = if self.name.is_empty() { created.unwrap_or_default() } else { &self.name };
        let fields = [
            ("resource", self.resource.as_str()),
            ("namespace", &self.namespace),
            ("name", name),
            ("apiGroup", &self.group),
            ("apiVersion", &self.version),
            ("subresource", &self.subresource),
        ];
        fields.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key, json!(text))).collect()
    }
}
