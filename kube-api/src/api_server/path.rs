use percent_encoding::percent_decode_str;

use crate::resources::{self, FieldError, Resource, Scope, Subresource};

use super::error::ApiError;

/// What a request's path names.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) resource: &'static Resource,
    /// `None`: a kind without namespaces, or all of them.
    pub(super) namespace: Option<String>,
    /// `None`: the collection.
    pub(super) name: Option<String>,
    pub(super) subresource: Option<Subresource>,
}

impl Target {
    /// Reads `/api/v1/…` and `/apis/GROUP/VERSION/…`. Clients may escape what stands between slashes.
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        Self::of_segments(path).ok_or_else(|| ApiError::NoSuchPath { path: path.to_owned() })
    }

    fn of_segments(path: &str) -> Option<Self> {
        // No name has a slash: one that is escaped could only mean another object than it says.
        let decoded = |segment| percent_decode_str(segment).decode_utf8().ok().filter(|text| !text.contains('/'));
        let segments: Vec<_> = path.trim_matches('/').split('/').map(decoded).collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] if resources::find(group, version, plural).is_some() => {
                (Some((*namespace).to_owned()), *plural, rest)
            }
            [plural, rest @ ..] => (None, *plural, rest),
            [] => return None,
        };
        let resource = resources::find(group, version, plural)?;
        let (name, subresource) = match rest {
            [] => (None, None),
            [name] => (Some((*name).to_owned()), None),
            [name, below] => {
                let known = resource.subresources.iter().copied().find(|known| known.name() == *below)?;
                (Some((*name).to_owned()), Some(known))
            }
            _ => return None,
        };
        let fits = match resource.scope {
            Scope::Cluster => namespace.is_none(),
            Scope::Namespaced => namespace.is_some() || name.is_none(),
        };
        let empty = |part: &Option<String>| part.as_deref() == Some("");
        (fits && !empty(&name) && !empty(&namespace)).then_some(Self { resource, namespace, name, subresource })
    }

    /// The object's name; for messages the empty one of a collection.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// An object of the same collection.
    pub(super) fn named(&self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), subresource: None, ..self.clone() }
    }

    pub(super) fn not_found(&self) -> ApiError {
        ApiError::NotFound { resource: self.resource, name: self.name().to_owned() }
    }

    pub(super) fn invalid(&self, errors: Vec<FieldError>) -> ApiError {
        ApiError::Invalid { resource: self.resource, name: self.name().to_owned(), errors }
    }

    pub(super) fn conflict(&self, why: impl Into<String>) -> ApiError {
        ApiError::Conflict { resource: self.resource, name: self.name().to_owned(), why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_collections_objects_and_what_stands_below_them() {
        let target = Target::parse("/apis/apps/v1/namespaces/shop/deployments/cart/scale").unwrap();
        assert_eq!(
            (target.resource.kind, target.namespace.as_deref(), target.name()),
            ("Deployment", Some("shop"), "cart")
        );
        assert_eq!(target.subresource, Some(Subresource::Scale));
        let all = Target::parse("/api/v1/pods").unwrap();
        assert_eq!((all.namespace, all.name), (None, None));
        let namespace = Target::parse("/api/v1/namespaces/shop").unwrap();
        assert_eq!((namespace.resource.kind, namespace.name()), ("Namespace", "shop"));
        let escaped = Target::parse("/apis/apps/v1/namespaces/sh%6Fp/deployments/cart%2Dold").unwrap();
        assert_eq!((escaped.namespace.as_deref(), escaped.name()), (Some("shop"), "cart-old"));
        assert_eq!(Target::parse("/api/v1/namespaces/shop/status").unwrap().subresource, Some(Subresource::Status));
    }

    #[test]
    fn paths_that_name_nothing_are_refused() {
        for path in [
            "/",
            "/api/v1",
            "/api/v2/pods",
            "/apis/apps/v1/pods",
            "/api/v1/pods/name",
            "/api/v1/namespaces/a/nodes",
            "/api/v1/namespaces/a/pods/b/scale",
            "/api/v1/namespaces/a/pods/b/log/c",
            "/api/v1/namespaces//pods",
            "/api/v1/namespaces/a%2Fb/pods",
            "/api/v1/namespaces/a/pods/b%2Flog",
            "/api/v1/namespaces/%ff",
        ] {
            assert!(Target::parse(path).is_err(), "{path}");
        }
    }
}
