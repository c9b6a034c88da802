//! The server's certificate, and the authority that signed it, both kept in the data directory.

use std::{
    collections::BTreeSet,
    io,
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

/// Names that every certificate has.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long an authority lives. When two thirds of it have passed, its key gets another certificate at the next start: what was signed
/// before is trusted by both, and kubeconfigs of before go on until theirs ends.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Certificates hold from so long ago, and nobody lives before it: not even a machine whose clock has not been set yet.
const EPOCH_YEAR: i32 = 2020;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("{path} cannot be used: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The authority's files are not what was written.
    #[error("{path} holds no usable key or certificate ({why}): remove `ca.key` and `ca.crt` to have new ones made")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Making a certificate failed.
    #[error("a certificate for {names} cannot be made: {why}")]
    Make {
        /// For which names.
        names: String,
        /// What failed.
        why: String,
    },
}

/// What the server shows, and what clients check it against.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate, in PEM.
    pub authority_pem: String,
    /// For the server's listener.
    pub server: Arc<rustls::ServerConfig>,
}

impl Certificates {
    /// Opens the authority kept in a folder (`ca.crt`, `ca.key`), or makes one; then makes a certificate for the
    /// local names and `hosts`. Clients that trust the authority need no new kubeconfig after a restart.
    pub fn open(folder: &Path, hosts: &[String]) -> Result<Self, CertificateError> {
        let authority = Authority::open(folder, SystemTime::now())?;
        let names: BTreeSet<String> =
            LOCAL_NAMES.iter().map(|name| (*name).to_owned()).chain(hosts.iter().cloned()).collect();
        let names: Vec<String> = names.into_iter().filter(|name| !is_unspecified(name)).collect();
        let server = authority.server_config(&names).map_err(|error| {
            let why = error.to_string();
            CertificateError::Make { names: names.join(", "), why }
        })?;
        Ok(Self { authority_pem: authority.pem, server: Arc::new(server) })
    }
}

/// `0.0.0.0` and `::` are where one listens, not what one is called.
fn is_unspecified(name: &str) -> bool {
    name.is_empty() || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

struct Authority {
    pem: String,
    key: KeyPair,
    ends: SystemTime,
}

impl Authority {
    fn open(folder: &Path, now: SystemTime) -> Result<Self, CertificateError> {
        let (key_path, pem_path) = (folder.join("ca.key"), folder.join("ca.crt"));
        let file = |path: &Path, source| CertificateError::File { path: path.display().to_string(), source };
        let read = |path: &Path| match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file(path, error)),
        };
        if let (Some(key), Some(pem)) = (read(&key_path)?, read(&pem_path)?) {
            let damaged =
                |path: &Path, why: String| CertificateError::Damaged { path: path.display().to_string(), why };
            let key = KeyPair::from_pem(&key).map_err(|error| damaged(&key_path, error.to_string()))?;
            let ends = end_of(&pem).map_err(|why| damaged(&pem_path, why))?;
            let left = ends.duration_since(now).unwrap_or_default();
            // Earlier versions made some that lived for a hundred years.
            if left >= LIFETIME / 3 && left <= LIFETIME {
                return Ok(Self { pem, key, ends });
            }
            let authority = Self::of_key(key, now)?;
            private_files::write(&pem_path, authority.pem.as_bytes()).map_err(|error| file(&pem_path, error))?;
            return Ok(authority);
        }
        let authority = Self::of_key(KeyPair::generate().map_err(not_made)?, now)?;
        let key = authority.key.serialize_pem();
        private_files::write(&key_path, key.as_bytes()).map_err(|error| file(&key_path, error))?;
        private_files::write(&pem_path, authority.pem.as_bytes()).map_err(|error| file(&pem_path, error))?;
        Ok(authority)
    }

    fn of_key(key: KeyPair, now: SystemTime) -> Result<Self, CertificateError> {
        let ends = now.max(rcgen::date_time_ymd(EPOCH_YEAR, 1, 1).into()) + LIFETIME;
        let pem = authority_params(ends).self_signed(&key).map_err(not_made)?.pem();
        Ok(Self { pem, key, ends })
    }

    fn server_config(
        &self,
        names: &[String],
    ) -> Result<rustls::ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = named("sampan");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = rcgen::date_time_ymd(EPOCH_YEAR, 1, 1);
        params.not_after = self.ends.into();
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &Issuer::from_params(&authority_params(self.ends), &self.key))?;
        let chain = vec![certificate.der().clone(), CertificateDer::from_pem_slice(self.pem.as_bytes())?];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn not_made(error: rcgen::Error) -> CertificateError {
    CertificateError::Make { names: "the authority".to_owned(), why: error.to_string() }
}

/// When a certificate in PEM ends.
fn end_of(pem: &str) -> Result<SystemTime, String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|error| error.to_string())?;
    Ok(certificate.validity().not_after.to_datetime().into())
}

/// The same but for its end, so that the authority can sign again after a restart with its key alone.
fn authority_params(ends: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("sampan-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = rcgen::date_time_ymd(EPOCH_YEAR, 1, 1);
    params.not_after = ends.into();
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn an_authority_lives_for_ten_years_and_its_key_gets_another_certificate_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let open = |at| Authority::open(folder.path(), at).unwrap();
        let first = open(now);
        let left = end_of(&first.pem).unwrap().duration_since(now).unwrap();
        assert!(left <= LIFETIME && left > LIFETIME - DAY, "{left:?}");
        assert_eq!(open(now + LIFETIME / 2).pem, first.pem);
        let second = open(now + LIFETIME / 3 * 2 + DAY);
        assert_ne!(second.pem, first.pem);
        assert_eq!(second.key.serialize_pem(), first.key.serialize_pem());
        assert_eq!(open(now + LIFETIME).pem, second.pem);
    }

    #[test]
    fn an_authority_of_before_that_lives_for_a_hundred_years_gets_ten_for_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let pem = authority_params(rcgen::date_time_ymd(2120, 1, 1).into()).self_signed(&key).unwrap().pem();
        std::fs::write(folder.path().join("ca.key"), key.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("ca.crt"), &pem).unwrap();
        let now = SystemTime::now();
        let authority = Authority::open(folder.path(), now).unwrap();
        assert!(end_of(&authority.pem).unwrap() <= now + LIFETIME);
        assert_eq!(authority.key.serialize_pem(), key.serialize_pem());
        assert_eq!(std::fs::read_to_string(folder.path().join("ca.crt")).unwrap(), authority.pem);
    }

    #[test]
    fn a_clock_that_has_not_been_set_yet_makes_no_certificate_that_has_ended_once_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), SystemTime::UNIX_EPOCH).unwrap();
        assert!(end_of(&authority.pem).unwrap() > SystemTime::now());
    }
}
