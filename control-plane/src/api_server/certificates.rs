//! The server's certificate, and the authority that signed it, both kept in the data directory.

use std::{collections::BTreeSet, io, net::IpAddr, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

/// Names that every certificate has.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Certificates outlive every installation: whoever can replace them can also read the token.
const YEARS: (i32, i32) = (2020, 2120);

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
        let authority = Authority::open(folder)?;
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
}

impl Authority {
    fn open(folder: &Path) -> Result<Self, CertificateError> {
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
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| damaged(&pem_path, error.to_string()))?;
            return Ok(Self { pem, key });
        }
        let make =
            |error: rcgen::Error| CertificateError::Make { names: "the authority".to_owned(), why: error.to_string() };
        let key = KeyPair::generate().map_err(make)?;
        let pem = authority_params().self_signed(&key).map_err(make)?.pem();
        private_files::write(&key_path, key.serialize_pem().as_bytes()).map_err(|error| file(&key_path, error))?;
        private_files::write(&pem_path, pem.as_bytes()).map_err(|error| file(&pem_path, error))?;
        Ok(Self { pem, key })
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
        params.not_before = rcgen::date_time_ymd(YEARS.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(YEARS.1, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &Issuer::from_params(&authority_params(), &self.key))?;
        let chain = vec![certificate.der().clone(), CertificateDer::from_pem_slice(self.pem.as_bytes())?];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Always the same, so that the authority can sign again after a restart with its key alone.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("sampan-ca");
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
