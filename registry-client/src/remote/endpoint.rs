//! From a registry's host to a client that reaches it.

use std::{net::IpAddr, time::Duration};

use reqwest::{
    Certificate, Client, Url,
    header::{self, HeaderMap, HeaderValue},
    redirect,
};

use super::{MAX_REDIRECTS, limits::TransferLimits, registry::causes, settings::RegistryHost};
use crate::ImageError;

/// How long a registry of this machine may take to show whether it speaks TLS.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// A registry, and how it is reached.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) http: Client,
    pub(super) host: String,
    pub(super) scheme: &'static str,
    /// How often a request is sent.
    pub(super) tries: u32,
}

impl Endpoint {
    /// Decides on TLS: always, but where the settings say otherwise, or where a registry of this machine has none.
    pub(super) async fn find(
        http: Client,
        host: &str,
        settings: Option<&RegistryHost>,
        tries: u32,
    ) -> Result<Self, String> {
        let scheme = match settings {
            Some(settings) if settings.plain_http => "http",
            Some(settings) if settings.ca_pem.is_some() => "https",
            _ if is_loopback(host) && !speaks_tls(&http, host).await? => "http",
            _ => "https",
        };
        Ok(Self { http, host: host.to_owned(), scheme, tries })
    }

    pub(super) fn base(&self, repository: &str) -> Result<Url, String> {
        let (scheme, host) = (self.scheme, &self.host);
        Url::parse(&format!("{scheme}://{host}/v2/{repository}/")).map_err(|error| error.to_string())
    }
}

/// A client that trusts the system's authorities, and these.
pub(super) fn client(settings: Option<&RegistryHost>, limits: &TransferLimits) -> Result<Client, ImageError> {
    let mut builder = Client::builder()
        .user_agent(concat!("sampan/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect_timeout)
        .read_timeout(limits.idle_timeout)
        .redirect(redirect::Policy::limited(MAX_REDIRECTS))
        // Digests are of what is stored; and where nothing is said, any coding may be sent (RFC 9110, section 12.5.3).
        .default_headers(HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))]));
    let broken = |why: String| ImageError::Client { why };
    if let Some(pem) = settings.and_then(|settings| settings.ca_pem.as_ref()) {
        let authorities = Certificate::from_pem_bundle(pem).map_err(|error| broken(causes(&error)))?;
        if authorities.is_empty() {
            return Err(broken("the file of its private authority has no certificate in PEM".to_owned()));
        }
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(|error| broken(causes(&error)))
}

/// As Docker does, TLS comes first. A certificate that is not trusted is no reason to go on without.
async fn speaks_tls(http: &Client, host: &str) -> Result<bool, String> {
    let asked = http.get(format!("https://{host}/v2/")).timeout(PROBE_TIMEOUT).send().await;
    match asked.map_err(|error| causes(&error)) {
        Ok(_) => Ok(true),
        Err(why) if why.contains("certificate") => Err(format!(
            "{why}; name the authority that it trusts as `ca` under [registry.\"{host}\"] in the registries' file"
        )),
        Err(_) => Ok(false),
    }
}

/// Whether a host is this machine, whatever its port.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_tls() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["ghcr.io", "localhost.example:5000", "10.0.0.1:5000", "127.0.0.1.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
