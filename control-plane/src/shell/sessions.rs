//! Sessions of workers and gateways: each has a task that reads it and hands what it says to the shell.

use api::{
    ObjectKey,
    session::{ForGateway, ForWorker, GatewayUp, WorkerUp},
};
use scheduler::{Event, EventKind};
use tokio::sync::mpsc;

use super::{Input, SessionId, Shell};
use crate::{identity::now, kind::SERVICE, projection::About, projection::Report};

impl Shell {
    pub(super) fn attach_worker(&mut self, session: ForWorker) {
        let id = self.new_session();
        self.workers.attach(id, session.tx);
        let logs = self.logs.clone();
        self.read(session.rx, Input::WorkerGone(id), move |message| match message {
            // Lines go straight to the log: a replica that writes much must not keep the scheduler busy.
            WorkerUp::Log { id, lines } => {
                logs.append(&id, lines, now());
                None
            }
            message => Some(Input::FromWorker(id, message)),
        });
    }

    pub(super) fn attach_gateway(&mut self, session: ForGateway) {
        let id = self.new_session();
        self.gateways.attach(id, session.tx, &self.network);
        self.read(session.rx, Input::GatewayGone(id), move |message| Some(Input::FromGateway(id, message)));
    }

    /// Reads a session until it or the shell ends. The reader waits when the shell's queue is full.
    fn read<M: Send + 'static>(
        &self,
        mut messages: mpsc::Receiver<M>,
        gone: Input,
        input: impl Fn(M) -> Option<Input> + Send + Sync + 'static,
    ) {
        let (inputs, shutdown) = (self.inputs.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            let reading = async {
                while let Some(message) = messages.recv().await {
                    let Some(input) = input(message) else { continue };
                    if inputs.send(input).await.is_err() {
                        return;
                    }
                }
                // Only a shell that has ended does not take it.
                let _ = inputs.send(gone).await;
            };
            tokio::select! {
                () = reading => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    pub(super) fn worker_says(&mut self, session: SessionId, message: WorkerUp) {
        if let WorkerUp::Hello(hello) = &message {
            self.workers.name(session, &hello.name);
            self.network.set_address(&hello.name, hello.address.clone());
        }
        match self.workers.worker(session) {
            Some(worker) => self.step(Event::Worker { worker, message }),
            // The rest of a session that was replaced or ended, or a worker that did not say its name first.
            None => tracing::debug!("a message of a worker session that is over was dropped"),
        }
    }

    pub(super) fn gateway_says(&mut self, session: SessionId, message: GatewayUp) {
        match message {
            GatewayUp::Listener { service, port, outcome } => self.listened(&service, port, outcome),
            GatewayUp::Samples(samples) => self.sampled(session.gateway(), samples),
            GatewayUp::Wake { service, queued, in_flight } => {
                self.waiting(session.gateway(), &service, queued, in_flight);
            }
        }
    }

    fn listened(&mut self, key: &ObjectKey, port: u16, outcome: Result<String, String>) {
        let at = now();
        let Some(service) = self.network.service(key) else { return };
        if !service.ports.iter().any(|wanted| wanted.port == port) {
            return;
        }
        let uid = service.uid.clone();
        let failed = outcome.as_ref().err().cloned();
        let status = self.listeners.entry(key.clone()).or_default();
        if !status.set(port, outcome, at) {
            return;
        }
        self.writer.service_status(SERVICE.key(key), status.clone());
        if let Some(why) = failed {
            let about = About { kind: SERVICE, key: key.clone(), uid };
            let message = format!("port {port} is not bound: {why}");
            let report = Report { about: &about, kind: EventKind::Warning, reason: "PortNotBound", message: &message };
            self.projection.events.report(&report, at);
        }
    }

    fn new_session(&mut self) -> SessionId {
        self.next_session += 1;
        SessionId(self.next_session)
    }
}
