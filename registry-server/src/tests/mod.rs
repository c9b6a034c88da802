//! What the distribution specification demands of a registry, each a test.

mod access;
mod collection;
mod content;
mod discovery;
mod quotas;
mod uploads;

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use http_server::Token;
use registry_client::{
    DiskReserve, ImageStore,
    hosted::{ContentDigest, Repositories, UploadQuota},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{access::Role, *};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry with its data in a folder of its own.
struct Fixture {
    store: ImageStore,
    repositories: Repositories,
    router: Router,
    tokens: Vec<(String, Role)>,
    dir: tempfile::TempDir,
}

/// An answer, whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Fixture {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    /// What a new process finds in the folder.
    fn restarted(self) -> Self {
        Self::at(self.dir)
    }

    fn at(dir: tempfile::TempDir) -> Self {
        Self::within(dir, UploadQuota::default(), DiskReserve::default())
    }

    fn within(dir: tempfile::TempDir, quota: UploadQuota, reserve: DiskReserve) -> Self {
        let store = ImageStore::open_above(dir.path().join("images"), reserve).unwrap();
        let repositories = Repositories::open_within(store.clone(), quota).unwrap();
        let admin = Token::load_or_create(&dir.path().join("token")).unwrap();
        let tokens = Tokens::load_or_create(dir.path(), admin).unwrap();
        let all = tokens.all().map(|(token, role)| (token.to_owned(), role)).collect();
        Self { store, repositories: repositories.clone(), router: router(repositories, tokens), tokens: all, dir }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.tokens[0].0));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Body::empty()).await
    }

    /// Begins an upload, and says where it goes on.
    async fn begin(&self, repository: &str) -> String {
        let begun = self.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], Body::empty()).await;
        assert_eq!(begun.status, StatusCode::ACCEPTED);
        begun.header("location").to_owned()
    }

    async fn push_blob(&self, repository: &str, bytes: &[u8]) -> ContentDigest {
        let digest = ContentDigest::of(bytes);
        let place = self.begin(repository).await;
        let done = self.send(Method::PUT, &format!("{place}?digest={digest}"), &[], bytes.to_vec()).await;
        assert_eq!(done.status, StatusCode::CREATED, "{done:?}");
        digest
    }

    async fn put_manifest(&self, repository: &str, name: &str, manifest: &Value) -> Answer {
        let path = format!("/v2/{repository}/manifests/{name}");
        self.send(Method::PUT, &path, &[("content-type", OCI)], manifest.to_string()).await
    }

    /// A manifest with a config and a layer that are there. `mark` makes it differ from others.
    async fn manifest(&self, repository: &str, mark: &str) -> Value {
        let (config, layer) =
            (self.push_blob(repository, b"{}").await, self.push_blob(repository, mark.as_bytes()).await);
        json!({ "schemaVersion": 2, "mediaType": OCI,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config.as_str(), "size": 2 },
            "layers": [ { "mediaType": "text/plain", "digest": layer.as_str(), "size": mark.len() } ] })
    }

    async fn push(&self, repository: &str, tag: &str) -> String {
        let manifest = self.manifest(repository, tag).await;
        let pushed = self.put_manifest(repository, tag, &manifest).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
        pushed.header("docker-content-digest").to_owned()
    }
}
