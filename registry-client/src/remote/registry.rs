use std::time::Duration;

use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderMap},
};
use serde::Deserialize;

use super::endpoint::Endpoint;
use crate::access::Credentials;

/// Bytes of a token answer or an error that are read.
pub(super) const MAX_SMALL_ANSWER_BYTES: u64 = 1 << 20;
/// The wait before the second try. It doubles.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait that a registry may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// One repository of a registry, with the right to do one thing there.
pub(crate) struct Registry {
    pub(super) endpoint: Endpoint,
    base: Url,
    pub(super) repository: String,
    /// What the token is asked for: `pull`, or `pull,push`.
    pub(super) rights: &'static str,
    pub(super) credentials: Credentials,
    pub(super) authorization: Option<String>,
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
                Ok(answer) if is_passing(answer.status()) && tries < self.endpoint.tries => {
                    retry_after(answer.headers())
                }
                Ok(answer) => return Ok(answer),
                Err(error) if tries < self.endpoint.tries && (error.is_connect() || error.is_request()) => None,
                Err(error) => return Err(causes(&error)),
            };
            tokio::time::sleep(wait.unwrap_or_else(|| pause(tries))).await;
        }
    }
}

/// The pause after a try, with jitter, so that many that were refused together do not come back together.
pub(super) fn pause(tries: u32) -> Duration {
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

pub(super) fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || matches!(status.as_u16(), 500 | 502..=504)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
