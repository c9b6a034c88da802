use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{Entry, FORWARDED, HOST},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Fields that say for whom a proxy asks, and what it was asked, begin so.
const X_FORWARDED: &str = "x-forwarded-";

/// Who asks, and whether its word is taken for whom it asks.
pub(crate) enum Peer {
    /// A client: what it says of others is replaced.
    Client(HeaderValue),
    /// A proxy that is trusted: what it says is passed on.
    Proxy(HeaderValue),
    /// A guest, from inside.
    Guest,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, trusted: bool) -> Self {
        let address = HeaderValue::from_str(&address.to_string()).expect("an IP address is visible ASCII");
        if trusted { Self::Proxy(address) } else { Self::Client(address) }
    }

    /// Whether a field is dropped that it sent.
    pub(super) fn may_not_say(&self, name: &HeaderName) -> bool {
        matches!(self, Self::Client(_)) && (name.as_str().starts_with(X_FORWARDED) || is_in_disguise(name.as_str()))
    }
}

/// Whether a name is read as one of these where `_` and `-` are the same, as in all that goes by CGI (RFC 3875, 4.1.18).
fn is_in_disguise(name: &str) -> bool {
    let with_dashes = || name.replace('_', "-");
    name.starts_with('x')
        && name.contains('_')
        && (with_dashes().starts_with(X_FORWARDED) || X_REAL_IP == *with_dashes())
}

/// Says for whom the gateway asks, after what a client may not say was dropped.
pub(crate) fn forwarded(headers: &mut HeaderMap, peer: &Peer) {
    match peer {
        Peer::Client(address) => {
            headers.insert(X_FORWARDED_FOR, address.clone());
            if headers.contains_key(X_REAL_IP) {
                headers.insert(X_REAL_IP, address.clone());
            }
            if headers.contains_key(FORWARDED) {
                headers.insert(FORWARDED, element(address));
            }
        }
        Peer::Proxy(address) => append(headers, address),
        Peer::Guest => return,
    }
    headers.entry(X_FORWARDED_PROTO).or_insert_with(|| HeaderValue::from_static("http"));
    if let Some(host) = headers.get(HOST).cloned() {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
}

/// Addresses from before are kept in front.
fn append(headers: &mut HeaderMap, address: &HeaderValue) {
    match headers.entry(X_FORWARDED_FOR) {
        Entry::Vacant(vacant) => {
            vacant.insert(address.clone());
        }
        Entry::Occupied(mut occupied) => {
            let chain: Vec<&[u8]> = occupied.iter().chain([address]).map(HeaderValue::as_bytes).collect();
            let chain = chain.join(&b", "[..]);
            occupied.insert(HeaderValue::from_bytes(&chain).expect("header values joined by `, ` are a header value"));
        }
    }
}

/// An address as RFC 7239 writes it.
fn element(address: &HeaderValue) -> HeaderValue {
    let address = address.to_str().expect("an IP address is visible ASCII");
    let node = if address.contains(':') { format!("\"[{address}]\"") } else { address.to_owned() };
    HeaderValue::from_str(&format!("for={node};proto=http")).expect("an IP address is visible ASCII")
}
