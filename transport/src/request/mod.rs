//! The request path between processes: pooled HTTP/1.1 over a Unix socket on one machine, over mutual TLS between machines.

mod body;
mod carried;
mod confirm;
mod connect;
mod dialer;
mod gone;
mod headers;
mod link;
mod pool;
mod read_on;
mod serve;

use std::time::Duration;

pub use confirm::CheckedAddresses;
pub use dialer::RemoteDialer;
pub use serve::{RequestListener, ServingThreads, bind_for_another, connect_for_another, serve_requests};

/// The limits of requests between processes.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// How long connecting to a worker may take.
    pub connect: Duration,
    /// Connections to one worker that each thread keeps for further requests.
    pub max_idle: usize,
    /// How long it keeps one that nothing uses.
    pub idle_for: Duration,
    /// How often a worker is asked whether it is alive.
    pub ping_every: Duration,
    /// A worker that has not answered for so long gets no requests.
    pub lost_after: Duration,
    /// How long the beginning of an answer that may be a stream waits: for its end, so that a client whose worker is lost meanwhile
    /// has seen nothing, and another replica can be asked; of an event stream, or where no other can be asked, for its first piece.
    pub head_held: Duration,
    /// The same of an answer that is no stream: one whose length is known, or one to another method than GET.
    pub answer_held: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(500),
            max_idle: 256,
            idle_for: Duration::from_secs(60),
            ping_every: Duration::from_millis(50),
            lost_after: Duration::from_millis(200),
            head_held: Duration::from_millis(5),
            answer_held: Duration::from_millis(100),
        }
    }
}
