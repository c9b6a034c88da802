use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use api::{
    ServeError,
    session::{GatewayUp, Routes},
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{
    clients::{Seen, get},
    fakes::{CART, Running, cart, config, key, service, start, text, until},
};

fn ask(running: &Running, path: &str) -> tokio::task::JoinHandle<Seen> {
    let (addr, path) = (running.addr, path.to_owned());
    tokio::spawn(async move { get(addr, CART, &path).await })
}

#[tokio::test]
async fn requests_wait_in_order_and_concurrency_is_never_passed() {
    let gate = Arc::new(Semaphore::new(0));
    let (served, busy) = (Arc::new(Mutex::new(Vec::new())), Arc::new([const { AtomicU32::new(0) }; 3]));
    let running = cart(config(), &[1, 1, 1], {
        let (gate, served) = (gate.clone(), served.clone());
        move |name, request| {
            let (gate, served, busy) = (gate.clone(), served.clone(), busy.clone());
            async move {
                let busy = &busy[name[1..].parse::<usize>().unwrap()];
                assert_eq!(busy.fetch_add(1, SeqCst), 0, "{name} had a request already");
                served.lock().push(request.uri().path()[1..].parse::<usize>().unwrap());
                gate.acquire().await.unwrap().forget();
                busy.fetch_sub(1, SeqCst);
                text(name)
            }
        }
    })
    .await;
    let mut asked = Vec::new();
    for n in 0..64 {
        asked.push(ask(&running, &format!("/{n}")));
        until("it has arrived", || {
            let now = running.measured("cart");
            (now.in_flight, now.queued) == ((n + 1).min(3), (n + 1).saturating_sub(3))
        })
        .await;
    }
    for done in 1..=61 {
        gate.add_permits(1);
        until("the next is served", || served.lock().len() == 3 + done).await;
    }
    gate.add_permits(3);
    for asked in asked {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    assert_eq!(*served.lock(), (0..64).collect::<Vec<_>>());
    until("all is counted", || running.measured("cart").completed == 64).await;
    assert_eq!((running.measured("cart").in_flight, running.measured("cart").failed), (0, 0));
}

#[tokio::test]
async fn sixty_four_clients_at_once_are_all_answered_by_three_replicas_of_one_slot() {
    let running = cart(config(), &[1, 1, 1], |name, _| async {
        tokio::task::yield_now().await;
        text(name)
    })
    .await;
    let asked: Vec<_> = (0..64).map(|_| ask(&running, "/")).collect();
    let mut names = BTreeSet::new();
    for asked in asked {
        names.insert(asked.await.unwrap().body);
    }
    assert_eq!(names.len(), 3, "the load spreads: {names:?}");
}

#[tokio::test]
async fn the_replica_with_most_free_concurrency_is_picked() {
    let running = cart(config(), &[2, 9], |name, request| async move {
        if request.uri().path() == "/stay" {
            std::future::pending::<()>().await;
        }
        text(name)
    })
    .await;
    let _stays: Vec<_> = (0..6).map(|_| ask(&running, "/stay")).collect();
    until("they are there", || running.measured("cart").in_flight == 6).await;
    assert_eq!(ask(&running, "/").await.unwrap().body, "r1");
}

#[tokio::test]
async fn a_full_queue_is_answered_at_once_with_503_and_retry_after() {
    let mut config = config();
    config.queue_limit = 2;
    let running = cart(config, &[1], |_, _| std::future::pending()).await;
    let _waiting: Vec<_> = (0..3).map(|_| ask(&running, "/")).collect();
    until("the queue is full", || running.measured("cart").queued == 2).await;
    let seen = ask(&running, "/").await.unwrap();
    assert_eq!((seen.status, seen.reason()), (503, "QueueFull"));
    assert!(seen.head.contains("retry-after: 1"), "{}", seen.head);
}

#[tokio::test]
async fn who_waited_too_long_for_a_busy_replica_is_answered_with_503() {
    let mut config = config();
    config.queue_wait = Duration::from_millis(50);
    let running = cart(config, &[1], |_, _| std::future::pending()).await;
    let _busy = ask(&running, "/");
    until("it is busy", || running.measured("cart").in_flight == 1).await;
    assert_eq!(ask(&running, "/").await.unwrap().reason(), "AllReplicasBusy");
    assert_eq!(running.measured("cart").queued, 0);
}

#[tokio::test]
async fn a_service_without_endpoints_is_woken_and_answers_when_one_comes() {
    let mut running = start(config(), |name, _| async { text(name) });
    running.route(Routes { services: vec![service("cart", &[80])], ingresses: vec![] }).await;
    let asked = [ask(&running, "/"), ask(&running, "/")];
    until("both wait", || running.measured("cart").queued == 2).await;
    running.endpoints("cart", &[("late".into(), 1)]).await;
    for asked in asked {
        assert_eq!(asked.await.unwrap().body, "late");
    }
    running.message(|up| matches!(up, GatewayUp::Wake { service, .. } if service == key("cart")).then_some(())).await;
}

#[tokio::test]
async fn a_service_that_gets_no_endpoint_says_why() {
    let mut config = config();
    config.queue_wait_no_endpoints = Duration::from_millis(50);
    let running = cart(config, &[], |name, _| async { text(name) }).await;
    running.no_endpoints("cart", &[], Some("no node has 4 GiB free")).await;
    let seen = ask(&running, "/").await.unwrap();
    assert_eq!((seen.status, seen.reason()), (503, "NoReplica"));
    assert!(seen.body.contains("no node has 4 GiB free"), "{}", seen.body);
}

#[tokio::test]
async fn endpoints_are_replaced_under_load_without_a_failed_request() {
    // Replicas are called after their generation; those before the newest but one refuse, as when they drain.
    let generation = Arc::new(AtomicU64::new(0));
    let running = cart(config(), &[], {
        let generation = generation.clone();
        move |name, request| {
            let newest = generation.load(SeqCst);
            async move {
                tokio::task::yield_now().await;
                let mine: u64 = name.split('-').next().unwrap().parse().unwrap();
                match mine + 1 < newest {
                    true => Err(ServeError::Refused { request: Box::new(request), why: "draining".into() }),
                    false => text(name),
                }
            }
        }
    })
    .await;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let addr = running.addr;
            tokio::spawn(async move {
                for _ in 0..40 {
                    let seen = get(addr, CART, "/").await;
                    assert_eq!(seen.status, 200, "{seen:?}");
                }
            })
        })
        .collect();
    let mut round = 0;
    while !clients.iter().all(|client| client.is_finished()) {
        round += 1;
        // Another sum each time, by which it is seen that they are known.
        let concurrency = 2 + (round % 7) as u32;
        running.endpoints("cart", &[(format!("{round}-a"), 1), (format!("{round}-b"), concurrency)]).await;
        generation.store(round, SeqCst);
    }
    for client in clients {
        client.await.unwrap();
    }
    assert!(round > 1);
}

#[tokio::test]
async fn a_replica_that_stays_keeps_its_count_when_endpoints_are_replaced() {
    let running = cart(config(), &[1], |_, _| std::future::pending()).await;
    let _busy = ask(&running, "/");
    until("it is busy", || running.measured("cart").in_flight == 1).await;
    running.endpoints("cart", &[("r0".into(), 2)]).await;
    let _one_more = ask(&running, "/");
    let _waits = ask(&running, "/");
    until("two are served and one waits", || {
        let now = running.measured("cart");
        (now.in_flight, now.queued) == (2, 1)
    })
    .await;
}
