//! Addresses that workers of other machines advertise. One is used once its worker has shown itself there, and asked again
//! when it changes. Until then, and where a worker of another machine advertises none, it gets no replicas.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{Address, ConfirmAddress, Timestamp, WorkerName};
use kube_api::identity::now;
use scheduler::{Event, EventKind, Subject};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Input, Shell};

/// The wait before an address that was not confirmed is asked again; each further one doubles it.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
/// The longest such wait.
const AGAIN_LAST: Duration = Duration::from_secs(30);
/// How often it is warned of a worker that is not found.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// After a start, gateways are told of no endpoints for so long at most because some of their addresses are still asked.
const HELD_BACK: Duration = Duration::from_secs(3);

/// What each worker advertises.
#[derive(Default)]
pub(super) struct Advertised {
    /// Finds out whether it is so; `None`: it is believed.
    confirm: Option<Arc<dyn ConfirmAddress>>,
    workers: BTreeMap<WorkerName, Claim>,
    /// When each worker was last asked at another address than before, and warned of.
    paces: BTreeMap<WorkerName, Pace>,
    since: Option<Timestamp>,
}

#[derive(Clone, Copy)]
struct Pace {
    /// The next is not asked before.
    next: Instant,
    warned: Option<Instant>,
}

struct Claim {
    address: Address,
    confirmed: bool,
    /// Ends the asking.
    _asking: DropGuard,
}

impl Advertised {
    pub(super) fn new(confirm: Option<Arc<dyn ConfirmAddress>>) -> Self {
        Self { confirm, ..Self::default() }
    }

    /// Whether endpoints are not told yet, as those of some workers would be missing that are known by gateways.
    pub(super) fn holds_back(&mut self, now: Timestamp) -> bool {
        let since = *self.since.get_or_insert(now);
        now.since(since) < HELD_BACK && self.workers.values().any(|claim| !claim.confirmed)
    }
}

impl Shell {
    /// A worker says where it is reached.
    pub(super) fn advertised(&mut self, worker: &WorkerName, address: Option<Address>) {
        let asked = address.as_ref().and_then(|address| Some((address.tcp.clone()?, self.advertised.confirm.clone()?)));
        let Some((tcp, confirm)) = asked else {
            self.advertised.workers.remove(worker);
            return match address {
                Some(Address { socket: None, tcp: None, .. }) => self.has_no_address(worker),
                address => self.reached(worker, address),
            };
        };
        let address = address.unwrap_or_default();
        if self.advertised.workers.get(worker).is_some_and(|claim| claim.address == address) {
            return;
        }
        let stop = CancellationToken::new();
        let claim = Claim { address: address.clone(), confirmed: false, _asking: stop.clone().drop_guard() };
        if self.advertised.workers.insert(worker.clone(), claim).is_none_or(|before| !before.confirmed) {
            self.network.set_unreached(worker);
        }
        // What starts there before that could have to move at once.
        self.unreached(worker, format!("it is being looked for at {tcp}, which it advertises"));
        // A worker that names one address after another has this process connect to each.
        let began = Instant::now();
        let pace = self.advertised.paces.entry(worker.clone()).or_insert(Pace { next: began, warned: None });
        let first = pace.next.max(began);
        if pace.next <= began {
            pace.next = began + AGAIN_FIRST;
        }
        let (inputs, shutdown, worker) = (self.inputs.clone(), self.shutdown.clone(), worker.clone());
        self.tasks.spawn(async move {
            let asking = async {
                tokio::time::sleep_until(first).await;
                let mut pause = AGAIN_FIRST;
                let mut told = false;
                loop {
                    let result = confirm.confirm(&worker, &tcp).await;
                    let confirmed = result.is_ok();
                    // That it failed is told once.
                    if confirmed || !std::mem::replace(&mut told, true) {
                        let said = Input::Confirmed { worker: worker.clone(), address: address.clone(), result };
                        if inputs.send(said).await.is_err() {
                            return;
                        }
                    }
                    if confirmed {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_LAST);
                }
            };
            tokio::select! {
                () = asking => {}
                () = stop.cancelled() => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    /// Whether a worker was found where it advertises that it is.
    pub(super) fn confirmed(&mut self, worker: &WorkerName, address: Address, result: Result<(), String>) {
        let Some(claim) = self.advertised.workers.get_mut(worker).filter(|claim| claim.address == address) else {
            return;
        };
        match result {
            Ok(()) => {
                claim.confirmed = true;
                self.reached(worker, Some(address));
            }
            Err(why) => {
                let at = address.tcp.unwrap_or_default();
                let message = format!(
                    "the worker is not found at {at}, which it advertises, and gets no replicas and no requests until it is: {why}. \
                     Name what others reach it at with --advertise"
                );
                let pace = self.advertised.paces.get_mut(worker);
                if let Some(pace) = pace.filter(|pace| pace.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY)) {
                    pace.warned = Some(Instant::now());
                    tracing::warn!(%worker, address = at, why, "the worker is not found where it advertises that it is");
                }
                self.emit(Subject::Worker(worker.clone()), EventKind::Warning, "AddressNotConfirmed", &message, now());
                self.network.set_unreached(worker);
                self.unreached(worker, message);
            }
        }
    }

    /// It joined over the network and takes requests nowhere.
    fn has_no_address(&mut self, worker: &WorkerName) {
        let message = "gateways do not reach the worker, and it gets no replicas: it joined over the network and takes no \
                       requests there. Start it with `--listen IP:PORT`, and with `--advertise HOST:PORT` if that is not \
                       what others reach it at";
        if self.network.set_unreached(worker) {
            tracing::warn!(%worker, "gateways do not reach the worker, and it gets no replicas: it was started without --listen");
            self.emit(Subject::Worker(worker.clone()), EventKind::Warning, "NetworkUnavailable", message, now());
        }
        self.unreached(worker, message.to_owned());
    }

    fn unreached(&mut self, worker: &WorkerName, why: String) {
        self.step(Event::Reach { worker: worker.clone(), unavailable: Some(why.into()) });
    }

    fn reached(&mut self, worker: &WorkerName, address: Option<Address>) {
        self.network.set_address(worker, address);
        self.step(Event::Reach { worker: worker.clone(), unavailable: None });
    }

    pub(super) fn no_longer_advertised(&mut self, worker: &WorkerName) {
        self.advertised.workers.remove(worker);
        self.advertised.paces.remove(worker);
        self.network.set_address(worker, None);
    }
}
