use api::Timestamp;

/// An authority whose certificates are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// The SHA-256 of its certificate, in hexadecimal: what tokens name.
    pub fingerprint: String,
    /// Since when it signs, or did.
    pub since: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
}

/// What signs the certificates of workers and gateways. It is no part of this room, which only passes on what users ask.
/// Its [`Register`](super::Register) holds it, so it must hold none.
pub trait Authorities: Send + Sync {
    /// Those that are trusted, the one that signs first.
    fn list(&self) -> Vec<TrustedAuthority>;
    /// Has another one sign from now on. The former is trusted until it is ended. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// What a user is told: that one before is still trusted, or that a file could not be written.
    fn rotate(&self) -> Result<(), String>;
    /// Ends what was before the last rotation. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// What a user is told: that there was none, or that a file could not be written.
    fn finish(&self) -> Result<(), String>;
}
