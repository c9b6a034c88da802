use std::{ops::ControlFlow, time::Duration};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderMap},
};

use super::{
    authorize::Authorization,
    challenge::Challenge,
    endpoint::Endpoint,
    follow::{NoAnswer, Question},
    identities::Identities,
    refusal::refusal,
    scope::Scopes,
};
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
    /// What will be done here. Empty: only the credentials are asked about.
    pub(super) wanted: Scopes,
    pub(super) identities: Identities,
    pub(super) authorization: Authorization,
    is_private: bool,
    /// Whether it gave or took anything, by the present credentials.
    was_of_use: bool,
}

impl Registry {
    /// `rights` is what a token is asked for where the registry does not say it: `pull`, or `pull,push`.
    pub(super) fn new(
        endpoint: Endpoint,
        repository: &str,
        rights: &str,
        identities: Identities,
    ) -> Result<Self, String> {
        let base = endpoint.base(repository)?;
        let authorization = Authorization::of(identities.credentials());
        let wanted = Scopes::read(&format!("repository:{repository}:{rights}"));
        Ok(Self { endpoint, base, wanted, identities, authorization, is_private: false, was_of_use: false })
    }

    /// Whether the registry takes the credentials.
    pub(super) async fn check(endpoint: Endpoint, credentials: Credentials) -> Result<(), String> {
        let mut registry = Self::new(endpoint, "", "", Identities::one(credentials))?;
        registry.wanted = Scopes::default();
        let url = registry.base.join("/v2/").map_err(|error| error.to_string())?;
        match registry.send(Method::GET, url, |request| request).await? {
            answer if answer.status().is_success() => Ok(()),
            answer => Err(refusal(answer).await),
        }
    }

    /// Whether something came from here by the credentials of a namespace alone.
    pub(super) fn is_private(&self) -> bool {
        self.is_private
    }

    /// Goes on with other credentials if there are any and these were of no use until now.
    pub(super) async fn try_others(&mut self) -> Result<bool, String> {
        if self.was_of_use || !self.identities.next().await? {
            return Ok(false);
        }
        self.authorization = Authorization::of(self.identities.credentials());
        Ok(true)
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
        // What the registry was shown is not for another host that it names, nor are that one's demands its own.
        let is_own = |url: &Url, base: &Url| url.origin() == base.origin();
        loop {
            tries += 1;
            self.renew().await;
            let shown = self.authorization.shown.as_ref().map(|shown| (shown.header.as_str(), &self.base));
            let (method, url) = (method.clone(), url.clone());
            let question = Question { method, url, prepare: &prepare, shown, is_secret: false };
            let outcome = match self.endpoint.ask(question).await {
                Ok(answer) if is_own(answer.url(), &self.base) && self.is_refused(&answer) => {
                    let asks = answer.headers().clone();
                    let words = refusal(answer).await;
                    self.authorize(&asks).await.map_err(|why| match why.as_str() {
                        "" => words,
                        why => format!("{words}; {why}"),
                    })?;
                    tries -= 1;
                    continue;
                }
                outcome => outcome,
            };
            match self.after(outcome, tries) {
                ControlFlow::Continue(wait) => tokio::time::sleep(wait).await,
                ControlFlow::Break(last) => {
                    let answer = last?;
                    self.took(&answer);
                    return Ok(answer);
                }
            }
        }
    }

    /// What comes after so many tries: how long the server is left alone before another one while it is busy or broken, or
    /// the end.
    pub(super) fn after(
        &self,
        outcome: Result<Response, NoAnswer>,
        tries: u32,
    ) -> ControlFlow<Result<Response, String>, Duration> {
        let again = tries < self.endpoint.tries;
        match outcome {
            Ok(answer) if again && is_passing(answer.status()) => {
                ControlFlow::Continue(retry_after(answer.headers()).unwrap_or_else(|| pause(tries)))
            }
            Ok(answer) => ControlFlow::Break(Ok(answer)),
            Err(NoAnswer::Failed(error)) if again && (error.is_connect() || error.is_request()) => {
                ControlFlow::Continue(pause(tries))
            }
            Err(no) => ControlFlow::Break(Err(no.into())),
        }
    }

    /// Whether the registry wants to be shown something, or something else.
    fn is_refused(&self, answer: &Response) -> bool {
        let asks_for_more =
            |challenge: &Challenge| matches!(challenge, Challenge::Bearer(bearer) if bearer.is_insufficient);
        match answer.status() {
            StatusCode::UNAUTHORIZED => true,
            StatusCode::FORBIDDEN => Challenge::all(answer.headers()).iter().any(asks_for_more),
            _ => false,
        }
    }

    /// Notes what an answer says of the credentials.
    fn took(&mut self, answer: &Response) {
        let status = answer.status();
        let is_busy = matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
        if status.is_success() || (status.is_client_error() && !is_busy) {
            self.authorization.is_accepted();
        }
        self.was_of_use |= status.is_success();
        self.is_private |= status.is_success() && self.identities.is_private();
    }
}

/// The pause after a try, with jitter, so that many that were refused together do not come back together.
pub(super) fn pause(tries: u32) -> Duration {
    (BACKOFF * (1 << (tries - 1))).mul_f64(rand::random_range(0.75..1.5))
}

/// A body of at most `limit_bytes`.
pub(super) async fn read(mut answer: Response, limit_bytes: u64, what: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    is_plain(&answer)?;
    while let Some(chunk) = answer.chunk().await.map_err(|error| causes(&error))? {
        if (bytes.len() + chunk.len()) as u64 > limit_bytes {
            return Err(format!("{what} is larger than the limit of {limit_bytes} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// An error with what it comes from: reqwest's own text says only that something failed. And which limit it met, if it did.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let causes = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => format!("{causes} (`connect-timeout` of registries.toml)"),
        (true, false) => format!("{causes} (`idle-timeout` of registries.toml)"),
        (false, _) => causes,
    }
}

/// Whether a body is as it is stored. Another coding was not asked for, and no digest is of it.
pub(super) fn is_plain(answer: &Response) -> Result<(), String> {
    let coding =
        answer.headers().get(header::CONTENT_ENCODING).map(|coding| String::from_utf8_lossy(coding.as_bytes()));
    match coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        None => Ok(()),
        Some(coding) => {
            let host = answer.url().host_str().unwrap_or_default();
            Err(format!(
                "{host} answers in the coding `{coding}`, though `identity` was asked for: look at the proxies before it"
            ))
        }
    }
}

pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
        || matches!(status.as_u16(), 500 | 502..=504)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
