//! Where the key-value store of guests is, if it is a Redis.

use std::{ffi::OsString, fs, path::PathBuf};

use anyhow::Context;
use control_plane::key_value::RedisSettings;
use secrecy::{ExposeSecret, SecretString};

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
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

/// A Redis that was named, and how processes that are started here are told of it.
#[derive(Debug, Clone)]
pub(crate) struct Redis {
    pub(crate) settings: RedisSettings,
    url: SecretString,
    ca: Option<PathBuf>,
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
        let settings = RedisSettings::parse(url.expose_secret(), authority.as_deref())?;
        Ok(Some(Redis { settings, url, ca }))
    }
}

impl Redis {
    /// For a worker of this machine: other users cannot read the environment of its process.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let url = ("SAMPAN_KEY_VALUE", self.url.expose_secret().trim().into());
        let ca = self.ca.clone().map(|path| ("SAMPAN_KEY_VALUE_CA", path.into()));
        [url].into_iter().chain(ca).collect()
    }
}
