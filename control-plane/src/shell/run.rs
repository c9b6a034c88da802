use std::time::Duration;

use futures::StreamExt;
use kube_api::identity::now;
use scheduler::{Event, EventKind, Subject};
use store::{Revision, StoreError, Watch, WatchEvent};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use super::{Input, Shell, known_workers::KnownWorkers, network::News};
use crate::peers::Seal;

/// Inputs that are taken before gateways are told what has changed: many changes then make one message.
const BATCH: usize = 64;
/// Inputs are taken for so long before others on the same thread have their turn: the API among them.
const TURN: Duration = Duration::from_millis(5);
/// How often a full session is looked at again.
const FLUSH_EVERY: Duration = Duration::from_millis(10);
/// What was placed where is written down so long after it has changed.
const NOTED_WITHIN: Duration = Duration::from_secs(1);
/// How often what is long past is forgotten.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

impl Shell {
    /// Reads the store, then works until it is told to end; then writes what is left.
    ///
    /// `ready` is called when the store has been read and the scheduler decides.
    pub(crate) async fn run(mut self, ready: impl FnOnce()) -> Result<(), StoreError> {
        let writer_ends = tokio_util::sync::CancellationToken::new();
        let writer = tokio::spawn(self.writer.clone().run(self.store.clone(), writer_ends.clone()));
        let ended = self.work(ready).await;
        self.note_placements();
        self.tasks.close();
        self.tasks.wait().await;
        writer_ends.cancel();
        if writer.await.is_err() {
            tracing::error!("the task that writes statuses failed");
        }
        ended
    }

    async fn work(&mut self, ready: impl FnOnce()) -> Result<(), StoreError> {
        let mut seal = Seal::open(&*self.store).await?;
        seal.go_on_from(self.peers.read(&*self.store).await?);
        self.seal = Some(seal);
        self.known_workers = KnownWorkers::read(&*self.store, &self.expected).await?;
        for known in self.known_workers.events(&self.expected) {
            self.step(known);
        }
        let mut watch = self.load().await?;
        self.step(Event::Loaded);
        self.tell_gateways();
        ready();
        self.hear_of_quotas();
        let mut inputs = Vec::with_capacity(BATCH);
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING_EVERY);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.wake_instant();
            if self.note_at.is_none() && self.peers.is_to_be_noted() {
                self.note_at = Some(Instant::now() + NOTED_WITHIN);
            }
            let flush = (self.workers.is_waiting() || self.gateways.is_waiting()).then(|| Instant::now() + FLUSH_EVERY);
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                taken = self.inbox.recv_many(&mut inputs, BATCH) => {
                    if taken == 0 {
                        return Ok(());
                    }
                    let mut began = Instant::now();
                    for input in inputs.drain(..) {
                        self.take(input);
                        if began.elapsed() > TURN {
                            tokio::task::yield_now().await;
                            began = Instant::now();
                        }
                    }
                }
                event = watch.next() => {
                    if let Some(again) = self.stored(event).await? {
                        watch = again;
                    }
                }
                () = sleep_or_never(wake) => {
                    self.wake_at = None;
                    self.step(Event::Tick);
                }
                () = sleep_or_never(flush) => {}
                () = sleep_or_never(self.note_at) => self.note_placements(),
                _ = housekeeping.tick() => {
                    self.projection.events.expire(now());
                    self.projection.events.expire_written(now());
                    self.logs.expire(now());
                    self.peers.expire();
                }
            }
            self.tell_gateways();
            self.flush();
        }
    }

    /// Has it written down in the background what is placed where, so that a later life knows what is over.
    pub(super) fn note_placements(&mut self) {
        self.note_at = None;
        let Some(seal) = &self.seal else { return };
        for (key, record) in self.peers.to_note(seal.last()) {
            self.writer.record(key, record);
        }
    }

    /// Sends what waited for room in a session, as far as there is some now.
    fn flush(&mut self) {
        self.workers.flush();
        self.gateways.flush(&self.network);
    }

    /// Takes one change of the store. When too much has changed to be told one by one, reads it anew and answers a new watch.
    async fn stored(&mut self, event: Option<WatchEvent>) -> Result<Option<Watch>, StoreError> {
        match event {
            Some(WatchEvent::Put { key, value, .. }) => self.observe(key, Some(value)),
            Some(WatchEvent::Delete { key, .. }) => self.observe(key, None),
            Some(WatchEvent::Progress(_)) => {}
            Some(WatchEvent::Compacted) | None => return self.load().await.map(Some),
        }
        Ok(None)
    }

    /// Reads the store, tells the scheduler what differs from what it was told, and watches from there.
    async fn load(&mut self) -> Result<Watch, StoreError> {
        let store = self.store.clone();
        let (mut changes, revision): (_, Revision) = self.objects.read(&*store).await?;
        self.delete_orphans(&mut changes);
        for change in changes {
            self.changed(change);
        }
        Ok(store.watch("", revision))
    }

    /// One event, and those that carrying it out brought about.
    pub(super) fn step(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            let at = now();
            for action in self.scheduler.step(event, at) {
                self.carry_out(action, at);
            }
            next = self.follow_ups.pop_front();
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.step(event),
            Input::Forget(worker, answer) => {
                let gone = !self.workers.is_connected(&worker);
                if gone {
                    self.step(Event::Forget(worker));
                }
                // Who asked may have left.
                let _ = answer.send(gone);
            }
            Input::Revoked(worker) => {
                let message = "the worker's certificate was revoked: it is cut off, and what it ran is started elsewhere. \
                               It joins again with a token of `sampan token create`";
                self.emit(Subject::Worker(worker), EventKind::Warning, "CertificateRevoked", message, now());
            }
            Input::PullNews(news) => self.pull_news(&news),
            Input::NotReused(news) => self.not_reused(&news),
            Input::OverQuota(over) => self.over_quota(&over),
            Input::AttachWorker(session) => self.attach_worker(session),
            Input::FromWorker(session, message) => self.worker_says(session, message),
            Input::Confirmed { worker, address, result } => self.confirmed(&worker, address, result),
            Input::WorkerGone(session) => {
                if let Some(worker) = self.workers.detach(session) {
                    self.step(Event::WorkerDisconnected(worker));
                }
            }
            Input::AttachGateway(session, worker) => self.attach_gateway(session, worker),
            Input::FromGateway(session, message) => self.gateway_says(session, message),
            Input::GatewayGone(session) => {
                self.gateways.detach(session);
                self.step(Event::GatewayDisconnected(session.gateway()));
            }
            Input::Seated(input, _seat) => self.take(*input),
        }
    }

    /// Tells gateways what has changed since they were told last. Before a replica is told to stop, and after each batch.
    /// Before workers have said what they run, gateways are told of routes alone: they may know better than this process.
    pub(super) fn tell_gateways(&mut self) {
        let settled = self.scheduler.is_settled() && !self.advertised.holds_back(now());
        let news = self.network.news(settled);
        self.gateways.follow_guests(&self.peers, &self.network);
        if news.is_empty() {
            return;
        }
        self.gateways.tell(&news, &self.network);
        for news in &news {
            let News::Endpoints(key) = news else { continue };
            if let Some(service) = self.network.service(key) {
                // What stands by is no endpoint that anybody could look at.
                let running = self.network.endpoints(key).iter().filter(|endpoint| !endpoint.standby);
                let running: Vec<_> = running.cloned().collect();
                self.projection.publish_endpoints(key, service, &running, now());
            }
        }
    }

    fn wake_instant(&self) -> Option<Instant> {
        self.wake_at.map(|at| Instant::now() + at.since(now()))
    }
}

pub(super) async fn sleep_or_never(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
