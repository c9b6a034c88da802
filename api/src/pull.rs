//! How an image is to be had.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// When the registry of an image is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PullPolicy {
    /// For each revision, so that a tag that moved is followed.
    Always,
    /// If the image is not in the local store.
    #[default]
    IfNotPresent,
    /// Never: the image is in the local store, or it is an error.
    Never,
}

impl PullPolicy {
    /// As Kubernetes decides where nothing is said: `latest` moves, other tags and digests do not.
    pub fn of_reference(reference: &str) -> Self {
        let last = reference.rsplit('/').next().unwrap_or(reference);
        let moves = !reference.contains('@') && (last.ends_with(":latest") || !last.contains(':'));
        if moves { Self::Always } else { Self::IfNotPresent }
    }
}

impl FromStr for PullPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "Always" => Ok(Self::Always),
            "IfNotPresent" => Ok(Self::IfNotPresent),
            "Never" => Ok(Self::Never),
            other => Err(format!("`{other}` is no pull policy: use Always, IfNotPresent or Never")),
        }
    }
}

/// How the image of a replica is to be had.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// When its registry is asked.
    pub policy: PullPolicy,
    /// Secrets of the namespace with credentials for registries, in the order in which they are tried.
    pub secrets: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_moves_is_asked_for_again() {
        for moving in ["ghcr.io/a/b", "ghcr.io/a/b:latest", "localhost:5000/hello", "hello"] {
            assert_eq!(PullPolicy::of_reference(moving), PullPolicy::Always, "{moving}");
        }
        for fixed in ["ghcr.io/a/b:v1", "localhost:5000/hello:v1", "hello@sha256:00"] {
            assert_eq!(PullPolicy::of_reference(fixed), PullPolicy::IfNotPresent, "{fixed}");
        }
    }
}
