use std::{sync::Arc, time::Duration};

use api::session::{GatewayUp, ServiceSample};
use http::Response;
use tokio::sync::Semaphore;

use crate::{
    clients::get,
    fakes::{CART, Running, cart, config, key, text, until},
};

async fn next_sample(running: &mut Running) -> ServiceSample {
    running
        .message(|up| match up {
            GatewayUp::Samples(samples) => samples.into_iter().find(|sample| sample.service == key("cart")),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn samples_add_up_to_what_happened() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = gate.clone();
    let mut running = cart(config(), &[1], move |_, request| {
        let wait = wait.clone();
        async move {
            wait.acquire().await.unwrap().forget();
            match request.uri().path() {
                "/fail" => Ok(Response::builder().status(500).body(api::empty_body()).unwrap()),
                _ => text("ok"),
            }
        }
    })
    .await;
    let addr = running.addr;
    let asked: Vec<_> =
        ["/", "/fail", "/"].into_iter().map(|path| tokio::spawn(async move { get(addr, CART, path).await })).collect();
    until("all are there", || running.measured("cart").arrivals == 3).await;
    loop {
        let sample = next_sample(&mut running).await;
        if (sample.in_flight, sample.queued) == (1, 2) {
            break;
        }
    }
    gate.add_permits(3);
    let (mut completed, mut failed, mut latency) = (0, 0, Duration::ZERO);
    while completed < 3 {
        let sample = next_sample(&mut running).await;
        completed += sample.completed;
        failed += sample.failed;
        latency += sample.latency_sum;
    }
    assert_eq!((completed, failed), (3, 1));
    assert!(latency > Duration::ZERO);
    for asked in asked {
        asked.await.unwrap();
    }
}
