use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use api::{Authorize, session};
use control_plane::{ControlPlane, Silence};
use gateway::Gateway;
use registry_client::ImageStore;
use runtime::Code;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use transport::{
    Admission, Authority, CheckedAddresses, DirectConnect, Identity, Offer, RemoteDialer, RequestLimits,
    SessionListener, StrangerLimits, serve_sessions,
};

use super::{
    Roles, config,
    door::{Door, Rotation, keep_trust, set_trust},
    images::StoredImages,
    make_private, note_gateway, only,
    process::Elsewhere,
    rules::Rules,
    supervisor::{Supervisor, own_workers},
};
use crate::{
    config::ServerArgs,
    errors::HintExt,
    metrics::Metrics,
    serve::{Addresses, Encryption},
};

/// How a control plane for other processes is set up.
#[derive(Debug, Clone)]
pub(crate) struct ServerPlan {
    pub(crate) server: ServerArgs,
    /// Worker processes to be started and kept running.
    pub(crate) workers: u16,
    /// Where workers and gateways of other machines join; `None`: nowhere.
    pub(crate) sessions: Option<SocketAddr>,
    /// Whether this process is a gateway too.
    pub(crate) gateway: bool,
    /// When a worker that says nothing is given up.
    pub(crate) silence: Silence,
    /// How long certificates hold.
    pub(crate) certificate_lifetime: Duration,
    /// What who has no certificate may take where sessions are taken.
    pub(crate) strangers: StrangerLimits,
}

/// The certificate is not made anew more often than this.
const RENEW_AT_MOST: Duration = Duration::from_secs(1);

/// Starts the control plane, a gateway beside it unless told otherwise, and worker processes.
pub(crate) async fn server(plan: &ServerPlan, shutdown: &CancellationToken) -> anyhow::Result<(Addresses, Roles)> {
    let args = &plan.server;
    let dir = args.data.claim()?;
    for private in [&dir.sockets(), &dir.cluster()] {
        make_private(private)?;
    }
    let authority = Arc::new(Authority::open(&dir.cluster(), plan.certificate_lifetime)?);
    let identity = Arc::new(authority.own_identity()?);
    let images = args.disk.open_images(dir.images())?;
    let mut reached = args.registries.settings()?;
    // What listens to this machine alone is not for users of the installation, unless the file says so.
    reached.namespaces_reach_loopback.get_or_insert(false);
    let registries = config::registries(reached)?;
    let redis = args.key_value.resolve()?;
    let own_workers = own_workers(plan.workers);
    let mut control_config = config::control_plane(args, redis.as_ref(), &dir, plan.silence, own_workers.clone())?;
    let encryption = Encryption { keys: control_config.encryption.clone(), in_redis: redis.is_some() };
    control_config.join_authority = Some(authority.fingerprint().to_string());
    let control = ControlPlane::open(control_config, images.clone(), registries, Arc::new(DirectConnect))?;
    let control = Arc::new(control);
    let register = control.register().await?;
    set_trust(&authority, &register.denied(), &identity);
    register.set_authorities(Arc::new(Rotation {
        authority: authority.clone(),
        denied: register.denied(),
        identity: identity.clone(),
    }));
    let tcp = plan.sessions.map(|addr| (addr, identity.clone()));
    let listener = SessionListener::bind(dir.control_socket(), tcp, plan.strangers);
    let listener = listener.await.with_context(|| match plan.sessions {
        Some(address) => format!("sessions cannot be taken at {address} or {}", dir.control_socket().display()),
        None => format!("sessions cannot be taken at {}", dir.control_socket().display()),
    });
    let listener = listener.hint("choose another address with --sessions, or another directory with --data-dir")?;
    let sessions = listener.tcp_addr();
    let door = Arc::new(Door::new(authority.clone(), register.clone()));
    control.confirm_addresses_through(Arc::new(CheckedAddresses::new(identity.clone())));
    let rules = Rules { peers: control.peers(), started: own_workers.iter().cloned().collect(), dir: dir.clone() };
    let offer = offer(&control, &images, door, Arc::new(rules));
    let (workers_end, control_ends) = (CancellationToken::new(), CancellationToken::new());
    let far = RemoteDialer::new(RequestLimits::default(), Some(identity.clone()), Handle::current());
    let elsewhere = Elsewhere::new("server", &dir, far.until(workers_end.clone()));
    let stored = Arc::new(StoredImages(images.clone()));
    let cache = dir.compile_cache();
    let artifacts = config::artifacts(images.clone(), stored, &cache, &args.worker, Code::default())?;
    let supervisor = Supervisor::new(own_workers, plan, &dir, control.clone(), (&offer, &elsewhere, &artifacts));

    // The gateway ends first, then the workers that it needs, then what all of them need.
    let gateway_ends = shutdown.child_token();
    let (gateway_ended, workers_ended) = (workers_end.clone().drop_guard(), control_ends.clone().drop_guard());
    let mut roles = Roles::new(shutdown);
    let (autoscalers, peers) = (Some(control.measurements()), Some(control.peers()));
    let (mut http, mut counted) = (None, Metrics { autoscalers, peers, ..Metrics::default() });
    if plan.gateway {
        let dialer = RemoteDialer::new(RequestLimits::default(), Some(identity.clone()), Handle::current());
        let dialer = dialer.until(workers_end.clone());
        let gateway = Gateway::new(config::gateway(&args.http, &args.gateway), Arc::new(dialer));
        control.reach_services_through(gateway.cluster_http());
        let address = gateway.bind()?;
        note_gateway(&dir, address)?;
        control.show_ingresses_at(crate::serve::reached_at(address));
        http = Some(address);
        counted.gateway = Some(gateway.clone());
        let (gateway_side, for_gateway) = session::in_process();
        control.attach_gateway(for_gateway);
        roles.spawn("the gateway", async move {
            let _ended = gateway_ended;
            Ok(gateway.run(only(gateway_side), gateway_ends).await?)
        });
    } else {
        roles.spawn("the gateway's place", async move {
            let _ended = gateway_ended;
            gateway_ends.cancelled().await;
            Ok(())
        });
    }
    let (offered, stop) = (args.metrics.offer(counted).await?, shutdown.clone());
    roles.spawn("the listener for metrics", async move { stop.run_until_cancelled(offered).await.unwrap_or(Ok(())) });
    let api = control.bind().await?;
    roles.spawn("the workers", async move {
        let _ended = workers_ended;
        supervisor.run(workers_end).await;
        Ok(())
    });
    let (own, stop) = (identity.clone(), control_ends.clone());
    roles.spawn("the certificate's renewal", async move {
        let kept = async { tokio::join!(keep_own_renewed(&authority, &own), keep_trust(&authority, &register, &own)) };
        stop.run_until_cancelled(kept).await;
        Ok(())
    });
    if plan.workers > 0 {
        let stop = control_ends.clone();
        roles.spawn("the way to other machines", async move { Ok(elsewhere.serve(stop).await?) });
    }
    let stop = control_ends.clone();
    roles.spawn("the listener for sessions", async move { Ok(serve_sessions(listener, offer, stop).await?) });
    roles.spawn("the control plane", async move { Ok(control.run(control_ends).await?) });
    let names_answer = http.is_some_and(|bound| args.http.names_answer_at(bound));
    let kubeconfig = dir.kubeconfig();
    let artifacts = None;
    Ok((Addresses { http, names_answer, api, kubeconfig, images, artifacts, sessions, encryption }, roles))
}

/// Makes the control plane's own certificate anew before it ends.
async fn keep_own_renewed(authority: &Authority, identity: &Identity) {
    loop {
        tokio::time::sleep(identity.renew_in().max(RENEW_AT_MOST)).await;
        if let Err(error) = authority.renew_own(identity) {
            tracing::error!(%error, "the control plane's certificate was not renewed: it is tried again");
        }
    }
}

fn offer(
    control: &Arc<ControlPlane>,
    images: &ImageStore,
    admission: Arc<dyn Admission>,
    rules: Arc<dyn Authorize>,
) -> Offer {
    let (for_workers, for_gateways) = (control.clone(), control.clone());
    Offer {
        worker: Arc::new(move |session| for_workers.attach_worker(session)),
        gateway: Arc::new(move |session, worker| match worker {
            Some(worker) => for_gateways.attach_router(session, worker),
            None => for_gateways.attach_gateway(session),
        }),
        rules,
        key_value: control.key_value(),
        images: Arc::new(StoredImages(images.clone())),
        admission,
    }
}
