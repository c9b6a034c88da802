use std::{fmt, path::PathBuf, sync::Arc};

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// Schemes with TLS, and what the client calls the same without.
const SECURE: [(&str, &str); 2] = [("rediss://", "redis://"), ("valkeys://", "valkey://")];

/// Where Redis is, and what is shown to it. What is printed of it has no password.
#[derive(Clone)]
pub struct RedisSettings {
    pub(super) place: Place,
    /// The database, the user and the password.
    pub(super) login: RedisConnectionInfo,
    pub(super) tls: Option<Tls>,
    shown: String,
}

/// Where it listens.
#[derive(Clone)]
pub(super) enum Place {
    Tcp(String, u16),
    Socket(PathBuf),
}

/// How it is known.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) name: ServerName<'static>,
    pub(super) config: Arc<ClientConfig>,
}

/// Why the address of a Redis cannot be used. It repeats nothing of it: there may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedis {
    /// It has another form.
    #[error(
        "the address of the key-value store has another form than redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for TLS, or redis+unix:///PATH: {0}"
    )]
    Form(String),
    /// The authority is for TLS.
    #[error("an authority for the key-value store goes with rediss://, which has TLS")]
    AuthorityWithoutTls,
    /// The authority cannot be read.
    #[error("the authority of the key-value store holds no certificate in PEM: {0}")]
    Authority(String),
}

impl RedisSettings {
    /// From a URL, and in PEM the authority that signs for Redis; without one the public authorities are trusted.
    pub fn parse(url: &str, authority: Option<&[u8]>) -> Result<Self, InvalidRedis> {
        let url = url.trim();
        if url.contains('#') {
            return Err(InvalidRedis::Form("it has a `#`".to_owned()));
        }
        let secure = SECURE.iter().find(|(secure, _)| url.starts_with(secure));
        let plain = secure.map(|(secure, plain)| url.replacen(secure, plain, 1));
        let parsed: Result<ConnectionInfo, _> = plain.as_deref().unwrap_or(url).parse();
        let parsed = parsed.map_err(|error| InvalidRedis::Form(error.to_string()))?;
        let login = parsed.redis_settings().clone();
        let place = match parsed.addr() {
            ConnectionAddr::Tcp(host, port) => Place::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Place::Socket(path.clone()),
            _ => return Err(InvalidRedis::Form("it leads to nothing that can be connected to".to_owned())),
        };
        let tls = match (secure, &place) {
            (Some(_), Place::Tcp(host, _)) => Some(Tls::new(host, authority)?),
            _ if authority.is_some() => return Err(InvalidRedis::AuthorityWithoutTls),
            _ => None,
        };
        let shown = shown(&place, tls.is_some(), login.db());
        Ok(Self { place, login, tls, shown })
    }

    /// The host and the port that are connected to, unless Redis listens at a Unix socket.
    pub fn host(&self) -> Option<(&str, u16)> {
        match &self.place {
            Place::Tcp(host, port) => Some((host, *port)),
            Place::Socket(_) => None,
        }
    }
}

fn shown(place: &Place, secure: bool, database: i64) -> String {
    let database = if database == 0 { String::new() } else { format!("/{database}") };
    let scheme = if secure { "rediss" } else { "redis" };
    match place {
        Place::Tcp(host, port) if host.contains(':') => format!("{scheme}://[{host}]:{port}{database}"),
        Place::Tcp(host, port) => format!("{scheme}://{host}:{port}{database}"),
        Place::Socket(path) => format!("redis+unix://{}", path.display()),
    }
}

impl Tls {
    fn new(host: &str, authority: Option<&[u8]>) -> Result<Self, InvalidRedis> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| InvalidRedis::Form("its host cannot be in a certificate".to_owned()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
            .with_root_certificates(roots(authority)?)
            .with_no_client_auth();
        Ok(Self { name, config: Arc::new(config) })
    }
}

fn roots(authority: Option<&[u8]>) -> Result<RootCertStore, InvalidRedis> {
    let Some(pem) = authority else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| InvalidRedis::Authority(error.to_string()))?;
        roots.add(certificate).map_err(|error| InvalidRedis::Authority(error.to_string()))?;
    }
    if roots.is_empty() { Err(InvalidRedis::Authority("there is none in it".to_owned())) } else { Ok(roots) }
}

impl fmt::Display for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisSettings").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_an_address_has_neither_user_nor_password() {
        for (url, shown) in [
            ("redis://redis.example", "redis://redis.example:6379"),
            ("redis://:secret@10.0.0.1:7000/2", "redis://10.0.0.1:7000/2"),
            ("rediss://user:secret@[::1]:7000", "rediss://[::1]:7000"),
            ("redis+unix:///run/redis.sock?pass=secret&user=user", "redis+unix:///run/redis.sock"),
            (" valkeys://:secret@valkey.example\n", "rediss://valkey.example:6379"),
        ] {
            let settings = RedisSettings::parse(url, None).unwrap();
            assert_eq!(settings.to_string(), shown);
            assert!(!format!("{settings:?}").contains("secret"), "{settings:?}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_repeating_it() {
        for url in ["", "redis:", "http://:secret@host", "redis://:secret@host/x", "rediss://:secret@host/#insecure"] {
            let error = RedisSettings::parse(url, None).unwrap_err();
            assert!(matches!(error, InvalidRedis::Form(_)), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let pem = rcgen::generate_simple_self_signed(["redis".to_owned()]).unwrap().cert.pem();
        let refused = |url, pem: &str| RedisSettings::parse(url, Some(pem.as_bytes())).unwrap_err();
        assert_eq!(refused("redis://host", &pem), InvalidRedis::AuthorityWithoutTls);
        assert!(matches!(refused("rediss://host", "text"), InvalidRedis::Authority(_)));
        assert!(RedisSettings::parse("rediss://host", Some(pem.as_bytes())).is_ok());
    }
}
