use base64::{Engine, engine::general_purpose::STANDARD};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};

/// What Docker's configuration calls Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// How long a credential helper may take.
const HELPER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What a registry is shown that asks who we are.
pub(super) enum Credentials {
    Anonymous,
    Password { name: String, password: String },
}

impl Credentials {
    /// The value of an `Authorization` header; `None` for the anonymous.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Password { name, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
            }
        }
    }
}

/// What Docker's configuration of this user (`$DOCKER_CONFIG`, `~/.docker/config.json`) has for a registry.
pub(super) async fn credentials_for(host: &str) -> Result<Credentials, String> {
    let key = if host == "index.docker.io" { DOCKER_HUB.to_owned() } else { host.to_owned() };
    // A helper is a program that is waited for.
    let asked = tokio::task::spawn_blocking(move || get_credential(&key));
    let asked = tokio::time::timeout(HELPER_TIMEOUT, asked).await;
    let found = asked.map_err(|_| format!("the credential helper for {host} does not answer"))?;
    match found.map_err(|error| error.to_string())? {
        Ok(DockerCredential::UsernamePassword(name, password)) => Ok(Credentials::Password { name, password }),
        Ok(DockerCredential::IdentityToken(_)) => {
            Err(format!("Docker's configuration has an identity token for {host}: log in with a password or token"))
        }
        Err(CredentialRetrievalError::HelperFailure { helper, stderr, .. }) => {
            Err(format!("the credential helper `{helper}` for {host} failed: {}", stderr.trim()))
        }
        // No configuration, or none for this registry.
        Err(_) => Ok(Credentials::Anonymous),
    }
}
