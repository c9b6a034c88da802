//! What a registry is shown that asks who we are.

use reqwest::{
    RequestBuilder, Url,
    header::{self, HeaderMap},
};
use serde::Deserialize;

use super::{
    challenge::Challenge,
    endpoint::is_loopback,
    registry::{MAX_SMALL_ANSWER_BYTES, Registry, causes, read, refusal},
};
use crate::access::Credentials;

/// A token server calls it either of these.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    pub(super) async fn authorize(&mut self, headers: &HeaderMap) -> Result<(), String> {
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
