use std::{sync::Arc, time::Duration};

use api::{
    ReplicaId, ServeError, WorkerName,
    session::{Endpoint, GatewayUp},
};
use tokio::sync::Semaphore;

use crate::{
    clients::{Seen, get},
    fakes::{CART, Running, cart, config, key, text, until},
};

fn ask(running: &Running) -> tokio::task::JoinHandle<Seen> {
    let addr = running.addr;
    tokio::spawn(async move { get(addr, CART, "/").await })
}

fn standby(name: &str) -> Endpoint {
    Endpoint {
        replica: ReplicaId(key(name)),
        worker: WorkerName("w".into()),
        concurrency: 100,
        request_deadline: Duration::from_secs(30),
        address: None,
        standby: true,
    }
}

/// How many wait and how many are served, as the next message says that is sent for it.
async fn told(running: &mut Running) -> (u32, u32) {
    let wake = |up| match up {
        GatewayUp::Wake { service, queued, in_flight } if service == key("cart") => Some((queued, in_flight)),
        _ => None,
    };
    running.message(wake).await
}

#[tokio::test]
async fn each_queue_is_told_when_it_begins_and_each_time_that_it_has_doubled() {
    let gate = Arc::new(Semaphore::new(0));
    let mut running = cart(config(), &[1], {
        let gate = gate.clone();
        move |name, _| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                text(name)
            }
        }
    })
    .await;
    let mut asked = vec![ask(&running)];
    until("it is busy", || running.measured("cart").in_flight == 1).await;
    for n in 1..=8 {
        asked.push(ask(&running));
        until("it waits", || running.measured("cart").queued == n).await;
    }
    for queued in [1, 2, 4, 8] {
        assert_eq!(told(&mut running).await, (queued, 1));
    }
    gate.add_permits(9);
    for asked in asked {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    // The queue is over: one who waits later begins another, however long that one was.
    let served = ask(&running);
    until("it is busy", || running.measured("cart").in_flight == 1).await;
    let waits = ask(&running);
    assert_eq!(told(&mut running).await, (1, 1));
    gate.add_permits(2);
    assert_eq!((served.await.unwrap().status, waits.await.unwrap().status), (200, 200));
}

#[tokio::test]
async fn a_standby_takes_the_first_request_like_any_other_replica() {
    let running = cart(config(), &[], |name, _| async { text(name) }).await;
    running.tell("cart", vec![standby("sleeper")], None, false).await;
    assert_eq!(ask(&running).await.unwrap().body, "sleeper");
}

#[tokio::test]
async fn when_a_standby_has_no_room_to_start_the_request_waits_for_a_replica_elsewhere() {
    let mut running = cart(config(), &[], |name, request| async move {
        match name.as_str() {
            "sleeper" => Err(ServeError::Refused { request: Box::new(request), why: "there is no room".to_owned() }),
            _ => text(name),
        }
    })
    .await;
    running.tell("cart", vec![standby("sleeper")], None, false).await;
    let asked = ask(&running);
    assert_eq!(told(&mut running).await, (1, 0));
    running.endpoints("cart", &[("elsewhere".into(), 1)]).await;
    let seen = asked.await.unwrap();
    assert_eq!((seen.status, seen.body.as_str()), (200, "elsewhere"));
}

#[tokio::test]
async fn where_waiting_is_in_vain_those_who_wait_and_those_who_come_are_told_why_at_once() {
    let mut running = cart(config(), &[], |name, _| async { text(name) }).await;
    let waiting = ask(&running);
    until("it waits", || running.measured("cart").queued == 1).await;
    running.tell("cart", Vec::new(), Some("image `x` cannot be compiled"), true).await;
    for asked in [waiting, ask(&running)] {
        let seen = asked.await.unwrap();
        assert_eq!((seen.status, seen.reason()), (503, "NoReplica"));
        assert!(seen.body.contains("cannot be compiled"), "{}", seen.body);
        assert!(seen.head.contains("retry-after"), "{}", seen.head);
    }
    told(&mut running).await;
}

#[tokio::test]
async fn a_sample_tells_time_in_service_apart_from_time_in_line() {
    let gate = Arc::new(Semaphore::new(0));
    let mut running = cart(config(), &[1], {
        let gate = gate.clone();
        move |name, _| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                text(name)
            }
        }
    })
    .await;
    let first = ask(&running);
    until("it is busy", || running.measured("cart").in_flight == 1).await;
    let second = ask(&running);
    until("it waits", || running.measured("cart").queued == 1).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    gate.add_permits(2);
    first.await.unwrap();
    second.await.unwrap();
    let (mut served, mut latency, mut service, mut presence) = (0, Duration::ZERO, Duration::ZERO, Duration::ZERO);
    while served < 2 {
        let sample = running
            .message(|up| match up {
                GatewayUp::Samples(samples) => samples.into_iter().find(|sample| sample.service == key("cart")),
                _ => None,
            })
            .await;
        served += sample.served;
        latency += sample.latency_sum;
        service += sample.service_sum;
        presence += sample.presence;
    }
    assert!(latency > service + Duration::from_millis(50), "the second waited: {latency:?}, {service:?}");
    let apart = presence.abs_diff(latency);
    assert!(apart < Duration::from_millis(1), "all the time that they were there: {presence:?}, {latency:?}");
}
