use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{Peer, authority::BACKDATED};

/// Why a process cannot show who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A key or a certificate cannot be made or used.
    #[error("this process' certificate cannot be used: {0}")]
    Unusable(String),
}

fn unusable(error: impl std::fmt::Display) -> IdentityError {
    IdentityError::Unusable(error.to_string())
}

/// A key of this process, for which a certificate is asked. The key never leaves the process, but for its own disk.
pub struct Request {
    key: KeyPair,
    der: Vec<u8>,
}

impl Request {
    /// With a new key.
    pub fn new() -> Result<Self, IdentityError> {
        let key = KeyPair::generate().map_err(unusable)?;
        let params = CertificateParams::new(Vec::<String>::new()).map_err(unusable)?;
        let der = params.serialize_request(&key).map_err(unusable)?.der().to_vec();
        Ok(Self { key, der })
    }

    /// The certificate signing request.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// What a process shows to others, and what it takes from them. Both change when its certificate is renewed.
pub struct Identity {
    held: ArcSwap<Held>,
}

struct Held {
    pem: String,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    holds: (SystemTime, SystemTime),
}

impl Identity {
    /// With the certificate that was given for a request: in PEM, and then the authority's.
    pub fn of(request: Request, certificate: &str) -> Result<Self, IdentityError> {
        Ok(Self { held: ArcSwap::from_pointee(hold(request.key.serialize_pem(), certificate)?) })
    }

    /// As [`Identity::pem`] gave it.
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let key = pem.find("-----BEGIN CERTIFICATE").map(|at| pem.split_at(at));
        let (key, certificate) = key.ok_or_else(|| unusable("it holds no certificate"))?;
        Ok(Self { held: ArcSwap::from_pointee(hold(key.to_owned(), certificate)?) })
    }

    /// The key, the certificate and the authority's certificate, to be kept where nobody else can read.
    pub fn pem(&self) -> String {
        self.held.load().pem.clone()
    }

    /// Shows another certificate from now on. Connections that are open stay.
    pub fn renew(&self, request: Request, certificate: &str) -> Result<(), IdentityError> {
        self.held.store(Arc::new(hold(request.key.serialize_pem(), certificate)?));
        Ok(())
    }

    /// How long it still holds; zero if it does not.
    pub fn remaining(&self) -> Duration {
        self.held.load().holds.1.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// When two thirds of its time have passed it is renewed: this is how long that still takes.
    pub fn renew_in(&self) -> Duration {
        let (from, to) = self.held.load().holds;
        let whole = to.duration_since(from).unwrap_or_default().saturating_sub(BACKDATED);
        self.remaining().saturating_sub(whole / 3)
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        self.held.load().client.clone()
    }

    /// It asks for a certificate, and takes connections without one: who may do what is decided by [`peer`].
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.held.load().server.clone()
    }
}

fn hold(key_pem: String, certificate: &str) -> Result<Held, IdentityError> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().map_err(unusable)?;
    let [own, authority] = &chain[..] else { return Err(unusable("a certificate and its authority's are needed")) };
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(unusable)?;
    let roots = Arc::new(roots);
    let key = KeyPair::from_pem(&key_pem).map_err(unusable)?;
    let key = || PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let verifier = verifier.allow_unauthenticated().build().map_err(unusable)?;
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key())
        .map_err(unusable)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.clone(), key())
        .map_err(unusable)?;
    let (_, parsed) = X509Certificate::from_der(own).map_err(unusable)?;
    let moment = |time: x509_parser::time::ASN1Time| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
    };
    let validity = parsed.validity();
    let holds = (moment(validity.not_before), moment(validity.not_after));
    Ok(Held { pem: format!("{key_pem}{certificate}"), client: Arc::new(client), server: Arc::new(server), holds })
}

/// Who is on the other side, by the certificate that it showed. TLS has verified it.
pub(crate) fn peer(connection: &ServerConnection) -> Option<Peer> {
    let own = connection.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(own).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) => Peer::of_dns_name(name),
        _ => None,
    })
}
