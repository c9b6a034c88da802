use api::ObjectKey;

use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_secs(1000) + Duration::from_millis(millis)
}

fn source(gateway: u64) -> Source {
    Source::new(gateway, &ObjectKey::new("default", "shop"))
}

fn sample(arrivals: u64, in_flight: u32, queued: u32) -> ServiceSample {
    ServiceSample {
        service: ObjectKey::new("default", "shop"),
        window: SAMPLE_WINDOW,
        arrivals,
        completed: arrivals,
        failed: 0,
        in_flight,
        queued,
        latency_sum: Duration::from_millis(10 * arrivals),
        served: arrivals,
        service_sum: Duration::from_millis(10 * arrivals),
        presence: Duration::from_millis(10 * arrivals),
    }
}

#[test]
fn several_gateways_add_up() {
    let mut traffic = Traffic::default();
    traffic.record(source(1), &sample(3, 2, 1), at(100));
    traffic.record(source(2), &sample(4, 1, 0), at(100));
    assert_eq!((traffic.in_flight(), traffic.queued()), (3, 1));
    assert_eq!(traffic.totals(Duration::from_secs(1), at(100)).arrivals, 7);
    traffic.record(source(1), &sample(0, 0, 0), at(200));
    assert_eq!((traffic.in_flight(), traffic.queued()), (1, 0), "the second says nothing new");
    traffic.forget(2);
    assert_eq!(traffic.in_flight(), 0);
}

#[test]
fn a_sum_is_of_the_windows_within_it() {
    let mut traffic = Traffic::default();
    for millis in (100..=60_000).step_by(100) {
        traffic.record(source(1), &sample(1, 0, 0), at(millis));
    }
    assert_eq!(traffic.totals(Duration::from_secs(1), at(60_000)).arrivals, 10);
    assert_eq!(traffic.totals(Duration::from_secs(60), at(60_000)).arrivals, 600);
    assert_eq!(traffic.totals(Duration::from_secs(1), at(61_500)).arrivals, 0);
    assert_eq!(traffic.totals(Duration::from_secs(2), at(61_000)).arrivals, 10);
}

#[test]
fn what_a_long_window_holds_is_spread_over_it() {
    let mut traffic = Traffic::default();
    let long = ServiceSample { window: Duration::from_secs(1), ..sample(25, 1, 0) };
    traffic.record(source(1), &long, at(1000));
    assert_eq!(traffic.totals(Duration::from_millis(500), at(1000)).arrivals, 13);
    assert_eq!(traffic.totals(Duration::from_secs(1), at(1000)).arrivals, 25);
}

#[test]
fn what_rests_holds_no_memory() {
    let mut traffic = Traffic::default();
    for millis in (100..=5000).step_by(100) {
        traffic.record(source(1), &sample(1, 1, 0), at(millis));
    }
    traffic.rest();
    assert_eq!(traffic.in_flight(), 1, "it is not idle");
    traffic.record(source(1), &sample(0, 0, 0), at(5100));
    traffic.rest();
    assert_eq!(traffic.windows, Windows::default());
    assert_eq!(traffic.busy_until(at(9000)), Some(at(5000)));
}

#[test]
fn traffic_begins_anew_after_a_minute_without() {
    let mut traffic = Traffic::default();
    traffic.record(source(1), &sample(1, 0, 0), at(1000));
    traffic.record(source(1), &sample(1, 0, 0), at(30_000));
    assert_eq!(traffic.began(), Some(at(900)));
    traffic.waiting(source(1), 1, 0, at(95_000));
    assert_eq!(traffic.began(), Some(at(95_000)));
}
