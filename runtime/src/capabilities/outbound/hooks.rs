use std::sync::{Arc, LazyLock};

use api::{HOPS_HEADER, TRACEPARENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as HttpError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks,
};

use super::{Outbound, client::Timeouts, received::counted};
use crate::replica::Charge;

/// Headers that frame a message or name its peer: they are the host's to set, in both directions.
static FORBIDDEN: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(is_forbidden));

fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name)
}

type IoFuture = Box<dyn Future<Output = Result<(), HttpError>> + Send>;
type SendFuture = Box<dyn Future<Output = Result<(http::Response<WasiBody>, IoFuture), HttpError>> + Send>;

/// What the request that a guest works on gives to those that it causes.
#[derive(Default)]
pub(crate) struct Cause {
    traceparent: Option<HeaderValue>,
    hops: Option<HeaderValue>,
}

impl Cause {
    /// As the headers of the request say.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self { traceparent: headers.get(TRACEPARENT).cloned(), hops: headers.get(HOPS_HEADER).cloned() }
    }

    /// A trace may be continued by the guest itself. Hops are not its to say: it could call in circles for ever.
    fn mark(&self, headers: &mut HeaderMap) {
        if let Some(traceparent) = &self.traceparent {
            headers.entry(TRACEPARENT).or_insert_with(|| traceparent.clone());
        }
        headers.remove(HOPS_HEADER);
        if let Some(hops) = &self.hops {
            headers.insert(HOPS_HEADER, hops.clone());
        }
    }
}

/// What an instance sends, marked with the request that it works on.
pub(crate) struct OutboundHooks {
    outbound: Arc<Outbound>,
    pub(crate) cause: Cause,
    /// For the request that is being sent.
    pub(crate) charge: Option<Charge>,
}

impl OutboundHooks {
    pub(crate) fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound, cause: Cause::default(), charge: None }
    }
}

/// Bytes of a body that a guest writes at once. Two such pieces wait for who takes them.
const PIECE_BYTES: usize = 128 << 10;

impl WasiHttpHooks for OutboundHooks {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_BYTES
    }

    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        FORBIDDEN.clone()
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _body_outcome: IoFuture,
    ) -> SendFuture {
        self.cause.mark(request.headers_mut());
        let (outbound, charge) = (self.outbound.clone(), self.charge.take());
        Box::new(async move {
            let response = outbound.send(request, Timeouts::from(options)).await?;
            let response = match charge {
                Some(charge) => response.map(|body| counted(body, charge)),
                None => response,
            };
            let done: IoFuture = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(hops: &'static str, trace: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (HeaderName::from_static(HOPS_HEADER), HeaderValue::from_static(hops)),
            (TRACEPARENT, HeaderValue::from_static(trace)),
        ])
    }

    #[test]
    fn a_guest_continues_its_trace_and_cannot_change_its_hops() {
        let cause = Cause::of(&headers("7", "given"));
        let (mut silent, mut own) = (HeaderMap::new(), headers("0", "own"));
        cause.mark(&mut silent);
        cause.mark(&mut own);
        assert_eq!((silent, own), (headers("7", "given"), headers("7", "own")));
    }

    #[test]
    fn hops_are_not_invented_by_a_guest() {
        let mut own = headers("9", "own");
        Cause::default().mark(&mut own);
        assert!(!own.contains_key(HOPS_HEADER));
    }
}
