use std::{sync::Arc, time::Duration};

use api::{
    BodyError, Serve, ServeError,
    replica::{Isolation, ReplicaPhase},
};
use futures::future::join_all;
use http_body_util::BodyExt;

use crate::fleet::{Fleet, answer, ask, ask_patiently, get};

const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_guest_that_computes_for_ever_is_stopped_and_its_neighbours_answer_meanwhile() {
    let mut fleet = Fleet::new().await;
    let looping = fleet.probe(|spec| spec.limits.request_deadline = SHORT).await;
    let spec = fleet.spec("hello-1", "hello");
    let neighbour = fleet.ready(spec).await;
    // All on the one thread of this test: the guest in the loop must give it back.
    let mut stopped = Box::pin(ask(&looping, get("/loop")));
    let mut answered = 0;
    let error = loop {
        tokio::select! {
            biased;
            outcome = &mut stopped => break outcome.unwrap_err(),
            answer = ask(&neighbour, get("/")) => {
                assert_eq!(answer.unwrap().0, 200);
                answered += 1;
            }
        }
    };
    assert!(matches!(error, ServeError::DeadlineExceeded { deadline } if deadline == SHORT), "{error:?}");
    assert!(answered > 10, "{answered}");
    fleet.wait_for_line("deadline").await;
}

#[tokio::test]
async fn a_guest_that_waits_for_too_long_is_stopped_at_its_deadline() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.request_deadline = SHORT).await;
    let outcome = ask(&probe, get("/sleep?ms=60000")).await;
    assert!(matches!(outcome, Err(ServeError::DeadlineExceeded { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_body_that_goes_on_beyond_the_deadline_ends_in_an_error() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.request_deadline = SHORT).await;
    let response = answer(&probe, get("/stream?chunks=100000&ms=20")).await.unwrap();
    match response.into_body().collect().await {
        Err(BodyError::Guest(why)) => assert!(why.contains("deadline"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_guest_that_computes_for_a_while_answers_from_the_background() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    let answers = join_all((0..4).map(|_| ask(&probe, get("/spin?ms=50")))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|(status, _)| *status == 200)), "{answers:?}");
}

#[tokio::test]
async fn where_requests_compute_for_long_the_next_begin_in_the_background_until_they_are_short_again() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert!(answers_at_once(&probe).await, "a short request is answered on the thread that took it");
    for _ in 0..20 {
        assert_eq!(ask(&probe, get("/spin?ms=100")).await.unwrap().0, 200);
    }
    assert!(!answers_at_once(&probe).await, "it began on the thread that took it");
    let back = async { while !answers_at_once(&probe).await {} };
    tokio::time::timeout(Duration::from_secs(20), back).await.expect("short requests begin where they arrive again");
}

/// Whether a short request has its answer when it was polled once. It is answered in any case.
async fn answers_at_once(replica: &Arc<dyn Serve>) -> bool {
    let mut asked = Box::pin(ask(replica, get("/")));
    let (at_once, answer) = match futures::poll!(&mut asked) {
        std::task::Poll::Ready(answer) => (true, answer),
        std::task::Poll::Pending => (false, asked.await),
    };
    assert_eq!(answer.unwrap().0, 200);
    at_once
}

#[tokio::test]
async fn memory_is_limited_over_all_instances_together() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.memory_bytes = 64 << 20).await;
    assert_eq!(ask(&probe, get("/alloc?mb=16")).await.unwrap().0, 200);
    match ask(&probe, get("/alloc?mb=100")).await {
        Err(ServeError::OutOfMemory { limit_bytes }) => assert_eq!(limit_bytes, 64 << 20),
        other => panic!("{other:?}"),
    }
    assert_eq!(ask(&probe, get("/alloc?mb=16")).await.unwrap().0, 200);
    fleet.wait_for_line("out of memory").await;
}

#[tokio::test]
async fn beyond_its_concurrency_a_replica_refuses_and_hands_the_request_back() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.concurrency = 1).await;
    let mut first = Box::pin(ask(&probe, get("/sleep?ms=50")));
    assert!(futures::poll!(&mut first).is_pending());
    match ask(&probe, get("/counter")).await {
        Err(ServeError::Busy { request: Some(request), .. }) => assert_eq!(request.uri().path(), "/counter"),
        other => panic!("{other:?}"),
    }
    assert_eq!(first.await.unwrap().0, 200);
    assert_eq!(ask(&probe, get("/counter")).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_full_pool_refuses_and_hands_the_request_back() {
    let mut fleet = Fleet::with(|config| config.max_instances = 1).await;
    let probe = fleet.probe(|_| {}).await;
    let mut first = Box::pin(ask(&probe, get("/sleep?ms=50")));
    assert!(futures::poll!(&mut first).is_pending());
    match ask(&probe, get("/counter")).await {
        Err(ServeError::Busy { request: Some(request), why }) => {
            assert_eq!(request.uri().path(), "/counter");
            assert!(why.contains("pool"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(first.await.unwrap().0, 200);
}

#[tokio::test]
async fn a_guest_ends_when_its_client_goes() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.concurrency = 1).await;
    for path in ["/sleep?ms=19000", "/loop"] {
        let mut waiting = Box::pin(ask(&probe, get(path)));
        // Twice, so that the one that computes has been moved to the background.
        for _ in 0..2 {
            assert!(futures::poll!(&mut waiting).is_pending());
        }
        drop(waiting);
        assert_eq!(ask_patiently(&probe, "/counter").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn a_guest_ends_when_its_client_leaves_in_the_middle_of_the_body() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.concurrency = 1).await;
    let mut response = answer(&probe, get("/stream?chunks=1000000&ms=10")).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    assert_eq!(ask_patiently(&probe, "/counter").await.0, 200);
}

async fn count(probe: &Arc<dyn Serve>) -> u32 {
    ask(probe, get("/counter")).await.unwrap().1.trim().parse().unwrap()
}

#[tokio::test]
async fn reused_instances_are_replaced_after_their_number_of_requests_and_after_a_trap() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.isolation = Isolation::Replica { max_reuse: 3 }).await;
    let mut counts = Vec::new();
    for _ in 0..5 {
        counts.push(count(&probe).await);
    }
    assert_eq!(counts, [1, 2, 3, 1, 2]);
    assert!(ask(&probe, get("/trap")).await.is_err());
    assert_eq!(count(&probe).await, 1);
}

#[tokio::test]
async fn a_limited_share_of_cpu_time_still_answers() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.cpu_millis = Some(200)).await;
    let answers = join_all((0..3).map(|_| ask(&probe, get("/spin?ms=30")))).await;
    assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
}

#[tokio::test]
async fn idle_instances_of_one_replica_give_way_to_another_when_the_pool_is_full() {
    let mut fleet = Fleet::with(|config| config.max_instances = 2).await;
    let kept = fleet.probe(|spec| spec.limits.isolation = Isolation::Replica { max_reuse: 100 }).await;
    let answers = join_all((0..2).map(|_| ask(&kept, get("/sleep?ms=100")))).await;
    assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
    let spec = fleet.spec("hello-1", "hello");
    let other = fleet.ready(spec).await;
    for _ in 0..3 {
        assert_eq!(ask(&other, get("/")).await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn one_namespace_that_fills_the_pool_keeps_no_other_from_it() {
    let mut fleet = Fleet::with(|config| config.max_instances = 20).await;
    let mut greedy = fleet.spec("probe-1", "probe");
    greedy.id = api::ReplicaId(api::ObjectKey::new("greedy", "probe-1"));
    greedy.limits.concurrency = 1000;
    greedy.limits.memory_bytes = 4 << 30;
    let spec = fleet.spec("hello-1", "hello");
    let other = fleet.ready(spec).await;
    let greedy = fleet.ready(greedy).await;
    let asleep = || get("/sleep?ms=2000");
    let mut sleeping: Vec<_> = (0..200).map(|_| Box::pin(ask(&greedy, asleep()))).collect();
    let mut refused = 0;
    for sleep in &mut sleeping {
        refused += usize::from(futures::poll!(sleep).is_ready());
    }
    assert!(refused >= 180, "{refused} found the pool full");
    // More at once than are guaranteed: those beyond wait for what ends.
    let answers = join_all((0..40).map(|_| ask(&other, get("/"))));
    let sleeps = join_all(sleeping.into_iter().take(200 - refused));
    let (answers, _) = futures::join!(answers, sleeps);
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|(status, _)| *status == 200)), "{answers:?}");
}

/// A guest that fills 200 MB of its memory in one instruction, and gives no answer.
const FILLS: &str = r#"(component
  (type $http (instance
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (import "wasi:http/types@0.2.0" (instance $types (type $http)))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))
  (core module $module
    (memory (export "memory") 3200)
    (func (export "handle") (param i32 i32)
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 200000000))))
  (core instance $instance (instantiate $module))
  (func $handle (param "request" (own $request)) (param "response-out" (own $out))
    (canon lift (core func $instance "handle")))
  (component $handler
    (import "request" (type $request (sub resource)))
    (import "out" (type $out (sub resource)))
    (import "handle" (func $handle (param "request" (own $request)) (param "response-out" (own $out))))
    (export $request2 "incoming-request" (type $request))
    (export $out2 "response-outparam" (type $out))
    (export "handle" (func $handle) (func (param "request" (own $request2)) (param "response-out" (own $out2)))))
  (instance $exported (instantiate $handler
    (with "request" (type $request)) (with "out" (type $out)) (with "handle" (func $handle))))
  (export "wasi:http/incoming-handler@0.2.0" (instance $exported)))"#;

/// The same component, which fills its memory again and again while it is instantiated.
fn fills_at_its_start() -> Vec<u8> {
    let filling =
        "(func $fill (loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 200000000)) (br $again)))
        (start $fill)
        (func (export \"handle\") (param i32 i32))";
    let (before, rest) = FILLS.split_once("(func (export \"handle\") (param i32 i32)").unwrap();
    let (_, after) = rest.split_once("(i32.const 200000000)))").unwrap();
    wat::parse_str(format!("{before}{filling}{after}")).unwrap()
}

fn cpu_of_this_thread() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[tokio::test]
async fn a_component_that_computes_while_it_starts_does_not_do_so_on_the_thread_of_its_workers_session() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec_of("fills-1", "fills-at-start:test", fills_at_its_start());
    spec.limits.memory_bytes = 1 << 30;
    spec.limits.request_deadline = Duration::from_secs(4);
    let id = spec.id.clone();
    fleet.start(spec).await;
    // It is compiled by other threads.
    let before = cpu_of_this_thread();
    let failed = fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await;
    let ReplicaPhase::Failed(failure) = failed else { unreachable!("it was waited for") };
    assert!(failure.message.contains("deadline"), "{}", failure.message);
    let used = cpu_of_this_thread() - before;
    assert!(used < Duration::from_secs(2), "this thread, which follows the session, computed for {used:?} of 4s");
}

#[tokio::test]
async fn a_guest_whose_single_instructions_take_long_soon_takes_them_in_the_background_alone() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec_of("fills-1", "fills:test", wat::parse_str(FILLS).unwrap());
    spec.limits.memory_bytes = 1 << 30;
    let fills = fleet.ready(spec).await;
    let mut moved = false;
    for _ in 0..8 {
        let mut asked = Box::pin(ask(&fills, get("/")));
        // Begun on this thread, it is over at once; in the background it is waited for.
        moved = futures::poll!(&mut asked).is_pending();
        if moved {
            assert!(asked.await.is_err());
            break;
        }
    }
    assert!(moved, "it goes on to hold up the thread");
}
