//! What is noted of a request, and how it is written.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, Method, Uri, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{Reference, User};

/// As Kubernetes cuts what a client says it is.
const MAX_USER_AGENT_BYTES: usize = 1024;
/// The longest URI and name that are written; what is behind is cut.
const MAX_URI_BYTES: usize = 4096;
const CUT: &str = "...TRUNCATED";
/// Parameters of a query whose values open something: they are not written.
const SECRET_PARAMETERS: [&str; 7] =
    ["token", "access_token", "id_token", "refresh_token", "password", "client_secret", "authorization"];

/// In the extensions of a response: the `reason` of a Status.
#[derive(Debug, Clone, Copy)]
pub struct Reason(pub &'static str);

/// In the extensions of a response: the name that what was created has.
#[derive(Debug, Clone)]
pub struct Named(pub String);

/// The stages of a request, as Kubernetes names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    RequestReceived,
    /// Of requests that last: watches, and logs that are followed.
    ResponseStarted,
    ResponseComplete,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) code: u16,
    pub(super) reason: Option<&'static str>,
    pub(super) name: Option<String>,
    /// As whom it was asked, if not as who asked.
    pub(super) impersonated: Option<Arc<User>>,
}

/// A request as it is noted.
#[derive(Debug)]
pub(super) struct Asked {
    id: String,
    received: Timestamp,
    uri: String,
    verb: String,
    user: Option<Arc<User>>,
    source: Option<IpAddr>,
    user_agent: String,
    object: Option<Reference>,
    /// Whether the answer may last.
    pub(super) lasts: bool,
}

impl Asked {
    pub(super) fn of(
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        id: String,
        user: Option<Arc<User>>,
        source: Option<IpAddr>,
    ) -> Self {
        let object = Reference::of(uri.path());
        let watches = uri.query().is_some_and(|query| says(query, "watch"));
        let follows = uri.query().is_some_and(|query| says(query, "follow"));
        let verb = match &object {
            Some(object) => object.verb(method, watches).to_owned(),
            None => method.as_str().to_ascii_lowercase(),
        };
        let logs = object.as_ref().is_some_and(|object| object.subresource == "log");
        let lasts = verb == "watch" || (logs && follows);
        let user_agent = headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        let user_agent = cut(&user_agent.unwrap_or_default(), MAX_USER_AGENT_BYTES);
        let uri = cut(&without_secrets(uri), MAX_URI_BYTES);
        Self { id, received: Timestamp::now(), uri, verb, user, source, user_agent, object, lasts }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether a token was shown that is known.
    pub(super) fn is_known(&self) -> bool {
        self.user.is_some()
    }

    /// As an object of `audit.k8s.io/v1`.
    pub(super) fn event(&self, stage: Stage, at: Timestamp, outcome: Option<&Outcome>) -> Value {
        let anonymous;
        let user = match &self.user {
            Some(user) => user,
            None => {
                anonymous = User::anonymous();
                &anonymous
            }
        };
        let mut event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": self.id,
            "stage": format!("{stage:?}"), "requestURI": self.uri, "verb": self.verb,
            "user": shown(user),
            "requestReceivedTimestamp": micros(self.received), "stageTimestamp": micros(at),
        });
        if let Some(source) = self.source {
            event["sourceIPs"] = json!([source.to_string()]);
        }
        if !self.user_agent.is_empty() {
            event["userAgent"] = json!(self.user_agent);
        }
        if let Some(object) = &self.object {
            event["objectRef"] = object.to_json(outcome.and_then(|outcome| outcome.name.as_deref()));
        }
        if let Some(outcome) = outcome {
            if let Some(user) = &outcome.impersonated {
                event["impersonatedUser"] = shown(user);
            }
            event["responseStatus"] = outcome.status();
            let decision = match outcome.code {
                401 | 429 if self.user.is_none() => None,
                403 => Some("forbid"),
                _ if self.user.is_none() => None,
                _ => Some("allow"),
            };
            if let Some(decision) = decision {
                let reason = format!("what the token of {} may do", user.name);
                event["annotations"] =
                    json!({ "authorization.k8s.io/decision": decision, "authorization.k8s.io/reason": reason });
            }
        }
        event
    }
}

impl Outcome {
    /// A `Status` without a message, which might show what was sent.
    fn status(&self) -> Value {
        if self.code == 0 {
            return json!({ "metadata": {}, "status": "Failure", "message": "Connection closed early" });
        }
        let mut status = json!({ "metadata": {}, "code": self.code });
        if self.code >= 400 {
            status["status"] = json!("Failure");
        }
        if let Some(reason) = self.reason {
            status["reason"] = json!(reason);
        }
        status
    }
}

/// As `userInfo`.
fn shown(user: &User) -> Value {
    let mut shown = json!({ "username": user.name, "groups": user.groups });
    if !user.uid.is_empty() {
        shown["uid"] = json!(user.uid);
    }
    shown
}

pub(super) fn micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

pub(crate) fn cut(text: &str, bytes: usize) -> String {
    match text.len() <= bytes {
        true => text.to_owned(),
        false => format!("{}{CUT}", &text[..text.floor_char_boundary(bytes)]),
    }
}

fn says(query: &str, name: &str) -> bool {
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    value.is_some_and(|(_, value)| value == "1" || value.eq_ignore_ascii_case("true"))
}

/// Path and query, without the values of parameters that open something, and without whom the URI may name.
fn without_secrets(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}=REDACTED"),
        _ => pair.to_owned(),
    });
    format!("{}?{}", uri.path(), shown.collect::<Vec<_>>().join("&"))
}

fn is_secret(key: &str) -> bool {
    let key = percent_decode_str(key).decode_utf8_lossy().to_ascii_lowercase();
    SECRET_PARAMETERS.contains(&key.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, uri: &str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, "k".repeat(2000).parse().unwrap());
        headers.insert(header::AUTHORIZATION, "Bearer opensesame".parse().unwrap());
        let uri = uri.parse().unwrap();
        Asked::of(
            (&method, &uri, &headers),
            "id".to_owned(),
            Some(Arc::new(User::admin())),
            Some([127, 0, 0, 1].into()),
        )
    }

    #[test]
    fn verbs_and_objects_are_those_of_kubernetes() {
        for (method, uri, verb, object) in [
            (Method::GET, "/api/v1/pods", "list", json!({ "resource": "pods", "apiVersion": "v1" })),
            (Method::GET, "/api/v1/pods?watch=true", "watch", json!({ "resource": "pods", "apiVersion": "v1" })),
            (
                Method::PATCH,
                "/apis/apps/v1/namespaces/shop/deployments/cart/scale",
                "patch",
                json!({ "resource": "deployments", "namespace": "shop", "name": "cart", "apiGroup": "apps",
                    "apiVersion": "v1", "subresource": "scale" }),
            ),
            (
                Method::DELETE,
                "/api/v1/namespaces/shop/secrets",
                "deletecollection",
                json!({ "resource": "secrets", "namespace": "shop", "apiVersion": "v1" }),
            ),
            (
                Method::PUT,
                "/api/v1/namespaces/shop/status",
                "update",
                json!({ "resource": "namespaces", "namespace": "shop", "name": "shop", "apiVersion": "v1",
                    "subresource": "status" }),
            ),
            (
                Method::GET,
                "/api/v1/namespaces/a%2Fb/unknown/%ff",
                "get",
                json!({ "resource": "unknown", "namespace": "a/b", "name": "\u{fffd}", "apiVersion": "v1" }),
            ),
        ] {
            let event = asked(method, uri).event(Stage::RequestReceived, Timestamp::now(), None);
            assert_eq!((&event["verb"], &event["objectRef"]), (&json!(verb), &object), "{uri}");
        }
    }

    #[test]
    fn tokens_and_repositories_are_objects_too() {
        let own = |resource: &str, name: &str| json!({ "resource": resource, "name": name, "apiGroup": "sampan.dev", "apiVersion": "v1" });
        let of = |name: &str, part: &str| {
            json!({ "resource": "repositories", "name": name, "subresource": part, "apiGroup": "sampan.dev",
                "apiVersion": "v2" })
        };
        for (method, uri, verb, object) in [
            (Method::POST, "/sampan/v1/tokens", "create", own("tokens", "6012a449")),
            (Method::DELETE, "/sampan/v1/tokens/6012a449?certificates=true", "delete", own("tokens", "6012a449")),
            (Method::PUT, "/v2/shop/cart/manifests/v1", "update", of("shop/cart", "manifests")),
            (Method::PUT, "/v2/a/manifests/manifests", "update", of("a", "manifests")),
            (Method::HEAD, "/v2/cart/blobs/sha256:00", "get", of("cart", "blobs")),
            (Method::POST, "/v2/cart/blobs/uploads/", "create", of("cart", "blobs")),
            (Method::PATCH, "/v2/a/tags/blobs/uploads/0f", "patch", of("a/tags", "blobs")),
            (Method::GET, "/v2/cart/tags/list", "get", of("cart", "tags")),
        ] {
            let made = Outcome { code: 201, reason: None, name: Some("6012a449".to_owned()), impersonated: None };
            let event = asked(method, uri).event(Stage::ResponseComplete, Timestamp::now(), Some(&made));
            assert_eq!((&event["verb"], &event["objectRef"]), (&json!(verb), &object), "{uri}");
        }
        let event = asked(Method::GET, "/v2/").event(Stage::ResponseComplete, Timestamp::now(), None);
        assert_eq!(event["objectRef"], Value::Null);
    }

    #[test]
    fn nothing_that_opens_is_written_and_what_is_long_is_cut() {
        let uri = format!("/api/v1/pods?a=1&token=opensesame&Access%5FToken=opensesame&b={}", "x".repeat(9000));
        let outcome = Outcome { code: 422, reason: Some("Invalid"), name: None, impersonated: None };
        let event = asked(Method::POST, &uri).event(Stage::ResponseComplete, Timestamp::now(), Some(&outcome));
        let text = event.to_string();
        assert!(!text.contains("opensesame") && text.contains("token=REDACTED&") && text.len() < 8000, "{text}");
        assert_eq!(
            event["responseStatus"],
            json!({ "metadata": {}, "code": 422, "status": "Failure", "reason": "Invalid" })
        );
    }
}
