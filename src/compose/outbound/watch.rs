use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use api::{
    WorkerName,
    session::{ForWorker, Session, WorkerDown, WorkerUp, in_process},
};
use tokio::sync::mpsc;

use super::Granted;

/// A worker's session, as it is, of which `of` takes note under the name that the worker says: who is not started here has
/// none.
pub(in crate::compose) fn watched(
    session: ForWorker,
    of: impl Fn(&WorkerName) -> Option<Arc<Granted>> + Send + Sync + 'static,
) -> ForWorker {
    let (to_control_plane, for_control_plane) = in_process();
    tokio::spawn(carry(session, to_control_plane, of));
    for_control_plane
}

/// Hands messages on in both directions until either side has ended.
async fn carry(
    worker: ForWorker,
    control_plane: Session<WorkerUp, WorkerDown>,
    of: impl Fn(&WorkerName) -> Option<Arc<Granted>> + Send + Sync,
) {
    let noted: OnceLock<(Arc<Granted>, u64)> = OnceLock::new();
    let up = |message: &WorkerUp| match message {
        WorkerUp::Hello(hello) => {
            if let Some(granted) = of(&hello.name) {
                let session = granted.joined(&hello.running);
                // A worker says hello once in a session. Of one that does so again, no more is granted.
                let _ = noted.set((granted, session));
            }
        }
        message => {
            if let Some((granted, _)) = noted.get() {
                granted.heard(message);
            }
        }
    };
    let down = |message: &WorkerDown| {
        if let Some((granted, session)) = noted.get() {
            // Before the worker knows it, so that it never asks too early.
            granted.told(*session, message, Instant::now());
        }
    };
    tokio::select! {
        () = hand_on(worker.rx, control_plane.tx, up) => {}
        () = hand_on(control_plane.rx, worker.tx, down) => {}
    }
}

async fn hand_on<M>(mut from: mpsc::Receiver<M>, to: mpsc::Sender<M>, note: impl Fn(&M)) {
    while let Some(message) = from.recv().await {
        note(&message);
        if to.send(message).await.is_err() {
            return;
        }
    }
}
