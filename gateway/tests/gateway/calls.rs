use std::sync::Arc;

use api::{Body, ClusterHttp, ClusterHttpError, HOPS_HEADER, session::Routes};
use http::{Request, StatusCode};
use parking_lot::Mutex;

use crate::{
    clients::{collect, get},
    fakes::{CART, cart, config, key, service, start, text, until},
};

fn get_request(uri: &str) -> Request<Body> {
    Request::get(uri).body(api::empty_body()).unwrap()
}

#[tokio::test]
async fn services_are_found_by_every_name_that_kubernetes_gives_them() {
    let running = cart(config(), &[1], |name, _| async { text(name) }).await;
    let cluster = running.gateway.cluster_http();
    for name in ["cart", "CART", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local", "cart.shop.localhost"] {
        assert_eq!(cluster.resolve("shop", name), Some(key("cart")), "{name}");
    }
    for name in ["", "other", "cart.other", "cart.shop.example.com", "example.com", "a.cart.shop.svc"] {
        assert_eq!(cluster.resolve("shop", name), None, "{name}");
    }
    assert_eq!(cluster.resolve("elsewhere", "cart"), None);
}

#[tokio::test]
async fn a_call_is_balanced_measured_and_answered_like_any_request() {
    let running = cart(config(), &[1], |name, request| async move {
        text(format!("{name} {} {}", request.uri(), request.headers()[HOPS_HEADER].to_str().unwrap()))
    })
    .await;
    let cluster = running.gateway.cluster_http();
    // From another thread, as guests may be.
    let answered = tokio::task::spawn(cluster.call(key("cart"), None, get_request("http://cart/a"))).await.unwrap();
    assert_eq!(collect(answered.unwrap().into_body()).await, "r0 http://cart/a 1");
    until("it is counted", || running.measured("cart").completed == 1).await;
}

#[tokio::test]
async fn a_port_that_the_service_does_not_have_is_refused() {
    let running = start(config(), |name, _| async { text(name) });
    let services = vec![service("one", &[8080]), service("two", &[80, 90]), service("none", &[81, 82])];
    running.route(Routes { services, ingresses: vec![] }).await;
    for name in ["one", "two", "none"] {
        running.endpoints(name, &[(name.into(), 1)]).await;
    }
    let cluster = running.gateway.cluster_http();
    for (name, port, listens) in [
        ("one", None, true),
        ("one", Some(8080), true),
        ("one", Some(80), false),
        ("two", None, true),
        ("two", Some(90), true),
        ("none", None, false),
        ("gone", None, false),
    ] {
        let answer = cluster.call(key(name), port, get_request("/")).await;
        assert_eq!(answer.is_ok(), listens, "{name} {port:?}");
        if let Err(ClusterHttpError::NoSuchService { service, why }) = answer {
            assert_eq!(service, key(name));
            assert!(!why.is_empty());
        }
    }
}

#[tokio::test]
async fn services_that_call_each_other_in_a_circle_end_with_508() {
    let cluster: Arc<Mutex<Option<Arc<dyn ClusterHttp>>>> = Arc::default();
    let inside = cluster.clone();
    let running = cart(config(), &[100], move |_, request| {
        let cluster = inside.lock().clone().unwrap();
        async move {
            let mut again = get_request("http://cart/");
            if let Some(hops) = request.headers().get(HOPS_HEADER) {
                again.headers_mut().insert(HOPS_HEADER, hops.clone());
            }
            Ok(cluster.call(key("cart"), None, again).await.unwrap())
        }
    })
    .await;
    *cluster.lock() = Some(running.gateway.cluster_http());
    let seen = get(running.addr, CART, "/").await;
    assert_eq!((seen.status, seen.reason()), (StatusCode::LOOP_DETECTED.as_u16(), "CallLoop"));
    *cluster.lock() = None;
}
