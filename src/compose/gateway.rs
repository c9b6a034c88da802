use std::{net::SocketAddr, sync::Arc};

use gateway::Gateway;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use transport::{Peer, RemoteDialer, RequestLimits, Role};

use super::{Roles, config, joining, machine_name};
use crate::{
    config::{GatewayLimitArgs, HttpArgs, JoinArgs},
    metrics::{Metrics, MetricsArgs},
    paths::DataDirArgs,
};

/// Starts a gateway. Returns once it takes connections.
pub(crate) async fn gateway(
    join: &JoinArgs,
    http: &HttpArgs,
    limits: &GatewayLimitArgs,
    metrics: &MetricsArgs,
    data: &DataDirArgs,
    shutdown: &CancellationToken,
) -> anyhow::Result<(SocketAddr, Roles)> {
    let dir = data.claim()?;
    let peer = Peer { role: Role::Gateway, name: join.name.clone().unwrap_or_else(machine_name) };
    let (client, identity) = joining::join_as(join, &peer, &dir).await?;
    let dialer = RemoteDialer::new(RequestLimits::default(), identity.clone(), Handle::current());
    let dialer = dialer.until(shutdown.clone());
    let gateway = Gateway::new(config::gateway(http, limits), Arc::new(dialer));
    let address = gateway.bind()?;
    let counted = Metrics { gateway: Some(gateway.clone()), control_plane: Some(client.clone()), ..Metrics::default() };
    let (offered, stop) = (metrics.offer(counted).await?, shutdown.clone());
    let mut roles = Roles::new(shutdown);
    roles.spawn("the listener for metrics", async move { stop.run_until_cancelled(offered).await.unwrap_or(Ok(())) });
    joining::spawn_renewal(&mut roles, &client, identity, (peer, dir), shutdown.clone());
    let stop = shutdown.clone();
    roles.spawn("the gateway", async move {
        let sessions = {
            let stop = stop.clone();
            move || Some(client.gateway_session(stop.clone()))
        };
        Ok(gateway.run(sessions, stop).await?)
    });
    Ok((address, roles))
}
