use percent_encoding::percent_decode_str;

use super::error::RegistryError;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Root,
    Catalog,
    In { name: String, place: Place },
}

/// A place in a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Blob(String),
    Uploads,
    Upload(String),
    Manifest(String),
    Tags,
    Referrers(String),
}

impl Target {
    /// Reads a path from its end: names have slashes, and may contain the words of the paths themselves. Clients may escape
    /// what stands between slashes (`sha256%3A...`), and the slashes of a name.
    pub(super) fn parse(path: &str) -> Result<Self, RegistryError> {
        let rest = path.strip_prefix("/v2").unwrap_or(path).trim_start_matches('/');
        if rest.is_empty() {
            return Ok(Self::Root);
        }
        if rest == "_catalog" {
            return Ok(Self::Catalog);
        }
        let decoded = |word| percent_decode_str(word).decode_utf8();
        let words = rest.split('/').map(decoded).collect::<Result<Vec<_>, _>>();
        let words = words.map_err(|_| RegistryError::NameInvalid(format!("{path} is not UTF-8 once it is decoded")))?;
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let (name, place) = match words.as_slice() {
            [name @ .., "blobs", "uploads", ""] | [name @ .., "blobs", "uploads"] => (name, Place::Uploads),
            [name @ .., "blobs", "uploads", id] => (name, Place::Upload((*id).to_owned())),
            [name @ .., "blobs", digest] => (name, Place::Blob((*digest).to_owned())),
            [name @ .., "manifests", reference] => (name, Place::Manifest((*reference).to_owned())),
            [name @ .., "tags", "list"] => (name, Place::Tags),
            [name @ .., "referrers", digest] => (name, Place::Referrers((*digest).to_owned())),
            _ => return Err(RegistryError::Unsupported(format!("there is nothing at {path}"))),
        };
        Ok(Self::In { name: name.join("/"), place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let inside = |name: &str, place| Target::In { name: name.to_owned(), place };
        for (path, target) in [
            ("/v2", Target::Root),
            ("/v2/", Target::Root),
            ("/v2/_catalog", Target::Catalog),
            ("/v2/a/blobs/uploads/", inside("a", Place::Uploads)),
            ("/v2/a/b/blobs/uploads/1f", inside("a/b", Place::Upload("1f".to_owned()))),
            ("/v2/blobs/uploads/tags/list", inside("blobs/uploads", Place::Tags)),
            ("/v2/manifests/manifests/v1", inside("manifests", Place::Manifest("v1".to_owned()))),
            ("/v2/a/referrers/sha256:00", inside("a", Place::Referrers("sha256:00".to_owned()))),
            ("/v2/a%2Fb/c/blobs/sha256%3a00", inside("a/b/c", Place::Blob("sha256:00".to_owned()))),
            ("/v2/a/manifests/v1%2E0", inside("a", Place::Manifest("v1.0".to_owned()))),
            ("/v2/a/manifests/%zz", inside("a", Place::Manifest("%zz".to_owned()))),
        ] {
            assert_eq!(Target::parse(path).unwrap(), target, "{path}");
        }
        assert!(Target::parse("/v2/a/b").is_err());
        assert!(Target::parse("/v2/a/manifests/%ff").is_err());
    }
}
