//! What holds for every policy, whatever the traffic.

use std::time::Duration;

use api::{
    ObjectKey, Timestamp,
    session::{SAMPLE_WINDOW, ServiceSample},
};
use proptest::prelude::*;

use super::{Autoscaler, Behavior, Memory, PolicyKind, RulePolicy, Rules, Select, Source, Traffic, View, decide};

const CONCURRENCY: u32 = 4;

/// A policy with its memory, driven window by window; every replica is ready at once.
#[derive(Clone)]
struct Driven {
    autoscaler: Autoscaler,
    traffic: Traffic,
    memory: Memory,
    desired: u32,
    now: Timestamp,
}

/// What a gateway measures in a window.
#[derive(Debug, Clone, Copy)]
struct Window {
    arrivals: u64,
    in_flight: u32,
    queued: u32,
}

impl Driven {
    fn new(policy: PolicyKind, (min, max): (u32, u32), desired: u32) -> Self {
        let deployment = ObjectKey::new("default", "shop");
        let autoscaler = Autoscaler {
            deployment,
            object: None,
            min,
            max,
            policy,
            targets: Vec::new(),
            behavior: None,
            idle_after: None,
        };
        let now = Timestamp::from_secs(10_000);
        Self { autoscaler, traffic: Traffic::default(), memory: Memory::default(), desired, now }
    }

    fn measure(&mut self, window: Window) {
        let Window { arrivals, in_flight, queued } = window;
        let service = Duration::from_millis(80) * u32::try_from(arrivals).unwrap_or(u32::MAX);
        let sample = ServiceSample {
            service: self.autoscaler.deployment.clone(),
            window: SAMPLE_WINDOW,
            arrivals,
            completed: arrivals,
            failed: 0,
            in_flight,
            queued,
            latency_sum: service,
            served: arrivals,
            service_sum: service,
            presence: SAMPLE_WINDOW * (in_flight + queued),
        };
        self.now = self.now + SAMPLE_WINDOW;
        self.traffic.record(Source::new(1, &self.autoscaler.deployment), &sample, self.now);
    }

    fn decide(&mut self, covered_since: Option<Timestamp>) -> u32 {
        let view = View {
            autoscaler: &self.autoscaler,
            traffic: &self.traffic,
            cpu: None,
            desired: self.desired,
            ready: self.desired,
            concurrency: CONCURRENCY,
            covered_since,
            memory: &self.memory,
        };
        let decision = decide(self.now, &view);
        self.memory.note(self.now, self.desired, &decision);
        self.desired = decision.desired;
        self.desired
    }

    fn window(&mut self, window: Window) -> u32 {
        self.measure(window);
        self.decide(Some(Timestamp::default()))
    }
}

fn policies() -> impl Strategy<Value = PolicyKind> {
    prop::sample::select(PolicyKind::ALL.to_vec())
}

fn windows(count: usize) -> impl Strategy<Value = Vec<Window>> {
    let window = (0_u64..200, 0_u32..100, 0_u32..100);
    let window = window.prop_map(|(arrivals, in_flight, queued)| Window { arrivals, in_flight, queued });
    let nothing = Just(Window { arrivals: 0, in_flight: 0, queued: 0 });
    // Traffic lasts for a while, and so does silence.
    let stretch = (prop_oneof![window, nothing], 1_usize..30);
    let stretches = prop::collection::vec(stretch, 1..count);
    stretches.prop_map(|all| all.into_iter().flat_map(|(window, times)| vec![window; times]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_decision_is_within_the_bounds(
        policy in policies(), min in 0_u32..5, more in 0_u32..50, at_first in 0_u32..100, windows in windows(12),
    ) {
        let (min, max) = (min, (min + more).max(1));
        let mut driven = Driven::new(policy, (min, max), at_first);
        for window in windows {
            let desired = driven.window(window);
            prop_assert!((min..=max).contains(&desired), "{desired} of {min} to {max}");
        }
    }

    #[test]
    fn more_load_never_wants_fewer_replicas(
        policy in policies(), at_first in 1_u32..50, load in 0_u64..60, more in 1_u64..60,
    ) {
        let wanted = |load: u64| {
            let mut driven = Driven::new(policy, (0, 1000), at_first);
            for _ in 0..700 {
                driven.measure(Window { arrivals: load, in_flight: load as u32, queued: load as u32 / 8 });
            }
            driven.decide(Some(Timestamp::default()))
        };
        let (less, greater) = (wanted(load), wanted(load + more));
        prop_assert!(less <= greater, "{less} at {load}, {greater} at {}", load + more);
    }

    #[test]
    fn nothing_goes_faster_than_its_behavior_allows(
        policy in policies(), at_first in 1_u32..40, pods in 1_u32..6, windows in windows(16),
    ) {
        let period = Duration::from_secs(2);
        let rules = Rules {
            policies: Some(vec![RulePolicy::Pods { pods, period }]),
            select: Select::Max,
            stabilization: Some(Duration::ZERO),
            tolerance: None,
        };
        let mut driven = Driven::new(policy, (0, 1000), at_first);
        driven.autoscaler.behavior = Some(Behavior { scale_up: Some(rules.clone()), scale_down: Some(rules) });
        let mut desired = vec![at_first];
        for window in windows {
            desired.push(driven.window(window));
        }
        // As Kubernetes counts: from where the period began, whatever happened within it.
        let windows = (period.as_micros() / SAMPLE_WINDOW.as_micros()) as usize;
        for (index, pair) in desired.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]) {
            let (before, now) = (desired[(index + 1).saturating_sub(windows)], pair[1]);
            let allowed = if now > pair[0] { now <= before + pods } else { now + pods >= before };
            prop_assert!(allowed, "{before} and then {now} of {desired:?}");
        }
    }

    #[test]
    fn nothing_is_scaled_down_on_stale_data(
        policy in policies(), at_first in 1_u32..50, known in windows(6), stale in windows(12),
    ) {
        let mut driven = Driven::new(policy, (0, 1000), at_first);
        for window in known {
            driven.window(window);
        }
        for window in stale {
            let before = driven.desired;
            driven.measure(window);
            prop_assert!(driven.decide(None) >= before);
        }
    }

    #[test]
    fn what_was_measured_long_ago_starts_nothing(policy in policies(), windows in windows(6), hours in 1_u64..100) {
        let mut driven = Driven::new(policy, (0, 1000), 0);
        for window in windows {
            driven.measure(window);
        }
        driven.measure(Window { arrivals: 0, in_flight: 0, queued: 0 });
        driven.now = driven.now + Duration::from_secs(3600 * hours);
        prop_assert_eq!(driven.decide(None), 0);
        prop_assert_eq!(driven.decide(Some(Timestamp::default())), 0);
    }
}

proptest! {
    // Each is a quarter of an hour: hpa goes down after five minutes.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_steady_load_has_a_steady_number_of_replicas(
        policy in policies(), at_first in 0_u32..50, arrivals in 1_u64..100,
    ) {
        let mut driven = Driven::new(policy, (0, 1000), at_first);
        let window = Window { arrivals, in_flight: arrivals as u32 * 8 / 10 + 1, queued: 0 };
        let settled = (0..7000).map(|_| driven.window(window)).last();
        for _ in 0..1500 {
            prop_assert_eq!(Some(driven.window(window)), settled);
        }
    }
}
