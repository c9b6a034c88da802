use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};

use crate::access::{Credentials, DOCKER_HUB};

/// How long a credential helper may take.
const HELPER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What Docker's configuration of this user (`$DOCKER_CONFIG`, `~/.docker/config.json`) has for a registry.
pub(crate) async fn of_machine(host: &str) -> Result<Credentials, String> {
    let key = if host == "index.docker.io" { DOCKER_HUB.to_owned() } else { host.to_owned() };
    // A helper is a program that is waited for.
    let asked = tokio::task::spawn_blocking(move || get_credential(&key));
    let asked = tokio::time::timeout(HELPER_TIMEOUT, asked).await;
    let found = asked.map_err(|_| format!("the credential helper for {host} does not answer"))?;
    match found.map_err(|error| error.to_string())? {
        Ok(DockerCredential::UsernamePassword(name, password)) => Ok(Credentials::Password { name, password }),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Credentials::Identity(token)),
        Err(CredentialRetrievalError::HelperFailure { helper, stderr, .. }) => {
            Err(format!("the credential helper `{helper}` for {host} failed: {}", stderr.trim()))
        }
        // No configuration, or none for this registry.
        Err(_) => Ok(Credentials::Anonymous),
    }
}
