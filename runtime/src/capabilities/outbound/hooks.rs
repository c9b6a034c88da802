use std::sync::{Arc, LazyLock};

use http::{HeaderName, HeaderValue, Request};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as HttpError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks,
};

use super::{Outbound, client::Timeouts};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Headers that frame a message or name its peer: they are the host's to set, in both directions.
static FORBIDDEN: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(is_forbidden));

fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name)
}

type IoFuture = Box<dyn Future<Output = Result<(), HttpError>> + Send>;
type SendFuture = Box<dyn Future<Output = Result<(http::Response<WasiBody>, IoFuture), HttpError>> + Send>;

/// What an instance sends, with the trace of the request that it works on.
pub(crate) struct OutboundHooks {
    outbound: Arc<Outbound>,
    pub(crate) traceparent: Option<HeaderValue>,
}

impl OutboundHooks {
    pub(crate) fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound, traceparent: None }
    }
}

impl WasiHttpHooks for OutboundHooks {
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
        if let Some(traceparent) = &self.traceparent
            && !request.headers().contains_key(TRACEPARENT)
        {
            request.headers_mut().insert(TRACEPARENT, traceparent.clone());
        }
        let outbound = self.outbound.clone();
        Box::new(async move {
            let response = outbound.send(request, Timeouts::from(options)).await?;
            let done: IoFuture = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}
