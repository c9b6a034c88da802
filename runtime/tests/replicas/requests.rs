use api::{BodyError, ServeError, full_body};
use http::StatusCode;
use http_body_util::BodyExt;

use crate::fleet::{Fleet, answer, ask, get, request};

#[tokio::test]
async fn a_request_is_answered_by_a_fresh_instance() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for _ in 0..3 {
        assert_eq!(ask(&probe, get("/counter")).await.unwrap(), (200, "1\n".into()));
    }
    assert_eq!(ask(&probe, get("/status/418")).await.unwrap(), (418, "418\n".into()));
}

#[tokio::test]
async fn a_small_answer_is_all_here_when_it_is_given() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("hello-1", "hello");
    let hello = fleet.ready(spec).await;
    let response = answer(&hello, get("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let size = http_body::Body::size_hint(response.body());
    assert!(size.exact().is_some_and(|bytes| bytes > 0), "{size:?}");
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    let large = "x".repeat(5 << 20);
    let (status, echoed) = ask(&probe, request("POST", "/echo", full_body(large.clone()))).await.unwrap();
    assert_eq!((status, echoed.len()), (200, large.len()));
    let (_, streamed) = ask(&probe, get("/stream?chunks=5&bytes=1000&ms=5")).await.unwrap();
    assert_eq!(streamed.len(), 5000);
}

#[tokio::test]
async fn the_guest_sees_the_request_without_headers_of_the_connection() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    let mut asked = get("/headers?a=b");
    asked.headers_mut().insert("x-shop", "1".parse().unwrap());
    asked.headers_mut().insert("connection", "upgrade".parse().unwrap());
    let (_, seen) = ask(&probe, asked).await.unwrap();
    assert!(seen.contains(r#""x-shop":"1""#) && seen.contains("/headers?a=b"), "{seen}");
    assert!(!seen.contains("connection"), "{seen}");
}

#[tokio::test]
async fn a_request_without_a_host_is_the_clients_fault() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    let mut asked = get("/");
    asked.headers_mut().clear();
    assert!(matches!(ask(&probe, asked).await, Err(ServeError::BadRequest { .. })));
}

#[tokio::test]
async fn a_wrong_length_is_an_error_and_never_reaches_the_client_as_an_answer() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for kind in ["length-too-large", "length-too-small"] {
        let body = match answer(&probe, get(&format!("/bad-headers?kind={kind}"))).await {
            Err(ServeError::Trapped { .. }) => continue,
            Err(error) => panic!("{kind}: {error}"),
            Ok(response) => response.into_body().collect().await,
        };
        assert!(matches!(body, Err(BodyError::Guest(_))), "{kind}");
    }
}

#[tokio::test]
async fn a_guest_cannot_set_headers_of_the_connection() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    let (_, taken) = ask(&probe, get("/bad-headers")).await.unwrap();
    assert!(!taken.contains("true"), "{taken}");
}

#[tokio::test]
async fn a_replica_that_does_not_run_refuses_and_hands_the_request_back() {
    let fleet = Fleet::new().await;
    let gone = fleet.dial(&api::ReplicaId(api::ObjectKey::new("shop", "gone-1")));
    match ask(&gone, get("/here")).await {
        Err(ServeError::Refused { request, why }) => {
            assert_eq!(request.uri().path(), "/here");
            assert!(why.contains("shop/gone-1"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_that_breaks_off_is_the_clients_fault_and_no_trap() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    // More often than a replica may trap in a row.
    for _ in 0..20 {
        let broken = futures::stream::iter([
            Ok(http_body::Frame::data("half a ".into())),
            Err(api::BodyError::Closed("bad chunk".to_owned())),
        ]);
        let body = http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(broken));
        match ask(&probe, request("POST", "/drain", body)).await {
            Err(ServeError::BadRequest { why }) => assert!(why.contains("bad chunk"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ask(&probe, get("/")).await.unwrap().0, 200);
}
