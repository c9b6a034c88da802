use std::{fmt, str::FromStr};

use api::Digest;
use oci_distribution::{ParseError, Reference};
use serde::{Deserialize, Serialize};

use crate::ImageError;

/// Longer references are refused unread: a name of 255, a tag of 128, a registry host and a digest fit.
const MAX_REFERENCE_BYTES: usize = 768;

/// The name of an image, shown as the user wrote it and compared as registries see it: `hello` and
/// `docker.io/library/hello:latest` are the same image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageReference {
    written: String,
    name: String,
    digest: Option<Digest>,
}

impl ImageReference {
    /// As the user wrote it.
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// Registry, repository and tag, with what the user left out filled in.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As [`name`](Self::name), with the digest if there is one.
    pub(crate) fn full_name(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}@{digest}", self.name),
            None => self.name.clone(),
        }
    }

    /// The same image where no registry is named, if the registry's host is one of these.
    pub(crate) fn without_host(&self, hosts: &[String]) -> Option<Self> {
        let (host, rest) = self.written.split_once('/')?;
        hosts.iter().any(|own| own == host).then(|| rest.parse().ok())?
    }

    /// Whether the user wrote a registry's host: `localhost:5000/hello` does, `hello` and `shop/hello` do not.
    pub fn names_registry(&self) -> bool {
        let host = self.written.split_once('/').map(|(host, _)| host);
        host.is_some_and(|host| host == "localhost" || host.contains(['.', ':']))
    }

    /// The host that serves the registry, with its port if it has one.
    pub(crate) fn registry(&self) -> String {
        let host = self.name.split_once('/').map_or(self.name.as_str(), |(host, _)| host);
        if host == "docker.io" { "index.docker.io".to_owned() } else { host.to_owned() }
    }

    /// The repository within the registry.
    pub(crate) fn repository(&self) -> String {
        let path = self.name.split_once('/').map_or("", |(_, path)| path);
        path.split_once(':').map_or(path, |(repository, _)| repository).to_owned()
    }

    /// The tag, or `latest`.
    pub(crate) fn tag(&self) -> String {
        let path = self.name.split_once('/').map_or("", |(_, path)| path);
        path.split_once(':').map_or("latest", |(_, tag)| tag).to_owned()
    }

    /// The repository as the user wrote it, where no registry is named.
    pub(crate) fn written_repository(&self) -> String {
        let name = self.written.split('@').next().unwrap_or_default();
        name.rsplit_once(':').map_or(name, |(name, _)| name).to_owned()
    }

    /// The digest that the reference pins, which then decides alone.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl FromStr for ImageReference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let invalid = |why: String| ImageError::InvalidReference { reference: shortened(text), why };
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(invalid(format!("it has more than {MAX_REFERENCE_BYTES} bytes")));
        }
        let reference: Reference = text.parse().map_err(|error| invalid(explain(text, error)))?;
        let digest = match reference.digest() {
            None => None,
            Some(digest) => Some(digest.parse().map_err(|error: api::InvalidDigest| invalid(error.to_string()))?),
        };
        let name = match reference.tag() {
            Some(tag) => format!("{}/{}:{tag}", reference.registry(), reference.repository()),
            None => format!("{}/{}", reference.registry(), reference.repository()),
        };
        // The parser takes `Jm/x` for a host and a repository, and then for neither: what comes out can name nothing.
        if let Err(error) = name.parse::<Reference>() {
            return Err(invalid(explain(&name, error)));
        }
        Ok(Self { written: text.to_owned(), name, digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The parser's own message for a text that fits no rule is only "invalid reference format".
fn explain(text: &str, error: ParseError) -> String {
    let name = text.split_once('@').map_or(text, |(name, _)| name);
    let repository = name.rsplit_once('/').map_or(name, |(_, last)| last).split(':').next().unwrap_or_default();
    match error {
        ParseError::NameEmpty => "it is empty".to_owned(),
        ParseError::ReferenceInvalidFormat if text.contains("://") => {
            "it is not a URL: leave the scheme away".to_owned()
        }
        ParseError::ReferenceInvalidFormat if text.contains(char::is_whitespace) => "it contains a space".to_owned(),
        ParseError::ReferenceInvalidFormat if repository.bytes().any(|b| b.is_ascii_uppercase()) => {
            format!("the name `{repository}` has upper-case letters, only its tag may")
        }
        ParseError::ReferenceInvalidFormat if text.ends_with(':') => "its tag is empty".to_owned(),
        ParseError::ReferenceInvalidFormat => {
            "a name is made of lower-case letters, digits, `.`, `_`, `-` and `/`, a tag of letters, digits, `.`, `_` and `-`".to_owned()
        }
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(120) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}…", &text[..cut]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> String {
        text.parse::<ImageReference>().unwrap().name().to_owned()
    }

    #[test]
    fn what_the_user_left_out_is_filled_in() {
        assert_eq!(name("hello"), "docker.io/library/hello:latest");
        assert_eq!(name("hello:v1"), "docker.io/library/hello:v1");
        assert_eq!(name("shopping-cart/products:dev"), "docker.io/shopping-cart/products:dev");
        assert_eq!(name("localhost:5000/a/b"), "localhost:5000/a/b:latest");
        assert_eq!("hello:v1".parse::<ImageReference>().unwrap().to_string(), "hello:v1");
    }

    #[test]
    fn where_an_image_is_follows_from_its_name() {
        let parts = |text: &str| {
            let reference: ImageReference = text.parse().unwrap();
            (reference.registry(), reference.repository(), reference.tag(), reference.names_registry())
        };
        let parts_of = |a: &str, b: &str, c: &str, named| (a.to_owned(), b.to_owned(), c.to_owned(), named);
        assert_eq!(parts("localhost:5000/a/b:v1"), parts_of("localhost:5000", "a/b", "v1", true));
        assert_eq!(parts("ghcr.io/a/b"), parts_of("ghcr.io", "a/b", "latest", true));
        assert_eq!(parts("shop/hello:dev"), parts_of("index.docker.io", "shop/hello", "dev", false));
    }

    #[test]
    fn a_digest_is_kept_beside_the_name() {
        let digest = Digest::from_sha256([7; 32]);
        let reference: ImageReference = format!("hello@{digest}").parse().unwrap();
        assert_eq!(reference.digest(), Some(&digest));
        assert_eq!(reference.name(), "docker.io/library/hello");
    }

    #[test]
    fn each_wrong_reference_is_told_what_is_wrong_with_it() {
        for (text, says) in [
            ("", "empty"),
            ("Hello", "upper-case"),
            ("Shop/hello", "lower-case letters"),
            ("hello world", "space"),
            ("https://example.com/hello", "scheme"),
            ("hello:", "tag is empty"),
            ("hello@sha256:12", "DIGEST"),
            (&format!("hello@sha512:{}", "a".repeat(128)), "sha256"),
            ("../hello", "lower-case letters"),
            (&"a".repeat(2000), "more than"),
            ("ünicode", "lower-case letters"),
        ] {
            let message = text.parse::<ImageReference>().unwrap_err().to_string();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = text.parse::<ImageReference>();
        }

        #[test]
        fn a_normal_name_is_its_own_name(text in "[a-z0-9]{1,9}(\\.[a-z]{2,3}(:[0-9]{2,4})?)?(/[a-z0-9._-]{1,9}){0,2}(:[A-Za-z0-9._-]{1,9})?") {
            if let Ok(reference) = text.parse::<ImageReference>() {
                prop_assert_eq!(name(reference.name()), reference.name());
            }
        }
    }
}
