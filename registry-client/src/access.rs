//! Who asks for an image, and what registries are shown on their behalf.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    keyring::Keyring,
    remote::{Asker, credentials},
};

/// What Docker's configuration calls Docker Hub.
pub(crate) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Who asks for an image. What one namespace may have is not given to another.
#[derive(Debug, Clone, Default)]
pub struct Access {
    namespace: Option<String>,
    keys: Keys,
    machine: Machine,
}

/// The credentials of a namespace's pull secrets.
#[derive(Debug, Clone)]
enum Keys {
    Secrets(Vec<DockerConfig>),
    /// What of them is for each host that may be asked, as somebody else has found.
    Found(BTreeMap<String, Vec<Credentials>>),
}

impl Default for Keys {
    fn default() -> Self {
        Self::Secrets(Vec::new())
    }
}

/// Who knows the credentials of this machine's user.
#[derive(Debug, Clone, Default)]
pub(crate) enum Machine {
    /// Docker's configuration, which this process reads.
    #[default]
    Configuration,
    /// Who asked this process to pull.
    Asker(Arc<Asker>),
}

impl Machine {
    /// What the user has for a registry.
    pub(crate) async fn credentials(&self, host: &str) -> Result<Credentials, String> {
        match self {
            Self::Configuration => credentials::of_machine(host).await,
            Self::Asker(asker) => asker.who_is(host).await,
        }
    }
}

impl Access {
    /// The user of this machine, with the credentials of the machine's Docker configuration.
    pub fn of_machine() -> Self {
        Self::default()
    }

    /// A namespace, with the credentials of its pull secrets first and the machine's after them.
    pub fn of_namespace(name: impl Into<String>, keys: Vec<DockerConfig>) -> Self {
        Self { namespace: Some(name.into()), keys: Keys::Secrets(keys), machine: Machine::Configuration }
    }

    /// As somebody else has found for each host, who has the machine's credentials too.
    pub(crate) fn told(
        namespace: Option<String>,
        found: BTreeMap<String, Vec<Credentials>>,
        machine: Arc<Asker>,
    ) -> Self {
        Self { namespace, keys: Keys::Found(found), machine: Machine::Asker(machine) }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// What of the pull secrets is to be tried for a repository, one after the other.
    pub(crate) fn find(&self, host: &str, repository: &str) -> Vec<Credentials> {
        match &self.keys {
            Keys::Secrets(keys) => Keyring::of(keys.iter().flat_map(DockerConfig::entries)).find(host, repository),
            Keys::Found(found) => found.get(host).cloned().unwrap_or_default(),
        }
    }
}

/// What a registry is shown that asks who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Credentials {
    #[default]
    Anonymous,
    Password {
        name: String,
        password: String,
    },
    /// An OAuth2 refresh token, exchanged at the token server.
    Identity(String),
    /// Shown as it is.
    Bearer(String),
}

impl Credentials {
    /// The value of an `Authorization` header, where a name and a password are there.
    pub(crate) fn basic(&self) -> Option<String> {
        match self {
            Self::Password { name, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
            }
            _ => None,
        }
    }
}

/// The `auths` of a Docker configuration, as a Secret of type `kubernetes.io/dockerconfigjson` has it.
///
/// Credential helpers in it are not run: who may write a Secret may not start programs.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl DockerConfig {
    /// Reads `.dockerconfigjson`. Says what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let config: Self =
            serde_json::from_slice(json).map_err(|error| format!("is no Docker configuration: {error}"))?;
        for (host, auth) in &config.auths {
            auth.credentials().map_err(|why| format!("has credentials for {host} that cannot be read: {why}"))?;
        }
        Ok(config)
    }

    /// Reads the older `.dockercfg`, which is the `auths` alone.
    pub fn parse_legacy(json: &[u8]) -> Result<Self, String> {
        let wrapped = [b"{\"auths\":".as_slice(), json, b"}"].concat();
        Self::parse(&wrapped)
    }

    /// Each key with its credentials, as far as it has any.
    fn entries(&self) -> impl Iterator<Item = (&str, Credentials)> {
        self.auths.iter().filter_map(|(key, auth)| {
            let credentials = auth.credentials().ok().filter(|found| *found != Credentials::Anonymous)?;
            Some((key.as_str(), credentials))
        })
    }
}

impl Auth {
    fn credentials(&self) -> Result<Credentials, String> {
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Credentials::Identity(token.clone()));
        }
        if let (Some(name), Some(password)) = (&self.username, &self.password) {
            return Ok(Credentials::Password { name: name.clone(), password: password.clone() });
        }
        let Some(encoded) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else {
            return Ok(Credentials::Anonymous);
        };
        let decoded = STANDARD.decode(encoded.trim()).map_err(|_| "`auth` is not base64")?;
        let text = String::from_utf8(decoded).map_err(|_| "`auth` is not text")?;
        let (name, password) = text.split_once(':').ok_or("`auth` is not NAME:PASSWORD in base64")?;
        Ok(Credentials::Password { name: name.to_owned(), password: password.trim_end_matches('\0').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(auths: serde_json::Value) -> DockerConfig {
        DockerConfig::parse(serde_json::json!({ "auths": auths }).to_string().as_bytes()).unwrap()
    }

    fn password(name: &str, password: &str) -> Credentials {
        Credentials::Password { name: name.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn all_secrets_together_decide_by_their_most_specific_key() {
        let general = config(serde_json::json!({
            "ghcr.io": { "auth": "YTpi" },
            "https://index.docker.io/v1/": { "auth": "aHViOnB3" },
        }));
        let special = config(serde_json::json!({ "ghcr.io/team": { "username": "team", "password": "t" } }));
        let access = Access::of_namespace("shop", vec![general, special]);
        assert_eq!(access.find("ghcr.io", "team/app"), [password("team", "t"), password("a", "b")]);
        assert_eq!(access.find("ghcr.io", "other/app"), [password("a", "b")]);
        assert_eq!(access.find("index.docker.io", "library/app"), [password("hub", "pw")]);
        assert_eq!(access.find("ghcr.io.evil.example", "team/app"), []);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_host() {
        for auth in ["{\"auth\":\"%%\"}", "{\"auth\":\"YQ==\"}"] {
            let why = DockerConfig::parse(format!("{{\"auths\":{{\"ghcr.io\":{auth}}}}}").as_bytes()).unwrap_err();
            assert!(why.contains("ghcr.io"), "{why}");
        }
        assert!(DockerConfig::parse(b"no JSON").is_err());
    }
}
