//! What a process takes from others: certificates of these authorities, unless they are revoked.

use std::{
    collections::BTreeSet,
    fmt::{self, Debug, Display},
    str::FromStr,
    sync::Arc,
    time::SystemTime,
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use tokio::{sync::watch, time::Instant};

use super::{Certificate, certificate::root_named};

/// What certificates of others are held against. The control plane says it, whole, each time that it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    authorities: Vec<String>,
    /// The names of those that have signed themselves, in their order.
    roots: Vec<Vec<u8>>,
    /// What does not hold although one of them has signed it.
    pub revoked: Revoked,
}

impl Trust {
    /// The authorities' certificates, each in PEM, the one that signs first. One that another has signed leads from that one's
    /// certificates to it.
    pub fn new(authorities: Vec<String>, revoked: Revoked) -> Self {
        let roots = authorities.iter().filter_map(|pem| root_named(pem)).collect();
        Self { authorities, roots, revoked }
    }

    /// As they were given.
    pub fn authorities(&self) -> &[String] {
        &self.authorities
    }

    /// Whether this certificate is of an authority that is trusted for what it is. One that is not may be reached from one that is.
    pub(crate) fn knows_authority_of(&self, shown: &Certificate) -> bool {
        self.roots.contains(&shown.issuer)
    }

    /// Whether another authority signs now than has signed this certificate.
    pub(super) fn supersedes(&self, own: &Certificate) -> bool {
        self.roots.first().is_some_and(|signs| *signs != own.issuer)
    }
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

/// A line for each: `serial` or `key`, and which.
impl Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serials.iter().try_for_each(|serial| writeln!(f, "serial {serial}"))?;
        self.keys.iter().try_for_each(|key| writeln!(f, "key {key}"))
    }
}

impl FromStr for Revoked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut revoked = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let is_hex = |which: &str| !which.is_empty() && which.bytes().all(|byte| byte.is_ascii_hexdigit());
            match line.split_once(' ').filter(|(_, which)| is_hex(which)) {
                Some(("serial", which)) => revoked.serials.insert(which.to_owned()),
                Some(("key", which)) => revoked.keys.insert(which.to_owned()),
                _ => return Err(format!("line {number} names neither a serial number nor a key")),
            };
        }
        Ok(revoked)
    }
}

/// Resolves once this certificate is revoked, which may be at once.
pub(crate) async fn revoked(trust: watch::Receiver<Arc<Trust>>, certificate: Certificate) {
    until(trust, |trust| trust.revoked.has(&certificate)).await;
}

/// Resolves once this certificate is taken no more: it is revoked, or its authority, which was `known` when it was taken or has
/// become so, is trusted no more. That may be at once.
pub(crate) async fn distrusted(trust: watch::Receiver<Arc<Trust>>, known: bool, certificate: Certificate) {
    let mut has_ended = end_of_authority(known, &certificate);
    until(trust, |trust| has_ended(trust) || trust.revoked.has(&certificate)).await;
}

/// Resolves once the authority of this certificate, which was `known` when it was taken or has become so, is trusted no more.
pub(crate) async fn authority_ended(trust: watch::Receiver<Arc<Trust>>, known: bool, certificate: Certificate) {
    until(trust, end_of_authority(known, &certificate)).await;
}

/// Whether that is so, each time that it is asked.
fn end_of_authority(mut known: bool, certificate: &Certificate) -> impl FnMut(&Trust) -> bool {
    move |trust| {
        let is_known = trust.knows_authority_of(certificate);
        let ended = known && !is_known;
        known |= is_known;
        ended
    }
}

/// When this certificate's time is over, as of now.
pub(crate) fn ends(certificate: &Certificate) -> Instant {
    Instant::now() + certificate.expires.duration_since(SystemTime::now()).unwrap_or_default()
}

pub(super) async fn until(mut trust: watch::Receiver<Arc<Trust>>, mut is_so: impl FnMut(&Trust) -> bool) {
    while !is_so(&trust.borrow_and_update()) {
        if trust.changed().await.is_err() {
            // Nobody changes anything any more.
            std::future::pending().await
        }
    }
}

/// Certificates that are looked at beside somebody's own: those of the authority, and of those before it that are still trusted.
/// Who shows more has its connection ended before any signature is verified, which takes a thread its time.
pub(super) const MAX_SHOWN: usize = 8;
/// Bytes of one of them. Those of this installation have some 500.
const MAX_SHOWN_BYTES: usize = 4 << 10;

/// Whether this is no more than whom to trust can need.
pub(super) fn are_few(own: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
    let are_small = std::iter::once(own).chain(others).all(|shown| shown.len() <= MAX_SHOWN_BYTES);
    match others.len() <= MAX_SHOWN && are_small {
        true => Ok(()),
        false => Err(Error::General(format!(
            "more than {MAX_SHOWN} further certificates, or one of more than {MAX_SHOWN_BYTES} bytes, are not looked at"
        ))),
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
        are_few(end_entity, intermediates)?;
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
        are_few(end_entity, intermediates)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_is_longer_than_any_of_ours_is_not_looked_at() {
        let of = |bytes: usize| CertificateDer::from(vec![0; bytes]);
        let some = |count: usize| vec![of(500); count];
        assert_eq!(are_few(&of(500), &some(MAX_SHOWN)), Ok(()));
        assert!(are_few(&of(500), &some(MAX_SHOWN + 1)).is_err());
        assert!(are_few(&of(50_000), &[]).is_err() && are_few(&of(500), &[of(50_000)]).is_err());
    }

    #[test]
    fn what_is_revoked_is_kept_as_text_and_read_again() {
        let revoked = Revoked { serials: ["0a".to_owned(), "7f".to_owned()].into(), keys: ["ff".to_owned()].into() };
        assert_eq!(revoked.to_string().parse(), Ok(revoked));
        assert_eq!("".parse(), Ok(Revoked::default()));
        for damaged in ["serial", "serial ", "serial xyz", "name 0a", "serial 0a\nke"] {
            let why = damaged.parse::<Revoked>().unwrap_err();
            assert!(why.contains("line"), "{damaged}: {why}");
        }
    }
}
