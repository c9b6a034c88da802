//! What a registry is shown that asks who we are: as its challenge says, by Docker's token specification and RFC 6750.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use reqwest::{
    Method, RequestBuilder, Response, Url,
    header::{self, HeaderMap},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    challenge::{Bearer, Challenge},
    endpoint::is_loopback,
    follow::{NoAnswer, Question},
    refusal::refusal,
    registry::{MAX_SMALL_ANSWER_BYTES, Registry, is_passing, read},
    scope::Scopes,
};
use crate::access::Credentials;

/// What a registry is shown in vain, by one's credentials, before it is believed to want none of it: each asks a token server.
const MAX_TRIED: usize = 16;

/// What is shown with each request.
pub(super) struct Shown {
    /// The `Authorization` header.
    pub(super) header: String,
    /// The registry has answered to it other than that it does not do.
    pub(super) is_accepted: bool,
    way: Option<Way>,
    ends: Option<Instant>,
}

/// How something to show is had.
#[derive(Clone, PartialEq, Eq)]
enum Way {
    Password,
    Token(Bearer, Scopes),
}

/// What is known of a registry's demands.
#[derive(Default)]
pub(super) struct Authorization {
    pub(super) shown: Option<Shown>,
    /// What was shown without success since something was taken.
    tried: Vec<Way>,
    /// What tokens were asked for that were taken: another is to allow no less.
    granted: Scopes,
}

impl Authorization {
    /// What is known from the start.
    pub(super) fn of(credentials: &Credentials) -> Self {
        let shown = match credentials {
            Credentials::Bearer(token) => {
                Some(Shown { header: format!("Bearer {token}"), is_accepted: false, way: None, ends: None })
            }
            _ => None,
        };
        Self { shown, ..Self::default() }
    }

    /// The registry took what it was shown, or wanted nothing.
    pub(super) fn is_accepted(&mut self) {
        let Some(shown) = self.shown.as_mut().filter(|shown| !shown.is_accepted) else { return };
        shown.is_accepted = true;
        if let Some(Way::Token(_, scopes)) = &shown.way {
            self.granted = std::mem::take(&mut self.granted).with(scopes);
        }
    }
}

/// A token server calls it either of these. The numbers of some are text.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<Value>,
}

impl Registry {
    /// Finds what else the registry could be shown that refused with these headers. What it took before is asked for
    /// again, once; what it never took is not. Says what stood in the way.
    pub(super) async fn authorize(&mut self, refused: &HeaderMap) -> Result<(), String> {
        if self.authorization.shown.take().is_some_and(|shown| shown.is_accepted) {
            self.authorization.tried.clear();
        }
        let mut hurdles = Vec::new();
        for way in self.ways(&Challenge::all(refused)) {
            if self.authorization.tried.contains(&way) {
                continue;
            }
            if self.authorization.tried.len() >= MAX_TRIED {
                hurdles.push(format!("it was shown {MAX_TRIED} things, and wants yet another"));
                break;
            }
            self.authorization.tried.push(way.clone());
            match self.go(way).await {
                Ok(()) => return Ok(()),
                Err(why) => hurdles.push(why),
            }
        }
        if self.identities.next().await? {
            tracing::debug!(host = self.endpoint.host, ?hurdles, "the registry is shown the next credentials");
            self.authorization = Authorization::of(self.identities.credentials());
            return Ok(());
        }
        if hurdles.is_empty() && self.authorization.tried.is_empty() {
            hurdles.push(match Challenge::all(refused).contains(&Challenge::Basic) {
                true => self.log_in(),
                false => "it does not say what it wants to be shown".to_owned(),
            });
        }
        Err(hurdles.join("; "))
    }

    /// A token whose time is over is not shown: the registry might say so only after a whole upload.
    pub(super) async fn renew(&mut self) {
        let ended = |shown: &&Shown| shown.ends.is_some_and(|ends| ends <= Instant::now());
        let way = self.authorization.shown.as_ref().filter(ended).and_then(|shown| shown.way.clone());
        // Where that fails the registry's own answer says more.
        if let Some(way) = way
            && let Err(why) = self.go(way).await
        {
            tracing::debug!(host = self.endpoint.host, why, "a token that has ended was not renewed");
        }
    }

    /// What could be shown, the best first: a token for all that will be done here, one for what the registry says
    /// alone, the password.
    fn ways(&self, challenges: &[Challenge]) -> Vec<Way> {
        let mut ways = Vec::new();
        for challenge in challenges {
            let Challenge::Bearer(bearer) = challenge else { continue };
            let said = bearer.scopes.clone();
            let wanted = match said.is_empty() {
                true => self.wanted.clone(),
                false => said.clone().with_actions_of(&self.wanted),
            };
            ways.push(Way::Token(bearer.clone(), wanted.with(&self.authorization.granted)));
            let exact = Way::Token(bearer.clone(), said);
            if !bearer.scopes.is_empty() && !ways.contains(&exact) {
                ways.push(exact);
            }
        }
        let has_password = matches!(self.identities.credentials(), Credentials::Password { .. });
        ways.extend((has_password && challenges.contains(&Challenge::Basic)).then_some(Way::Password));
        ways
    }

    async fn go(&mut self, way: Way) -> Result<(), String> {
        let (header, ends) = match &way {
            Way::Password => (self.identities.credentials().basic().ok_or_else(|| self.log_in())?, None),
            Way::Token(bearer, scopes) => self.token(bearer, scopes).await?,
        };
        self.authorization.shown = Some(Shown { header, is_accepted: false, way: Some(way), ends });
        Ok(())
    }

    /// A token, and when it ends if that is said.
    async fn token(&mut self, bearer: &Bearer, scopes: &Scopes) -> Result<(String, Option<Instant>), String> {
        let realm = &bearer.realm;
        let url = self.url(realm).map_err(|_| format!("its token server `{realm}` is no URL"))?;
        // Without TLS only by who said so, or without leaving this machine.
        let stays_here = self.endpoint.scheme == "http" && url.host_str().is_some_and(is_loopback);
        if url.scheme() != "https" && !self.endpoint.is_insecure && !stays_here {
            let host = &self.endpoint.host;
            return Err(format!(
                "its token server `{realm}` is not reached by TLS, and others would see what it is shown; if the registry \
                 has no TLS either, write `plain-http = true` under [registry.\"{host}\"] in the registries' file (--registries)"
            ));
        }
        let answer = self.token_answer(&url, bearer.service.as_deref(), scopes).await?;
        match answer.status() {
            status if status.is_success() => {}
            // It did not say that it would not give one.
            status if is_passing(status) => return Err(format!("no token: {}", refusal(answer).await)),
            _ => return Err(format!("{}; {}", refusal(answer).await, self.log_in())),
        }
        let body = read(answer, MAX_SMALL_ANSWER_BYTES, "the token").await?;
        let given: Token = serde_json::from_slice(&body).map_err(|error| format!("its token is no JSON: {error}"))?;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let token = some(given.token).or(some(given.access_token)).ok_or("its token server gave no token")?;
        if let (Credentials::Identity(_), Some(identity)) = (self.identities.credentials(), some(given.refresh_token)) {
            self.identities.renew(identity);
        }
        let seconds = given.expires_in.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        let ends =
            seconds.filter(|seconds| *seconds > 0).and_then(|s| Instant::now().checked_add(Duration::from_secs(s)));
        Ok((format!("Bearer {token}"), ends))
    }

    /// Asks again while the token server is busy or broken.
    async fn token_answer(&mut self, url: &Url, service: Option<&str>, scopes: &Scopes) -> Result<Response, String> {
        let mut tries = 0;
        loop {
            tries += 1;
            let asked = self.ask_for_token(url.clone(), service, scopes).await;
            match self.after(asked, tries) {
                ControlFlow::Continue(wait) => tokio::time::sleep(wait).await,
                ControlFlow::Break(last) => return last,
            }
        }
    }

    /// As Docker's token servers are asked: by GET with a password, by an OAuth2 POST with an identity token.
    async fn ask_for_token(
        &mut self,
        mut url: Url,
        service: Option<&str>,
        scopes: &Scopes,
    ) -> Result<Response, NoAnswer> {
        let service = service.map(|service| ("service", service.to_owned()));
        if let Credentials::Identity(token) = self.identities.credentials() {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "sampan")];
            // One field with spaces here, where the query has one for each.
            let scope = (!scopes.is_empty()).then(|| ("scope", scopes.to_string()));
            let mut form = Url::parse("form:/").expect("it is a URL");
            form.query_pairs_mut().extend_pairs(fields).extend_pairs(service).extend_pairs(scope);
            let body = form.query().unwrap_or_default().to_owned();
            let prepare = move |request: RequestBuilder| {
                request.body(body.clone()).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            };
            let question = Question { method: Method::POST, url, prepare, shown: None, is_secret: true };
            return self.endpoint.ask(question).await;
        }
        if service.is_some() || !scopes.is_empty() {
            url.query_pairs_mut().extend_pairs(service).extend_pairs(scopes.each().map(|scope| ("scope", scope)));
        }
        let (basic, realm) = (self.identities.credentials().basic(), url.clone());
        let shown = basic.as_deref().map(|basic| (basic, &realm));
        let question = Question { method: Method::GET, url, prepare: |request| request, shown, is_secret: false };
        self.endpoint.ask(question).await
    }

    fn log_in(&self) -> String {
        let host = &self.endpoint.host;
        format!("log in with `sampan login {host}`, or name a Secret with credentials in `imagePullSecrets`")
    }
}
