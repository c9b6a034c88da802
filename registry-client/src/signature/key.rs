use std::io::{self, Read};

use base64::{Engine, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{
        Signature, SigningKey as EcdsaKey, VerifyingKey,
        signature::{DigestSigner, DigestVerifier, Signer, Verifier},
    },
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, LineEnding},
};
use sha2::{Digest, Sha256};

/// What ends a key in PEM.
const END: &str = "-----END PUBLIC KEY-----";

/// Why a text is no key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKey(String);

/// Keys of which any may have signed. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl VerifyingKeys {
    /// Reads one or more public keys in PEM, as `cosign.pub` has them: ECDSA on P-256.
    pub fn parse(pem: &str) -> Result<Self, InvalidKey> {
        let mut keys = Vec::new();
        for block in pem.split_inclusive(END).map(str::trim).filter(|block| !block.is_empty()) {
            let key = VerifyingKey::from_public_key_pem(block).map_err(|error| {
                InvalidKey(format!(
                    "it is no public key in PEM of ECDSA on P-256, as `cosign generate-key-pair` makes ({error})"
                ))
            })?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(InvalidKey("it has no key".to_owned()));
        }
        Ok(Self(keys))
    }

    /// As [`parse`](Self::parse) reads them.
    pub(crate) fn to_pem(&self) -> String {
        self.0.iter().filter_map(|key| key.to_public_key_pem(LineEnding::LF).ok()).collect()
    }

    /// Whether one of the keys made this signature of a file, as [`SigningKey::sign_file`] writes it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn verify_file(&self, file: impl Read, signature: &str) -> io::Result<bool> {
        let hash = hash(file)?;
        let signature = STANDARD.decode(signature.trim()).ok().and_then(|der| Signature::from_der(&der).ok());
        let Some(signature) = signature else { return Ok(false) };
        Ok(self.0.iter().any(|key| key.verify_digest(hash.clone(), &signature).is_ok()))
    }

    /// Whether one of the keys made this signature of these bytes.
    pub(super) fn verify(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_der(signature) else { return false };
        self.0.iter().any(|key| key.verify(bytes, &signature).is_ok())
    }
}

/// A private key.
#[derive(Clone)]
pub struct SigningKey(EcdsaKey);

impl SigningKey {
    /// Reads a private key in PEM that is not encrypted: ECDSA on P-256, in PKCS #8 or SEC 1.
    pub fn parse(pem: &str) -> Result<Self, InvalidKey> {
        if pem.contains("ENCRYPTED") {
            let way_out =
                "decrypt it first, or make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`";
            return Err(InvalidKey(format!("the key is encrypted, which is not supported: {way_out}")));
        }
        let key = EcdsaKey::from_pkcs8_pem(pem).ok();
        let key = key.or_else(|| p256::SecretKey::from_sec1_pem(pem).ok().map(EcdsaKey::from));
        key.map(Self).ok_or_else(|| InvalidKey("it is no private key in PEM of ECDSA on P-256".to_owned()))
    }

    /// The signature of a file as `cosign sign-blob` writes it: base64 of DER. The same file and key make the same signature.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sign_file(&self, file: impl Read) -> io::Result<String> {
        let signature: Signature = self.0.sign_digest(hash(file)?);
        Ok(STANDARD.encode(signature.to_der()))
    }

    /// The signature of these bytes, in DER.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(bytes);
        signature.to_der().as_bytes().to_vec()
    }

    /// The keys that verify what this one signs.
    pub fn verifying(&self) -> VerifyingKeys {
        VerifyingKeys(vec![*self.0.verifying_key()])
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

fn hash(mut file: impl Read) -> io::Result<Sha256> {
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_of_a_file_holds_for_its_bytes_and_key_alone() {
        let [key, other] = [1, 2].map(|seed| SigningKey(EcdsaKey::from_slice(&[seed; 32]).unwrap()));
        let signature = key.sign_file(&b"sums"[..]).unwrap();
        assert_eq!(signature, key.sign_file(&b"sums"[..]).unwrap());
        let holds = |key: &SigningKey, file: &[u8], text: &str| key.verifying().verify_file(file, text).unwrap();
        assert!(holds(&key, b"sums", &format!("{signature}\n")));
        assert!(!holds(&other, b"sums", &signature));
        assert!(!holds(&key, b"sums.", &signature));
        for text in ["", "AAAA", "no base64"] {
            assert!(!holds(&key, b"sums", text), "{text}");
        }
        let in_der = STANDARD.decode(&signature).unwrap();
        assert!(key.verifying().verify(b"sums", &in_der), "it is the usual signature of the bytes");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
            assert!(VerifyingKeys::parse(text).is_err(), "{text}");
        }
        assert!(
            SigningKey::parse("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----")
                .unwrap_err()
                .to_string()
                .contains("encrypted")
        );
    }
}
