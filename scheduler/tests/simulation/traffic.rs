//! A gateway and its callers, in numbers: requests come, go to replicas, wait where there is none, and end.

use std::{collections::BTreeMap, time::Duration};

use api::{
    ObjectKey, ReplicaId, Timestamp,
    replica::ReplicaPhase,
    session::{ServiceSample, WorkerUp},
};
use rand::Rng;
use scheduler::{Event, GatewayId, ReplicaState, ReplicaView};

use crate::{
    worker::Room,
    world::{Happening, World},
};

/// How often the gateway reports; a gap that counts as one is longer.
const WINDOW: Duration = Duration::from_millis(300);
/// The one gateway, in a life of the control plane: a new session is a new gateway.
const GATEWAY: u64 = 1;

/// What happens at the gateway.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// By Deployment that traffic scales: requests that come in each window.
    load: BTreeMap<ObjectKey, u32>,
    waiting: BTreeMap<ObjectKey, u32>,
    in_flight: BTreeMap<ObjectKey, u32>,
    /// Until when it says nothing.
    silent_until: Timestamp,
    pub(crate) last_report: Timestamp,
}

impl World {
    /// The load of each Deployment changes now and then; one in two has none for a while.
    pub(crate) fn change_load(&mut self) {
        let scaled: Vec<ObjectKey> = self.store.autoscalers.keys().cloned().collect();
        for key in scaled {
            let load = if self.rng.random_bool(0.5) { 0 } else { self.rng.random_range(1..30) };
            self.traffic.load.insert(key, load);
        }
    }

    pub(crate) fn end_all_traffic(&mut self) {
        self.traffic = Traffic { last_report: self.traffic.last_report, ..Traffic::default() };
    }

    pub(crate) fn silence_gateway(&mut self) {
        let pause = self.spell(Duration::from_secs(10));
        self.traffic.silent_until = self.now + pause;
    }

    /// One window: what waited is tried again, what is new comes, most of what was served ends; then it is reported.
    pub(crate) fn window(&mut self) {
        self.after(WINDOW, Happening::Window);
        if !self.is_quiet() && self.rng.random_bool(0.05) {
            self.change_load();
        }
        let scaled: Vec<ObjectKey> = self.store.autoscalers.keys().cloned().collect();
        let mut samples = Vec::new();
        for key in scaled {
            samples.extend(self.serve(&key).map(|sample| (key.clone(), sample)));
        }
        if self.control.is_up() && self.now >= self.traffic.silent_until {
            self.traffic.last_report = self.now;
            let gateway = GatewayId(GATEWAY + self.control.lives());
            self.step(Event::Sampled { gateway, samples });
        }
    }

    fn serve(&mut self, key: &ObjectKey) -> Option<ServiceSample> {
        let arrivals = self.traffic.load.get(key).copied().unwrap_or(0);
        let before = self.traffic.in_flight.get(key).copied().unwrap_or(0);
        let ended = before - before / 3;
        let present = before - ended;
        let asking = self.traffic.waiting.remove(key).unwrap_or(0) + arrivals;
        let taken = if asking > 0 && self.take(key) { asking } else { 0 };
        let (queued, in_flight) = (asking - taken, present + taken);
        self.traffic.in_flight.insert(key.clone(), in_flight);
        if queued > 0 {
            self.traffic.waiting.insert(key.clone(), queued);
            self.wait(key, queued, in_flight);
        }
        (arrivals + before + queued > 0).then(|| ServiceSample {
            service: key.clone(),
            window: WINDOW,
            arrivals: arrivals.into(),
            completed: ended.into(),
            failed: 0,
            in_flight,
            queued,
            latency_sum: WINDOW * ended,
            served: ended.into(),
            service_sum: WINDOW * ended,
            presence: WINDOW * before,
        })
    }

    fn wait(&mut self, key: &ObjectKey, queued: u32, in_flight: u32) {
        if self.control.is_up() && self.now >= self.traffic.silent_until {
            let (gateway, service, deployment) = (GatewayId(GATEWAY + self.control.lives()), key.clone(), key.clone());
            self.step(Event::Waiting { gateway, service, deployment, queued, in_flight });
        }
    }

    /// Whether some endpoint takes requests: a replica that is ready, or a standby that they start.
    fn take(&mut self, key: &ObjectKey) -> bool {
        let of_it = |view: &&ReplicaView| view.revision.name.starts_with(&format!("{}-v", key.name));
        let endpoints = self.control.mirror.replicas.values().filter(of_it);
        let usable =
            |view: &&ReplicaView| matches!(view.state, ReplicaState::Ready | ReplicaState::Standby { ready: true });
        let endpoints: Vec<ReplicaView> = endpoints.filter(usable).cloned().collect();
        if endpoints.is_empty() {
            return false;
        }
        let chosen = self.rng.random_range(0..endpoints.len());
        self.reach(&endpoints[chosen])
    }

    /// A request arrives at a worker, whatever the control plane knows of it. It starts what stands by, if there is room.
    fn reach(&mut self, view: &ReplicaView) -> bool {
        let Some(name) = view.worker.clone().filter(|name| self.workers[name].alive) else { return false };
        let worker = self.workers.get_mut(&name).expect("it exists");
        match worker.running.get(&view.id).map(|running| running.phase.clone()) {
            Some(ReplicaPhase::Ready) => true,
            Some(ReplicaPhase::Standby) => worker.has_room_for(&view.id) && self.wake_up(&name, &view.id),
            _ => false,
        }
    }

    fn wake_up(&mut self, name: &api::WorkerName, id: &ReplicaId) -> bool {
        let worker = self.workers.get_mut(name).expect("it exists");
        let running = worker.running.get_mut(id).expect("it stands by");
        running.phase = ReplicaPhase::Ready;
        running.room = Room::Taken;
        self.trace(|| format!("a request starts {id} on {name}"));
        self.send_up(name, WorkerUp::Phase { id: id.clone(), phase: ReplicaPhase::Ready });
        true
    }
}

impl crate::worker::SimWorker {
    /// What the real worker reckons before it starts something by itself.
    fn has_room_for(&self, id: &ReplicaId) -> bool {
        let asked = self.running[id].spec.reserves;
        let held = self.running.values().filter(|running| running.room != Room::None);
        let (mut cpu, mut memory, mut count) = (asked.cpu_millis, asked.memory_bytes, 1);
        for running in held {
            cpu += running.spec.reserves.cpu_millis;
            memory += running.spec.reserves.memory_bytes;
            count += 1;
        }
        cpu <= self.capacity.cpu_millis && memory <= self.capacity.memory_bytes && count <= self.capacity.replicas
    }
}
