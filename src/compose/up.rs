use std::sync::Arc;

use api::session;
use control_plane::{ControlPlane, Silence};
use gateway::{AccessLog, Gateway, GatewayConfig};
use runtime::{Code, Ending, Handles, Replicas, Worker};
use tokio_util::sync::CancellationToken;
use transport::DirectConnect;

use super::{Roles, config, images::StoredImages, machine_name, note_gateway, only};
use crate::{
    config::ServerArgs,
    metrics::Metrics,
    serve::{Addresses, Encryption},
};

/// For whom a gateway is on this machine.
#[derive(Debug)]
pub(crate) enum Audience {
    /// Whoever asks.
    Users,
    /// Who works on a project: this machine's own names lead to its one app, and each request is told.
    Developer(AccessLog),
}

/// Starts all three roles in this process, joined by sessions within it; guests are compiled to such code. Returns once each
/// takes requests.
pub(crate) async fn up(
    args: &ServerArgs,
    audience: Audience,
    code: Code,
    shutdown: &CancellationToken,
) -> anyhow::Result<(Addresses, Roles)> {
    let dir = args.data.claim()?;
    let images = args.disk.open_images(dir.images())?;
    let registries = config::registries(args.registries.settings()?)?;
    let redis = args.key_value.resolve()?;
    let connect = Arc::new(DirectConnect);
    let worker_config = config::worker(&machine_name(), &args.worker);
    let own_workers = vec![worker_config.name.clone()];
    let control_config = config::control_plane(args, redis.as_ref(), &dir, Silence::IN_PROCESS, own_workers)?;
    let encryption = Encryption { keys: control_config.encryption.clone(), in_redis: redis.is_some() };
    let control = Arc::new(ControlPlane::open(control_config, images.clone(), registries, connect.clone())?);
    let replicas = Replicas::new();
    let gateway_config = GatewayConfig {
        default_service: matches!(audience, Audience::Developer(_)),
        access_log: match audience {
            Audience::Users => None,
            Audience::Developer(log) => Some(log),
        },
        ..config::gateway(&args.http, &args.gateway)
    };
    let gateway = Gateway::new(gateway_config, replicas.dialer());
    control.reach_services_through(gateway.cluster_http());
    let stored = Arc::new(StoredImages(images.clone()));
    let artifacts = config::artifacts(images.clone(), stored.clone(), &dir.compile_cache(), &args.worker, code)?;
    let handles = Handles {
        key_value: control.key_value(),
        cluster_http: gateway.cluster_http(),
        artifacts: Arc::new(artifacts.clone()),
        images: stored,
        connect,
    };
    let mut worker = Worker::new(worker_config, replicas, handles)?;
    let counted =
        Metrics { gateway: Some(gateway.clone()), autoscalers: Some(control.measurements()), ..Metrics::default() };
    let offered = args.metrics.offer(counted).await?;
    let (http, api) = (gateway.bind()?, control.bind().await?);
    note_gateway(&dir, http)?;
    control.show_ingresses_at(crate::serve::reached_at(http));

    let (worker_side, for_worker) = session::in_process();
    let (gateway_side, for_gateway) = session::in_process();
    control.attach_worker(for_worker);
    control.attach_gateway(for_gateway);

    // They end one after the other: no role before those that need it.
    let gateway_ends = shutdown.child_token();
    let (worker_ends, control_ends) = (Ending::default(), CancellationToken::new());
    let (gateway_ended, worker_ended) = (worker_ends.now.clone().drop_guard(), control_ends.clone().drop_guard());
    let mut roles = Roles::new(shutdown);
    let stop = shutdown.clone();
    roles.spawn("the listener for metrics", async move { stop.run_until_cancelled(offered).await.unwrap_or(Ok(())) });
    roles.spawn("the gateway", async move {
        let _ended = gateway_ended;
        Ok(gateway.run(only(gateway_side), gateway_ends).await?)
    });
    roles.spawn("the worker", async move {
        let _ended = worker_ended;
        worker.run(worker_side, &worker_ends).await;
        Ok(())
    });
    roles.spawn("the control plane", async move { Ok(control.run(control_ends).await?) });
    let names_answer = args.http.names_answer_at(http);
    let kubeconfig = dir.kubeconfig();
    let (http, artifacts) = (Some(http), Some(artifacts));
    Ok((Addresses { http, names_answer, api, kubeconfig, images, artifacts, sessions: None, encryption }, roles))
}
