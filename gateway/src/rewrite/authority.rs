use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::HOST,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::refusal::{Reason, Refusal};

/// The host, and port if there is one, that a request is for; `None`: it names none, as HTTP/1.0 allows, and an empty `Host`
/// says. An absolute URI or `:authority` comes before `Host` (RFC 9112, 3.2 and 3.2.2).
pub(crate) fn authority<B>(request: &Request<B>) -> Result<Option<Authority>, Refusal> {
    let bad = |why: &str| Refusal::new(Reason::BadRequest, why);
    let is_authority_alone = request.uri().scheme().is_none() && request.uri().authority().is_some();
    let is_asterisk = request.uri().path() == "*";
    // RFC 9112, 3.2.3 and 3.2.4.
    if (request.version() < Version::HTTP_2 && is_authority_alone && request.method() != Method::CONNECT)
        || (is_asterisk && request.method() != Method::OPTIONS)
    {
        return Err(bad(NO_TARGET));
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(bad("the request has more than one `Host` header"));
    }
    let authority = match (request.uri().authority(), first) {
        (Some(authority), _) => authority.clone(),
        (None, None) if request.version() <= Version::HTTP_10 => return Ok(None),
        (None, None) => return Err(bad(NO_HOST)),
        (None, Some(host)) if host.is_empty() => return Ok(None),
        (None, Some(host)) => {
            Authority::try_from(host.as_bytes()).map_err(|_| bad("the request's `Host` header is not a host"))?
        }
    };
    let port = authority.as_str().strip_prefix(authority.host());
    let has_port = port.is_some_and(|port| matches!(port, "" | ":") || authority.port_u16().is_some());
    // User information is before the host.
    if authority.host().is_empty() || !has_port {
        return Err(bad("the request's `Host` header is not a host, with or without a port"));
    }
    Ok(Some(authority))
}

/// What is said of a target that names nothing.
const NO_TARGET: &str = "the request's target is neither a path, which begins with `/`, nor a whole URL";

/// What is said where a request must name a host.
pub(crate) const NO_HOST: &str = "the request has no `Host` header: it tells which service is meant";

/// Gives the guest a whole URI, and a `Host` that agrees with it.
pub(crate) fn for_guest(parts: &mut Parts, authority: Authority) {
    if parts.uri.authority().is_some() || parts.headers.get(HOST).is_none_or(HeaderValue::is_empty) {
        let host = HeaderValue::from_str(authority.as_str()).expect("an authority is visible ASCII");
        parts.headers.insert(HOST, host);
    }
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority);
    uri.path_and_query = match uri.path_and_query {
        // `OPTIONS *` has no path that an absolute URI could hold.
        Some(path) if path.as_str() != "*" => Some(path),
        _ => Some(PathAndQuery::from_static("/")),
    };
    parts.uri = Uri::from_parts(uri).expect("scheme, authority and path are all there");
}
