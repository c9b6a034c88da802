use super::*;

fn function(minutes: &[u32]) -> Function {
    Function { name: "f".to_owned(), app: None, load: Load::Minutes(minutes.to_vec()), service: None }
}

fn requests(function: &Function, seconds: Seconds, seed: u64) -> Vec<Request> {
    function.requests(seconds, seed, &ServiceTime::exponential(Duration::from_millis(100))).collect()
}

#[test]
fn every_minute_has_its_count_in_order_whatever_the_seconds_are() {
    let minutes = [3, 0, 1, 500, 7];
    for seconds in Seconds::ALL {
        for seed in 0..20 {
            let requests = requests(&function(&minutes), seconds, seed);
            assert!(requests.is_sorted_by_key(|request| request.at), "{seconds} {seed}");
            let mut counts = [0; 5];
            requests.iter().for_each(|request| counts[request.at.as_secs() as usize / 60] += 1);
            assert_eq!(counts, minutes, "{seconds} {seed}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_requests_and_another_gives_others() {
    let function = function(&[50, 50]);
    for seconds in Seconds::ALL {
        assert_eq!(requests(&function, seconds, 1), requests(&function, seconds, 1));
        assert_ne!(requests(&function, seconds, 1), requests(&function, seconds, 2));
    }
}

#[test]
fn bursts_are_denser_than_a_poisson_process_of_the_same_count() {
    let busy = |seconds| {
        let requests = requests(&function(&[600; 60]), seconds, 3);
        let seconds: std::collections::BTreeSet<u64> = requests.iter().map(|request| request.at.as_secs()).collect();
        seconds.len()
    };
    assert!(busy(Seconds::Poisson) > 3500);
    assert!(busy(Seconds::Bursty) < 1800, "about a third of all seconds: a sixth is on, in parts of seconds");
}

#[test]
fn service_times_follow_their_percentiles() {
    let points = vec![(0.0, 0.1), (0.5, 0.2), (1.0, 1.0)];
    let service = ServiceTime::percentiles(Duration::from_millis(300), points);
    let mut rng = SmallRng::seed_from_u64(1);
    let mut drawn: Vec<Duration> = (0..10_001).map(|_| service.draw(&mut rng)).collect();
    drawn.sort();
    assert!(drawn[0] >= Duration::from_millis(100) && drawn[10_000] <= Duration::from_secs(1));
    let median = drawn[5000].as_secs_f64();
    assert!((0.19..0.22).contains(&median), "{median}");
}
