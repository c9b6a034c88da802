use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Names an object of a namespaced kind.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The namespace that holds it.
    pub namespace: Arc<str>,
    /// Its name within the namespace and its kind.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of `name` in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names a replica: the namespace and name of its Pod. Never used twice.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct ReplicaId(pub ObjectKey);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Names a worker; its Node has the same name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct WorkerName(pub Arc<str>);

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot name an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid name: {why}")]
pub struct InvalidName {
    text: String,
    why: &'static str,
}

/// Checks an RFC 1123 label: Services and Namespaces are named so. At most 63 characters.
pub fn check_dns_label(text: &str) -> Result<(), InvalidName> {
    let fail = |why| Err(InvalidName { text: text.to_owned(), why });
    if text.is_empty() || text.len() > 63 {
        return fail("a name has 1 to 63 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return fail("only lower-case letters, digits and `-` are allowed");
    }
    if text.starts_with('-') || text.ends_with('-') {
        return fail("it must start and end with a letter or a digit");
    }
    Ok(())
}

/// Checks an RFC 1123 subdomain, labels joined by dots: the other kinds are named so. At most 253 characters.
pub fn check_dns_subdomain(text: &str) -> Result<(), InvalidName> {
    if text.len() > 253 {
        return Err(InvalidName { text: text.to_owned(), why: "a name has at most 253 characters" });
    }
    text.split('.').try_for_each(check_dns_label).map_err(|error| InvalidName { text: text.to_owned(), why: error.why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_rfc_1123() {
        for good in ["a", "shopping-cart", "0x", &"a".repeat(63)] {
            assert!(check_dns_label(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"a".repeat(64)] {
            assert!(check_dns_label(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subdomains_are_labels_joined_by_dots() {
        assert!(check_dns_subdomain("a.b-c.d").is_ok());
        assert!(check_dns_subdomain("a..b").is_err());
    }
}
