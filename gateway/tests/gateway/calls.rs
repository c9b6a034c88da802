use std::sync::Arc;

use api::{
    Body, ClusterHttp, ClusterHttpError, HOPS_HEADER, ObjectKey,
    session::{Denied, DeniedCalls, GatewayDown, GatewayUp, Guard, Leaving, Routes, ServiceRoute},
};
use http::{Request, StatusCode};
use parking_lot::Mutex;

use crate::{
    clients::{collect, get},
    fakes::{CART, PATIENCE, cart, config, key, service, start, text, until},
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
    let answered = tokio::task::spawn(cluster.call(&key("caller-1"), key("cart"), None, get_request("http://cart/a")))
        .await
        .unwrap();
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
        let answer = cluster.call(&key("caller-1"), key(name), port, get_request("/")).await;
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
            Ok(cluster.call(&key("caller-1"), key("cart"), None, again).await.unwrap())
        }
    })
    .await;
    *cluster.lock() = Some(running.gateway.cluster_http());
    let seen = get(running.addr, CART, "/").await;
    assert_eq!((seen.status, seen.reason()), (StatusCode::LOOP_DETECTED.as_u16(), "CallLoop"));
    *cluster.lock() = None;
}

#[tokio::test]
async fn callers_and_clients_are_kept_from_a_port_as_the_control_plane_says_by_revision_namespace_and_others() {
    let mut running = start(config(), |name, _| async { text(name) });
    let by = |name: &str| Some(format!("NetworkPolicy {name}"));
    let guard = Guard {
        port: 80,
        others: by("shop/deny"),
        namespaces: vec![("ops".to_owned(), None)],
        revisions: vec![(key("web-1"), None), (ObjectKey::new("ops", "bad-1"), by("ops/out"))],
        outside: by("shop/deny"),
    };
    let guarded = ServiceRoute { guards: vec![guard], ..service("cart", &[80, 81]) };
    running.route(Routes { services: vec![guarded], ingresses: vec![] }).await;
    running.endpoints("cart", &[("r0".into(), 1)]).await;
    let cluster = running.gateway.cluster_http();
    let called = async |caller: ObjectKey, port: u16| match cluster
        .call(&caller, key("cart"), Some(port), get_request("/"))
        .await
    {
        Ok(answer) => answer.status().to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(called(key("web-1"), 80).await, "200 OK");
    assert_eq!(called(ObjectKey::new("ops", "any-1"), 80).await, "200 OK");
    let denied = called(key("other-1"), 80).await;
    assert_eq!(denied, "NetworkPolicy shop/deny does not allow calls to port 80 of service shop/cart");
    assert!(called(ObjectKey::new("ops", "bad-1"), 80).await.starts_with("NetworkPolicy ops/out"));
    assert_eq!(called(key("other-1"), 81).await, "200 OK", "another port is not guarded");
    let seen = get(running.addr, CART, "/").await;
    assert_eq!((seen.status, seen.reason()), (403, "PolicyDenied"));

    let leaving = Leaving {
        ports: (0, 442),
        namespaces: vec![("shop".to_owned(), by("shop/out"))],
        revisions: vec![(key("web-1"), None)],
    };
    running.session.tx.send(GatewayDown::Leaving(vec![leaving])).await.unwrap();
    until("it is told", || cluster.keeps_inside(&key("other-1"), 80).is_some()).await;
    assert_eq!(cluster.keeps_inside(&key("web-1"), 80), None);
    assert_eq!(cluster.keeps_inside(&key("other-1"), 443), None);
    assert_eq!(cluster.keeps_inside(&ObjectKey::new("ops", "any-1"), 80), None);
    let (inside, outside) = running.gateway.measurements().denied_calls;
    assert!(inside == 2 && outside >= 1, "{inside} {outside}");
    let (mut told_inside, mut told_outside) = (0, 0);
    while (told_inside, told_outside) != (inside, outside) {
        let calls = running.message(|up| match up {
            GatewayUp::DeniedCalls(calls) => Some(calls),
            _ => None,
        });
        for DeniedCalls { to, count } in calls.await {
            match to {
                Denied::Service(service) if service == key("cart") => told_inside += count,
                Denied::Outside { namespace } if namespace == "shop" => told_outside += count,
                other => panic!("{other:?}"),
            }
        }
    }

    running.session.tx.send(GatewayDown::Service(service("cart", &[80, 81]))).await.unwrap();
    let begun = std::time::Instant::now();
    while called(key("other-1"), 80).await != "200 OK" {
        assert!(begun.elapsed() < PATIENCE, "the guard stays");
        // A call that is denied waits for nothing.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}
