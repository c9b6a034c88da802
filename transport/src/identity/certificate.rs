use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    AlertDescription, ClientConfig, RootCertStore, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{
    Certificate, Revoked, Trust,
    trust::{NotRevoked, until},
};

/// Begins each certificate in PEM.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

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
        Self::with(KeyPair::generate().map_err(unusable)?)
    }

    fn with(key: KeyPair) -> Result<Self, IdentityError> {
        let params = CertificateParams::new(Vec::<String>::new()).map_err(unusable)?;
        let der = params.serialize_request(&key).map_err(unusable)?.der().to_vec();
        Ok(Self { key, der })
    }

    /// The certificate signing request.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// What a process shows to others, and what it takes from them. Both change when its certificate is renewed, and when the
/// control plane says so.
pub struct Identity {
    held: ArcSwap<Held>,
    trust: watch::Sender<Arc<Trust>>,
    /// One change at a time.
    changing: Mutex<()>,
    /// Cancelled once the control plane has said that this process' own certificate holds no more.
    taken_back: CancellationToken,
    why_taken_back: OnceLock<TakenBack>,
}

/// Why a certificate holds no more, though its time is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBack {
    /// An administrator has revoked it, and its key with it.
    Revoked,
    /// The authority that signed it was replaced, and is trusted no more.
    AuthorityEnded,
}

struct Held {
    key: String,
    own: String,
    certificate: Certificate,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Identity {
    /// With the certificate that was given for a request: in PEM, and then the authority's.
    pub fn of(request: Request, certificate: &str) -> Result<Self, IdentityError> {
        Self::holding(request.key.serialize_pem(), certificate)
    }

    /// As [`Identity::pem`] gave it.
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let key = pem.find(BEGIN).map(|at| pem.split_at(at));
        let (key, certificate) = key.ok_or_else(|| unusable("it holds no certificate"))?;
        Self::holding(key.to_owned(), certificate)
    }

    fn holding(key: String, certificates: &str) -> Result<Self, IdentityError> {
        let mut certificates = certificates_in(certificates);
        let own = certificates.next().ok_or_else(|| unusable("it holds no certificate"))?;
        let trust = Trust::new(certificates.collect(), Revoked::default());
        let trust = watch::Sender::new(Arc::new(trust));
        let held = ArcSwap::from_pointee(hold(key, own, &trust)?);
        let (taken_back, why_taken_back) = (CancellationToken::new(), OnceLock::new());
        Ok(Self { held, trust, changing: Mutex::default(), taken_back, why_taken_back })
    }

    /// The key, the certificate and the authorities' certificates, to be kept where nobody else can read.
    pub fn pem(&self) -> String {
        let held = self.held.load();
        format!("{}{}{}", held.key, held.own, self.trust.borrow().authorities().concat())
    }

    /// Asks for another certificate of the same key.
    pub fn request(&self) -> Result<Request, IdentityError> {
        Request::with(KeyPair::from_pem(&self.held.load().key).map_err(unusable)?)
    }

    /// Shows another certificate from now on: in PEM, and then the authority's. Connections that are open stay.
    pub fn renew(&self, request: Request, certificate: &str) -> Result<(), IdentityError> {
        let _changing = self.changing.lock();
        let mut certificates = certificates_in(certificate);
        let own = certificates.next().ok_or_else(|| unusable("it holds no certificate"))?;
        let Trust { revoked, .. } = Trust::clone(&self.trust.borrow());
        let mut authorities: Vec<String> = certificates.collect();
        let before = self.trust.borrow().authorities().to_vec();
        authorities.extend(before.into_iter().filter(|before| !authorities.contains(before)).collect::<Vec<_>>());
        self.change(request.key.serialize_pem(), own, Trust::new(authorities, revoked))
    }

    /// Takes from others what this says from now on. Their connections that it says are revoked are cut.
    pub fn set_trust(&self, trust: Trust) -> Result<(), IdentityError> {
        let _changing = self.changing.lock();
        if **self.trust.borrow() == trust {
            return Ok(());
        }
        let held = self.held.load_full();
        self.change(held.key.clone(), held.own.clone(), trust)
    }

    fn change(&self, key: String, own: String, trust: Trust) -> Result<(), IdentityError> {
        let before = self.trust.send_replace(Arc::new(trust));
        match hold(key, own, &self.trust) {
            Ok(held) => {
                self.held.store(Arc::new(held));
                Ok(())
            }
            Err(error) => {
                self.trust.send_replace(before);
                Err(error)
            }
        }
    }

    /// What is taken from others, now and as it changes.
    pub fn trust(&self) -> watch::Receiver<Arc<Trust>> {
        self.trust.subscribe()
    }

    /// What this process shows.
    pub fn certificate(&self) -> Certificate {
        self.held.load().certificate.clone()
    }

    /// Cancelled once the control plane has said that this process' own certificate holds no more.
    pub fn taken_back(&self) -> CancellationToken {
        self.taken_back.clone()
    }

    /// Why it does not; `None`: it does, for all that is known.
    pub fn why_taken_back(&self) -> Option<TakenBack> {
        self.why_taken_back.get().copied()
    }

    /// Resolves while another authority signs than has signed what this process shows: it is to be renewed.
    pub async fn superseded(&self) {
        until(self.trust(), |trust| trust.supersedes(&self.held.load().certificate)).await;
    }

    /// How long it still holds; zero if it does not.
    pub fn remaining(&self) -> Duration {
        self.held.load().certificate.expires.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// When two thirds of its time have passed it is renewed: this is how long that still takes.
    pub fn renew_in(&self) -> Duration {
        let held = self.held.load();
        let Certificate { issued, expires, .. } = held.certificate;
        self.remaining().saturating_sub(expires.duration_since(issued).unwrap_or_default() / 3)
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        self.held.load().client.clone()
    }

    /// It asks for a certificate, and takes connections without one: who may do what is decided by [`peer`].
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.held.load().server.clone()
    }
}

/// The certificates of a text, each in PEM.
pub(super) fn certificates_in(pem: &str) -> impl Iterator<Item = String> {
    pem.split(BEGIN).skip(1).map(|rest| format!("{BEGIN}{}\n", rest.trim_end()))
}

/// Whether an authority has signed itself: it is trusted for what it is. Any other only leads to one.
pub(super) fn is_root(der: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, parsed)| parsed.issuer() == parsed.subject())
}

fn hold(key_pem: String, own: String, trust: &watch::Sender<Arc<Trust>>) -> Result<Held, IdentityError> {
    let der = |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(unusable);
    let mut chain = vec![der(&own)?];
    let mut roots = RootCertStore::empty();
    for authority in trust.borrow().authorities() {
        let authority = der(authority)?;
        if is_root(&authority) {
            roots.add(authority.clone()).map_err(unusable)?;
        }
        chain.push(authority);
    }
    if roots.is_empty() {
        return Err(unusable("a certificate and its authority's are needed"));
    }
    let certificate = Certificate::read(&chain[0]).ok_or_else(|| unusable("its certificate names nobody"))?;
    let roots = Arc::new(roots);
    let key = KeyPair::from_pem(&key_pem).map_err(unusable)?;
    let key = || PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let clients = clients.allow_unauthenticated().build().map_err(unusable)?;
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(Arc::new(NotRevoked { trust: trust.subscribe(), inner: clients }))
        .with_single_cert(chain.clone(), key())
        .map_err(unusable)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build().map_err(unusable)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NotRevoked { trust: trust.subscribe(), inner: servers }))
        .with_client_auth_cert(chain, key())
        .map_err(unusable)?;
    Ok(Held { key: key_pem, own, certificate, client: Arc::new(client), server: Arc::new(server) })
}

/// The name of an authority that has signed itself, in DER.
pub(super) fn root_named(pem: &str) -> Option<Vec<u8>> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok().filter(is_root)?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    Some(parsed.subject().as_raw().to_vec())
}

/// Who is on the other side, by the certificate that it showed. TLS has verified it.
pub(crate) fn peer(connection: &rustls::CommonState) -> Option<Certificate> {
    Certificate::read(connection.peer_certificates()?.first()?)
}

/// A connection to the control plane, which may say over it that this process' certificate holds no more.
pub(crate) struct Heard<S> {
    pub(crate) stream: S,
    pub(crate) identity: Arc<Identity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            let why = match cause {
                Some(rustls::Error::AlertReceived(AlertDescription::CertificateRevoked)) => Some(TakenBack::Revoked),
                Some(rustls::Error::AlertReceived(AlertDescription::UnknownCA)) => Some(TakenBack::AuthorityEnded),
                _ => None,
            };
            if let Some(why) = why {
                let _ = self.identity.why_taken_back.set(why);
                self.identity.taken_back.cancel();
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
