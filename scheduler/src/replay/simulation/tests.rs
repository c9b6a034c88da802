use std::{cmp::Reverse, time::Duration};

use api::Timestamp;
use proptest::prelude::*;

use super::{run::Simulation, *};
use crate::{
    autoscale::PolicyKind,
    replay::{Function, Load, Outcome, Plan, Request, Seconds, ServiceTime, Trace},
};

fn request(at_millis: u64, service_millis: u64) -> Request {
    Request { at: Duration::from_millis(at_millis), service: Duration::from_millis(service_millis) }
}

fn run(requests: &[Request], policy: PolicyKind, settings: &Settings) -> Outcome {
    simulate(requests.iter().copied(), Duration::from_secs(120), policy, settings)
}

#[test]
fn the_first_request_waits_for_a_start_and_the_next_for_nothing() {
    let requests = [request(1000, 50), request(1100, 50)];
    let outcome = run(&requests, PolicyKind::SqrtStaffing, &Settings::default());
    assert_eq!((outcome.requests, outcome.cold, outcome.starts, outcome.refused), (2, 1, 1, 0));
    assert_eq!((outcome.waits.quantile(0.5), outcome.waits.longest()), (Duration::ZERO, Duration::from_millis(1)));
}

#[test]
fn knatives_policy_keeps_its_last_replica_for_as_long_as_it_does_there() {
    let outcome = run(&[request(1000, 50)], PolicyKind::Kpa, &Settings::default());
    assert_eq!(outcome.starts, 1);
    // A stable window, and up to a tick.
    assert!((60.0..64.0).contains(&outcome.instance_seconds), "{}", outcome.instance_seconds);
}

#[test]
fn a_policy_that_has_one_replica_at_least_has_it_all_the_time() {
    let outcome = run(&[], PolicyKind::Hpa, &Settings::default());
    assert_eq!((outcome.starts, outcome.instance_seconds), (1, 120.0));
}

#[test]
fn after_a_short_time_without_requests_no_policy_starts_anything() {
    let settings = Settings { idle_after: Some(Duration::from_millis(500)), ..Settings::default() };
    for policy in [PolicyKind::SqrtStaffing, PolicyKind::Kpa] {
        let outcome = run(&[request(1000, 50)], policy, &settings);
        assert_eq!(outcome.starts, 1, "{policy}");
        assert!(outcome.instance_seconds < 5.0, "{policy}: {}", outcome.instance_seconds);
    }
}

#[test]
fn requests_beyond_the_line_and_those_who_wait_too_long_are_refused() {
    let settings = Settings { concurrency: 1, max: 1, queue_limit: 2, ..Settings::default() };
    let requests: Vec<Request> = (0..5).map(|index| request(1000 + index, 60_000)).collect();
    let outcome = run(&requests, PolicyKind::SqrtStaffing, &settings);
    assert_eq!(outcome.refused, 4, "two find no place, and two wait in vain");
    assert_eq!(outcome.waits.longest(), settings.queue_wait);
}

#[test]
fn what_waits_beyond_what_was_told_is_seen_in_the_next_sample() {
    let settings = Settings { concurrency: 1, ..Settings::default() };
    let requests: Vec<Request> = (0..7).map(|_| request(1000, 20_000)).collect();
    let outcome = run(&requests, PolicyKind::SqrtStaffing, &settings);
    assert!(outcome.waits.longest() <= Duration::from_millis(101), "{:?}", outcome.waits.longest());
}

#[test]
fn what_waits_just_after_others_were_told_of_is_told_of_five_milliseconds_after_them() {
    let settings = Settings { concurrency: 1, ..Settings::default() };
    let requests = [request(1000, 50), request(1005, 50), request(1007, 50)];
    let outcome = run(&requests, PolicyKind::SqrtStaffing, &settings);
    assert_eq!(outcome.waits.longest(), Duration::from_millis(4), "told at 1010, and started 1 ms later");
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    let load = Load::Minutes(vec![200, 0, 7]);
    let function = Function { name: "f".to_owned(), app: None, load, service: None };
    let trace = Trace { functions: vec![function], span: Duration::from_secs(180) };
    let plan = |seed| Plan {
        seconds: Seconds::Bursty,
        seed,
        service: ServiceTime::exponential(Duration::from_millis(300)),
        settings: Settings { concurrency: 2, ..Settings::default() },
    };
    for policy in PolicyKind::ALL {
        assert_eq!(plan(1).replay(&trace, policy), plan(1).replay(&trace, policy));
        assert_ne!(plan(1).replay(&trace, policy), plan(2).replay(&trace, policy));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_request_is_served_once_or_refused_and_replicas_are_paid_for(
        arrivals in prop::collection::vec((0_u64..60_000, 1_u64..8000), 0..200),
        concurrency in 1_u32..5,
        max in 1_u32..20,
        start_millis in 0_u64..2000,
        policy in prop::sample::select(PolicyKind::ALL.to_vec()),
    ) {
        let mut requests: Vec<Request> = arrivals.iter().map(|(at, service)| request(*at, *service)).collect();
        requests.sort_by_key(|request| request.at);
        let start = Duration::from_millis(start_millis);
        let settings = Settings { concurrency, max, start, queue_limit: 50, ..Settings::default() };
        let outcome = run(&requests, policy, &settings);
        prop_assert_eq!(outcome.requests, requests.len() as u64);
        prop_assert_eq!(outcome.waits.count(), outcome.requests);
        prop_assert!(outcome.refused <= outcome.requests);
        prop_assert!(outcome.waits.longest() <= settings.queue_wait.max(start));
        // No replica works on more than it takes at a time.
        if outcome.refused == 0 {
            let work: f64 = requests.iter().map(|request| request.service.as_secs_f64()).sum();
            prop_assert!(outcome.instance_seconds * f64::from(concurrency) >= work - 1e-6);
        }
        let drawn: f64 = outcome.series.buckets.iter().map(|bucket| bucket.instance_seconds).sum();
        prop_assert!(drawn <= outcome.instance_seconds + 1e-6);
    }

    #[test]
    fn requests_are_served_in_order_of_arrival(
        arrivals in prop::collection::vec((0_u64..5000, 1_u64..500), 1..100),
        policy in prop::sample::select(PolicyKind::ALL.to_vec()),
    ) {
        let mut requests: Vec<Request> = arrivals.iter().map(|(at, service)| request(*at, *service)).collect();
        requests.sort_by_key(|request| request.at);
        let settings = Settings { concurrency: 1, max: 3, ..Settings::default() };
        let mut simulation = Simulation::new(Duration::from_secs(60), policy, &settings);
        let mut pending = requests.iter().copied().peekable();
        let mut begun: Vec<Timestamp> = Vec::new();
        while simulation.step(&mut pending) {
            begun.extend(simulation.working.iter().map(|Reverse(work)| work.arrived));
            let first_waiting = simulation.line.first().map(|(since, _)| since);
            prop_assert!(begun.drain(..).all(|arrived| first_waiting.is_none_or(|waiting| arrived <= waiting)));
        }
    }
}
