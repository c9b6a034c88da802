use std::{sync::Arc, time::Duration};

use gateway::{Gateway, GatewayError};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify, time::timeout};

use crate::{
    clients::{connect, expect, to_end},
    fakes::{CART, PATIENCE, Running, cart, config, start, text, until},
};

async fn ask(running: &Running, path: &str) -> TcpStream {
    let mut stream = connect(running.addr).await;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {CART}\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn at_shutdown_requests_in_flight_finish_and_idle_connections_close() {
    let gate = Arc::new(Notify::new());
    let wait = gate.clone();
    let mut running = cart(config(), &[9], move |_, request| {
        let wait = wait.clone();
        async move {
            if request.uri().path() == "/slow" {
                wait.notified().await;
            }
            text("done")
        }
    })
    .await;
    let mut idle = ask(&running, "/").await;
    expect(&mut idle, "done").await;
    // Its permit is given back after its last byte is sent: else it could be taken for the slow one.
    until("the first has ended", || running.measured("cart").in_flight == 0).await;
    let mut slow = ask(&running, "/slow").await;
    until("it is served", || running.measured("cart").in_flight == 1).await;
    running.shutdown.cancel();
    assert_eq!(to_end(&mut idle).await.head, "");
    assert!(!running.task.is_finished());
    gate.notify_one();
    let seen = to_end(&mut slow).await;
    assert_eq!((seen.status, seen.body.as_str()), (200, "done"));
    assert!(seen.head.contains("connection: close"), "{}", seen.head);
    timeout(PATIENCE, &mut running.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(running.addr).await.is_err());
}

#[tokio::test]
async fn a_request_that_does_not_end_in_the_drain_time_is_cut_off() {
    let mut config = config();
    config.drain = Duration::from_millis(50);
    let mut running = cart(config, &[1], |_, _| std::future::pending()).await;
    let mut stuck = ask(&running, "/").await;
    until("it is served", || running.measured("cart").in_flight == 1).await;
    running.shutdown.cancel();
    timeout(PATIENCE, &mut running.task).await.unwrap().unwrap().unwrap();
    assert_eq!(to_end(&mut stuck).await.status, 0);
    assert_eq!(running.measured("cart").in_flight, 0);
}

#[tokio::test]
async fn an_address_in_use_is_refused_although_its_holder_shares_it() {
    let running = start(config(), |name, _| async { text(name) });
    let mut second = config();
    second.http = running.addr;
    struct Nobody;
    impl api::Dialer for Nobody {
        fn dial(&self, _: &api::session::Endpoint) -> Arc<dyn api::Serve> {
            unreachable!("no endpoint is told of")
        }
    }
    let error = Gateway::new(second, Arc::new(Nobody)).bind().unwrap_err();
    assert!(matches!(error, GatewayError::AddressInUse { addr } if addr == running.addr), "{error}");
    assert!(error.to_string().contains("--http"));
}

#[tokio::test]
async fn the_gateway_goes_on_when_its_control_plane_is_gone() {
    let mut running = cart(config(), &[1], |name, _| async { text(name) }).await;
    let (_, gone) = api::session::in_process();
    drop(std::mem::replace(&mut running.session, gone));
    for _ in 0..3 {
        let mut stream = ask(&running, "/").await;
        expect(&mut stream, "r0").await;
    }
    assert!(!running.task.is_finished());
}

#[tokio::test]
async fn a_gateway_that_is_told_to_end_before_it_has_begun_ends_well() {
    for _ in 0..50 {
        let mut running = start(config(), |name, _| async { text(name) });
        running.shutdown.cancel();
        timeout(PATIENCE, &mut running.task).await.expect("it ends").unwrap().unwrap();
    }
}
