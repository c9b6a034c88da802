use std::time::Duration;

use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderMap},
};
use serde::Deserialize;

use super::{
    challenge::Challenge,
    endpoint::{Endpoint, is_loopback},
};
use crate::{ImageError, access::Credentials, incoming::Incoming};

/// Bytes of a token answer or an error that are read.
const MAX_SMALL_ANSWER_BYTES: u64 = 1 << 20;
/// How often a request is sent, the first included, if the registry is busy or broken.
const MAX_TRIES: u32 = 4;
/// The wait before the second try. It doubles.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait that a registry may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// One repository of a registry, with the right to do one thing there.
pub(crate) struct Registry {
    endpoint: Endpoint,
    base: Url,
    repository: String,
    /// What the token is asked for: `pull`, or `pull,push`.
    rights: &'static str,
    credentials: Credentials,
    authorization: Option<String>,
}

/// A token server calls it either of these.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// What the distribution specification makes of an error.
#[derive(Deserialize)]
struct Envelope {
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    pub(super) fn new(
        endpoint: Endpoint,
        repository: String,
        rights: &'static str,
        credentials: Credentials,
    ) -> Result<Self, String> {
        let base = endpoint.base(&repository)?;
        let authorization = match &credentials {
            Credentials::Bearer(token) => Some(format!("Bearer {token}")),
            _ => None,
        };
        Ok(Self { endpoint, base, repository, rights, credentials, authorization })
    }

    /// Whether the registry takes the credentials.
    pub(super) async fn check(endpoint: Endpoint, credentials: Credentials) -> Result<(), String> {
        let mut registry = Self::new(endpoint, String::new(), "", credentials)?;
        let url = registry.base.join("/v2/").map_err(|error| error.to_string())?;
        match registry.send(Method::GET, url, |request| request).await? {
            answer if answer.status() == StatusCode::OK => Ok(()),
            answer => Err(refusal(answer).await),
        }
    }

    /// A URL of the repository: `path` is relative to `/v2/REPOSITORY/`, or what a `Location` header said.
    pub(super) fn url(&self, path: &str) -> Result<Url, String> {
        self.base.join(path).map_err(|error| format!("the registry names a place that is no URL: {error}"))
    }

    /// Sends a request, with credentials once they are asked for, and again while the registry is busy or broken.
    pub(super) async fn send(
        &mut self,
        method: Method,
        url: Url,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, String> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut request = prepare(self.endpoint.http.request(method.clone(), url.clone()));
            // What the registry was shown is not for another host that it names.
            if let Some(authorization) = self.authorization.as_ref().filter(|_| url.origin() == self.base.origin()) {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let wait = match request.send().await {
                Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED && self.authorization.is_none() => {
                    let asks = answer.headers().clone();
                    let words = refusal(answer).await;
                    self.authorize(&asks).await.map_err(|why| format!("{words}; {why}"))?;
                    tries -= 1;
                    continue;
                }
                Ok(answer) if is_passing(answer.status()) && tries < MAX_TRIES => retry_after(answer.headers()),
                Ok(answer) => return Ok(answer),
                Err(error) if tries < MAX_TRIES && (error.is_connect() || error.is_request()) => None,
                Err(error) => return Err(causes(&error)),
            };
            tokio::time::sleep(wait.unwrap_or_else(|| pause(tries))).await;
        }
    }

    /// Fetches a blob to its file, from where an earlier try ended. It has at most `limit_bytes`.
    pub(super) async fn download(
        &mut self,
        url: Url,
        limit_bytes: u64,
        into: &mut Incoming,
        told: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Download> {
        for tries in 1.. {
            match self.download_once(&url, limit_bytes, into, told).await {
                Err(Download::Broken(_)) if tries < MAX_TRIES => tokio::time::sleep(pause(tries)).await,
                ended => return ended,
            }
        }
        unreachable!("the last try ends it")
    }

    async fn download_once(
        &mut self,
        url: &Url,
        limit_bytes: u64,
        into: &mut Incoming,
        told: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Download> {
        let from = into.len();
        if from > limit_bytes {
            into.restart().map_err(Download::Disk)?;
        }
        let ranged = |request: RequestBuilder| match from {
            0 => request,
            _ => request.header(header::RANGE, format!("bytes={from}-")),
        };
        let mut answer = self.send(Method::GET, url.clone(), ranged).await.map_err(Download::Broken)?;
        match answer.status() {
            StatusCode::OK => into.restart().map_err(Download::Disk)?,
            StatusCode::PARTIAL_CONTENT if starts_at(answer.headers(), from) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                into.restart().map_err(Download::Disk)?;
                return Err(Download::Broken("the registry does not go on where a transfer broke off".to_owned()));
            }
            status if is_passing(status) => return Err(Download::Busy(refusal(answer).await)),
            _ => return Err(Download::Refused(refusal(answer).await)),
        }
        loop {
            let chunk = answer.chunk().await.map_err(|error| Download::Broken(causes(&error)))?;
            let Some(chunk) = chunk else { return Ok(()) };
            if into.len() + chunk.len() as u64 > limit_bytes {
                into.restart().map_err(Download::Disk)?;
                let why = format!("the blob is larger than the limit of {limit_bytes} bytes");
                return Err(Download::Refused(why));
            }
            // The page cache takes it: a write of one chunk is shorter than handing it to another thread.
            into.append(&chunk).map_err(Download::Disk)?;
            told(into.len());
        }
    }

    async fn authorize(&mut self, headers: &HeaderMap) -> Result<(), String> {
        let asked = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        self.authorization = Some(match asked.filter_map(Challenge::parse).next() {
            Some(Challenge::Basic) => self.credentials.basic().ok_or_else(|| self.log_in())?,
            Some(Challenge::Bearer { realm, service }) => self.token(&realm, service.as_deref()).await?,
            None => return Err("it does not say what it wants to be shown".to_owned()),
        });
        Ok(())
    }

    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String, String> {
        let url = Url::parse(realm).map_err(|error| format!("its token server `{realm}` is no URL: {error}"))?;
        if url.scheme() != "https" && self.endpoint.scheme != "http" && !url.host_str().is_some_and(is_loopback) {
            return Err(format!("its token server `{realm}` is not reached by TLS, and would see the password"));
        }
        let answer = self.ask_for_token(url, service).send().await.map_err(|error| causes(&error))?;
        if !answer.status().is_success() {
            return Err(format!("{}; {}", refusal(answer).await, self.log_in()));
        }
        let body = read(answer, MAX_SMALL_ANSWER_BYTES, "the token").await?;
        let token: Token = serde_json::from_slice(&body).map_err(|error| format!("its token is no JSON: {error}"))?;
        let token = token.token.or(token.access_token).ok_or("its token server gave no token")?;
        Ok(format!("Bearer {token}"))
    }

    /// As Docker's token servers are asked: by GET with a password, by an OAuth2 POST with an identity token.
    fn ask_for_token(&self, mut url: Url, service: Option<&str>) -> RequestBuilder {
        // Without a repository only the credentials are asked about.
        let scope = (!self.repository.is_empty()).then(|| format!("repository:{}:{}", self.repository, self.rights));
        let scope = scope.as_ref().map(|scope| ("scope", scope));
        let service = service.map(|service| ("service", service));
        if let Credentials::Identity(token) = &self.credentials {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "sampan")];
            let mut form = Url::parse("form:/").expect("it is a URL");
            form.query_pairs_mut().extend_pairs(fields).extend_pairs(service).extend_pairs(scope);
            let body = form.query().unwrap_or_default().to_owned();
            let request = self.endpoint.http.post(url).body(body);
            return request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        url.query_pairs_mut().extend_pairs(service).extend_pairs(scope);
        let request = self.endpoint.http.get(url);
        match self.credentials.basic() {
            Some(basic) => request.header(header::AUTHORIZATION, basic),
            None => request,
        }
    }

    fn log_in(&self) -> String {
        let host = &self.endpoint.host;
        format!("log in with `sampan login {host}`, or name a Secret with credentials in `imagePullSecrets`")
    }
}

/// Why a blob did not come.
pub(super) enum Download {
    /// On the way: what has come is kept, and gone on from.
    Broken(String),
    /// The registry was asked often enough. What has come is kept.
    Busy(String),
    /// The registry does not have it or give it, or it is not what it should be.
    Refused(String),
    /// This machine cannot keep it.
    Disk(ImageError),
}

/// Whether `Content-Range` says that the body starts at this byte.
fn starts_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()) == Some(from.to_string().as_str())
}

/// The pause after a try, with jitter, so that many that were refused together do not come back together.
fn pause(tries: u32) -> Duration {
    (BACKOFF * (1 << (tries - 1))).mul_f64(rand::random_range(0.75..1.5))
}

/// Why a registry refused, in its own words.
pub(super) async fn refusal(answer: Response) -> String {
    let (status, host) = (answer.status(), answer.url().host_str().unwrap_or_default().to_owned());
    let body = read(answer, MAX_SMALL_ANSWER_BYTES, "the error").await.unwrap_or_default();
    match serde_json::from_slice::<Envelope>(&body) {
        Ok(Envelope { errors }) if !errors.is_empty() => {
            let said: Vec<_> = errors.iter().map(|said| format!("{} ({})", said.message, said.code)).collect();
            format!("{host} answers {status}: {}", said.join("; "))
        }
        _ => format!("{host} answers {status}"),
    }
}

/// A body of at most `limit_bytes`.
pub(super) async fn read(mut answer: Response, limit_bytes: u64, what: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| causes(&error))? {
        if (bytes.len() + chunk.len()) as u64 > limit_bytes {
            return Err(format!("{what} is larger than the limit of {limit_bytes} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// An error with what it comes from: reqwest's own text says only that something failed.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || matches!(status.as_u16(), 500 | 502..=504)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
