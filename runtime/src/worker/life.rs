use std::{sync::Arc, time::Duration};

use api::{
    Digest, ReplicaId, Serve,
    replica::{Failure, FailureReason, Isolation, Limits, LogSource, ReplicaPhase, ReplicaSpec},
};
use futures::{StreamExt, future::Either, stream};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Ground, Report,
    room::Held,
    standby::{OnDemand, Standby},
};
use crate::{
    capabilities::{Capabilities, Granted, check_imports},
    compile::LoadedComponent,
    error::StartError,
    log::ReplicaLog,
    probes::verdicts,
    replica::Replica,
};

/// How long a replica that was told to stop still takes requests: those of gateways that do not know yet.
const LINGER: Duration = Duration::from_millis(100);

/// What requests in flight have, once it is told to stop.
type Grace = Result<Duration, oneshot::error::RecvError>;

/// A replica from its start to its end. It always ends with `Stopped` or `Failed`.
pub(super) async fn live(ground: Arc<Ground>, spec: Arc<ReplicaSpec>, mut stop: oneshot::Receiver<Duration>) {
    let id = spec.id.clone();
    report(&ground, &id, ReplicaPhase::Starting).await;
    let held = ground.room.hold(spec.reserves);
    let started = tokio::select! {
        started = try_start(&ground, spec) => started,
        _ = &mut stop => return report(&ground, &id, ReplicaPhase::Stopped).await,
    };
    match started {
        Ok(replica) => serve(&ground, replica, held, stop).await,
        Err(error) => report(&ground, &id, ReplicaPhase::Failed(error.into_failure())).await,
    }
}

/// A replica that its first request starts. That it can be started is tried at once: what is wrong is told before somebody
/// waits for it.
pub(super) async fn stand_by(ground: Arc<Ground>, spec: Arc<ReplicaSpec>, mut stop: oneshot::Receiver<Duration>) {
    let id = spec.id.clone();
    let known = ground.proven.lock().contains_key(&proof(&spec));
    let trial = async {
        match known {
            true => start(&ground, spec.clone()).await,
            false => try_start(&ground, spec.clone()).await,
        }
    };
    let tried = tokio::select! {
        tried = Box::pin(trial) => tried,
        _ = &mut stop => return report(&ground, &id, ReplicaPhase::Stopped).await,
    };
    match tried {
        Ok(replica) => {
            report_slots(&ground, &replica).await;
            replica.kill();
        }
        Err(error) => return report(&ground, &id, ReplicaPhase::Failed(error.into_failure())).await,
    }
    let (standby, told) = Standby::new(ground.clone(), spec);
    ground.replicas.insert_standby(&id, Arc::new(OnDemand(standby.clone())));
    report(&ground, &id, ReplicaPhase::Standby).await;
    let stopped = tokio::select! {
        _ = told => None,
        grace = &mut stop => Some(grace),
    };
    // Who was started before it was told to stop has a request to finish.
    let Some((replica, held)) = standby.end() else {
        ground.replicas.remove(&id);
        return report(&ground, &id, ReplicaPhase::Stopped).await;
    };
    drop(standby);
    let stop = async move {
        match stopped {
            Some(grace) => grace,
            None => stop.await,
        }
    };
    Box::pin(serve(&ground, replica, held, stop)).await;
}

/// A replica that has been started, to its end.
async fn serve(ground: &Arc<Ground>, replica: Arc<Replica>, held: Held, stop: impl Future<Output = Grace>) {
    let id = replica.spec.id.clone();
    report_slots(ground, &replica).await;
    ground.replicas.insert(replica.clone());
    let end = tokio::select! {
        failure = run(ground, &replica) => ReplicaPhase::Failed(failure),
        // Without a worker that could stop it in time, it stops at once.
        grace = stop => drain(ground, &replica, grace.unwrap_or_default()).await,
    };
    replica.kill();
    ground.replicas.remove(&id);
    drop(held);
    report(ground, &id, end).await;
}

async fn report(ground: &Ground, id: &ReplicaId, phase: ReplicaPhase) {
    // It fails only when the worker is gone, and then nobody wants to know.
    let _ = ground.reports.send(Report::Phase(id.clone(), phase)).await;
}

/// Says how many requests a replica takes at the same time, unless that is its concurrency.
async fn report_slots(ground: &Ground, replica: &Replica) {
    let slots = replica.slots();
    if slots != replica.spec.limits.concurrency {
        let _ = ground.reports.send(Report::Slots(replica.spec.id.clone(), slots)).await;
    }
}

/// Starts a replica, and makes an instance to see that it can be made, and what it takes.
async fn try_start(ground: &Ground, spec: Arc<ReplicaSpec>) -> Result<Arc<Replica>, StartError> {
    let replica = start(ground, spec).await?;
    if let Some(instance_bytes) = replica.try_instantiate().await? {
        ground.proven.lock().insert(proof(&replica.spec), instance_bytes);
    }
    Ok(replica)
}

/// What decides whether an instance can be made: the component, and the memory that it may have.
fn proof(spec: &ReplicaSpec) -> (Digest, u64) {
    (spec.digest.clone(), spec.limits.memory_bytes)
}

pub(super) async fn start(ground: &Ground, spec: Arc<ReplicaSpec>) -> Result<Arc<Replica>, StartError> {
    let component = ground.components.load(&spec).await?;
    if ground.told_cached.lock().insert(spec.digest.clone()) {
        let _ = ground.reports.send(Report::Cached(spec.digest.clone())).await;
    }
    check_imports(&spec.image, &component.imports, Granted::of(&spec.grants.key_value))?;
    let log = Arc::new(ReplicaLog::new(spec.id.clone(), ground.log.clone()));
    let spec = isolated(ground, spec, &component, &log).await;
    let capabilities = Capabilities::granted(&spec, &ground.handles, &ground.host.outside, log.clone())?;
    let replica = Replica::new(spec, component, capabilities, ground.host.clone(), log);
    if let Some(&instance_bytes) = ground.proven.lock().get(&proof(&replica.spec)) {
        replica.instances_take(instance_bytes);
    }
    Ok(replica)
}

/// The spec with isolation `request` where the guest's engine answers one request in each instance: reused, it would leave the
/// others without an answer.
async fn isolated(
    ground: &Ground,
    spec: Arc<ReplicaSpec>,
    component: &LoadedComponent,
    log: &ReplicaLog,
) -> Arc<ReplicaSpec> {
    if spec.limits.isolation == Isolation::Request {
        return spec;
    }
    let Some(made_by) = ground.components.answers_once(&spec, component).await else { return spec };
    log.line(
        LogSource::Sampan,
        format!(
            "runs with isolation `request`, not `replica`: {made_by} made its component, whose engine answers one request in \
             each instance; remove the annotation `{}`",
            api::annotations::ISOLATION
        ),
    );
    let limits = Limits { isolation: Isolation::Request, ..spec.limits.clone() };
    Arc::new(ReplicaSpec { limits, ..(*spec).clone() })
}

/// Runs until the replica fails by itself.
async fn run(ground: &Ground, replica: &Arc<Replica>) -> Failure {
    tokio::select! {
        failure = replica.health.broken() => failure,
        failure = probe(ground, replica) => failure,
    }
}

/// Says when it is ready, as its probes find out. Ends when it should be restarted.
async fn probe(ground: &Ground, replica: &Arc<Replica>) -> Failure {
    let probes = replica.spec.probes.clone();
    let target = replica.serve_handle();
    let id = &replica.spec.id;
    if let Some(startup) = probes.startup {
        report(ground, id, ReplicaPhase::NotReady).await;
        if !verdict(ground, startup, &target).await {
            return probe_failure("startup");
        }
    }
    let of = |probe: Option<_>| match probe {
        Some(probe) => Either::Left(verdicts(probe, target.clone(), ground.host.probes().clone())),
        None => Either::Right(stream::pending()),
    };
    let always_ready = probes.readiness.is_none();
    if always_ready {
        replica.set_ready();
    }
    report(ground, id, if always_ready { ReplicaPhase::Ready } else { ReplicaPhase::NotReady }).await;
    let mut readiness = Box::pin(of(probes.readiness));
    let mut liveness = Box::pin(of(probes.liveness));
    loop {
        tokio::select! {
            Some(ready) = readiness.next() => {
                if ready {
                    replica.set_ready();
                }
                report(ground, id, if ready { ReplicaPhase::Ready } else { ReplicaPhase::NotReady }).await;
            }
            Some(alive) = liveness.next() => if !alive {
                return probe_failure("liveness");
            },
        }
    }
}

async fn verdict(ground: &Ground, probe: api::replica::HttpProbe, target: &Arc<dyn Serve>) -> bool {
    Box::pin(verdicts(probe, target.clone(), ground.host.probes().clone())).next().await.unwrap_or(false)
}

fn probe_failure(which: &str) -> Failure {
    let message = format!("the {which} probe failed as often as its failureThreshold allows");
    Failure { reason: FailureReason::Error, message }
}

async fn drain(ground: &Ground, replica: &Replica, grace: Duration) -> ReplicaPhase {
    report(ground, &replica.spec.id, ReplicaPhase::Draining).await;
    tokio::time::sleep(LINGER.min(grace)).await;
    replica.close();
    // What has not ended by then is ended.
    let _ = timeout(grace, replica.emptied()).await;
    ReplicaPhase::Stopped
}
