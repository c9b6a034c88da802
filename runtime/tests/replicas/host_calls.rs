//! What a guest can have the host do, and hold, with its calls.

use std::sync::{Arc, atomic::Ordering};

use api::{
    Serve, ServeError,
    replica::{Isolation, LogLine, LogSource},
};

use http_body_util::BodyExt;

use crate::fleet::{Fleet, answer, ask, get};

/// The reason for which a request ended that a guest was not to get through with.
async fn ended(replica: &Arc<dyn Serve>, path: &str) -> String {
    match ask(replica, get(path)).await {
        Err(error) => error.to_string(),
        Ok(answer) => panic!("{path}: {answer:?}"),
    }
}

/// What the probe says that a call of the host answered, if that was an error.
async fn failed(replica: &Arc<dyn Serve>, call: &str) -> Option<String> {
    let (status, answer) = ask(replica, get(&format!("/call/{call}"))).await.unwrap();
    assert_eq!(status, 200, "{call}: {answer}");
    let (_, failed) = answer.split_once(r#""failed":"#).unwrap();
    let (failed, _) = failed.split_once(r#","longest""#).unwrap();
    (failed != "null").then(|| failed.to_owned())
}

/// Reads an answer as it comes, and says how long it was.
async fn read(replica: &Arc<dyn Serve>, path: &str) -> usize {
    let mut body = answer(replica, get(path)).await.unwrap().into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, |data| data.len());
    }
    bytes
}

fn logged(fleet: &Fleet) -> Vec<&LogLine> {
    fleet.log.iter().filter(|line| matches!(line.source, LogSource::Logging(_))).collect()
}

#[tokio::test]
async fn a_call_of_logging_writes_a_bounded_part_of_what_it_is_given() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(failed(&probe, "log?context=%C3%A4&bytes=2097152&count=110000").await, None);
    assert_eq!(ask(&probe, get("/stdout?msg=end")).await.unwrap().0, 200);
    fleet.wait_for_line("end").await;
    let lines = logged(&fleet);
    assert!(!lines.is_empty() && lines.len() <= 1000, "{}", lines.len());
    for line in &lines {
        assert!(line.text.len() <= 300 && line.text.ends_with("…: a"), "{}", line.text);
    }
    fleet.wait_for_line("lines were dropped").await;
}

#[tokio::test]
async fn a_call_of_logging_by_its_earlier_name_is_bounded_likewise() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("drafts-1", "drafts");
    let drafts = fleet.ready(spec).await;
    assert_eq!(ask(&drafts, get("/log-lines/110000")).await.unwrap().0, 200);
    assert_eq!(ask(&drafts, get("/log/end")).await.unwrap().0, 200);
    fleet.wait_for_line("drafts: end").await;
    assert!(logged(&fleet).len() <= 1001, "{}", logged(&fleet).len());
    fleet.wait_for_line("lines were dropped").await;
}

#[tokio::test]
async fn lines_on_stdout_that_come_too_fast_are_counted_and_not_made() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(failed(&probe, "stdout?piece=%0A&bytes=65536&times=3").await, None);
    // They are said with the next line that is written, which may have to wait for its second.
    while !fleet.log.iter().any(|line| line.text.contains("lines were dropped")) {
        assert_eq!(ask(&probe, get("/stderr?msg=next")).await.unwrap().0, 200);
        fleet.next().await;
    }
    let why = ended(&probe, "/call/stdout?bytes=65537").await;
    assert!(why.contains("65537 bytes") && why.contains("check-write"), "{why}");
}

#[tokio::test]
async fn no_more_random_bytes_are_given_in_one_call_than_its_bound() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for call in ["random", "insecure"] {
        assert_eq!(failed(&probe, &format!("{call}?bytes=65536")).await, None);
        let why = ended(&probe, &format!("/call/{call}?bytes=65537")).await;
        assert!(why.contains("65537 random bytes") && why.contains("at most 65536"), "{why}");
    }
}

#[tokio::test]
async fn what_is_handed_over_in_one_call_is_bounded() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    let why = ended(&probe, "/call/config?bytes=1048577").await;
    assert!(why.contains("more than 1048576 bytes") && why.contains("pieces"), "{why}");
    let why = ended(&probe, "/call/fields-of-list?count=30000").await;
    assert!(why.contains("more than 1048576 bytes"), "{why}");
}

#[tokio::test]
async fn urls_of_requests_have_bounds() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for (call, bytes) in [("path", "65000&piece=/"), ("authority", "200"), ("method", "256"), ("scheme", "64")] {
        assert_eq!(failed(&probe, &format!("{call}?bytes={bytes}")).await, None, "{call}");
        let refused = failed(&probe, &format!("{call}?bytes=200000")).await.expect("it is refused");
        assert!(refused.contains("refused"), "{call}: {refused}");
    }
}

#[tokio::test]
async fn pollables_of_one_call_are_bounded_however_often_each_is_named() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(failed(&probe, "poll?count=450&bytes=2").await, None);
    let why = ended(&probe, "/call/poll?count=10&bytes=100").await;
    assert!(why.contains("1100 pollables") && why.contains("at most 1024"), "{why}");
}

#[tokio::test]
async fn handles_of_an_instance_are_bounded_and_the_bound_can_be_set() {
    for (max_handles, fit, too_many) in [(1000, 450, 1100), (3000, 1100, 4000)] {
        let mut fleet = Fleet::with(|config| config.max_handles = max_handles).await;
        let probe = fleet.probe(|_| {}).await;
        for what in ["pollables", "fields", "buckets"] {
            assert_eq!(ask(&probe, get(&format!("/held/{what}?count={fit}"))).await.unwrap().0, 200, "{what}");
            let why = ended(&probe, &format!("/held/{what}?count={too_many}")).await;
            assert!(why.contains("handles") && why.contains("--max-handles"), "{what}: {why}");
        }
    }
}

#[tokio::test]
async fn values_of_stores_have_their_bound_in_each_call() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for call in ["kv-set", "kv-swap"] {
        assert_eq!(failed(&probe, &format!("{call}?bytes=4194304")).await, None, "{call}");
        let why = failed(&probe, &format!("{call}?bytes=4194305")).await.expect("it is too large");
        assert!(why.contains("value of 4194305 bytes is larger than the limit of 4194304"), "{call}: {why}");
    }
    assert_eq!(failed(&probe, "kv-set-many?count=512&bytes=8000").await, None);
    let why = failed(&probe, "kv-set-many?count=513").await.expect("too many");
    assert!(why.contains("a batch of 513 keys is more than the limit of 512"), "{why}");
    let why = failed(&probe, "kv-set-many?count=5&bytes=1048576").await.expect("too large");
    assert!(why.contains("batch of") && why.contains("limit of 4194304"), "{why}");
}

#[tokio::test]
async fn what_the_host_holds_for_a_guest_counts_against_its_memory() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.memory_bytes = 64 << 20).await;
    for (what, fits, too_much) in [
        ("cas", "count=5&bytes=4194304", "count=300&bytes=4194304"),
        ("bodies", "count=100&bytes=262144", "count=900&bytes=262144"),
        ("fields", "count=100&bytes=100000", "count=900&bytes=100000"),
        ("copies", "count=100&bytes=100000", "count=900&bytes=100000"),
        ("paths", "count=100&bytes=60000", "count=990&bytes=65000"),
    ] {
        assert_eq!(ask(&probe, get(&format!("/held/{what}?{fits}"))).await.unwrap().0, 200, "{what}");
        match ask(&probe, get(&format!("/held/{what}?{too_much}"))).await {
            Err(ServeError::OutOfMemory { limit_bytes }) => assert_eq!(limit_bytes, 64 << 20),
            // Of these no more fit the bound on handles than fit the memory.
            Ok((200, _)) if what == "paths" => continue,
            other => panic!("{what}: {other:?}"),
        }
        let line = fleet.wait_for_line("out of memory").await;
        assert!(line.text.contains("what the host holds for an instance"), "{what}: {}", line.text);
        fleet.log.clear();
    }
    // All of it was given back.
    assert_eq!(ask(&probe, get("/alloc?mb=40")).await.unwrap().0, 200);
}

#[tokio::test]
async fn handles_count_for_what_the_host_has_beside_what_they_hold() {
    let mut fleet = Fleet::with(|config| config.max_handles = 4000).await;
    let probe = fleet.probe(|spec| spec.limits.memory_bytes = 4 << 20).await;
    assert_eq!(ask(&probe, get("/held/bodies?count=500&bytes=0")).await.unwrap().0, 200);
    match ask(&probe, get("/held/bodies?count=3500&bytes=0")).await {
        Err(ServeError::OutOfMemory { limit_bytes }) => assert_eq!(limit_bytes, 4 << 20),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_store_answers_is_counted_before_it_is_on_its_way() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(failed(&probe, "kv-set?bytes=4194304").await, None);
    assert_eq!(failed(&probe, "kv-set-many?count=512&bytes=8000").await, None);
    let mut spec = fleet.spec("small-1", "probe");
    spec.limits.memory_bytes = 4 << 20;
    let small = fleet.ready(spec).await;
    for path in ["/kv/carts/call", "/kv-batch/carts?keys=call,call-1"] {
        match ask(&small, get(path)).await {
            Err(ServeError::OutOfMemory { limit_bytes }) => assert_eq!(limit_bytes, 4 << 20),
            other => panic!("{path}: {other:?}"),
        }
    }
    assert_eq!(fleet.store.largest.load(Ordering::Relaxed), 0);
    // Who has room is given it, and whether it is there is asked for nothing.
    assert_eq!(ask(&small, get("/kv/carts/call-1")).await.unwrap().0, 200);
    assert_eq!(ask(&probe, get("/kv/carts/call")).await.unwrap().1.len(), 4 << 20);
    assert_eq!(fleet.store.largest.load(Ordering::Relaxed), 4 << 20);
    let mut head = get("/kv/carts/call");
    *head.method_mut() = http::Method::HEAD;
    assert_eq!(ask(&small, head).await.unwrap().0, 200);
}

#[tokio::test]
async fn many_keys_are_looked_up_once_where_there_is_room_for_the_most_that_they_may_have() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(failed(&probe, "kv-get-many?count=512&bytes=8000").await, None);
    assert_eq!(fleet.store.asked.swap(0, Ordering::Relaxed), 1);
    let mut spec = fleet.spec("small-1", "probe");
    spec.limits.memory_bytes = 4 << 20;
    let small = fleet.ready(spec).await;
    assert_eq!(
        failed(&small, "kv-get-many?count=512&bytes=10").await,
        None,
        "few bytes need no more room than they take"
    );
    assert_eq!(fleet.store.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_body_on_its_way_to_a_slow_client_counts_and_an_answer_goes_out_though_guests_have_all_memory() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.memory_bytes = 8 << 20).await;
    assert_eq!(read(&probe, "/stream?chunks=64&bytes=300000").await, 64 * 300_000);
    // What nobody lets go of is more than there is.
    let kept = answer(&probe, get("/stream?chunks=64&bytes=300000")).await.unwrap().into_body().collect().await;
    assert!(kept.unwrap_err().to_string().contains("memory limit"));
    // Nearly all is the guest's own.
    let held = ask(&probe, get("/hold?mb=5&ms=2000"));
    let (held, streamed) = tokio::join!(held, read(&probe, "/stream?chunks=8&bytes=300000"));
    assert_eq!((held.unwrap().0, streamed), (200, 8 * 300_000));
}

#[tokio::test]
async fn an_instance_that_is_reused_gives_back_what_the_host_held_for_a_request() {
    let mut fleet = Fleet::new().await;
    let probe = fleet
        .probe(|spec| {
            spec.limits.memory_bytes = 64 << 20;
            spec.limits.isolation = Isolation::Replica { max_reuse: 1000 };
        })
        .await;
    for _ in 0..20 {
        assert_eq!(ask(&probe, get("/held/fields?count=100&bytes=100000")).await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn a_guest_that_only_calls_the_host_is_charged_interrupted_and_ended_at_its_deadline() {
    for call in ["random?bytes=65536", "log?count=100", "fields-copy?count=100", "config-all?", "environment?"] {
        let mut fleet = Fleet::new().await;
        let calling = fleet
            .probe(|spec| {
                spec.limits.request_deadline = std::time::Duration::from_millis(500);
                // Fields count until the request ends, and a fast machine copies more of them than the limit by default.
                spec.limits.memory_bytes = 16 << 30;
            })
            .await;
        let spec = fleet.spec("hello-1", "hello");
        let neighbour = fleet.ready(spec).await;
        // On the one thread of this test.
        let path = format!("/call/{call}&times=1000000000");
        let mut stopped = Box::pin(ask(&calling, get(&path)));
        let mut answered = 0;
        let error = loop {
            match futures::poll!(&mut stopped) {
                std::task::Poll::Ready(stopped) => break stopped.unwrap_err(),
                std::task::Poll::Pending => {
                    assert_eq!(ask(&neighbour, get("/")).await.unwrap().0, 200);
                    answered += 1;
                }
            }
        };
        assert!(matches!(error, ServeError::DeadlineExceeded { .. }), "{call}: {error}");
        assert!(answered > 0, "{call}");
    }
}
