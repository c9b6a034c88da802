use sha2::Digest as _;

use super::*;

#[tokio::test]
async fn a_blob_is_sent_in_one_post_and_in_post_and_put() {
    let registry = Fixture::new();
    let (bytes, digest) = (b"in one".to_vec(), ContentDigest::of(b"in one"));
    let path = format!("/v2/a/b/blobs/uploads/?digest={digest}");
    let done = registry.send(Method::POST, &path, &[], bytes.clone()).await;
    assert_eq!(done.status, StatusCode::CREATED);
    assert_eq!(done.header("location"), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(registry.get(done.header("location")).await.body, bytes);
    let second = registry.push_blob("a/b", b"in two").await;
    assert_eq!(registry.get(&format!("/v2/a/b/blobs/{second}")).await.body, b"in two".as_slice());
}

#[tokio::test]
async fn parts_come_in_order_and_the_end_names_the_digest() {
    let registry = Fixture::new();
    let place = registry.begin("a").await;
    let first =
        registry.send(Method::PATCH, &place, &[("content-range", "0-3"), ("content-length", "4")], "abcd").await;
    assert_eq!((first.status, first.header("range")), (StatusCode::ACCEPTED, "0-3"));
    let status = registry.get(first.header("location")).await;
    assert_eq!((status.status, status.header("range")), (StatusCode::NO_CONTENT, "0-3"));
    for wrong in ["5-8", "0-3"] {
        let refused =
            registry.send(Method::PATCH, &place, &[("content-range", wrong), ("content-length", "4")], "efgh").await;
        assert_eq!((refused.status, refused.header("range")), (StatusCode::RANGE_NOT_SATISFIABLE, "0-3"), "{wrong}");
    }
    let second =
        registry.send(Method::PATCH, &place, &[("content-range", "4-7"), ("content-length", "4")], "efgh").await;
    assert_eq!((second.status, second.header("range")), (StatusCode::ACCEPTED, "0-7"));
    let digest = ContentDigest::of(b"abcdefghij");
    let done = registry
        .send(
            Method::PUT,
            &format!("{place}?digest={digest}"),
            &[("content-range", "8-9"), ("content-length", "2")],
            "ij",
        )
        .await;
    assert_eq!(done.status, StatusCode::CREATED, "{done:?}");
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).await.body, b"abcdefghij".as_slice());
    assert_eq!(registry.get(&place).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let registry = Fixture::new();
    let place = registry.begin("a").await;
    registry.send(Method::PATCH, &place, &[], "before ").await;
    let registry = registry.restarted();
    assert_eq!(registry.get(&place).await.header("range"), "0-6");
    registry.send(Method::PATCH, &place, &[], "after").await;
    let digest = ContentDigest::of(b"before after");
    let done = registry.send(Method::PUT, &format!("{place}?digest={digest}"), &[], Body::empty()).await;
    assert_eq!(done.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_came_of_a_body_that_broke_off_is_kept() {
    let registry = Fixture::new();
    let place = registry.begin("a").await;
    let pieces: [Result<&str, std::io::Error>; 2] = [Ok("half"), Err(std::io::Error::other("gone"))];
    let broken = Body::from_stream(futures::stream::iter(pieces));
    assert_eq!(registry.send(Method::PATCH, &place, &[], broken).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(registry.get(&place).await.header("range"), "0-3");
}

#[tokio::test]
async fn an_upload_can_be_cancelled() {
    let registry = Fixture::new();
    let place = registry.begin("a").await;
    assert_eq!(registry.delete(&place).await.status, StatusCode::NO_CONTENT);
    let gone = registry.send(Method::PATCH, &place, &[], "x").await;
    assert_eq!((gone.status, gone.code().as_str()), (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"));
}

#[tokio::test]
async fn wrong_and_missing_digests_are_refused_and_nothing_is_kept() {
    let registry = Fixture::new();
    let wrong = ContentDigest::of(b"other");
    for end in [format!("?digest={wrong}"), String::new(), "?digest=sha256:00".to_owned(), "?digest=md5:00".to_owned()]
    {
        let place = registry.begin("a").await;
        let refused = registry.send(Method::PUT, &format!("{place}{end}"), &[], "bytes").await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::BAD_REQUEST, "DIGEST_INVALID"), "{end}");
    }
    assert_eq!(registry.get(&format!("/v2/a/blobs/{wrong}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn blobs_are_mounted_from_a_repository_or_from_wherever_they_are() {
    let registry = Fixture::new();
    let digest = registry.push_blob("from", b"shared").await;
    for query in [format!("?mount={digest}&from=from"), format!("?mount={digest}")] {
        let mounted = registry.send(Method::POST, &format!("/v2/to/blobs/uploads/{query}"), &[], Body::empty()).await;
        assert_eq!(
            (mounted.status, mounted.header("location")),
            (StatusCode::CREATED, format!("/v2/to/blobs/{digest}").as_str())
        );
        assert_eq!(registry.delete(&format!("/v2/to/blobs/{digest}")).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(registry.get(&format!("/v2/from/blobs/{digest}")).await.status, StatusCode::OK);
    let absent = ContentDigest::of(b"absent");
    let begun = registry
        .send(Method::POST, &format!("/v2/to/blobs/uploads/?mount={absent}&from=from"), &[], Body::empty())
        .await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "an upload begins where nothing can be mounted");
}

#[tokio::test]
async fn sha512_is_an_algorithm_too() {
    let registry = Fixture::new();
    let hex: String = sha2::Sha512::digest(b"long").iter().map(|byte| format!("{byte:02x}")).collect();
    let place = registry.begin("a").await;
    let done = registry.send(Method::PUT, &format!("{place}?digest=sha512:{hex}"), &[], "long").await;
    assert_eq!(done.status, StatusCode::CREATED);
    assert_eq!(registry.get(&format!("/v2/a/blobs/sha512:{hex}")).await.body, b"long".as_slice());
}
