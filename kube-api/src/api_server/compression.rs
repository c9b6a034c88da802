//! Long answers are sent compressed to who accepts that, as Kubernetes does.

use http::Response;
use http_body::Body;
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, Predicate},
};

/// Shorter answers are sent as they are, as in Kubernetes: compressing them would take longer than sending them.
const MIN_COMPRESSED_BYTES: u64 = 128 << 10;

/// Marks an answer of which the length is not known before it is sent, and which ends. Changes of a watch are never held back by
/// an encoder that waits for more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Long;

/// Compresses what is long enough.
pub(super) fn layer() -> CompressionLayer<LongEnough> {
    CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(LongEnough)
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LongEnough;

impl Predicate for LongEnough {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        let is_long = response.body().size_hint().exact().is_some_and(|bytes| bytes >= MIN_COMPRESSED_BYTES);
        is_long || response.extensions().get::<Long>().is_some()
    }
}
