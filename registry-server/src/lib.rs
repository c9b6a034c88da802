//! The registry of an installation: the OCI distribution specification 1.1 over the local image store.
//!
//! It answers at `/v2/` beside the Kubernetes API, to the same token and to two that may only push or pull.
//! What is pushed is at once an image of the local store, and what was built there can be pulled.

mod access;
mod blobs;
mod discovery;
mod error;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod manifests;
mod target;
mod uploads;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use http_server::{Access, not_noted};
use registry_client::hosted::{Repositories, Repository};
use tokio::sync::Semaphore;

pub use access::Tokens;
use access::{Role, Shown};
use error::RegistryError;
use target::{Place, Target};

/// Requests that are answered at the same time; further ones are told to come again.
const MAX_REQUESTS: usize = 256;

/// Bytes that are read of a body that is of no use.
const MAX_DRAINED_BYTES: usize = 8 << 20;
/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What every request is given.
#[derive(Clone)]
struct Registry {
    repositories: Repositories,
    tokens: Arc<Tokens>,
    requests: Arc<Semaphore>,
}

/// The routes of the registry: everything from `/v2` on.
pub fn router(repositories: Repositories, tokens: impl Into<Arc<Tokens>>) -> Router {
    let requests = Arc::new(Semaphore::new(MAX_REQUESTS));
    let registry = Registry { repositories, tokens: tokens.into(), requests };
    Router::new()
        .route("/v2", axum::routing::any(answer))
        .route("/v2/", axum::routing::any(answer))
        .route("/v2/{*rest}", axum::routing::any(answer))
        .with_state(registry)
}

async fn answer(State(registry): State<Registry>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = Unread(Some(body));
    let answered = async {
        let role = registry.role(&parts)?;
        let _place = registry.requests.try_acquire().map_err(|_| RegistryError::TooManyRequests)?;
        role.check(&parts.method)?;
        registry.dispatch(&parts, &mut body).await
    };
    let answered = answered.await;
    body.drain().await;
    let too_many = matches!(answered, Err(RegistryError::Later(_)));
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    if too_many {
        response = not_noted(response);
    }
    response.headers_mut().insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    if parts.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

impl Registry {
    /// Who asks; who shows a right token is no stranger to the server any more.
    fn role(&self, parts: &Parts) -> Result<Role, RegistryError> {
        let shown = self.tokens.role(&parts.headers);
        if shown == Shown::Nothing {
            return Err(RegistryError::Unauthorized);
        }
        match (Access::of(&parts.extensions, shown != Shown::Wrong), shown.role()) {
            (Access::Given, Some(role)) => Ok(role),
            (Access::Later(why), _) => Err(RegistryError::Later(why)),
            _ => Err(RegistryError::Unauthorized),
        }
    }

    async fn dispatch(&self, parts: &Parts, body: &mut Unread) -> Result<Response, RegistryError> {
        let target = Target::parse(parts.uri.path())?;
        let (name, place) = match target {
            Target::Root => return Ok(json(StatusCode::OK, "application/json", "{}".into())),
            Target::Catalog => return discovery::catalog(self.repositories.clone(), &parts.uri).await,
            Target::In { name, place } => (name, place),
        };
        let call = Call {
            repository: self.repositories.repository(&name).map_err(RegistryError::NameInvalid)?,
            repositories: self.repositories.clone(),
            headers: parts.headers.clone(),
            uri: parts.uri.clone(),
        };
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        match (place, &parts.method) {
            (Place::Blob(digest), _) if reads => call.blob(digest).await,
            (Place::Blob(digest), &Method::DELETE) => call.delete_blob(digest).await,
            (Place::Uploads, &Method::POST) => call.begin_upload(body).await,
            (Place::Upload(id), &Method::GET) => call.upload_status(id).await,
            (Place::Upload(id), &Method::PATCH) => call.send_part(id, body).await,
            (Place::Upload(id), &Method::PUT) => call.end_upload(id, body).await,
            (Place::Upload(id), &Method::DELETE) => call.cancel_upload(id).await,
            (Place::Manifest(reference), _) if reads => call.manifest(reference).await,
            (Place::Manifest(reference), &Method::PUT) => call.put_manifest(reference, body).await,
            (Place::Manifest(reference), &Method::DELETE) => call.delete_manifest(reference).await,
            (Place::Tags, _) if reads => call.tags().await,
            (Place::Referrers(digest), _) if reads => call.referrers(digest).await,
            (_, method) => Err(RegistryError::Unsupported(format!("{method} cannot be done at this address"))),
        }
    }
}

/// A body that perhaps nobody reads.
struct Unread(Option<Body>);

impl Unread {
    fn take(&mut self) -> Body {
        self.0.take().unwrap_or_default()
    }

    /// Reads what is left, as far as it is not too much: clients that send before they read would see a broken connection
    /// instead of the answer.
    async fn drain(&mut self) {
        let Some(body) = self.0.take() else { return };
        let reading = async {
            let (mut frames, mut read) = (body.into_data_stream(), 0);
            while let Some(Ok(bytes)) = frames.next().await {
                read += bytes.len();
                if read > MAX_DRAINED_BYTES {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
    }
}

/// One request in a repository.
struct Call {
    repository: Repository,
    repositories: Repositories,
    headers: HeaderMap,
    uri: Uri,
}

impl Call {
    /// A value of the query, decoded.
    fn query(&self, name: &str) -> Option<String> {
        query(&self.uri, name)
    }

    /// Calls the store where blocking does no harm.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Repository) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let repository = self.repository.clone();
        blocking(move || ask(&repository)).await
    }
}

fn query(uri: &Uri, name: &str) -> Option<String> {
    let axum::extract::Query(pairs) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    let asked = tokio::task::spawn_blocking(ask).await;
    asked.unwrap_or_else(|error| Err(RegistryError::Internal(error.to_string())))
}

/// A response with one body.
fn json(status: StatusCode, media_type: &str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, media_type);
    response
}

/// A response without a body.
fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Sets a header whose text is our own, or was checked.
fn set(response: &mut Response, name: impl http::header::IntoHeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
