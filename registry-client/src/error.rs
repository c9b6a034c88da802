use std::{borrow::Cow, io, path::PathBuf, time::Duration};

use api::Digest;

use crate::{BelowReserve, NotAComponent, hosted::OverQuota};

/// Why an image could not be named, found, read or written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The text cannot name an image.
    #[error("`{reference}` is not an image reference: {why}; write NAME, NAME:TAG or NAME@sha256:DIGEST")]
    InvalidReference {
        /// What was written.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// No image of that name is in the store.
    #[error(
        "image `{reference}` is not in the local store{}; build it with `sampan build PATH -t {reference}`: \
         WebAssembly components run here, containers do not", did_you_mean(.near)
    )]
    NotFound {
        /// What was asked for.
        reference: String,
        /// Images that are there and have a similar name, the nearest first.
        near: Vec<String>,
    },
    /// No image with that digest is in the store.
    #[error(
        "image `{reference}` is not in the local store: nothing there has this digest; \
         build it again with `sampan build PATH -t NAME:TAG` and use the digest that it prints"
    )]
    DigestNotFound {
        /// The reference or digest that was asked for.
        reference: String,
    },
    /// A registry did not give or take an image.
    #[error("cannot {action} `{reference}`: {why}{}", of_containers(action, reference))]
    Registry {
        /// What was tried, a verb.
        action: &'static str,
        /// The image.
        reference: String,
        /// What the registry said, or what went wrong on the way.
        why: String,
    },
    /// The image is not here, and is not to be pulled.
    #[error("image `{reference}` is not in the local store, and its imagePullPolicy is Never")]
    NeverPulled {
        /// The image.
        reference: String,
    },
    /// No signature of the image holds that is by a key of those who may sign.
    #[error("image `{reference}` ({digest}) has no signature that the policy accepts: {why}")]
    Unsigned {
        /// The image.
        reference: String,
        /// What it was resolved to.
        digest: Digest,
        /// What was found instead.
        why: String,
    },
    /// The file about registries cannot be used.
    #[error("{}: {why}", .path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No client for registries can be made, or it broke.
    #[error("registries cannot be reached: {why}")]
    Client {
        /// What is wrong.
        why: String,
    },
    /// The process that pulled it could not, and says why in the words of one of the others.
    #[error("{0}")]
    NotPulled(String),
    /// The bytes are not something that Sampan can run.
    #[error("image `{reference}`: {source}")]
    NotAComponent {
        /// The image that was to be written.
        reference: String,
        /// What the bytes are instead.
        source: NotAComponent,
    },
    /// A blob is not what its digest says.
    #[error("{} is damaged: {why}; delete the file and build or pull the image again", .path.display())]
    Damaged {
        /// The blob's file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The manifest is sound but describes something that Sampan does not run.
    #[error("image {digest} cannot be used: {why}")]
    Unsupported {
        /// The digest of the manifest.
        digest: Digest,
        /// What it holds, and what to do.
        why: String,
    },
    /// Something is larger than the store takes.
    #[error("{what} of {bytes} bytes is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit_bytes: u64,
    },
    /// The directory's own files are not those of an OCI image layout.
    #[error("{} {why}; restore the file, or move the whole directory away and build the images again", .path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another process holds the lock of the index for too long.
    #[error("{} is held by another process for more than {waited:?}; end that process and try again", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// The disk has nothing left but what is reserved.
    #[error(transparent)]
    BelowReserve(#[from] BelowReserve),
    /// Whoever owns a repository has as much as it may have there.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// The disk said no.
    #[error("cannot {action} {}: {source}{}", .path.display(), way_out(.source))]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl ImageError {
    /// What guests and clients are told: not where this machine keeps its files. Whoever runs the server finds that in the log,
    /// into which a caller writes the error itself.
    pub fn without_path(&self) -> Cow<'static, str> {
        match self {
            Self::Damaged { why, .. } => {
                format!("a blob of the image store is damaged: {why}; the server's log names the file").into()
            }
            Self::Settings { .. } => "the server's file about registries cannot be used: its log says why".into(),
            Self::Layout { .. } | Self::Locked { .. } => {
                "the server's image store cannot be used: its log says why".into()
            }
            Self::Io { source, .. } if is_full(source) => "the server's disk is full".into(),
            Self::Io { action, .. } => {
                format!("the server cannot {action} a file of its image store: its log says why").into()
            }
            _ => self.to_string().into(),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(" (near: {})", near.join(", ")) }
}

/// What nobody is told of an image that could not even be looked at, where its name says it.
fn of_containers(action: &str, reference: &str) -> &'static str {
    const HUB: [&str; 3] = ["docker.io/", "index.docker.io/", "registry-1.docker.io/"];
    let name = HUB.iter().find_map(|host| reference.strip_prefix(host));
    // Names without a `/` are those of `library` there.
    match name {
        Some(name) if action == "pull" && (name.starts_with("library/") || !name.contains('/')) => {
            "; besides, the images of docker.io/library are containers, and WebAssembly components run here"
        }
        _ => "",
    }
}

fn way_out(source: &io::Error) -> &'static str {
    match source.kind() {
        _ if is_full(source) => "; free some space, nothing was changed",
        io::ErrorKind::PermissionDenied => "; check who owns it",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_and_clients_are_told_no_path_of_this_machine() {
        let path = || PathBuf::from("/var/lib/sampan/images");
        let io = |kind: io::ErrorKind| ImageError::Io { action: "write", path: path(), source: kind.into() };
        for (error, says) in [
            (ImageError::Damaged { path: path(), why: "it is empty".to_owned() }, "it is empty"),
            (ImageError::Layout { path: path(), why: "is no JSON".to_owned() }, "log"),
            (ImageError::Locked { path: path(), waited: Duration::from_secs(1) }, "log"),
            (ImageError::Settings { path: path(), why: "it is empty".to_owned() }, "log"),
            (io(io::ErrorKind::StorageFull), "full"),
            (io(io::ErrorKind::PermissionDenied), "write"),
        ] {
            let told = error.without_path();
            assert!(
                error.to_string().contains("/var/lib") && !told.contains("/var/lib") && told.contains(says),
                "{told}"
            );
        }
    }

    #[test]
    fn a_failed_pull_of_what_is_a_container_by_its_name_says_so() {
        let said = |action, reference: &str| {
            let (reference, why) = (reference.to_owned(), "timed out".to_owned());
            ImageError::Registry { action, reference, why }.to_string()
        };
        for container in ["docker.io/library/nginx:1.27", "docker.io/nginx", "index.docker.io/library/redis"] {
            assert!(said("pull", container).contains("are containers"), "{container}");
        }
        assert_eq!(said("pull", "docker.io/me/hello:v1"), "cannot pull `docker.io/me/hello:v1`: timed out");
        assert_eq!(said("push", "docker.io/library/a"), "cannot push `docker.io/library/a`: timed out");
    }
}
