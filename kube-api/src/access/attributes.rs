use std::fmt;

use http::{Method, Uri};
use http_server::Reference;
use percent_encoding::percent_decode_str;

/// What somebody wants to do: Kubernetes' attributes of a request, but for who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `get`, `list`, `create`, …; of paths the method in small letters.
    pub(crate) verb: String,
    pub(crate) what: What,
}

/// With what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// Of which group, resource, namespace, name and subresource, as in paths: what is not said is empty.
    Object(Reference),
    /// What is no object.
    Path(String),
}

impl Attributes {
    /// Of a request.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Self {
        let Some(mut object) = Reference::of(uri.path()).filter(|object| !object.resource.is_empty()) else {
            let path = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
            return Self { verb: method.as_str().to_ascii_lowercase(), what: What::Path(path) };
        };
        let query = uri.query().unwrap_or_default();
        let value = |name: &str| {
            let values = query.split('&').filter_map(|pair| pair.split_once('='));
            values.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
        };
        let watches = value("watch").is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
        let verb = object.verb(method, watches).to_owned();
        // As Kubernetes: who asks for one by its name may do so who may see that one.
        if object.name.is_empty()
            && matches!(&*verb, "list" | "watch" | "deletecollection")
            && let Some(selected) = value("fieldSelector")
        {
            let selected = percent_decode_str(selected).decode_utf8_lossy();
            object.name = name_selected(&selected).unwrap_or_default().to_owned();
        }
        Self { verb, what: What::Object(object) }
    }

    /// A verb for an object.
    pub(crate) fn object(verb: &str, object: Reference) -> Self {
        Self { verb: verb.to_owned(), what: What::Object(object) }
    }
}

/// The name that a field selector asks for, of which nothing is asked beside.
fn name_selected(selector: &str) -> Option<&str> {
    let (field, value) = selector.split_once('=')?;
    let value = value.strip_prefix('=').unwrap_or(value);
    (field == "metadata.name" && !value.contains([',', '=', '!'])).then_some(value)
}

/// As Kubernetes says what somebody may not.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, what } = self;
        match what {
            What::Path(path) => write!(f, "{verb} path \"{path}\""),
            What::Object(Reference { group, namespace, .. }) => {
                write!(f, "{verb} resource \"{}\" in API group \"{group}\"", self.resource())?;
                match namespace.as_str() {
                    "" => f.write_str(" at the cluster scope"),
                    namespace => write!(f, " in the namespace \"{namespace}\""),
                }
            }
        }
    }
}

impl Attributes {
    /// The resource and what is below it, as rules have it: `pods/log`.
    pub(crate) fn resource(&self) -> String {
        match &self.what {
            What::Object(Reference { resource, subresource, .. }) if subresource.is_empty() => resource.clone(),
            What::Object(Reference { resource, subresource, .. }) => format!("{resource}/{subresource}"),
            What::Path(path) => path.clone(),
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        match &self.what {
            What::Object(object) => &object.namespace,
            What::Path(_) => "",
        }
    }
}
