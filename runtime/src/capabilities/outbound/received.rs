use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use crate::replica::Charge;

/// The body of an answer, which counts against the replica that receives it: the piece that its guest was given last is held until
/// the next one is asked for.
pub(super) fn counted(inner: WasiBody, charge: Charge) -> WasiBody {
    Received { inner, at_least: charge.bytes(), charge }.boxed_unsync()
}

struct Received {
    inner: WasiBody,
    charge: Charge,
    /// What counts in any case.
    at_least: u64,
}

impl Body for Received {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
            _ => 0,
        };
        let bytes = bytes.max(self.at_least);
        if bytes != self.charge.bytes()
            && let Err(reached) = self.charge.resize(bytes)
        {
            return Poll::Ready(Some(Err(HttpError::InternalError(Some(reached.to_string())))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
