//! Where the key-value store of guests is, if it is a Redis.

use std::{fs, path::PathBuf};

use anyhow::Context;
use key_value::{BYTES_FLAG, KEYS_FLAG, Quota, RedisSettings};
use secrecy::{ExposeSecret, SecretString};
use store::encryption::EncryptionKeys;

use crate::config::bytes;

/// Flags that name a Redis. Whoever runs guests takes them, and each reaches it by itself.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Key-value store")]
pub(crate) struct KeyValueArgs {
    /// Keep guests' wasi:keyvalue stores in Redis: redis://HOST, rediss://HOST for TLS [default: the server's data directory]
    #[arg(long, env = "SAMPAN_KEY_VALUE", value_name = "URL", hide_env_values = true, value_parser = secret)]
    key_value: Option<SecretString>,

    /// File with that URL: one with a password is then in no list of processes
    #[arg(long, env = "SAMPAN_KEY_VALUE_FILE", value_name = "FILE")]
    key_value_file: Option<PathBuf>,

    /// Authority of the certificate that Redis shows, in PEM [default: the public ones]
    #[arg(long, env = "SAMPAN_KEY_VALUE_CA", value_name = "FILE")]
    key_value_ca: Option<PathBuf>,

    /// Bytes of keys and values that a namespace may keep in all its stores, such as `10Gi`; a write beyond it fails [default: 1Gi]
    #[arg(long, env = "SAMPAN_KEY_VALUE_NAMESPACE_BYTES", value_name = "QUANTITY", value_parser = bytes)]
    key_value_namespace_bytes: Option<u64>,

    /// Keys that a namespace may keep in all its stores; a write beyond it fails [default: 1000000]
    #[arg(long, env = "SAMPAN_KEY_VALUE_NAMESPACE_KEYS", value_name = "N")]
    key_value_namespace_keys: Option<u64>,

    /// File with keys that objects (Secrets too) and guests' entries are encrypted by where they are kept. A key a line: `NAME BASE64`
    /// of 32 bytes, mode 0600. The first writes, all read; `identity` first decrypts. With Redis, keep old keys until the log says
    /// that its entries are written anew [default: none]
    #[arg(long, env = "SAMPAN_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

/// A Redis that was named. Processes that are started here reach it through this one.
#[derive(Debug, Clone)]
pub(crate) struct Redis {
    pub(crate) settings: RedisSettings,
    pub(crate) quota: Quota,
    /// What entries are encrypted by.
    pub(crate) encryption: EncryptionKeys,
}

impl KeyValueArgs {
    /// What the flags name, with what is in the files.
    pub(crate) fn resolve(&self) -> anyhow::Result<Option<Redis>> {
        let url = match (&self.key_value, &self.key_value_file) {
            (Some(_), Some(_)) => anyhow::bail!("--key-value and --key-value-file both name a store: leave one away"),
            (Some(url), None) => url.clone(),
            (None, Some(file)) => {
                let read = fs::read_to_string(file);
                read.with_context(|| format!("{} cannot be read: it was named with --key-value-file", file.display()))?
                    .into()
            }
            (None, None) if self.key_value_ca.is_some() => {
                anyhow::bail!("--key-value-ca is for a store that --key-value or --key-value-file names")
            }
            (None, None) => return Ok(None),
        };
        let ca = self.key_value_ca.as_ref().map(std::path::absolute).transpose()?;
        let read = |path: &PathBuf| {
            let read = fs::read(path);
            read.with_context(|| format!("{} cannot be read: it was named with --key-value-ca", path.display()))
        };
        let authority = ca.as_ref().map(read).transpose()?;
        let settings = RedisSettings::parse(url.expose_secret(), authority.as_deref());
        let flag = if self.key_value_file.is_some() { "--key-value-file" } else { "--key-value" };
        let settings = settings.with_context(|| format!("the store of {flag} cannot be used"))?;
        Ok(Some(Redis { settings, quota: self.quota(), encryption: self.encryption()? }))
    }

    /// The same for who keeps no entries itself: a quota or a key without a store that is named would have no effect.
    pub(crate) fn resolve_elsewhere(&self) -> anyhow::Result<Option<Redis>> {
        let resolved = self.resolve()?;
        let limits = [
            ("--encryption-key-file", self.encryption_key_file.is_some()),
            (BYTES_FLAG, self.key_value_namespace_bytes.is_some()),
            (KEYS_FLAG, self.key_value_namespace_keys.is_some()),
        ];
        if let (None, Some((flag, _))) = (&resolved, limits.into_iter().find(|(_, set)| *set)) {
            anyhow::bail!(
                "{flag} is for a store that --key-value names: without one the server keeps the entries, so give it to the server"
            );
        }
        Ok(resolved)
    }

    /// What each namespace may keep.
    pub(crate) fn quota(&self) -> Quota {
        let default = Quota::default();
        Quota {
            bytes: self.key_value_namespace_bytes.unwrap_or(default.bytes),
            keys: self.key_value_namespace_keys.unwrap_or(default.keys),
        }
    }

    /// What is encrypted where it is kept, and by what.
    pub(crate) fn encryption(&self) -> anyhow::Result<EncryptionKeys> {
        let Some(file) = &self.encryption_key_file else { return Ok(EncryptionKeys::default()) };
        EncryptionKeys::read(file).context("the file of --encryption-key-file cannot be used")
    }
}
