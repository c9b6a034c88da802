use std::{net::SocketAddr, time::Duration};

use control_plane::Silence;
use transport::{Authority, StrangerLimits};

use super::config_file::ConfigFileArgs;
use crate::{
    compose::{self, ServerPlan},
    config::{ServerArgs, address},
    screen::Screen,
    serve::serve,
};

/// Run the control plane and a gateway, with workers in processes of their own
///
/// `--workers N` starts N worker processes on this machine and keeps them running. Workers and gateways of other machines
/// join at the address of `--sessions`, with a token of `sampan token create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan server --workers 4                        Everything on this machine, in six processes
  sampan server --sessions 0.0.0.0:7444            Let workers and gateways of other machines join
  sampan server --no-gateway --sessions 10.0.0.1:7444    The control plane alone
  sampan server --workers 4 --key-value redis://10.0.0.9    What guests store is in Redis")]
pub(crate) struct Server {
    /// Worker processes to start on this machine
    #[arg(long, env = "SAMPAN_WORKERS", default_value_t = 0, value_name = "N")]
    workers: u16,

    /// Where workers and gateways of other machines join
    #[arg(long, env = "SAMPAN_SESSIONS", value_name = "IP:PORT", value_parser = address)]
    sessions: Option<SocketAddr>,

    /// Take no requests: gateways are processes of their own
    #[arg(long, env = "SAMPAN_NO_GATEWAY")]
    no_gateway: bool,

    /// How long certificates of workers and gateways hold; they are renewed when two thirds have passed
    /// [default: 24h]
    #[arg(long, env = "SAMPAN_CERTIFICATE_LIFETIME", value_name = "SPAN", value_parser = api::parse_span)]
    certificate_lifetime: Option<Duration>,

    /// Connections at --sessions that have shown no certificate yet; half of them are for addresses that have shown one before
    /// [default: 128]
    #[arg(long, env = "SAMPAN_MAX_STRANGERS", value_name = "N")]
    max_strangers: Option<usize>,

    /// Of these, from one address [default: 16]
    #[arg(long, env = "SAMPAN_MAX_STRANGERS_PER_SOURCE", alias = "max-strangers-by-source", value_name = "N")]
    max_strangers_per_source: Option<usize>,

    /// A worker that has said nothing for so long is replaced; after half of it, its replicas get no requests
    /// [default: 900ms]
    #[arg(long, env = "SAMPAN_LOST_AFTER", value_name = "SPAN", value_parser = api::parse_span)]
    lost_after: Option<Duration>,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    config: ConfigFileArgs,
}

impl Server {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let screen = Screen::new();
        let plan = ServerPlan {
            server: self.server,
            workers: self.workers,
            sessions: self.sessions,
            gateway: !self.no_gateway,
            silence: self.lost_after.map_or(Silence::BETWEEN_PROCESSES, |lost_after| Silence {
                not_ready_after: lost_after / 2,
                lost_after,
            }),
            strangers: strangers(self.max_strangers, self.max_strangers_per_source),
            certificate_lifetime: self.certificate_lifetime.unwrap_or(Authority::DEFAULT_LIFETIME),
        };
        let start = |shutdown| async move { compose::server(&plan, &shutdown).await };
        serve(start, |addresses, shutdown| async move {
            screen.success("sampan", format_args!("{} is up", env!("CARGO_PKG_VERSION")));
            addresses.show(screen);
            screen.line("\nCtrl-C ends.");
            shutdown.cancelled().await;
            screen.event("sampan", "finishing what is in flight");
            Ok(())
        })
    }
}

fn strangers(connections: Option<usize>, by_source: Option<usize>) -> StrangerLimits {
    let default = StrangerLimits::default();
    StrangerLimits {
        connections: connections.unwrap_or(default.connections),
        by_source: by_source.unwrap_or(default.by_source),
        ..default
    }
}
