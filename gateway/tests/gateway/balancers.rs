use std::net::SocketAddr;

use api::session::{GatewayDown, GatewayUp, Routes, ServiceRoute};
use gateway::GatewayConfig;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    clients::{connect, get, raw, to_end},
    fakes::{Running, config, key, service, start, text, until},
};

/// A port that nobody has at this moment.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn balanced(name: &str, port: u16) -> Routes {
    Routes { services: vec![ServiceRoute { load_balancer: true, ..service(name, &[port]) }], ingresses: vec![] }
}

async fn outcome(running: &mut Running, wanted: u16) -> Result<String, String> {
    running
        .message(|up| match up {
            GatewayUp::Listener { port, outcome, .. } if port == wanted => Some(outcome),
            _ => None,
        })
        .await
}

/// Opens a port of a Service that has replicas already.
pub async fn balanced_port(running: &mut Running, name: &str) -> SocketAddr {
    let port = free_port().await;
    let route = GatewayDown::Service(ServiceRoute { load_balancer: true, ..service(name, &[port]) });
    running.session.tx.send(route).await.unwrap();
    outcome(running, port).await.unwrap();
    ([127, 0, 0, 1], port).into()
}

#[tokio::test]
async fn a_load_balancers_port_opens_and_closes_with_its_service() {
    let mut running = start(config(), |name, _| async { text(name) });
    let port = free_port().await;
    running.route(balanced("cart", port)).await;
    running.endpoints("cart", &[("c".into(), 1)]).await;
    assert_eq!(outcome(&mut running, port).await, Ok(format!("127.0.0.1:{port}")));
    let addr: SocketAddr = ([127, 0, 0, 1], port).into();
    for _ in 0..8 {
        assert_eq!(get(addr, "any.host.at.all", "/").await.body, "c");
    }
    let mut open = connect(addr).await;
    running.route(Routes::default()).await;
    to_end(&mut open).await;
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_port_that_cannot_be_bound_says_why() {
    let mut running = start(config(), |name, _| async { text(name) });
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    running.route(balanced("cart", port)).await;
    let why = outcome(&mut running, port).await.unwrap_err();
    assert!(why.contains("in use by another process"), "{why}");

    let own = running.addr.port();
    running.route(balanced("cart", own)).await;
    let why = outcome(&mut running, own).await.unwrap_err();
    assert!(why.contains("the gateway's own HTTP port"), "{why}");
}

#[tokio::test]
async fn ports_of_load_balancers_are_bounded_and_one_that_is_given_up_is_anothers() {
    let mut running = start(GatewayConfig { max_load_balancer_ports: 1, ..config() }, |name, _| async { text(name) });
    let (first, second) = (free_port().await, free_port().await);
    running.route(balanced("cart", first)).await;
    outcome(&mut running, first).await.unwrap();
    let mut both = balanced("cart", first);
    both.services.extend(balanced("orders", second).services);
    running.route(both).await;
    let why = outcome(&mut running, second).await.unwrap_err();
    assert!(why.contains("1 ports of LoadBalancer Services"), "{why}");
    running.route(balanced("orders", second)).await;
    while outcome(&mut running, second).await.is_err() {}
}

#[tokio::test]
async fn of_two_services_that_want_one_port_the_first_has_it() {
    let mut running = start(config(), |name, _| async { text(name) });
    let port = free_port().await;
    let mut routes = balanced("a", port);
    routes.services.extend(balanced("b", port).services);
    running.route(routes).await;
    assert!(outcome(&mut running, port).await.is_ok());
    let why = outcome(&mut running, port).await.unwrap_err();
    assert!(why.contains("taken by service shop/a"), "{why}");
    until("both are known", || running.gateway.measurements().services.len() == 2).await;
}

#[tokio::test]
async fn a_port_goes_from_a_service_that_gives_it_up_to_one_that_waits_for_it() {
    let mut running = start(config(), |name, _| async { text(name) });
    let port = free_port().await;
    let route = |name: &str| GatewayDown::Service(ServiceRoute { load_balancer: true, ..service(name, &[port]) });
    running.session.tx.send(route("old")).await.unwrap();
    assert!(outcome(&mut running, port).await.is_ok());
    running.session.tx.send(route("new")).await.unwrap();
    assert!(outcome(&mut running, port).await.is_err());
    running.session.tx.send(GatewayDown::ServiceGone(key("old"))).await.unwrap();
    // Until its threads have closed it, the port may be in use.
    while outcome(&mut running, port).await.is_err() {}
}

#[tokio::test]
async fn a_request_that_names_no_host_is_the_services_whose_port_it_came_to() {
    let mut running = start(config(), |_, request| async move { text(request.uri().to_string()) });
    let port = free_port().await;
    running.route(balanced("cart", port)).await;
    running.endpoints("cart", &[("c".into(), 1)]).await;
    outcome(&mut running, port).await.unwrap();
    let addr: SocketAddr = ([127, 0, 0, 1], port).into();
    for request in [
        "OPTIONS /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.0\r\nhost:\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: \r\nconnection: close\r\n\r\n",
    ] {
        let seen = raw(addr, request).await;
        assert_eq!((seen.status, seen.body.as_str()), (200, "http://cart.shop.localhost/a"), "{request}");
    }
    assert_eq!(raw(addr, "GET /a HTTP/1.1\r\nconnection: close\r\n\r\n").await.status, 400, "RFC 9112, 3.2");
}
