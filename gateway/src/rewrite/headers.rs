use api::HOPS_HEADER;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header, request::Parts};

use super::forwarded::Peer;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Headers that only the inside may set begin so.
const INSIDE: &str = "x-sampan-";

/// Removes what is between the client and the gateway alone, and what only the inside may set.
pub(crate) fn strip_request(headers: &mut HeaderMap, peer: &Peer) {
    strip(headers, |name| {
        is_hop_by_hop(name) || *name == header::EXPECT || name.as_str().starts_with(INSIDE) || peer.may_not_say(name)
    });
}

/// Removes what is between replica and gateway alone. Which trailers follow is the client's to know.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    let of_the_hop = |name: &HeaderName| is_hop_by_hop(name) && *name != header::TRAILER;
    strip(headers, |name| of_the_hop(name) || name.as_str().starts_with(INSIDE));
}

/// Joins the pieces that HTTP/2 clients may send `cookie` in: who serves HTTP/1.1 reads one (RFC 9113, 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
    headers.insert(header::COOKIE, joined.expect("header values joined by `; ` are a header value"));
}

/// Takes blanks from the ends of values. HTTP/1.1 has none there, and HTTP/2 may have none (RFC 9113, 8.2.1): guests see the same
/// in this process and behind the hop to others.
pub(crate) fn trim_values(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let trimmed = value.as_bytes().trim_ascii();
        if trimmed.len() < value.len() {
            *value = HeaderValue::from_bytes(trimmed).expect("a part of a header value is one");
        }
    }
}

fn strip(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    // Empty for most requests, and then it allocates nothing.
    let mut names: Vec<HeaderName> = Vec::new();
    for (name, value) in headers.iter() {
        if *name == header::CONNECTION {
            names.extend(listed(value));
        }
        if unwanted(name) {
            names.push(name.clone());
        }
    }
    for name in names {
        headers.remove(name);
    }
}

/// The headers that `Connection` names as its own. `Host` is never one: without it a request is for nobody.
fn listed(connection: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    let names = connection.to_str().unwrap_or("").split(',');
    names.filter_map(|name| name.trim().parse().ok()).filter(|name| *name != header::HOST)
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        HTTP2_SETTINGS,
    ]
    .contains(name)
}

/// Whether a request can be answered by another protocol alone. `Upgrade` is an offer that a server may ignore (RFC 9110, 7.8),
/// and clients offer `h2c` or `TLS/1.2` with each request; but who wants a WebSocket has no use for what a guest answers.
pub(crate) fn upgrades(parts: &Parts) -> bool {
    let names = |field: HeaderName, wanted: &str| {
        let words = parts.headers.get_all(field).into_iter().filter_map(|value| value.to_str().ok());
        words.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    // HTTP/1.0 has no upgrades (RFC 9110, 7.8).
    let asks = || names(header::UPGRADE, "websocket") && names(header::CONNECTION, "upgrade");
    parts.method == Method::CONNECT || (parts.version == Version::HTTP_11 && asks())
}

/// How many Services a request went through on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hops(pub(crate) u32);

impl Hops {
    /// As the headers say: none, if they say nothing that is a number.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let value = headers.get(HOPS_HEADER).and_then(|value| value.to_str().ok());
        Self(value.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.insert(HOPS_HEADER, HeaderValue::from(self.0));
    }
}
