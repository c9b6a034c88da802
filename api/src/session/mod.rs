//! The two sessions: typed message streams, up to the control plane and down from it.
//!
//! In one process a session is the pair of bounded channels that [`in_process`] makes; between
//! processes it is a stream on the wire. Neither side can tell.

mod gateway;
mod worker;

pub use gateway::{
    Denied, DeniedCalls, Endpoint, GatewayDown, GatewayUp, Guard, Ingress, IngressRule, Leaving, MAX_DENIED_CALLS,
    PathMatch, Routes, SAMPLE_WINDOW, ServicePort, ServiceRoute, ServiceSample, Verdict,
};
pub use worker::{Capacity, CpuUsage, RunningReplica, WorkerDown, WorkerHello, WorkerUp};

use tokio::sync::mpsc;

/// Messages that a session holds in each direction before its sender waits.
pub const SESSION_QUEUE: usize = 4096;

/// One side of a session: what it sends and what it receives.
#[derive(Debug)]
pub struct Session<Send, Receive> {
    /// To the other side. Waits when [`SESSION_QUEUE`] messages are on the way.
    pub tx: mpsc::Sender<Send>,
    /// From the other side. Ends when the other side is gone.
    pub rx: mpsc::Receiver<Receive>,
}

/// The worker's side of a worker session.
pub type WorkerSide = Session<WorkerUp, WorkerDown>;
/// The control plane's side of a worker session.
pub type ForWorker = Session<WorkerDown, WorkerUp>;
/// The gateway's side of a gateway session.
pub type GatewaySide = Session<GatewayUp, GatewayDown>;
/// The control plane's side of a gateway session.
pub type ForGateway = Session<GatewayDown, GatewayUp>;

/// A session within one process: both of its sides.
pub fn in_process<Up, Down>() -> (Session<Up, Down>, Session<Down, Up>) {
    between(SESSION_QUEUE, SESSION_QUEUE)
}

/// As [`in_process`], where so many messages are on their way up and down before who sends them waits.
pub fn between<Up, Down>(up: usize, down: usize) -> (Session<Up, Down>, Session<Down, Up>) {
    let (up_tx, up_rx) = mpsc::channel(up);
    let (down_tx, down_rx) = mpsc::channel(down);
    (Session { tx: up_tx, rx: down_rx }, Session { tx: down_tx, rx: up_rx })
}
