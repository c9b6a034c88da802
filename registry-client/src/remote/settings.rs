//! How registries are reached, as a file says: private authorities, mirrors, plain HTTP.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::limits::TransferLimits;
use crate::ImageError;

/// What the file says, by the registry's host as it stands in references (`registry.example:5000`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistrySettings {
    /// Each registry that is not reached in the usual way.
    #[serde(default)]
    pub registry: BTreeMap<String, RegistryHost>,
    /// For all registries together.
    #[serde(default)]
    pub limits: TransferLimits,
    /// Whether images that users of namespaces name may be at registries of this machine (`localhost`, 127.0.0.0/8) that the
    /// file does not list. `None`: as the program has it, with `sampan up` and `dev` they may, with `sampan server` not.
    pub namespaces_reach_loopback: Option<bool>,
}

/// How one registry is reached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistryHost {
    /// A PEM file with authorities that are trusted for this registry beside the system's.
    pub ca: Option<PathBuf>,
    /// Hosts that are asked first, in this order. They have the same repositories.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// It has no TLS. Passwords then go over the network as they are.
    #[serde(default)]
    pub plain_http: bool,
    /// Whether it may send to private addresses: to its token server, for blobs and uploads. `None`: as it is at one itself.
    pub private_network: Option<bool>,
    /// Shown to the registry as it is: for the registry of an installation of Sampan.
    #[serde(skip)]
    pub token: Option<String>,
    /// As `ca`, from memory.
    #[serde(skip)]
    pub ca_pem: Option<Vec<u8>>,
}

impl RegistrySettings {
    /// Reads a TOML file; paths in it are relative to its folder. A file that is not there says nothing.
    pub fn read(path: &Path) -> Result<Self, ImageError> {
        let wrong = |why: String| ImageError::Settings { path: path.to_owned(), why };
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(|error| wrong(error.to_string()))?,
        };
        let mut settings: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if settings.limits.tries == 0 || settings.limits.pulls_at_once == 0 {
            return Err(wrong("`tries` and `pulls-at-once` under [limits] are at least 1".to_owned()));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        for (host, registry) in &mut settings.registry {
            if let Some(ca) = registry.ca.take() {
                let ca = folder.join(ca);
                let pem = std::fs::read(&ca)
                    .map_err(|error| wrong(format!("the `ca` of {host}, {}: {error}", ca.display())))?;
                registry.ca_pem = Some(pem);
                registry.ca = Some(ca);
            }
            if registry.plain_http && registry.ca.is_some() {
                return Err(wrong(format!("{host} has both `ca` and `plain-http`: leave one away")));
            }
        }
        Ok(settings)
    }
}
