//! What a gateway does when memory gets short: named actions, each from a threshold on, as Envoy's overload manager has them.
//!
//! Whoever measures says how much is used; requests read one atomic number.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
};

/// An action ends once memory is so many percent below its threshold, so that it does not begin and end all the time.
const ENDS_BELOW: u8 = 2;

/// What is done to take less memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverloadAction {
    /// Connections end with the answer that they wait for.
    DisableKeepAlive,
    /// New requests are answered 503.
    StopAcceptingRequests,
    /// New connections stay with the system.
    StopAcceptingConnections,
}

impl OverloadAction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DisableKeepAlive, Self::StopAcceptingRequests, Self::StopAcceptingConnections];

    /// Its name, as in flags and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DisableKeepAlive => "disable-keep-alive",
            Self::StopAcceptingRequests => "stop-accepting-requests",
            Self::StopAcceptingConnections => "stop-accepting-connections",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// From how many percent of the memory limit on each action is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverloadThresholds([u8; OverloadAction::ALL.len()]);

impl Default for OverloadThresholds {
    fn default() -> Self {
        Self([85, 92, 97])
    }
}

/// Text that names no action with a threshold.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "`{text}` is not ACTION=PERCENT: the actions are disable-keep-alive, stop-accepting-requests and stop-accepting-connections, \
     and percentages are 1 to 100, or `off`"
)]
pub struct InvalidThreshold {
    text: String,
}

/// One action with its threshold, as it is written: `stop-accepting-requests=90`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverloadThreshold {
    action: OverloadAction,
    /// Above 100 it is never taken.
    percent: u8,
}

impl FromStr for OverloadThreshold {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let invalid = || InvalidThreshold { text: text.to_owned() };
        let (name, percent) = text.trim().split_once('=').ok_or_else(invalid)?;
        let action = OverloadAction::ALL.into_iter().find(|action| action.as_str() == name).ok_or_else(invalid)?;
        let percent = match percent {
            "off" => u8::MAX,
            number => number.parse().ok().filter(|percent| (1..=100).contains(percent)).ok_or_else(invalid)?,
        };
        Ok(Self { action, percent })
    }
}

impl OverloadThresholds {
    /// The same with these instead of its own.
    pub fn with(mut self, thresholds: &[OverloadThreshold]) -> Self {
        for OverloadThreshold { action, percent } in thresholds {
            self.0[*action as usize] = *percent;
        }
        self
    }

    /// Which actions are taken, where those in `before` were, and so much of the limit is used.
    fn taken(&self, before: u8, used: u64, limit: u64) -> u8 {
        let reached = |percent: u8| percent <= 100 && u128::from(used) * 100 >= u128::from(limit) * u128::from(percent);
        let taken = |action: &OverloadAction| {
            let percent = self.0[*action as usize];
            let goes_on = before & action.bit() != 0 && percent <= 100;
            reached(percent) || (goes_on && reached(percent.saturating_sub(ENDS_BELOW)))
        };
        OverloadAction::ALL.into_iter().filter(taken).map(OverloadAction::bit).fold(0, |all, bit| all | bit)
    }
}

/// Memory as it was measured last, and what is done about it.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    taken: AtomicU8,
    used: AtomicU64,
    limit: AtomicU64,
}

/// How much memory is used, of how much. Of no limit nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// Bytes.
    pub used: u64,
    /// Bytes; 0: there is no limit.
    pub limit: u64,
    /// Each action, and whether it is taken.
    pub actions: Vec<(OverloadAction, bool)>,
}

impl Overload {
    /// Whether an action is taken now.
    pub(crate) fn is_taken(&self, action: OverloadAction) -> bool {
        self.taken.load(Relaxed) & action.bit() != 0
    }

    /// So much is used.
    pub(crate) fn measured(&self, thresholds: &OverloadThresholds, used: u64, limit: u64) {
        self.used.store(used, Relaxed);
        self.limit.store(limit, Relaxed);
        let before = self.taken.load(Relaxed);
        let now = thresholds.taken(before, used, limit);
        self.taken.store(now, Relaxed);
        for action in OverloadAction::ALL {
            let (was, is) = (before & action.bit() != 0, now & action.bit() != 0);
            match (was, is) {
                (false, true) => tracing::warn!(%action, used, limit, "memory is short"),
                (true, false) => tracing::info!(%action, used, limit, "memory is no longer short"),
                _ => {}
            }
        }
    }

    pub(crate) fn memory(&self) -> Memory {
        let actions = OverloadAction::ALL.into_iter().map(|action| (action, self.is_taken(action))).collect();
        Memory { used: self.used.load(Relaxed), limit: self.limit.load(Relaxed), actions }
    }
}

impl fmt::Display for OverloadAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(overload: &Overload) -> Vec<&'static str> {
        OverloadAction::ALL
            .into_iter()
            .filter(|action| overload.is_taken(*action))
            .map(OverloadAction::as_str)
            .collect()
    }

    #[test]
    fn each_action_begins_at_its_threshold_and_ends_a_little_below() {
        let (overload, thresholds) = (Overload::default(), OverloadThresholds::default());
        for (used, actions) in [
            (84, &[][..]),
            (85, &["disable-keep-alive"]),
            (83, &["disable-keep-alive"]),
            (82, &[]),
            (84, &[]),
            (97, &["disable-keep-alive", "stop-accepting-requests", "stop-accepting-connections"]),
            (94, &["disable-keep-alive", "stop-accepting-requests"]),
            (300, &["disable-keep-alive", "stop-accepting-requests", "stop-accepting-connections"]),
            (0, &[]),
        ] {
            overload.measured(&thresholds, used, 100);
            assert_eq!(taken(&overload), actions, "{used}");
        }
    }

    #[test]
    fn thresholds_are_written_by_name_and_may_be_off() {
        let thresholds: Vec<OverloadThreshold> =
            ["stop-accepting-requests=1", "disable-keep-alive=off"].iter().map(|text| text.parse().unwrap()).collect();
        let (overload, thresholds) = (Overload::default(), OverloadThresholds::default().with(&thresholds));
        overload.measured(&thresholds, 90, 100);
        assert_eq!(taken(&overload), ["stop-accepting-requests"]);
        for wrong in
            ["stop-accepting-requests", "stop-accepting-requests=0", "stop-accepting-requests=101", "stop=5", "=5"]
        {
            let refused = wrong.parse::<OverloadThreshold>().unwrap_err().to_string();
            assert!(refused.contains("ACTION=PERCENT"), "{refused}");
        }
    }
}
