use std::{net::IpAddr, time::Duration};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderMap},
};
use serde::Deserialize;

use super::{
    challenge::Challenge,
    credentials::{Credentials, credentials_for},
};
use crate::ImageReference;

/// Bytes of a token answer or an error that are read.
const MAX_SMALL_ANSWER_BYTES: u64 = 1 << 20;
/// How often a request is sent, the first included, if the registry is busy or broken.
const MAX_TRIES: u32 = 4;
/// The wait before the second try. It doubles.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait that a registry may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// One repository of a registry, with the right to do one thing there.
pub(super) struct Registry {
    http: reqwest::Client,
    host: String,
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
    pub(super) async fn open(
        http: reqwest::Client,
        reference: &ImageReference,
        action: &'static str,
    ) -> Result<Self, String> {
        let (host, repository) = (reference.registry(), reference.repository());
        let scheme = if is_loopback(&host) { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{repository}/")).map_err(|error| error.to_string())?;
        let credentials = credentials_for(&host).await?;
        let rights = if action == "push" { "pull,push" } else { "pull" };
        Ok(Self { http, host, base, repository, rights, credentials, authorization: None })
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
            let mut request = prepare(self.http.request(method.clone(), url.clone()));
            // What the registry was shown is not for another host that it names.
            if let Some(authorization) = self.authorization.as_ref().filter(|_| url.origin() == self.base.origin()) {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let wait = match request.send().await {
                Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED && self.authorization.is_none() => {
                    self.authorize(answer.headers()).await?;
                    tries -= 1;
                    continue;
                }
                Ok(answer) if is_passing(answer.status()) && tries < MAX_TRIES => retry_after(answer.headers()),
                Ok(answer) => return Ok(answer),
                Err(error) if tries < MAX_TRIES && (error.is_connect() || error.is_request()) => None,
                Err(error) => return Err(causes(&error)),
            };
            tokio::time::sleep(wait.unwrap_or(BACKOFF * (1 << (tries - 1)))).await;
        }
    }

    async fn authorize(&mut self, headers: &HeaderMap) -> Result<(), String> {
        let asked = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        self.authorization = Some(match asked.filter_map(Challenge::parse).next() {
            Some(Challenge::Basic) => self.credentials.basic().ok_or_else(|| self.log_in())?,
            Some(Challenge::Bearer { realm, service }) => self.token(&realm, service.as_deref()).await?,
            None => return Err(format!("{} refuses access and does not say what it wants", self.host)),
        });
        Ok(())
    }

    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String, String> {
        let mut url = Url::parse(realm).map_err(|error| format!("its token server `{realm}` is no URL: {error}"))?;
        if url.scheme() != "https" && !url.host_str().is_some_and(is_loopback) {
            return Err(format!("its token server `{realm}` is not reached by TLS, and would see the password"));
        }
        let scope = format!("repository:{}:{}", self.repository, self.rights);
        url.query_pairs_mut().extend_pairs(service.map(|service| ("service", service))).append_pair("scope", &scope);
        let mut request = self.http.get(url);
        if let Some(basic) = self.credentials.basic() {
            request = request.header(header::AUTHORIZATION, basic);
        }
        let answer = request.send().await.map_err(|error| causes(&error))?;
        if !answer.status().is_success() {
            return Err(format!("{}; {}", refusal(answer).await, self.log_in()));
        }
        let body = read(answer, MAX_SMALL_ANSWER_BYTES, "the token").await?;
        let token: Token = serde_json::from_slice(&body).map_err(|error| format!("its token is no JSON: {error}"))?;
        let token = token.token.or(token.access_token).ok_or("its token server gave no token")?;
        Ok(format!("Bearer {token}"))
    }

    fn log_in(&self) -> String {
        format!("log in with `docker login {}`, or put the credentials into ~/.docker/config.json", self.host)
    }
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

/// As Docker does: a registry of this machine is reached without TLS.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_tls() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["ghcr.io", "localhost.example:5000", "10.0.0.1:5000", "127.0.0.1.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
