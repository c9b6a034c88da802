//! From a request to the part that answers it.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_body::Body as _;
use http_server::audit::Named;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::resources::{Durability, FieldError, Subresource, instead};

use super::{
    Api,
    accept::{self, Accepted},
    body::{self, Whole},
    checks,
    compression::{self, Long},
    delete::DeleteOptions,
    discovery,
    error::ApiError,
    guard::{Asker, authorized},
    live::refuse_writes,
    openapi,
    params::Params,
    patch::{Patch, Patched},
    path::Target,
    refused, reviews,
    scale::ScaleChange,
    selector::Selector,
    service_proxy::Proxied,
    strictness::Strictness,
    table::{IncludeObject, Presentation},
    written_as,
};

/// Where the server says what it is and has.
const DESCRIBED: [&str; 6] =
    ["/version", "/api", "/api/{version}", "/apis", "/apis/{group}", "/apis/{group}/{version}"];

/// Where the server says that it is there, without a token.
const HEALTH: [&str; 3] = ["/healthz", "/livez", "/readyz"];

pub(super) fn router(api: Api) -> Router {
    let guard = api.guard.clone();
    let described = || get(describe);
    // Some clients end these with a slash.
    let about_itself = DESCRIBED
        .iter()
        .fold(Router::new(), |router, path| router.route(path, described()).route(&format!("{path}/"), described()));
    let guarded = about_itself
        .route("/openapi/v2", get(openapi_v2))
        .route("/openapi/v3", described())
        .route("/openapi/v3/{*root}", get(openapi_v3))
        .fallback(objects)
        .with_state(api)
        .layer(compression::layer())
        .layer(middleware::from_fn_with_state(guard, authorized));
    let health = || get(|| async { "ok" });
    let healthy = HEALTH
        .iter()
        .fold(Router::new(), |router, path| router.route(path, health()).route(&format!("{path}/"), health()));
    healthy.fallback_service(guarded)
}

fn json(code: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What the server says of itself.
async fn describe(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_matches('/');
    if let ("api" | "apis", Some((version, media_type))) = (path, accept::aggregated(&headers)) {
        let mut response = json(StatusCode::OK, &discovery::aggregated(path == "api", version));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        return response;
    }
    let described = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["version"] => Some(discovery::version()),
        ["api"] => Some(discovery::core_versions()),
        ["api", version] => discovery::resource_list("", version),
        ["apis"] => Some(discovery::group_list()),
        ["apis", group] => discovery::group(group),
        ["apis", group, version] => discovery::resource_list(group, version),
        ["openapi", "v3"] => Some(openapi::index()),
        _ => None,
    };
    match described {
        Some(value) => json(StatusCode::OK, &value),
        None => ApiError::NoSuchPath { path: uri.path().to_owned() }.into_response(),
    }
}

async fn openapi_v2(headers: HeaderMap) -> Response {
    let (form, document) = openapi::v2_document(&headers);
    ([(header::CONTENT_TYPE, form)], document).into_response()
}

async fn openapi_v3(uri: Uri) -> Response {
    let root = uri.path().trim_end_matches('/').trim_start_matches("/openapi/v3/");
    match openapi::document(root) {
        Some((form, document)) => ([(header::CONTENT_TYPE, form)], document).into_response(),
        None => ApiError::NoSuchPath { path: uri.path().to_owned() }.into_response(),
    }
}

/// Everything that is about objects.
async fn objects(State(api): State<Api>, mut request: Request) -> Response {
    let head_alone = request.method() == Method::HEAD;
    if head_alone {
        *request.method_mut() = Method::GET;
    }
    let is_watch = Params::of(request.uri()).is_ok_and(|params| params.watch());
    let (accepted, heavy) = (Accepted::of(request.headers()), api.heavy.clone());
    let in_form = accepted.as_ref().ok().copied().filter(|_| !is_watch);
    let mut answer = answer(api, request, accepted).await;
    if let Some(accepted) = in_form {
        answer = written_as::rewritten(answer, accepted, &heavy).await.unwrap_or_else(IntoResponse::into_response);
    }
    if head_alone { without_body(answer) } else { answer }
}

/// As it answers HEAD: the fields of an answer alone.
fn without_body(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

async fn answer(api: Api, request: Request, accepted: Result<Accepted, ApiError>) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(proxied) = Proxied::of(&path) {
        return proxied.send(&api, request).await.unwrap_or_else(IntoResponse::into_response);
    }
    let (parts, body) = request.into_parts();
    let answer = async {
        let params = Params::of(&parts.uri)?;
        let (heavy, path) = (api.heavy.clone(), parts.uri.path());
        let target = Target::parse(path).map_err(|error| refused::below(path).unwrap_or(error))?;
        let asker = parts.extensions.get::<Asker>().cloned().ok_or(ApiError::Unauthorized)?;
        let call = Call {
            asker,
            accepted: accepted?,
            strictness: Strictness::of(&params, &parts, target.subresource)?,
            target,
            params,
            headers: parts.headers,
            api,
        };
        let method = parts.method;
        if !matches!(method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
            return call.dispatch(&method, Bytes::new()).await;
        }
        let Whole { bytes, large } = body::read(body, &heavy).await?;
        // What a patch costs does not show in its length.
        if large.is_none() && method != Method::PATCH {
            return call.dispatch(&method, bytes).await;
        }
        let work = async move {
            let _large = large;
            call.dispatch(&method, bytes).await
        };
        heavy.work(work).await
    };
    answer.await.unwrap_or_else(IntoResponse::into_response)
}

/// One request about objects.
struct Call {
    api: Api,
    asker: Asker,
    target: Target,
    params: Params,
    accepted: Accepted,
    strictness: Strictness,
    headers: HeaderMap,
}

impl Call {
    async fn dispatch(self, method: &Method, body: Bytes) -> Result<Response, ApiError> {
        let one = self.target.name.is_some();
        if self.target.resource.durability == Durability::Asked && (method != Method::POST || one) {
            return Err(self.cannot_be_done(method));
        }
        match (method, self.target.subresource, one) {
            (&Method::GET, Some(Subresource::Log), _) => self.log().await,
            (&Method::GET, Some(Subresource::Scale), _) => {
                Ok(json(StatusCode::OK, &self.api.objects.get_scale(&self.target).await?))
            }
            (&Method::GET, _, _) if self.params.watch() => self.watch().await,
            (&Method::GET, None | Some(Subresource::Status), true) => self.get().await,
            (&Method::GET, _, false) => self.list().await,
            (&Method::POST, None, false) => self.create(&body).await,
            (&Method::POST, Some(Subresource::Eviction), true) => {
                let eviction = self.parse_object(&body)?;
                let (options, dry_run) = DeleteOptions::of(eviction.get("deleteOptions").cloned(), &self.params)?;
                let (objects, commands) = (&self.api.objects, &self.api.commands);
                let answer = objects.evict_pod(&self.target, &options, dry_run, commands).await?;
                Ok(json(StatusCode::CREATED, &answer))
            }
            (&Method::POST, Some(Subresource::Token), true) => {
                let (request, dry_run) = (self.parse_object(&body)?, self.params.dry_run()?);
                let answer = self.api.request_token(&self.target, request, dry_run, &self.strictness).await?;
                Ok(self.warned(json(StatusCode::CREATED, &answer)))
            }
            (&Method::PUT, Some(Subresource::Scale), true) => {
                let scale = self.parse_object(&body)?;
                self.scale(ScaleChange::Put(scale)).await
            }
            (&Method::PATCH, Some(Subresource::Scale), true) => {
                let patch = Patch::parse(&self.headers, &body, &self.strictness)?;
                self.scale(ScaleChange::Patch(patch)).await
            }
            (&Method::PUT, None | Some(Subresource::Status), true) => self.update(&body).await,
            (&Method::PATCH, None | Some(Subresource::Status), true) => {
                let patch = Patch::parse(&self.headers, &body, &self.strictness)?;
                self.patch(patch).await
            }
            (&Method::DELETE, None, _) => self.delete(&body).await,
            (method, _, _) => Err(self.cannot_be_done(method)),
        }
    }

    fn cannot_be_done(&self, method: &Method) -> ApiError {
        let resource = self.target.resource;
        let why = format!("{method} cannot be done here: {} know {}", resource.plural, resource.verbs().join(", "));
        ApiError::MethodNotAllowed { why }
    }

    fn parse_object(&self, body: &[u8]) -> Result<Value, ApiError> {
        body::parse_object(&self.headers, body, &self.strictness)
    }

    fn presentation(&self) -> Result<Presentation, ApiError> {
        let include = IncludeObject::of(&self.params)?;
        let Accepted { form, notation, .. } = self.accepted;
        Ok(Presentation { resource: self.target.resource, form, notation, include, now: crate::identity::now() })
    }

    /// An object, with what its writer should know.
    fn object(&self, code: StatusCode, object: Value) -> Result<Response, ApiError> {
        let name = object["metadata"]["name"].as_str().map(|name| Named(name.to_owned()));
        let mut response = self.warned(json(code, &self.presentation()?.object(object)));
        name.map(|name| response.extensions_mut().insert(name));
        Ok(response)
    }

    /// The answer, with the warnings that came up (RFC 7234, section 5.5).
    fn warned(&self, mut response: Response) -> Response {
        for warning in self.strictness.warnings() {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::try_from(format!("299 - \"{quoted}\"")) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        response
    }

    async fn get(&self) -> Result<Response, ApiError> {
        let object = self.api.objects.get(&self.target).await?.object;
        Ok(json(StatusCode::OK, &self.presentation()?.object(object)))
    }

    async fn list(&self) -> Result<Response, ApiError> {
        let selector = Selector::of(&self.params, self.target.resource)?;
        // A list is not waited for, but what is no number is a mistake.
        self.params.timeout_seconds()?;
        let listed = self.api.objects.list(&self.target, &selector, &self.params).await?;
        let mut response = Response::new(listed.into_body(self.presentation()?)?);
        if response.body().size_hint().exact().is_none() {
            response.extensions_mut().insert(Long);
        }
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    fn stream_permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.api.streams.clone().try_acquire_owned().map_err(|_| ApiError::TooManyRequests {
            why: format!(
                "{} watches and logs are followed at the same time, and no more are allowed",
                super::MAX_STREAMS
            ),
        })
    }

    async fn watch(&self) -> Result<Response, ApiError> {
        let (permit, shutdown) = (self.stream_permit()?, self.api.shutdown.clone());
        self.api.objects.watch(&self.target, &self.params, self.presentation()?, permit, shutdown).await
    }

    async fn log(&self) -> Result<Response, ApiError> {
        let (permit, shutdown) = (self.stream_permit()?, self.api.shutdown.clone());
        self.api.objects.pod_log(&self.target, &self.params, &*self.api.logs, permit, shutdown).await
    }

    async fn create(&self, body: &[u8]) -> Result<Response, ApiError> {
        if self.target.resource.plural == "pods" {
            return self.create_pod(self.parse_object(body)?).await;
        }
        refuse_writes(&self.target)?;
        let object = self.parse_object(body)?;
        if self.target.resource.durability == Durability::Asked {
            let answered = reviews::answer(&self.target, object, &self.strictness, &self.asker, &self.api.guard.users)?;
            return self.object(StatusCode::CREATED, answered);
        }
        let created = self.api.objects.create(&self.target, object, self.params.dry_run()?, &self.strictness).await?;
        self.object(StatusCode::CREATED, created)
    }

    async fn create_pod(&self, object: Value) -> Result<Response, ApiError> {
        let (objects, dry_run) = (&self.api.objects, self.params.dry_run()?);
        if checks::is_of_a_replica_set(&object) {
            self.strictness.warn(checks::NOT_KEPT);
            return self.object(StatusCode::CREATED, object);
        }
        let created = objects.create_check(&self.target, object, dry_run, &self.api.checker).await?;
        objects.advise(self.target.resource, &created, None, &self.strictness).await;
        self.object(StatusCode::CREATED, created)
    }

    async fn update(&self, body: &[u8]) -> Result<Response, ApiError> {
        let (objects, dry_run) = (&self.api.objects, self.params.dry_run()?);
        let object = self.parse_object(body)?;
        let updated = match self.target.resource.plural {
            "nodes" => objects.update_node(&self.target, object, dry_run, &self.api.commands).await?,
            _ => {
                refuse_writes(&self.target)?;
                objects.modify(&self.target, dry_run, &self.strictness, |_| Ok(object.clone())).await?
            }
        };
        self.object(StatusCode::OK, updated)
    }

    async fn patch(&self, patch: Patch) -> Result<Response, ApiError> {
        let (objects, dry_run) = (&self.api.objects, self.params.dry_run()?);
        if self.target.resource.plural == "nodes" {
            let node = objects.patch_node(&self.target, &patch, dry_run, &self.api.commands).await?;
            return self.object(StatusCode::OK, node);
        }
        if let ("pods", Patch::Apply(object)) = (self.target.resource.plural, &patch)
            && matches!(objects.get(&self.target).await, Err(ApiError::NotFound { .. }))
        {
            self.asker.may_create(&self.target)?;
            return self.create_pod(object.clone()).await;
        }
        if self.target.resource.plural == "pods"
            && let Some(pod) = objects.pod_that_stays(&self.target, &patch).await?
        {
            self.strictness.warn(checks::NOT_KEPT);
            return self.object(StatusCode::OK, pod);
        }
        refuse_writes(&self.target)?;
        if matches!(patch, Patch::Apply(_)) && self.params.field_manager().is_empty() {
            let missing = FieldError::required(
                "fieldManager",
                "is missing: an apply patch says who applies (`?fieldManager=NAME`)",
            );
            return Err(self.target.invalid(vec![missing]));
        }
        match objects.patch(&self.target, &patch, dry_run, &self.strictness).await? {
            Patched::Changed(object) => self.object(StatusCode::OK, object),
            Patched::Created(object) => self.object(StatusCode::CREATED, object),
        }
    }

    async fn scale(&self, change: ScaleChange) -> Result<Response, ApiError> {
        let (objects, dry_run) = (&self.api.objects, self.params.dry_run()?);
        let scale = objects.change_scale(&self.target, &change, dry_run, &self.strictness).await?;
        Ok(self.warned(json(StatusCode::OK, &scale)))
    }

    async fn delete(&self, body: &[u8]) -> Result<Response, ApiError> {
        let body = if body.is_empty() { None } else { Some(self.parse_object(body)?) };
        let (options, dry_run) = DeleteOptions::of(body, &self.params)?;
        let (objects, target) = (&self.api.objects, &self.target);
        let answer = match (target.resource.durability, target.resource.plural, &target.name) {
            (Durability::Live, "pods", Some(_)) => match objects.delete_check(target, &options, dry_run).await? {
                Some(answer) => answer,
                None => objects.delete_pod(target, &options, dry_run, &self.api.commands).await?,
            },
            (Durability::Live, "nodes", Some(_)) => {
                objects.delete_node(target, &options, dry_run, &self.api.commands).await?
            }
            // Of what there is none, none is left.
            (Durability::Live, _, name) if instead(target.resource).is_some() => match name {
                Some(_) => return Err(target.not_found()),
                None => objects.delete_collection(target, &Selector::default(), &options, dry_run).await?,
            },
            (Durability::Asked, ..) => return Err(self.cannot_be_done(&Method::DELETE)),
            (Durability::Live, ..) => {
                refuse_writes(target)?;
                return Err(target.not_found());
            }
            (Durability::Durable | Durability::Passing, _, Some(_)) => {
                objects.delete(target, &options, dry_run).await?
            }
            (Durability::Durable | Durability::Passing, _, None) => {
                objects
                    .delete_collection(target, &Selector::of(&self.params, target.resource)?, &options, dry_run)
                    .await?
            }
        };
        Ok(json(StatusCode::OK, &answer))
    }
}
