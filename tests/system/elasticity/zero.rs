use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use super::{Scaled, apply, build, client, in_one_process_and_in_several, pods, ready, wait_until_asleep};
use crate::sampan::wait_for;

#[test]
fn a_service_goes_to_zero_and_its_first_request_is_answered_again_and_again() {
    in_one_process_and_in_several(|sampan| {
        Scaled::default().asleep(sampan);
        for _ in 0..3 {
            assert_eq!(client(sampan).get("/env").status, 200);
            wait_for("it is shown", || (pods(sampan, "probe") > 0 || ready(sampan, "probe") > 0).then_some(()));
            wait_until_asleep(sampan, "probe");
        }
        let events = sampan.kubectl_ok(&["get", "events"]);
        assert!(events.contains("SuccessfulRescale") && events.contains("no request for"), "{events}");
    });
}

#[test]
fn a_burst_at_a_service_at_zero_is_answered_whole_each_request_once() {
    in_one_process_and_in_several(|sampan| {
        Scaled { scale: "0..5", ..Scaled::default() }.asleep(sampan);
        let served = AtomicUsize::new(0);
        thread::scope(|scope| {
            for number in 0..60 {
                let served = &served;
                scope.spawn(move || {
                    let text = format!("number {number}");
                    let answer = client(sampan).post_text("/echo", "text/plain", &text);
                    assert_eq!((answer.status, answer.body), (200, text));
                    served.fetch_add(1, Relaxed);
                });
            }
        });
        assert_eq!(served.load(Relaxed), 60);
    });
}

#[test]
fn requests_beyond_the_bound_are_refused_at_once_and_told_when_to_come_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = crate::sampan::Sampan::up_with(folder.path(), &["--queue-limit", "5"]);
    Scaled { scale: "0..1", concurrency: 1, ..Scaled::default() }.asleep(&sampan);
    let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let answer = client(&sampan).get("/sleep?ms=300");
                match answer.status {
                    200 => answered.fetch_add(1, Relaxed),
                    503 => {
                        assert!(answer.retry_after.is_some(), "{answer:?}");
                        refused.fetch_add(1, Relaxed)
                    }
                    _ => panic!("{answer:?}"),
                };
            });
        }
    });
    let (answered, refused) = (answered.into_inner(), refused.into_inner());
    assert_eq!(answered + refused, 20);
    assert!((6..20).contains(&answered), "one is served and five wait at a time: {answered}");
}

#[test]
fn an_autoscaler_object_shows_what_it_sees_and_why_it_decides() {
    in_one_process_and_in_several(|sampan| {
        build(sampan);
        let deployment = Scaled::default().manifest().replace(
            r#"annotations: { sampan.dev/scale: "0..10", sampan.dev/scale-to-zero-after: 500ms }"#,
            "labels: { scaled: \"yes\" }",
        );
        apply(sampan, &deployment);
        // What is compiled for the first time on a busy machine takes longer than a request waits.
        sampan.cli_ok(&["rollout", "status", "deployment/probe"]);
        apply(
            sampan,
            r#"apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: probe
  annotations: { sampan.dev/scale-to-zero-after: 1s }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: probe }
  minReplicas: 0
  maxReplicas: 5
  metrics:
    - type: Pods
      pods: { metric: { name: http_requests_per_second }, target: { type: AverageValue, averageValue: "20" } }
"#,
        );
        wait_until_asleep(sampan, "probe");
        let client = client(sampan);
        let shown = wait_for("the rate is shown, and more replicas for it", || {
            let began = std::time::Instant::now();
            while began.elapsed() < std::time::Duration::from_millis(500) {
                let answer = client.get("/env");
                assert_eq!(answer.status, 200, "{}", answer.body);
            }
            let shown = sampan.kubectl_ok(&["get", "hpa", "probe"]);
            let replicas = shown.lines().nth(1)?.split_whitespace().rev().nth(1)?.parse::<u32>().ok()?;
            (replicas > 1 && !shown.contains("<unknown>")).then_some(shown)
        });
        assert!(shown.contains("Deployment/probe") && shown.contains("/20"), "{shown}");
        let described = sampan.kubectl_ok(&["describe", "hpa", "probe"]);
        for word in ["ScalingActive", "ValidMetricFound", "AbleToScale", "SuccessfulRescale"] {
            assert!(described.contains(word), "{word}: {described}");
        }
        wait_until_asleep(sampan, "probe");
    });
}
