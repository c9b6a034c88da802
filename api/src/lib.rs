//! The language that Sampan's roles share: names, quantities, what a replica is, session messages,
//! and the handles through which one role reaches another.
//!
//! It holds types, their parsing and their checks. It does no I/O, reads no clock and starts no task.

mod accept;
mod address;
mod artifact;
mod authorize;
mod body;
mod digest;
mod framing;
mod http_cluster;
mod images;
mod key_value;
mod marks;
mod name;
mod over_quota;
mod pull;
mod quantity;
mod refusals;
mod request_id;
mod serve;
mod shares;
mod source;
mod source_rate;
mod span;
mod taint;
mod thread;
mod time;
mod trailers;

pub mod annotations;
pub mod http1;
pub mod node_affinity;
pub mod outbound;
pub mod replica;
pub mod session;
pub mod template;

pub use accept::{ACCEPT_PAUSE, Accepting, AfterAccept};
pub use address::Address;
pub use artifact::OpenArtifact;
pub use authorize::{Authorize, Call, ConfirmAddress};
pub use body::{Body, BodyError, empty_body, full_body};
pub use digest::{Digest, InvalidDigest};
pub use framing::{Content, frame_answer, frame_request};
pub use http_cluster::{ClusterHttp, ClusterHttpError, HOPS_HEADER};
pub use images::{FetchImage, ImageBytes};
pub use key_value::{Bucket, KeyValue, KeyValueError, Listing, MAX_BATCH, MAX_BATCH_BYTES, MAX_VALUE_BYTES};
pub use marks::{TaintMark, WorkerMarks};
pub use name::{InvalidName, ObjectKey, ReplicaId, WorkerName, check_dns_label, check_dns_subdomain};
pub use over_quota::{OverQuota, OverQuotas};
pub use pull::{Pull, PullPolicy};
pub use quantity::{InvalidQuantity, Quantity};
pub use refusals::{Count, Refusals, Refused};
pub use request_id::{RequestId, TRACEPARENT, TRACEPARENT_BYTES};
pub use serve::{Deadline, Dialer, Serve, ServeError};
pub use shares::{Seat, Seats, Shares};
pub use source::source_of;
pub use source_rate::SourceRate;
pub use span::{InvalidSpan, format_span, parse_span};
pub use taint::{Taint, TaintEffect};
pub use thread::{StartThread, start_thread};
pub use time::Timestamp;
pub use trailers::{allowed_trailers, announce_trailers, frame_trailers, last_chunk, may_trail, reads_trailers};
