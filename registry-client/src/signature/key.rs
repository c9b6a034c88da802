use p256::{
    ecdsa::{
        Signature, SigningKey as EcdsaKey, VerifyingKey,
        signature::{Signer, Verifier},
    },
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, LineEnding},
};

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

#[cfg(test)]
mod tests {
    use super::*;

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
