//! All functions of a trace, each by itself, against one policy; and two policies side by side.

use std::time::Duration;

use super::{Function, Outcome, Seconds, ServiceTime, Settings, Trace, simulate};
use crate::autoscale::PolicyKind;

/// Functions that run for as long as this on average, or for less, are short: what they cost is what stays when they have
/// nothing to do.
pub const SHORT: Duration = Duration::from_secs(1);

/// How a trace is replayed, whatever the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How requests of a minute are spread over it.
    pub seconds: Seconds,
    /// From which all chance is drawn. Each function has a seed of its own, which follows from it.
    pub seed: u64,
    /// How long requests are worked on, where the trace does not say.
    pub service: ServiceTime,
    /// What is simulated.
    pub settings: Settings,
}

/// What a trace came to with one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The policy that decided.
    pub policy: PolicyKind,
    /// The 99th percentile of waits of each function that was called, in the order of the trace.
    pub p99s: Vec<Duration>,
    /// Of all functions together.
    pub all: Outcome,
    /// How many functions are [`SHORT`].
    pub short_functions: usize,
    /// Of those together.
    pub short: Outcome,
}

impl Plan {
    /// Replays a trace against a policy. Functions that are never called are left out, though a policy may hold replicas of
    /// them: [`PolicyKind::Hpa`] does.
    pub fn replay(&self, trace: &Trace, policy: PolicyKind) -> Replayed {
        let nothing = || Outcome::nothing(trace.span);
        let mut replayed = Replayed { policy, p99s: Vec::new(), all: nothing(), short_functions: 0, short: nothing() };
        for (index, function) in trace.functions.iter().enumerate().filter(|(_, function)| function.count() > 0) {
            let outcome = self.one(trace, (index, function), policy);
            replayed.p99s.push(outcome.waits.quantile(0.99));
            replayed.all.add(&outcome);
            if function.mean_service(self.service.mean()) <= SHORT {
                replayed.short_functions += 1;
                replayed.short.add(&outcome);
            }
        }
        replayed
    }

    fn one(&self, trace: &Trace, (index, function): (usize, &Function), policy: PolicyKind) -> Outcome {
        // An odd factor keeps seeds of different functions apart.
        let seed = self.seed.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let requests = function.requests(self.seconds, seed, &self.service);
        simulate(requests, trace.span, policy, &self.settings)
    }
}

impl Replayed {
    /// In how many functions the 99th percentile of waits is longer than with another policy by more than a margin.
    pub fn worse_than(&self, other: &Self, margin: Duration) -> usize {
        self.p99s.iter().zip(&other.p99s).filter(|(own, other)| **own > **other + margin).count()
    }
}
