use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use api::Taint;
use tokio_util::sync::CancellationToken;

use super::config_file::ConfigFileArgs;
use crate::{
    compose::{self, Sharing, WorkerPlan, confine, machine_name},
    config::{ImageLimitArgs, JoinAddress, JoinArgs, WorkerLimitArgs, address},
    diagnostics,
    key_value::KeyValueArgs,
    metrics::MetricsArgs,
    paths::DataDirArgs,
    screen::Screen,
    serve::run,
    signals,
};

/// Beyond its drain timeout, a worker that ends has so long for what is left.
const LAST: Duration = Duration::from_secs(3);

/// Run a worker: it runs replicas for a control plane elsewhere
///
/// At the first Ctrl-C or SIGTERM it leaves: its replicas are moved to other workers, and it ends when it runs none.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan worker --join 10.0.0.1:7444 --token-file ./token --listen 0.0.0.0:7500 --advertise 10.0.0.2:7500
  sampan worker --join unix:/var/lib/sampan/run/control.sock --name second    A further one on the server's machine
  sampan worker --join 10.0.0.1:7444 --listen 10.0.0.2:7500 --label zone=a --taint gpu=yes:NoSchedule
  sampan worker --join 10.0.0.1:7444 --key-value-file ./redis-url    With the store that the server was given")]
pub(crate) struct Worker {
    #[command(flatten)]
    join: JoinArgs,

    /// Where gateways reach it. Over the network a worker gets replicas only with it; one that joins at a socket needs none
    #[arg(long, env = "SAMPAN_LISTEN", value_name = "IP:PORT", value_parser = address)]
    listen: Option<SocketAddr>,

    /// What gateways dial, if it is not the address of --listen
    #[arg(long, env = "SAMPAN_ADVERTISE", value_name = "HOST:PORT")]
    advertise: Option<String>,

    /// Label of its Node; may be given again
    #[arg(long = "label", env = "SAMPAN_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,

    /// Taint of its Node, such as `gpu=yes:NoSchedule`; may be given again
    #[arg(long = "taint", env = "SAMPAN_TAINTS", value_name = "KEY=VALUE:EFFECT", value_delimiter = ',')]
    taints: Vec<Taint>,

    /// CPU for guests, such as `4` or `500m` [default: what the machine and its cgroup have]
    #[arg(long, env = "SAMPAN_CPU", value_name = "QUANTITY", value_parser = cpu)]
    cpu: Option<u64>,

    /// Replicas that it takes [default: 10000]
    #[arg(long, env = "SAMPAN_MAX_REPLICAS", value_name = "N")]
    max_replicas: Option<u32>,

    /// Threads that serve requests [default: one for each core]
    #[arg(long, env = "SAMPAN_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Who may share a process: `worker`: all replicas; `namespace`: those of one namespace
    #[arg(long, env = "SAMPAN_ISOLATION", default_value = "worker", value_name = "WHAT")]
    isolation: Sharing,

    /// How long replicas may take to be moved when it leaves
    #[arg(long, env = "SAMPAN_DRAIN_TIMEOUT", default_value = "30s", value_name = "SPAN", value_parser = api::parse_span)]
    drain_timeout: Duration,

    /// Keep what the process could give up: system calls, files, capabilities
    #[arg(long, env = "SAMPAN_NO_SANDBOX")]
    no_sandbox: bool,

    #[command(flatten)]
    limits: WorkerLimitArgs,

    #[command(flatten)]
    key_value: KeyValueArgs,

    #[command(flatten)]
    images: ImageLimitArgs,

    #[command(flatten)]
    metrics: MetricsArgs,

    #[command(flatten)]
    data: DataDirArgs,

    #[command(flatten)]
    config: ConfigFileArgs,
}

impl Worker {
    pub(super) fn run(self) -> anyhow::Result<()> {
        diagnostics::init();
        let drain_timeout = self.drain_timeout;
        // A process of ours started this one: it opens what this one needs.
        let brokered = self.join.join == JoinAddress::Broker;
        let plan = WorkerPlan {
            name: self.join.name.clone().unwrap_or_else(machine_name),
            join: self.join,
            labels: self.labels,
            taints: self.taints,
            cpu_millis: self.cpu,
            max_replicas: self.max_replicas,
            listen: self.listen,
            advertise: self.advertise,
            threads: self.threads,
            drain_timeout,
            limits: self.limits,
            key_value: self.key_value,
            // Who started this process sees to images.
            collection: (!brokered).then(|| compose::collection(&self.images)),
            metrics: self.metrics,
            data: self.data,
        };
        // One that joins by itself needs the network, and starts processes without it for its guests.
        let whole = brokered || (self.no_sandbox && self.isolation == Sharing::Worker);
        let confined = confine(&plan, !self.no_sandbox && whole)?;
        #[cfg(debug_assertions)]
        if brokered && std::env::var(compose::HOSTILE).is_ok_and(|name| name == plan.name) {
            return run(|_| async move { compose::hostile(&plan).await });
        }
        run(|shutdown| async move {
            let leave = CancellationToken::new();
            signals::watch(leave.clone(), drain_timeout + LAST).context("signals cannot be received")?;
            let starting = async {
                match whole {
                    true => compose::worker(&plan, confined, &leave, &shutdown).await,
                    false => compose::partition(&plan, self.isolation, confined, &leave, &shutdown).await,
                }
            };
            let (name, mut roles) = tokio::select! {
                started = starting => started?,
                () = leave.cancelled() => return Ok(()),
                () = shutdown.cancelled() => return Ok(()),
            };
            if !brokered {
                Screen::new()
                    .success("sampan", format_args!("worker {name} is up; Ctrl-C moves its replicas and ends"));
            }
            roles.ended().await
        })
    }
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no label: write KEY=VALUE"))?;
    if key.is_empty() { Err("a label has a key: write KEY=VALUE".to_owned()) } else { Ok((key.into(), value.into())) }
}

pub(super) fn cpu(text: &str) -> Result<u64, api::InvalidQuantity> {
    text.parse::<api::Quantity>().map(api::Quantity::as_millis)
}
