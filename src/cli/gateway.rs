use super::config_file::ConfigFileArgs;
use crate::{
    compose,
    config::{GatewayLimitArgs, HttpArgs, JoinArgs},
    metrics::MetricsArgs,
    paths::DataDirArgs,
    screen::Screen,
    serve::serve,
};

/// Run a gateway: it takes requests, and sends them to replicas of workers elsewhere
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan gateway --join 10.0.0.1:7444 --token-file ./token --http 0.0.0.0:80
  sampan gateway --join unix:/var/lib/sampan/run/control.sock --http 127.0.0.1:8081    A further one on the server's machine")]
pub(crate) struct Gateway {
    #[command(flatten)]
    join: JoinArgs,

    #[command(flatten)]
    http: HttpArgs,

    #[command(flatten)]
    limits: GatewayLimitArgs,

    #[command(flatten)]
    metrics: MetricsArgs,

    #[command(flatten)]
    data: DataDirArgs,

    #[command(flatten)]
    config: ConfigFileArgs,
}

impl Gateway {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let screen = Screen::new();
        let start = |shutdown| async move {
            compose::gateway(&self.join, &self.http, &self.limits, &self.metrics, &self.data, &shutdown).await
        };
        serve(start, |address, shutdown| async move {
            screen.success("sampan", format_args!("the gateway is up at http://{address}"));
            shutdown.cancelled().await;
            screen.event("sampan", "finishing what is in flight");
            Ok(())
        })
    }
}
