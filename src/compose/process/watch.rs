use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use api::{
    OpenArtifact,
    session::{ForWorker, Session, WorkerDown, WorkerUp, in_process},
};
use tokio::sync::mpsc;

use super::Granted;

/// A process' worker session, as it is, of which `granted` takes note. What is compiled, `artifacts` say in its place.
pub(super) fn watched(session: ForWorker, granted: Arc<Granted>, artifacts: Arc<dyn OpenArtifact>) -> ForWorker {
    let (to_control_plane, for_control_plane) = in_process();
    tokio::spawn(carry(session, to_control_plane, granted, artifacts));
    for_control_plane
}

/// Hands messages on in both directions until either side has ended.
async fn carry(
    worker: ForWorker,
    control_plane: Session<WorkerUp, WorkerDown>,
    granted: Arc<Granted>,
    artifacts: Arc<dyn OpenArtifact>,
) {
    let noted: OnceLock<u64> = OnceLock::new();
    let up = |message: &mut WorkerUp| match message {
        WorkerUp::Hello(hello) => {
            // A worker says hello once in a session. Of one that does so again, no more is granted.
            let _ = noted.set(granted.joined(&hello.running));
            hello.cached = artifacts.compiled();
        }
        message => granted.heard(message),
    };
    let down = |message: &mut WorkerDown| {
        if let Some(session) = noted.get() {
            // Before the worker knows it, so that it never asks too early.
            granted.told(*session, message, Instant::now());
        }
    };
    tokio::select! {
        () = hand_on(worker.rx, control_plane.tx, up) => {}
        () = hand_on(control_plane.rx, worker.tx, down) => {}
    }
}

pub(super) async fn hand_on<M>(mut from: mpsc::Receiver<M>, to: mpsc::Sender<M>, note: impl Fn(&mut M)) {
    while let Some(mut message) = from.recv().await {
        note(&mut message);
        if to.send(message).await.is_err() {
            return;
        }
    }
}
