use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Keeps replicas off a worker, unless they tolerate it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Taint {
    /// What it is called.
    pub key: String,
    /// Its value; empty if it has none.
    pub value: String,
    /// What it does to replicas that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does to replicas that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaintEffect {
    /// None is placed here.
    NoSchedule,
    /// One is placed here only if it fits nowhere else.
    PreferNoSchedule,
    /// None is placed here, and those that are here are moved.
    NoExecute,
}

impl TaintEffect {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

impl FromStr for TaintEffect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::NoSchedule, Self::PreferNoSchedule, Self::NoExecute];
        all.into_iter()
            .find(|effect| effect.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no effect of a taint: use NoSchedule, PreferNoSchedule or NoExecute"))
    }
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.value.is_empty() { "" } else { "=" };
        write!(f, "{}{separator}{}:{}", self.key, self.value, self.effect.as_str())
    }
}

impl FromStr for Taint {
    type Err = String;

    /// Reads `KEY[=VALUE]:EFFECT`, as `kubectl taint` does.
    fn from_str(text: &str) -> Result<Self, String> {
        let (label, effect) =
            text.rsplit_once(':').ok_or_else(|| format!("`{text}` is no taint: write KEY=VALUE:EFFECT"))?;
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        if key.is_empty() {
            return Err(format!("`{text}` is no taint: it has no key; write KEY=VALUE:EFFECT"));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned(), effect: effect.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_read_back_as_written() {
        for text in ["gpu=yes:NoSchedule", "spot:NoExecute", "example.com/a=b:PreferNoSchedule"] {
            assert_eq!(text.parse::<Taint>().unwrap().to_string(), text);
        }
        for bad in ["gpu", "gpu=yes", "gpu:Never", "=a:NoSchedule"] {
            assert!(bad.parse::<Taint>().is_err(), "{bad}");
        }
    }
}
