use runtime::Code;

use crate::{
    compose::{self, Audience},
    config::ServerArgs,
    screen::Screen,
    serve::serve,
};

/// Run Sampan on this machine: control plane, gateway and worker in one process
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan up                                       Serve at 127.0.0.1:8080, with state in ~/.local/share/sampan
  sampan up --http 0.0.0.0:80                     Serve everybody
  sampan up --data-dir ./state --http 127.0.0.1:8081 --api 127.0.0.1:7444    A second one beside it
  kubectl --kubeconfig ~/.local/share/sampan/kubeconfig get pods")]
pub(crate) struct Up {
    #[command(flatten)]
    server: ServerArgs,
}

impl Up {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let screen = Screen::new();
        let server = self.server;
        let start = |shutdown| async move { compose::up(&server, Audience::Users, Code::Optimized, &shutdown).await };
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
