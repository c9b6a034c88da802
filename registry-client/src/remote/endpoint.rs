//! From a registry's host to clients that reach it, and what it names.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{
    Certificate, Client, Url,
    header::{self, HeaderMap, HeaderValue},
    redirect,
};

use super::{
    limits::TransferLimits,
    reach::{Lookup, Reach, check},
    registry::causes,
    settings::RegistryHost,
};
use crate::ImageError;

/// How long a registry of this machine may take to show whether it speaks TLS.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Clients that trust the same authorities: one for each reach, since connections are kept by name, and one that was made
/// for somebody who may be near is not for another.
#[derive(Debug)]
pub(super) struct Clients {
    authorities: Vec<Certificate>,
    limits: TransferLimits,
    by_reach: [OnceLock<Client>; Reach::ALL.len()],
}

impl Clients {
    /// Clients that trust the system's authorities, and those of these settings.
    pub(super) fn new(settings: Option<&RegistryHost>, limits: &TransferLimits) -> Result<Self, ImageError> {
        let broken = |why: String| ImageError::Client { why };
        let mut authorities = Vec::new();
        if let Some(pem) = settings.and_then(|settings| settings.ca_pem.as_ref()) {
            authorities = Certificate::from_pem_bundle(pem).map_err(|error| broken(causes(&error)))?;
            if authorities.is_empty() {
                return Err(broken("the file of its private authority has no certificate in PEM".to_owned()));
            }
        }
        Ok(Self { authorities, limits: limits.clone(), by_reach: Default::default() })
    }

    /// Whether clients can be made of them, which reads the system's authorities.
    pub(super) fn check(&self) -> Result<(), ImageError> {
        self.reaching(Reach::Public).map(drop).map_err(|why| ImageError::Client { why })
    }

    /// The client whose connections go to no address that is nearer than this. It follows no redirects by itself.
    pub(super) fn reaching(&self, most: Reach) -> Result<&Client, String> {
        let place = &self.by_reach[most as usize];
        match place.get() {
            Some(client) => Ok(client),
            None => {
                let made = self.make(most)?;
                Ok(place.get_or_init(|| made))
            }
        }
    }

    fn make(&self, most: Reach) -> Result<Client, String> {
        let mut builder = Client::builder()
            .user_agent(concat!("sampan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.limits.connect_timeout)
            .read_timeout(self.limits.idle_timeout)
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(Lookup(most)))
            // Digests are of what is stored; and where nothing is said, any coding may be sent (RFC 9110, section 12.5.3).
            .default_headers(HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))]));
        if !self.authorities.is_empty() {
            builder = builder.tls_certs_merge(self.authorities.iter().cloned());
        }
        builder.build().map_err(|error| causes(&error))
    }
}

/// A registry, and how it is reached.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) clients: Arc<Clients>,
    pub(super) host: String,
    pub(super) scheme: &'static str,
    /// Its settings say that it has no TLS.
    pub(super) is_insecure: bool,
    /// How often a request is sent.
    pub(super) tries: u32,
    /// How near the registry itself may be.
    pub(super) own: Reach,
    /// How near what it names may be, if its settings say so, or once it has answered.
    pub(super) named: Option<Reach>,
    /// Its settings say that it names nothing private.
    pub(super) is_confined: bool,
}

impl Endpoint {
    /// Decides on TLS: always, but where the settings say otherwise, or where a registry of this machine has none. `own` is
    /// how near it may be.
    pub(super) async fn find(
        clients: Arc<Clients>,
        host: &str,
        settings: Option<&RegistryHost>,
        tries: u32,
        own: Reach,
    ) -> Result<Self, String> {
        let url = Url::parse(&format!("https://{host}/")).map_err(|error| error.to_string())?;
        if let Err(near) = check(&url, own) {
            return Err(not_for_namespaces(host, &near.to_string()));
        }
        if is_loopback(host) && own < Reach::Loopback {
            return Err(not_for_namespaces(host, &format!("{host} is {}", Reach::Loopback)));
        }
        let is_insecure = settings.is_some_and(|settings| settings.plain_http);
        let scheme = match settings {
            _ if is_insecure => "http",
            Some(settings) if settings.ca_pem.is_some() => "https",
            _ if is_loopback(host) && !speaks_tls(clients.reaching(own)?, host).await? => "http",
            _ => "https",
        };
        let private = settings.and_then(|settings| settings.private_network);
        let named = private.map(|private| if private { Reach::Loopback } else { Reach::Public });
        let is_confined = private == Some(false);
        Ok(Self { clients, host: host.to_owned(), scheme, is_insecure, tries, own, named, is_confined })
    }

    pub(super) fn base(&self, repository: &str) -> Result<Url, String> {
        let (scheme, host) = (self.scheme, &self.host);
        Url::parse(&format!("{scheme}://{host}/v2/{repository}/")).map_err(|error| error.to_string())
    }
}

/// Why a namespace does not get an image from so near.
pub(super) fn not_for_namespaces(host: &str, near: &str) -> String {
    format!(
        "{near}, and this server does not go there for users of a namespace: if there is a registry for them, write \
         [registry.\"{host}\"] into the registries' file (--registries)"
    )
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
