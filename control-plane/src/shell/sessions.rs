//! Sessions of workers and gateways: each has a task that reads it and hands what it says to the shell.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use api::{
    ObjectKey, WorkerName,
    replica::{ReplicaPhase, ReplicaSpec, Reserves},
    session::{CpuUsage, ForGateway, ForWorker, GatewayUp, ServiceSample, WorkerHello, WorkerUp},
};
use kube_api::{identity::now, kind::SERVICE};
use scheduler::{Event, EventKind};
use tokio::sync::{Semaphore, mpsc};

use super::{Input, SessionId, Shell, gateways::Scope};
use crate::{peers::Claim, projection::About, projection::Report};

/// Messages of one session that wait in the shell's queue.
const SEATS: usize = 64;
/// Bytes of why a gateway could not bind a port.
const MAX_WHY: usize = 1024;
/// Services of a message that a gateway may speak of though there are no such any more; the rest of the message is dropped.
const MAX_UNKNOWN: usize = 1000;
/// What no gateway counts more of in a window, and the longest time that it speaks of: arithmetic with it holds.
pub(super) const SANE_COUNT: u64 = 1 << 32;
const SANE_SPAN: Duration = Duration::from_secs(1 << 20);

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

    /// Reads a session until it or the shell ends. The reader waits when the shell's queue is full, and when it has as many messages
    /// there as one session may: others wait behind no more of one that says ever more.
    fn read<M: Send + 'static>(
        &self,
        mut messages: mpsc::Receiver<M>,
        gone: Input,
        input: impl Fn(M) -> Option<Input> + Send + Sync + 'static,
    ) {
        let (inputs, shutdown) = (self.inputs.clone(), self.shutdown.clone());
        let seats = Arc::new(Semaphore::new(SEATS));
        self.tasks.spawn(async move {
            let reading = async {
                while let Some(message) = messages.recv().await {
                    let Some(input) = input(message) else { continue };
                    let Ok(seat) = seats.clone().acquire_owned().await else { return };
                    if inputs.send(Input::Seated(Box::new(input), seat)).await.is_err() {
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
        let is_hello = matches!(message, WorkerUp::Hello(_));
        if let WorkerUp::Hello(hello) = &mut message {
            self.peers.introduce(hello);
            self.workers.name(session, &hello.name);
            self.advertised(&hello.name, hello.address.clone());
            open = self.recognise(hello);
        }
        match self.workers.worker(session) {
            Some(worker) => {
                if let WorkerUp::Phase { id, phase: ReplicaPhase::Stopped } = &message {
                    self.peers.stopped(&worker, id);
                }
                if let WorkerUp::Usage(usage) = &message {
                    // Of what is over nothing is kept: nobody would take it away.
                    let is_there = |used: &&CpuUsage| self.replicas.contains_key(&used.id);
                    self.measurements.used_cpu(usage.iter().filter(is_there));
                }
                self.step(Event::Worker { worker: worker.clone(), message });
                for spec in &open {
                    if self.network.runs_on(&spec.revision, &spec.id) == Some(&worker) {
                        self.place(&worker, spec);
                    }
                }
                if is_hello {
                    // What is placed on a new worker from now on is later than what is written down of it.
                    self.note_placements();
                }
            }
            // The rest of a session that was replaced or ended, or a worker that did not say its name first.
            None => tracing::debug!("a message of a worker session that is over was dropped"),
        }
    }

    /// What a worker says that it runs is taken for so where it was placed there and is not over. The rest is nobody's, and is
    /// told to stop. Returned is what has rights once the scheduler has taken it up.
    fn recognise(&mut self, hello: &mut WorkerHello) -> Vec<ReplicaSpec> {
        let Some(seal) = &self.seal else { return Vec::new() };
        let (mut forged, mut open) = (0, Vec::new());
        for running in &mut hello.running {
            let Some(at) = seal.holds(&hello.name, &running.spec) else {
                forged += 1;
                // As it is on its way out, nobody takes it over; and what it holds is not known.
                (running.phase, running.spec.reserves) = (ReplicaPhase::Draining, Reserves::default());
                continue;
            };
            match self.peers.claim(&hello.name, &running.spec.id, at) {
                Claim::Holds => {}
                Claim::Open => open.push(running.spec.clone()),
                Claim::Over => running.phase = ReplicaPhase::Draining,
            }
        }
        if forged > 0 {
            self.peers.forged(&hello.name, forged);
        }
        self.peers.runs(&hello.name, &hello.running.iter().map(|running| running.spec.id.clone()).collect());
        open
    }

    pub(super) fn gateway_says(&mut self, session: SessionId, message: GatewayUp) {
        match message {
            GatewayUp::Listener { service, port, outcome } => {
                let outcome = match outcome {
                    Ok(address) if !is_address(&address) => return,
                    Ok(address) => Ok(address),
                    Err(mut why) => {
                        why.truncate(why.floor_char_boundary(MAX_WHY));
                        Err(why)
                    }
                };
                if self.gateways.listens(session) {
                    self.listened(&service, port, outcome);
                } else {
                    self.refuse(session, &service);
                }
            }
            GatewayUp::Samples(mut samples) => {
                // One of each Service, however often a gateway names one.
                samples.truncate(self.network.told_services().len() + MAX_UNKNOWN);
                samples.retain(|sample| self.may_speak_of(session, &sample.service));
                samples.iter_mut().for_each(make_sane);
                self.sampled(session.gateway(), samples);
            }
            GatewayUp::Wake { service, queued, in_flight } => {
                if self.may_speak_of(session, &service) {
                    self.waiting(session.gateway(), &service, queued, in_flight);
                }
            }
            GatewayUp::DeniedCalls(calls) => self.denied_calls(session, calls),
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

    pub(super) fn refuse(&self, session: SessionId, service: &ObjectKey) {
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

/// Whether a gateway may be found at this, with or without a port.
fn is_address(said: &str) -> bool {
    let is_number = said.parse::<IpAddr>().is_ok() || said.parse::<SocketAddr>().is_ok();
    let host = said.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(said, |(host, _)| host);
    is_number || api::check_dns_subdomain(host).is_ok()
}

/// Cuts what was measured to what may be.
fn make_sane(sample: &mut ServiceSample) {
    for count in [&mut sample.arrivals, &mut sample.completed, &mut sample.failed, &mut sample.served] {
        *count = (*count).min(SANE_COUNT);
    }
    for span in [&mut sample.window, &mut sample.latency_sum, &mut sample.service_sum, &mut sample.presence] {
        *span = (*span).min(SANE_SPAN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_found_at_addresses_and_names_alone() {
        for address in
            ["192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "2001:db8::1", "gateway.example:443", "[::]:8080"]
        {
            assert!(is_address(address), "{address}");
        }
        for none in ["", "a b", "<script>:80", "http://192.0.2.1/", "x:99999", &"x".repeat(300)] {
            assert!(!is_address(none), "{none}");
        }
    }

    #[test]
    fn what_a_gateway_counts_is_cut_to_what_may_be() {
        let (count, span) = (u64::MAX, Duration::from_micros(u64::MAX));
        let mut sample = ServiceSample {
            service: ObjectKey::new("shop", "cart"),
            window: span,
            arrivals: count,
            completed: count,
            failed: count,
            in_flight: u32::MAX,
            queued: u32::MAX,
            latency_sum: span,
            served: count,
            service_sum: span,
            presence: span,
        };
        make_sane(&mut sample);
        assert_eq!((sample.arrivals, sample.served, sample.presence), (SANE_COUNT, SANE_COUNT, SANE_SPAN));
    }
}
