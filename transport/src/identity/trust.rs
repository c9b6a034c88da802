//! What a process takes from others: certificates of these authorities, unless they are revoked.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use tokio::sync::watch;

use super::Certificate;

/// What certificates of others are held against. The control plane says it, whole, each time that it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The authorities' certificates, each in PEM. One that another has signed leads from that one's certificates to it.
    pub authorities: Vec<String>,
    /// What does not hold although one of them has signed it.
    pub revoked: Revoked,
}

/// Certificates that were taken back before their time: by number, and all of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Serial numbers, in hexadecimal.
    pub serials: BTreeSet<String>,
    /// SHA-256 of public keys, in hexadecimal.
    pub keys: BTreeSet<String>,
}

impl Revoked {
    /// Whether this certificate is among them.
    pub fn has(&self, certificate: &Certificate) -> bool {
        self.serials.contains(&certificate.serial) || self.keys.contains(&certificate.key)
    }
}

/// Resolves once this certificate is revoked, which may be at once.
pub(crate) async fn revoked(mut trust: watch::Receiver<Arc<Trust>>, certificate: Certificate) {
    while !trust.borrow_and_update().revoked.has(&certificate) {
        if trust.changed().await.is_err() {
            // Nobody revokes anything any more.
            std::future::pending().await
        }
    }
}

/// Takes what `inner` takes, unless it is revoked.
#[derive(Debug)]
pub(super) struct NotRevoked<V: ?Sized> {
    pub(super) trust: watch::Receiver<Arc<Trust>>,
    pub(super) inner: Arc<V>,
}

impl<V: ?Sized> NotRevoked<V> {
    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        // One that names no peer opens nothing.
        let is_revoked = Certificate::read(shown).is_some_and(|shown| self.trust.borrow().revoked.has(&shown));
        if is_revoked { Err(Error::InvalidCertificate(CertificateError::Revoked)) } else { Ok(()) }
    }
}

impl<V: ClientCertVerifier + ?Sized> ClientCertVerifier for NotRevoked<V> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        self.check(end_entity).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl<V: ServerCertVerifier + ?Sized> ServerCertVerifier for NotRevoked<V> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp, now)?;
        self.check(end_entity).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
