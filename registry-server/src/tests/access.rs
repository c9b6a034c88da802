use base64::{Engine, prelude::BASE64_STANDARD};

use super::*;

#[tokio::test]
async fn without_a_token_everything_is_refused_with_a_challenge() {
    let registry = Fixture::new();
    for shown in ["", "Bearer wrong", "Basic eDp3cm9uZw==", "Digest x"] {
        let refused = registry.send(Method::GET, "/v2/", &[("authorization", shown)], Body::empty()).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"));
        assert!(refused.header("www-authenticate").starts_with("Basic"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_token_is_a_bearers_or_any_users_password() {
    let registry = Fixture::new();
    for (token, _) in &registry.tokens {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("anybody:{token}")));
        for shown in [format!("Bearer {token}"), basic] {
            let answer = registry.send(Method::GET, "/v2/", &[("authorization", &shown)], Body::empty()).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
        }
    }
}

#[tokio::test]
async fn each_role_may_do_its_own_and_no_more() {
    let registry = Fixture::new();
    let digest = registry.push("a", "v1").await;
    for (token, role) in &registry.tokens {
        let shown = format!("Bearer {token}");
        let shown = [("authorization", shown.as_str())];
        let pulled = registry.send(Method::GET, "/v2/a/manifests/v1", &shown, Body::empty()).await;
        assert_eq!(pulled.status, StatusCode::OK);
        let pushed = registry.send(Method::POST, "/v2/a/blobs/uploads/", &shown, Body::empty()).await;
        let deleted = registry.send(Method::DELETE, "/v2/a/blobs/sha256:00", &shown, Body::empty()).await;
        let (may_push, may_delete) = (*role != Role::Pull, *role == Role::Admin);
        assert_eq!(pushed.status == StatusCode::ACCEPTED, may_push, "{role:?}");
        assert_eq!(deleted.status != StatusCode::FORBIDDEN, may_delete, "{role:?}");
        if !may_push {
            assert_eq!((pushed.status, pushed.code().as_str()), (StatusCode::FORBIDDEN, "DENIED"));
        }
    }
    assert_eq!(registry.get(&format!("/v2/a/manifests/{digest}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_name_that_is_another_registrys_is_refused() {
    let registry = Fixture::new();
    for name in ["ghcr.io/a/b", "localhost/a", "UPPER", "a/_manifests", "../a", "a//b"] {
        let refused = registry.send(Method::POST, &format!("/v2/{name}/blobs/uploads/"), &[], Body::empty()).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::BAD_REQUEST, "NAME_INVALID"), "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_of_no_use_is_read_before_the_answer() {
    let registry = Fixture::new();
    let read = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for (token, path) in [("wrong", "/v2/a/blobs/uploads/"), ("right", "/v2/a/blobs/uploads/?digest=none")] {
        let (counts, all) = (read.clone(), 100);
        let pieces = futures::stream::iter(0..all).map(move |_| {
            counts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, std::io::Error>("piece")
        });
        let right = format!("Bearer {}", registry.tokens[0].0);
        let shown = if token == "right" { right.as_str() } else { token };
        let refused = registry.send(Method::POST, path, &[("authorization", shown)], Body::from_stream(pieces)).await;
        assert!(refused.status.is_client_error());
        assert_eq!(read.swap(0, std::sync::atomic::Ordering::Relaxed), all, "{path}");
    }
}
