//! Sessions of workers and gateways: each has a task that reads it and hands what it says to the shell.

use api::{
    ObjectKey, WorkerName,
    replica::{ReplicaPhase, ReplicaSpec, Reserves},
    session::{ForGateway, ForWorker, GatewayUp, WorkerHello, WorkerUp},
};
use scheduler::{Event, EventKind};
use tokio::sync::mpsc;

use super::{Input, SessionId, Shell, gateways::Scope};
use crate::{identity::now, kind::SERVICE, peers::Claim, projection::About, projection::Report};

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

    pub(super) fn attach_gateway(&mut self, session: ForGateway, worker: Option<WorkerName>) {
        let id = self.new_session();
        let scope = worker.map_or(Scope::Whole, |worker| {
            let (guests, changes) = self.peers.guests(&worker, 0).unwrap_or_default();
            Scope::Guests { used: self.peers.is_used(&worker), worker, guests, changes }
        });
        self.gateways.attach(id, session.tx, scope, &self.network);
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

    pub(super) fn worker_says(&mut self, session: SessionId, mut message: WorkerUp) {
        let mut open = Vec::new();
        if let WorkerUp::Hello(hello) = &mut message {
            self.workers.name(session, &hello.name);
            self.advertised(&hello.name, hello.address.clone());
            open = self.recognise(hello);
        }
        match self.workers.worker(session) {
            Some(worker) => {
                if let WorkerUp::Phase { id, phase: ReplicaPhase::Stopped } = &message {
                    self.peers.stopped(&worker, id);
                }
                self.step(Event::Worker { worker: worker.clone(), message });
                for spec in &open {
                    if self.network.runs_on(&spec.revision, &spec.id) == Some(&worker) {
                        self.place(&worker, spec);
                    }
                }
            }
            // The rest of a session that was replaced or ended, or a worker that did not say its name first.
            None => tracing::debug!("a message of a worker session that is over was dropped"),
        }
    }

    /// What a worker says that it runs is taken for so where it was placed there and is not over. The rest is nobody's, and is
    /// told to stop. Returned is what has rights once the scheduler has taken it up.
    fn recognise(&self, hello: &mut WorkerHello) -> Vec<ReplicaSpec> {
        let Some(seal) = &self.seal else { return Vec::new() };
        let (mut forged, mut open) = (0, Vec::new());
        for running in &mut hello.running {
            if !seal.holds(&hello.name, &running.spec) {
                forged += 1;
                // As it is on its way out, nobody takes it over; and what it holds is not known.
                (running.phase, running.spec.reserves) = (ReplicaPhase::Draining, Reserves::default());
                continue;
            }
            match self.peers.claim(&hello.name, &running.spec.id) {
                Claim::Holds => {}
                Claim::Open => open.push(running.spec.clone()),
                Claim::Over => running.phase = ReplicaPhase::Draining,
            }
        }
        if forged > 0 {
            tracing::warn!(worker = %hello.name, forged, "the worker runs what was not placed there: it is told to stop it");
        }
        self.peers.runs(&hello.name, &hello.running.iter().map(|running| running.spec.id.clone()).collect());
        open
    }

    pub(super) fn gateway_says(&mut self, session: SessionId, message: GatewayUp) {
        match message {
            GatewayUp::Listener { service, port, outcome } => {
                if self.gateways.listens(session) {
                    self.listened(&service, port, outcome);
                } else {
                    self.refuse(session, &service);
                }
            }
            GatewayUp::Samples(mut samples) => {
                samples.retain(|sample| self.may_speak_of(session, &sample.service));
                self.sampled(session.gateway(), samples);
            }
            GatewayUp::Wake { service, queued, in_flight } => {
                if self.may_speak_of(session, &service) {
                    self.waiting(session.gateway(), &service, queued, in_flight);
                }
            }
        }
    }

    /// A gateway speaks only of Services whose endpoints it was told.
    fn may_speak_of(&self, session: SessionId, service: &ObjectKey) -> bool {
        // One that is gone meanwhile is nobody's any more.
        if !self.network.is_told(service) {
            return false;
        }
        let may = self.gateways.is_told(session, service, &self.network);
        if !may {
            self.refuse(session, service);
        }
        may
    }

    fn refuse(&self, session: SessionId, service: &ObjectKey) {
        if let Some(worker) = self.gateways.worker(session) {
            self.peers.no_gateway(worker, service);
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
