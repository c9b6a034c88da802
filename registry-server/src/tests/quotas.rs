//! What owners of repositories may have, and the disk's reserve.

use registry_client::{
    RESERVE_FLAG,
    hosted::{ENTRIES_FLAG, Keep, OWNER_FLAG, UNFINISHED_FLAG},
};

use super::*;

fn within(owner_bytes: u64, unfinished_bytes: u64, unfinished: u64) -> Fixture {
    let quota = UploadQuota { owner_bytes, unfinished_bytes, unfinished, ..UploadQuota::default() };
    Fixture::within(tempfile::tempdir().unwrap(), quota, DiskReserve::default())
}

impl Fixture {
    async fn try_push(&self, repository: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", ContentDigest::of(bytes));
        self.send(Method::POST, &path, &[], bytes.to_vec()).await
    }
}

fn refused(answer: &Answer, status: StatusCode, code: &str, text: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    let told = answer.json()["errors"][0]["message"].to_string();
    assert!(told.contains(text), "{told}");
}

#[tokio::test]
async fn an_owner_has_no_more_than_its_quota_in_all_its_repositories_and_gets_back_what_it_deletes() {
    let registry = within(100, 1000, 100);
    assert_eq!(registry.try_push("shop/cart", &[1; 50]).await.status, StatusCode::CREATED);
    assert_eq!(registry.try_push("shop/web/assets", &[2; 50]).await.status, StatusCode::CREATED);
    refused(&registry.try_push("shop/orders", &[3]).await, StatusCode::FORBIDDEN, "DENIED", OWNER_FLAG);
    assert_eq!(registry.try_push("other/cart", &[1; 100]).await.status, StatusCode::CREATED, "another owner");
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI, "layers": [] });
    let put = registry.put_manifest("shop/cart", "v1", &manifest).await;
    refused(&put, StatusCode::FORBIDDEN, "DENIED", OWNER_FLAG);
    let mount = format!("/v2/shop/orders/blobs/uploads/?mount={}&from=shop/cart", ContentDigest::of(&[1; 50]));
    refused(&registry.send(Method::POST, &mount, &[], "").await, StatusCode::FORBIDDEN, "DENIED", OWNER_FLAG);
    // The same once more takes nothing.
    assert_eq!(
        registry.send(Method::POST, &mount.replace("orders", "cart"), &[], "").await.status,
        StatusCode::CREATED
    );
    let gone = registry.delete(&format!("/v2/shop/cart/blobs/{}", ContentDigest::of(&[1; 50]))).await;
    assert_eq!(gone.status, StatusCode::ACCEPTED);
    assert_eq!(registry.try_push("shop/orders", &[3; 50]).await.status, StatusCode::CREATED);
    refused(&registry.try_push("shop/orders", &[4]).await, StatusCode::FORBIDDEN, "DENIED", OWNER_FLAG);
}

#[tokio::test]
async fn blobs_manifests_and_tags_of_an_owner_are_bounded_in_number_however_small_they_are() {
    let quota = UploadQuota { entries: 4, ..UploadQuota::default() };
    let registry = Fixture::within(tempfile::tempdir().unwrap(), quota, DiskReserve::default());
    assert_eq!(registry.try_push("shop/cart", b"{}").await.status, StatusCode::CREATED);
    assert_eq!(registry.try_push("shop/web", &[1]).await.status, StatusCode::CREATED);
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI, "layers": [] });
    assert_eq!(registry.put_manifest("shop/cart", "v1", &manifest).await.status, StatusCode::CREATED);
    let too_many = |answer: &Answer| refused(answer, StatusCode::FORBIDDEN, "DENIED", ENTRIES_FLAG);
    // Also after a restart.
    let registry = Fixture::within(registry.dir, quota, DiskReserve::default());
    too_many(&registry.put_manifest("shop/cart", "v2", &manifest).await);
    let begun = registry.try_push("shop/web", &[2]).await;
    assert_eq!(begun.status, StatusCode::FORBIDDEN, "{begun:?}");
    // What is there takes nothing, and others have theirs.
    assert_eq!(registry.put_manifest("shop/cart", "v1", &manifest).await.status, StatusCode::CREATED);
    assert_eq!(registry.try_push("other/web", &[2]).await.status, StatusCode::CREATED);
    assert_eq!(registry.delete("/v2/shop/cart/manifests/v1").await.status, StatusCode::ACCEPTED);
    assert_eq!(registry.put_manifest("shop/cart", "v2", &manifest).await.status, StatusCode::CREATED);
    too_many(&registry.put_manifest("shop/cart", "v3", &manifest).await);
}

#[tokio::test]
async fn what_an_owner_has_is_known_after_a_restart_and_after_a_collection() {
    let registry = within(100, 1000, 100);
    assert_eq!(registry.try_push("shop/cart", &[1; 90]).await.status, StatusCode::CREATED);
    let place = registry.begin("shop/cart").await;
    registry.send(Method::PATCH, &place, &[], vec![2; 10]).await;
    let quota = UploadQuota { owner_bytes: 100, ..UploadQuota::default() };
    let registry = Fixture::within(registry.dir, quota, DiskReserve::default());
    refused(&registry.try_push("shop/cart", &[3]).await, StatusCode::FORBIDDEN, "DENIED", OWNER_FLAG);
    assert_eq!(registry.delete(&place).await.status, StatusCode::NO_CONTENT);
    assert_eq!(registry.try_push("shop/cart", &[3; 10]).await.status, StatusCode::CREATED);
    registry.repositories.collect(&Keep::default()).unwrap();
    assert_eq!(
        registry.try_push("shop/cart", &[4; 100]).await.status,
        StatusCode::CREATED,
        "nothing needed the others"
    );
}

#[tokio::test]
async fn unfinished_uploads_are_bounded_in_bytes_and_number_and_count_no_more_once_they_end() {
    let registry = within(1000, 20, 2);
    let (first, second) = (registry.begin("shop/cart").await, registry.begin("shop/web").await);
    let third = registry.send(Method::POST, "/v2/shop/cart/blobs/uploads/", &[], "").await;
    refused(&third, StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "finish or cancel");
    assert!(!third.header("retry-after").is_empty());
    registry.begin("other/cart").await;
    assert_eq!(registry.send(Method::PATCH, &first, &[], vec![1; 15]).await.status, StatusCode::ACCEPTED);
    let large = registry.send(Method::PATCH, &second, &[("content-length", "6")], vec![2; 6]).await;
    refused(&large, StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", UNFINISHED_FLAG);
    assert_eq!(registry.send(Method::PATCH, &second, &[], vec![2; 5]).await.status, StatusCode::ACCEPTED);
    // One that says nothing of its length is stopped when it goes beyond, and given up.
    let large = registry.send(Method::PATCH, &second, &[], vec![2; 1]).await;
    refused(&large, StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", UNFINISHED_FLAG);
    assert_eq!(registry.get(&second).await.status, StatusCode::NOT_FOUND);
    let digest = ContentDigest::of(&[1; 15]);
    let done = registry.send(Method::PUT, &format!("{first}?digest={digest}"), &[], "").await;
    assert_eq!(done.status, StatusCode::CREATED, "{done:?}");
    for _ in 0..3 {
        let wrong = format!("/v2/shop/cart/blobs/uploads/?digest={}", ContentDigest::of(b"other"));
        let answer = registry.send(Method::POST, &wrong, &[], vec![3; 20]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "what did not fit has ended: {answer:?}");
    }
    assert_eq!(registry.try_push("shop/cart", &[4; 20]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn below_the_reserve_of_the_disk_nothing_is_pushed_and_what_is_there_is_pulled() {
    let registry = Fixture::new();
    registry.push("shop/cart", "v1").await;
    let manifest = registry.manifest("shop/cart", "v2").await;
    let reserve = DiskReserve::of(registry.dir.path(), Some(u64::MAX));
    let registry = Fixture::within(registry.dir, UploadQuota::default(), reserve);
    for answer in [
        registry.send(Method::POST, "/v2/shop/cart/blobs/uploads/", &[], "").await,
        registry.put_manifest("shop/cart", "v2", &manifest).await,
    ] {
        refused(&answer, StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", RESERVE_FLAG);
    }
    assert_eq!(registry.get("/v2/shop/cart/manifests/v1").await.status, StatusCode::OK);
}
