use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};

use super::{CONTROL_PLANE, Certificate, Fingerprint, Identity, IdentityError, Peer, Request, Role, shown::key_digest};

/// The authority outlives every installation: who can replace its key can also read all state.
const YEARS: (i32, i32) = (2020, 2120);
/// Certificates hold from so long before they are made: clocks of machines differ, and jump.
pub(super) const BACKDATED: Duration = Duration::from_secs(2 * 3600);

/// Why there is no authority, or no certificate of it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error("{path} cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The files are not what was written.
    #[error(
        "{path} holds no usable key or certificate ({why}): remove `ca.key` and `ca.crt` to have new ones made; \
             workers and gateways then join again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The request for a certificate is none.
    #[error("the request for a certificate cannot be used: {0}")]
    Request(String),
}

/// Signs the certificates of an installation's processes.
pub struct Authority {
    pem: String,
    key: KeyPair,
    lifetime: Duration,
}

impl Authority {
    /// How long a certificate holds if nothing else is said. It is renewed when two thirds of it have passed.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);

    /// Opens the authority kept in a folder (`ca.crt`, `ca.key`), or makes one.
    pub fn open(folder: &Path, lifetime: Duration) -> Result<Self, AuthorityError> {
        let (key_path, pem_path) = (folder.join("ca.key"), folder.join("ca.crt"));
        let damaged = |path: &Path, why: String| AuthorityError::Damaged { path: path.to_owned(), why };
        if let (Some(key), Some(pem)) = (read(&key_path)?, read(&pem_path)?) {
            let key = KeyPair::from_pem(&key).map_err(|error| damaged(&key_path, error.to_string()))?;
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| damaged(&pem_path, error.to_string()))?;
            return Ok(Self { pem, key, lifetime });
        }
        let make = |error: rcgen::Error| AuthorityError::Request(error.to_string());
        let key = KeyPair::generate().map_err(make)?;
        let pem = params().self_signed(&key).map_err(make)?.pem();
        write_private(&key_path, key.serialize_pem().as_bytes())?;
        write_private(&pem_path, pem.as_bytes())?;
        Ok(Self { pem, key, lifetime })
    }

    /// What a token carries, so that who joins knows the installation.
    pub fn fingerprint(&self) -> Fingerprint {
        let der = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("it was read or made here");
        Fingerprint::of(&der)
    }

    /// The certificates of what is trusted, each in PEM.
    pub fn trusted(&self) -> Vec<String> {
        super::certificate::certificates_in(&self.pem).collect()
    }

    /// The control plane's own identity.
    pub fn own_identity(&self) -> Result<Identity, IdentityError> {
        let request = Request::new()?;
        let pem = self.sign_own(&request)?;
        Identity::of(request, &pem)
    }

    /// Gives the control plane's own identity another certificate.
    pub fn renew_own(&self, identity: &Identity) -> Result<(), IdentityError> {
        let request = Request::new()?;
        let pem = self.sign_own(&request)?;
        identity.renew(request, &pem)
    }

    fn sign_own(&self, request: &Request) -> Result<String, IdentityError> {
        let own = Peer { role: Role::ControlPlane, name: CONTROL_PLANE.to_owned() };
        let signed = Asked::read(request.der()).and_then(|asked| self.sign(&asked, &own));
        signed.map(|(pem, _)| pem).map_err(|error| IdentityError::Unusable(error.to_string()))
    }

    /// Signs a request for `peer`. Answers, in PEM, the certificate and then the authority's own; and what the former says.
    pub fn sign(&self, asked: &Asked, peer: &Peer) -> Result<(String, Certificate), AuthorityError> {
        let bad = |error: rcgen::Error| AuthorityError::Request(error.to_string());
        let mut params = CertificateParams::new([peer.role.dns_name(&peer.name)]).map_err(bad)?;
        params.distinguished_name = named(&format!("{}:{}", peer.role.as_str(), peer.name));
        params.serial_number = Some(random_serial().into());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let now = SystemTime::now();
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + self.lifetime).into();
        let issuer_params = self::params();
        let issuer = Issuer::from_params(&issuer_params, &self.key);
        let signed = params.signed_by(&asked.0.public_key, &issuer).map_err(bad)?;
        let certificate = Certificate::read(signed.der());
        let certificate = certificate.ok_or_else(|| AuthorityError::Request(format!("`{}` is no name", peer.name)))?;
        Ok((format!("{}{}", signed.pem(), self.pem), certificate))
    }
}

/// A request for a certificate. It proves that who asks has the key; what else it says is not taken over.
pub struct Asked(CertificateSigningRequestParams);

impl Asked {
    /// Reads a certificate signing request in DER.
    pub fn read(request: &[u8]) -> Result<Self, AuthorityError> {
        let asked = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request));
        asked.map(Self).map_err(|error| AuthorityError::Request(error.to_string()))
    }

    /// The SHA-256 of the public key, in hexadecimal.
    pub fn key(&self) -> String {
        key_digest(&self.0.public_key.subject_public_key_info())
    }
}

/// As RFC 5280 wants them: positive, of 20 bytes at most, and not to be guessed.
fn random_serial() -> Vec<u8> {
    let mut serial = vec![0; 16];
    SystemRandom::new().fill(&mut serial).expect("the system's random numbers");
    serial[0] = (serial[0] & 0x3f) | 0x40;
    serial
}

/// Always the same, so that the authority can sign again after a restart with its key alone.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("sampan-cluster-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = rcgen::date_time_ymd(YEARS.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(YEARS.1, 1, 1);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn read(path: &Path) -> Result<Option<String>, AuthorityError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AuthorityError::File { path: path.to_owned(), source }),
    }
}

/// Written whole or not at all, and readable by this user alone.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), AuthorityError> {
    private_files::write(path, bytes).map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}
