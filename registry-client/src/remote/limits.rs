use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// What registries get of time and tries, and how much is pulled at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TransferLimits {
    /// How long a connection to a registry may take to be made.
    #[serde(deserialize_with = "span")]
    pub connect_timeout: Duration,
    /// How long a registry may be silent in the middle of an answer.
    #[serde(deserialize_with = "span")]
    pub idle_timeout: Duration,
    /// How long a whole pull or push may take.
    #[serde(deserialize_with = "span")]
    pub transfer_timeout: Duration,
    /// How often a request is sent, the first included, if the registry is busy or broken.
    pub tries: u32,
    /// Images that are pulled at the same time; more wait.
    pub pulls_at_once: usize,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            transfer_timeout: Duration::from_secs(600),
            tries: 4,
            pulls_at_once: 8,
        }
    }
}

fn span<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    api::parse_span(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}
