//! Requests to a registry and to where it sends them on. It is followed to addresses that are no nearer to this machine
//! than its own, from TLS to nothing else, and with nothing that was meant for the registry itself.

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};

use super::{
    MAX_REDIRECTS,
    endpoint::{Endpoint, not_for_namespaces},
    reach::{Reach, TooNear, behind_a_proxy, check, check_name, literal, seen},
    registry::causes,
};

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// It was not asked, since it must not be: to try again would not help.
    Forbidden(String),
    /// It was not reached, or broke off.
    Failed(reqwest::Error),
}

/// What is asked, where, and with what.
pub(super) struct Question<'a, P> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Adds headers and the body.
    pub(super) prepare: P,
    /// The `Authorization` header, and the only place that is shown it.
    pub(super) shown: Option<(&'a str, &'a Url)>,
    /// The body is a secret for the first place alone.
    pub(super) is_secret: bool,
}

impl Endpoint {
    /// Asks, and goes on asking where the answers say.
    pub(super) async fn ask<P: Fn(RequestBuilder) -> RequestBuilder>(
        &mut self,
        question: Question<'_, P>,
    ) -> Result<Response, NoAnswer> {
        let Question { mut method, mut url, prepare, shown, is_secret } = question;
        let first = url.clone();
        let mut last = StatusCode::OK;
        let (mut is_plain, mut with_body) = (self.scheme == "http", true);
        for _ in 0..=MAX_REDIRECTS {
            if url.scheme() != "https" && !is_plain {
                return Err(self.downgraded(&url));
            }
            is_plain = url.scheme() == "http";
            if is_secret && with_body && url.origin() != first.origin() {
                let why = format!("{} sends a secret on to {}, which is not given it", place(&first), place(&url));
                return Err(NoAnswer::Forbidden(why));
            }
            let is_own = self.is_own(&url);
            let most = if is_own { self.own } else { self.named() };
            check(&url, most).map_err(|near| self.too_near(&url, &near))?;
            if behind_a_proxy() {
                check_name(&url, most).await.map_err(|near| self.too_near(&url, &near))?;
            }
            let client = self.clients.reaching(most).map_err(NoAnswer::Forbidden)?;
            let mut request = client.request(method.clone(), url.clone());
            if with_body {
                request = prepare(request);
            }
            if let Some((header, _)) = shown.filter(|(_, only)| only.origin() == url.origin()) {
                request = request.header(header::AUTHORIZATION, header);
            }
            let answer = request.send().await.map_err(|error| match TooNear::of(&error) {
                Some(near) => self.too_near(&url, near),
                None => NoAnswer::Failed(error),
            })?;
            if is_own {
                self.answered(&answer);
            }
            let Some(next) = next(&answer) else { return Ok(answer) };
            last = answer.status();
            if becomes_get(answer.status(), &method) {
                (method, with_body) = (Method::GET, false);
            }
            url = next;
        }
        Err(NoAnswer::Forbidden(format!(
            "{} answers {last}, after {MAX_REDIRECTS} others: too many redirects",
            self.host
        )))
    }

    fn is_own(&self, url: &Url) -> bool {
        self.base("").is_ok_and(|base| base.origin() == url.origin())
    }

    /// How near what the registry names may be. Behind a proxy that is not seen, and is public but where an address is written.
    fn named(&self) -> Reach {
        let written = || self.base("").ok().and_then(|base| literal(&base)).map(Reach::of);
        self.named.or_else(written).unwrap_or(Reach::Public)
    }

    /// Where the registry was when it answered, it is: its name may not lead nearer later.
    fn answered(&mut self, answer: &Response) {
        if let Some(reach) = seen(answer.remote_addr()) {
            self.own = self.own.min(reach);
            self.named.get_or_insert(reach);
        }
    }

    fn too_near(&self, url: &Url, near: &TooNear) -> NoAnswer {
        let host = &self.host;
        NoAnswer::Forbidden(match self.is_own(url) {
            true if self.named.is_some() => format!("{near}, where it was not before"),
            true => not_for_namespaces(host, &near.to_string()),
            false if near.reach() == Reach::Link => {
                format!("the registry {host} sends to {}, and {near}: it is never followed there", place(url))
            }
            false if self.is_confined => format!(
                "the registry {host} sends to {}, and {near}: it is not followed there, since `private-network = false` is \
                 written under [registry.\"{host}\"] in the registries' file (--registries)",
                place(url)
            ),
            false => format!(
                "the registry {host} sends to {}, and {near}: it is followed there only if it is in a private network \
                 itself; if it is to be, write `private-network = true` under [registry.\"{host}\"] in the registries' file \
                 (--registries)",
                place(url)
            ),
        })
    }

    fn downgraded(&self, url: &Url) -> NoAnswer {
        let host = &self.host;
        NoAnswer::Forbidden(format!(
            "the registry {host} is reached by TLS, and sends to {}, which is not: it is not followed there; if it has none \
             itself, write `plain-http = true` under [registry.\"{host}\"] in the registries' file (--registries)",
            place(url)
        ))
    }
}

/// Where the answer sends on to.
fn next(answer: &Response) -> Option<Url> {
    let sends_on = matches!(answer.status().as_u16(), 301..=303 | 307 | 308);
    let place = answer.headers().get(header::LOCATION).filter(|_| sends_on)?;
    answer.url().join(place.to_str().ok()?).ok()
}

/// Whether the next request is another than this one (RFC 9110, section 15.4).
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    let has_body = !matches!(*method, Method::GET | Method::HEAD);
    match status {
        StatusCode::SEE_OTHER => has_body,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        _ => false,
    }
}

/// A URL without what may be secret in it.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// An error with what it comes from.
impl From<NoAnswer> for String {
    fn from(no: NoAnswer) -> Self {
        match no {
            NoAnswer::Forbidden(why) => why,
            NoAnswer::Failed(error) => causes(&error),
        }
    }
}
