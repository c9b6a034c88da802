use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Scaled, apply, build, client, in_one_process_and_in_several, wait_until_asleep};
use crate::sampan::{Sampan, wait_for};

/// How long a gateway waits for a replica where there is none.
const WAIT_IN_VAIN: Duration = Duration::from_secs(5);

#[test]
fn a_rollout_of_a_service_at_zero_is_woken_in_the_old_version_or_the_new_and_never_fails() {
    in_one_process_and_in_several(|sampan| {
        let scaled = Scaled::default();
        scaled.asleep(sampan);
        for version in 0..4 {
            let manifest = scaled.manifest().replace(
                "sampan.dev/concurrency",
                &format!("example.com/version: \"{version}\", sampan.dev/concurrency"),
            );
            thread::scope(|scope| {
                let asked = scope.spawn(|| {
                    let client = client(sampan);
                    for _ in 0..40 {
                        let answer = client.get("/env");
                        assert_eq!(answer.status, 200, "{answer:?}");
                    }
                });
                apply(sampan, &manifest);
                asked.join().expect("every request is answered");
            });
            wait_until_asleep(sampan, "probe");
        }
        assert_eq!(client(sampan).get("/env").status, 200);
    });
}

#[test]
fn who_waits_for_an_image_that_cannot_be_compiled_is_told_why_at_once() {
    let no_time = ["--compile-timeout", "1ms"];
    let folder = tempfile::tempdir().expect("a folder");
    told_why(&Sampan::up_with(folder.path(), &no_time));
    let folder = tempfile::tempdir().expect("a folder");
    told_why(&Sampan::server_with(folder.path(), 2, &no_time));
}

fn told_why(sampan: &Sampan) {
    build(sampan);
    Scaled::default().apply(sampan);
    let answer = wait_for("the reason is known", || {
        let answer = client(sampan).get("/env");
        answer.body.contains("compil").then_some(answer)
    });
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.retry_after.is_some(), "{answer:?}");
    let began = Instant::now();
    let again = client(sampan).get("/env");
    assert_eq!(again.status, 503, "{again:?}");
    assert!(began.elapsed() < WAIT_IN_VAIN, "to wait for it is in vain, and not done");
}
