use std::{
    thread,
    time::{Duration, Instant},
};

use super::{HOST, Scaled, client, in_one_process_and_in_several, ready, wait_until_asleep};
use crate::{
    failures::{Kind, Load},
    sampan::wait_for,
};

#[test]
fn replicas_follow_a_step_up_and_a_step_down_and_no_request_fails() {
    in_one_process_and_in_several(|sampan| {
        Scaled { idle: "1s", ..Scaled::default() }.asleep(sampan);
        let low = Load::start(&sampan.http, HOST, 10.0, &[Kind::Sleep]);
        wait_for("the first runs", || (ready(sampan, "probe") >= 1).then_some(()));
        let high = Load::start(&sampan.http, HOST, 150.0, &[Kind::Sleep]);
        wait_for("more run", || (ready(sampan, "probe") >= 3).then_some(()));
        let high = high.stop();
        let at_high = ready(sampan, "probe");
        wait_for("fewer run again", || (ready(sampan, "probe") < at_high).then_some(()));
        let low = low.stop();
        for outcome in [&low, &high] {
            assert!(outcome.failed.is_empty(), "{} of {}: {:?}", outcome.failed.len(), outcome.sent, outcome.failed[0]);
        }
        wait_until_asleep(sampan, "probe");
    });
}

#[test]
fn load_that_comes_and_goes_costs_no_request_whatever_moment_it_meets() {
    in_one_process_and_in_several(|sampan| {
        Scaled { idle: "200ms", ..Scaled::default() }.asleep(sampan);
        let client = client(sampan);
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        // Pauses of every length around the time after which it goes to zero: some requests meet it on its way there.
        while began.elapsed() < Duration::from_secs(12) {
            for _ in 0..3 {
                let answer = client.get("/env");
                assert_eq!(answer.status, 200, "after a pause of {pause:?}: {answer:?}");
            }
            thread::sleep(pause);
            pause = if pause > Duration::from_millis(900) {
                Duration::from_millis(1)
            } else {
                pause * 5 / 4 + Duration::from_millis(1)
            };
        }
    });
}

#[test]
fn scaling_down_lets_long_requests_finish() {
    in_one_process_and_in_several(|sampan| {
        Scaled { idle: "300ms", concurrency: 1, ..Scaled::default() }.asleep(sampan);
        thread::scope(|scope| {
            let long: Vec<_> = (0..3).map(|_| scope.spawn(|| self::client(sampan).get("/sleep?ms=8000"))).collect();
            wait_for("all of them are served", || (ready(sampan, "probe") >= 3).then_some(()));
            // Short ones come and go meanwhile, so that there is something to scale down.
            for _ in 0..30 {
                assert_eq!(self::client(sampan).get("/env").status, 200);
            }
            for long in long {
                let answer = long.join().expect("an answer");
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        });
        wait_until_asleep(sampan, "probe");
    });
}
