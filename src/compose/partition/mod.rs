//! A worker that joined by itself. Its replicas run in processes of their own, which have no network: in one, or in one for each
//! namespace, so that what one tenant's guests could break out of is not another's.
//!
//! To the control plane and to gateways it is one worker. To the processes that it starts it is their control plane: it
//! hands on what it is told, and what they say.

mod replicas;
mod sharing;
mod tenant;

use std::sync::Arc;

use anyhow::Context;
use api::WorkerName;
use runtime::{Ended, Ending};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use transport::{DirectConnect, RemoteDialer, RequestLimits, serve_requests};

use super::{
    Roles,
    confinement::Confined,
    images::spawn_collection,
    joining,
    process::Elsewhere,
    worker::{LAST_WORDS, Prepared, WorkerPlan, be_found, end, key_value, own_artifacts, prepare, serving_threads},
};
use crate::metrics::Metrics;
use replicas::Partition;
pub(crate) use sharing::Sharing;
use tenant::{ByProcess, Tenants};

/// Starts it. It ends as a worker does.
pub(crate) async fn partition(
    plan: &WorkerPlan,
    sharing: Sharing,
    confined: Confined,
    leave: &CancellationToken,
    shutdown: &CancellationToken,
) -> anyhow::Result<(WorkerName, Roles)> {
    let Prepared { dir, peer, client, identity, listener, config, .. } = prepare(plan).await?;
    let name = config.name.clone();
    let ended = CancellationToken::new();
    // Its processes end before it does, which is nothing to warn of.
    let served = CancellationToken::new();
    let near = RemoteDialer::new(RequestLimits::default(), None, Handle::current()).until(served.clone());
    let far = RemoteDialer::new(RequestLimits::default(), identity.clone(), Handle::current()).until(served.clone());
    let elsewhere = Elsewhere::new(&name.0, &dir, far);
    // Gateways of this machine need not go through this process, where one runs all.
    be_found(plan, &dir, &dir.request_socket(&sharing.found_at(&name)))?;
    let dialer = Arc::new(ByProcess::new(sharing, name.clone(), dir.clone(), near));
    let tenants = Tenants::new(
        sharing,
        (name.clone(), dir.clone()),
        (plan.limits.clone(), plan.threads, own_artifacts(plan, &dir, &client)?),
        key_value(confined.redis, &client, Arc::new(DirectConnect)),
        (client.clone(), elsewhere.clone()),
        ended.clone(),
    );
    let mut partition = Partition::new(sharing, config, tenants);

    let ending = Ending { leave: leave.clone(), now: CancellationToken::new() };
    let counted = Metrics { control_plane: Some(client.clone()), ..Metrics::default() };
    let (offered, stop) = (plan.metrics.offer(counted).await?, ended.clone());
    let mut roles = Roles::new(shutdown);
    roles.spawn("the listener for metrics", async move { stop.run_until_cancelled(offered).await.unwrap_or(Ok(())) });
    if let Some(collection) = plan.collection.clone() {
        spawn_collection(&mut roles, collection, &dir, ended.clone())?;
    }
    joining::spawn_renewal(&mut roles, &client, identity, (peer, dir), ended.clone());
    let threads = serving_threads(plan);
    let stop = ended.clone();
    roles.spawn("the way to other machines", async move { Ok(elsewhere.serve(stop).await?) });
    let stop = ended.clone();
    roles.spawn("the listener for requests", async move {
        serve_requests(listener, dialer, threads, stop).await.context("requests cannot be taken")
    });
    let end = end(ending.clone(), client.clone(), shutdown.clone(), plan.drain_timeout, ended.clone());
    roles.spawn("the end of the worker", end);
    roles.spawn("the worker", async move {
        let _ended = ended.clone().drop_guard();
        while partition.run(client.worker_session(ended.clone()), &ending).await == Ended::Session {}
        served.cancel();
        tokio::time::sleep(LAST_WORDS).await;
        // Its processes need what they are offered here to their end.
        partition.end().await;
        Ok(())
    });
    Ok((name, roles))
}
