use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};

use super::{CONTROL_PLANE, Certificate, Fingerprint, Identity, IdentityError, Peer, Request, Role, shown::key_digest};

/// How long an authority lives; another takes its place before.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// The key of the authority, its certificate, and those of what it took the place of and is still trusted: one file, so that
/// they change together.
const FILE: &str = "ca.pem";
/// Earlier versions kept the key and the certificate apart.
const FILES_OF_BEFORE: (&str, &str) = ("ca.key", "ca.crt");
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
        "{path} holds no usable key or certificate ({why}): put a copy of it back, or remove it (and `ca.key` and `ca.crt` \
             beside it) to have new ones made; workers and gateways then join again"
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
    /// Another is being replaced.
    #[error(
        "the authority was replaced {0}, and the one before is still trusted: it is dropped once nothing of it holds, or now with \
         `sampan certificate rotate --finish`"
    )]
    Rotating(String),
}

/// Signs the certificates of an installation's processes. Another may take the place of its key and certificate; both are
/// trusted until the former is dropped.
pub struct Authority {
    folder: PathBuf,
    held: Mutex<Held>,
    lifetime: Duration,
}

struct Held {
    key: KeyPair,
    pem: String,
    /// Of those before it: their certificates, and the one that they gave to it. Who trusts them alone finds the way by that.
    former: Vec<String>,
    since: SystemTime,
}

/// What is told of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityCertificate {
    /// What tokens carry.
    pub fingerprint: Fingerprint,
    /// Since when it signs, or did.
    pub since: SystemTime,
    /// When it ends.
    pub ends: SystemTime,
}

impl Authority {
    /// How long a certificate holds if nothing else is said. It is renewed when two thirds of it have passed.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);

    /// Opens the authority kept in a folder (`ca.pem`), or makes one.
    pub fn open(folder: &Path, lifetime: Duration) -> Result<Self, AuthorityError> {
        let held = match read_held(&folder.join(FILE))? {
            Some(held) => held,
            None => {
                let held = match Held::of_before(folder)? {
                    Some(held) => held,
                    None => Held::new("sampan-cluster-ca").map_err(request)?.0,
                };
                write(folder, &held)?;
                held
            }
        };
        Ok(Self { folder: folder.to_owned(), held: Mutex::new(held), lifetime })
    }

    /// What a token carries, so that who joins knows the installation.
    pub fn fingerprint(&self) -> Fingerprint {
        told(&self.held.lock().pem).expect("it was read or made here").fingerprint
    }

    /// The certificates of what is trusted, each in PEM, and what leads from one to the other.
    pub fn trusted(&self) -> Vec<String> {
        let held = self.held.lock();
        std::iter::once(&held.pem).chain(&held.former).cloned().collect()
    }

    /// The authorities that are trusted, the one that signs first.
    pub fn list(&self) -> Vec<AuthorityCertificate> {
        let roots = |pem: &String| der(pem).is_ok_and(|der| super::certificate::is_root(&der));
        self.trusted().iter().filter(|pem| roots(pem)).filter_map(|pem| told(pem).ok()).collect()
    }

    /// Makes another key and certificate, which sign from now on. The former stay trusted until [`Authority::drop_former`].
    pub fn rotate(&self) -> Result<Fingerprint, AuthorityError> {
        let mut held = self.held.lock();
        if !held.former.is_empty() && held.former.iter().any(|pem| !is_of_key(pem, &held.key)) {
            return Err(AuthorityError::Rotating(humantime(held.since)));
        }
        let mut name = [0; 4];
        SystemRandom::new().fill(&mut name).expect("the system's random numbers");
        let (mut new, params) = Held::new(&format!("sampan-cluster-ca-{}", hex::encode(name))).map_err(request)?;
        let issuer = Issuer::from_ca_cert_pem(&held.pem, &held.key).map_err(request)?;
        let led_to = params.signed_by(&new.key, &issuer).map_err(request)?;
        new.former = vec![led_to.pem(), held.pem.clone()];
        new.former.extend(held.former.iter().cloned());
        write(&self.folder, &new)?;
        // The key of before signs nothing any more, and is nobody's.
        for file in [FILES_OF_BEFORE.0, FILES_OF_BEFORE.1] {
            let path = self.folder.join(file);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(AuthorityError::File { path, source });
                }
                _ => {}
            }
        }
        *held = new;
        told(&held.pem).map(|told| told.fingerprint)
    }

    /// Since when this one signs, if others before it are still trusted.
    pub fn rotated(&self) -> Option<SystemTime> {
        let held = self.held.lock();
        (!held.former.is_empty()).then_some(held.since)
    }

    /// Trusts what was before the last rotation no more.
    pub fn drop_former(&self) -> Result<(), AuthorityError> {
        let mut held = self.held.lock();
        let key = KeyPair::from_pem(&held.key.serialize_pem()).map_err(request)?;
        let alone = Held { key, pem: held.pem.clone(), former: Vec::new(), since: held.since };
        write(&self.folder, &alone)?;
        *held = alone;
        Ok(())
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
        let held = self.held.lock();
        let ends = told(&held.pem)?.ends;
        let now = SystemTime::now();
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + self.lifetime).min(ends).into();
        let issuer = Issuer::from_ca_cert_pem(&held.pem, &held.key).map_err(bad)?;
        let signed = params.signed_by(&asked.0.public_key, &issuer).map_err(bad)?;
        let certificate = Certificate::read(signed.der());
        let certificate = certificate.ok_or_else(|| AuthorityError::Request(format!("`{}` is no name", peer.name)))?;
        Ok((format!("{}{}", signed.pem(), held.pem), certificate))
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

impl Held {
    /// A new key and its certificate, and what that says.
    fn new(name: &str) -> Result<(Self, CertificateParams), rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = params(name);
        let pem = params.self_signed(&key)?.pem();
        Ok((Self { key, pem, former: Vec::new(), since: SystemTime::now() }, params))
    }

    /// What an earlier version kept. One that lives for longer than authorities do has another certificate made for its key;
    /// its own, which tokens name, stays trusted.
    fn of_before(folder: &Path) -> Result<Option<Self>, AuthorityError> {
        let (key_path, pem_path) = (folder.join(FILES_OF_BEFORE.0), folder.join(FILES_OF_BEFORE.1));
        let (Some(key), Some(pem)) = (read(&key_path)?, read(&pem_path)?) else { return Ok(None) };
        let key = KeyPair::from_pem(&key).map_err(|error| damaged(&key_path, error))?;
        let ends = told(&pem).map_err(|error| damaged(&pem_path, error))?.ends;
        if !is_of_key(&pem, &key) {
            return Err(damaged(&pem_path, "its key is not that of `ca.key`"));
        }
        let since = SystemTime::now();
        if ends <= since + LIFETIME {
            return Ok(Some(Self { key, pem, former: Vec::new(), since }));
        }
        // The same name and key: what it has signed is the new one's, too.
        let again = params("sampan-cluster-ca").self_signed(&key).map_err(request)?;
        Ok(Some(Self { key, pem: again.pem(), former: vec![pem], since }))
    }
}

fn read_held(path: &Path) -> Result<Option<Held>, AuthorityError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let mut certificates = super::certificate::certificates_in(&text);
    let pem = certificates.next().ok_or_else(|| damaged(path, "it holds no certificate"))?;
    let key = KeyPair::from_pem(&text).map_err(|error| damaged(path, error))?;
    if !is_of_key(&pem, &key) {
        return Err(damaged(path, "the key is not that of the certificate"));
    }
    let since = told(&pem).map_err(|error| damaged(path, error))?.since;
    Ok(Some(Held { key, pem, former: certificates.collect(), since }))
}

fn write(folder: &Path, held: &Held) -> Result<(), AuthorityError> {
    let text = format!("{}{}{}", held.key.serialize_pem(), held.pem, held.former.concat());
    write_private(&folder.join(FILE), text.as_bytes())
}

fn damaged(path: &Path, why: impl ToString) -> AuthorityError {
    AuthorityError::Damaged { path: path.to_owned(), why: why.to_string() }
}

fn request(error: rcgen::Error) -> AuthorityError {
    AuthorityError::Request(error.to_string())
}

fn der(pem: &str) -> Result<CertificateDer<'static>, AuthorityError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| AuthorityError::Request(error.to_string()))
}

fn told(pem: &str) -> Result<AuthorityCertificate, AuthorityError> {
    let der = der(pem)?;
    let (since, ends) =
        super::shown::validity(&der).ok_or_else(|| AuthorityError::Request("it is no certificate".to_owned()))?;
    Ok(AuthorityCertificate { fingerprint: Fingerprint::of(&der), since: since + BACKDATED, ends })
}

fn is_of_key(pem: &str, key: &KeyPair) -> bool {
    der(pem).is_ok_and(|der| super::shown::key_of(&der) == Some(key_digest(&key.subject_public_key_info())))
}

fn humantime(since: SystemTime) -> String {
    let seconds = since.elapsed().unwrap_or_default().as_secs();
    match seconds {
        0..60 => "less than a minute ago".to_owned(),
        60..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} hours ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + LIFETIME).into();
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

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
