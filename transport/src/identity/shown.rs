use std::time::{Duration, SystemTime};

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::Peer;

/// What a certificate of this installation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub peer: Peer,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// The SHA-256 of its public key, in hexadecimal.
    pub key: String,
    /// When it was made.
    pub issued: SystemTime,
    /// Until when it holds.
    pub expires: SystemTime,
    /// The name of the authority that signed it, in DER.
    pub(super) issuer: Vec<u8>,
}

impl Certificate {
    /// Reads one that TLS has verified, or that was signed here. `None`: it names no peer.
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let names = parsed.subject_alternative_name().ok()??;
        let peer = names.value.general_names.iter().find_map(|name| match name {
            GeneralName::DNSName(name) => Peer::of_dns_name(name),
            _ => None,
        })?;
        Some(Self {
            peer,
            serial: serial(parsed.raw_serial()),
            key: key_digest(parsed.public_key().raw),
            issued: moment(parsed.validity().not_before) + super::authority::BACKDATED,
            expires: moment(parsed.validity().not_after),
            issuer: parsed.issuer().as_raw().to_vec(),
        })
    }
}

fn serial(raw: &[u8]) -> String {
    let zeros = raw.iter().take_while(|byte| **byte == 0).count();
    hex::encode(&raw[zeros..])
}

/// Names a public key, given as its `SubjectPublicKeyInfo`.
pub(super) fn key_digest(public_key: &[u8]) -> String {
    hex::encode(digest(&SHA256, public_key))
}

fn moment(time: x509_parser::time::ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

/// From when and until when a certificate holds.
pub(super) fn validity(der: &CertificateDer<'_>) -> Option<(SystemTime, SystemTime)> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    Some((moment(parsed.validity().not_before), moment(parsed.validity().not_after)))
}

/// Names the public key of a certificate.
pub(super) fn key_of(der: &CertificateDer<'_>) -> Option<String> {
    X509Certificate::from_der(der).ok().map(|(_, parsed)| key_digest(parsed.public_key().raw))
}
