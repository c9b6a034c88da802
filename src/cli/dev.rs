use std::path::PathBuf;

use anyhow::Context;
use kube::config::Kubeconfig;

use crate::{
    build::Project,
    client::connection::Connection,
    compose,
    config::ServerArgs,
    dev::{self, DevConfig},
    screen::Screen,
    serve::serve,
};

/// Run a project and work on it: build, apply, watch, and show what happens
///
/// Runs a server as `sampan up` does, builds the components of PATH's sampan.toml, applies its manifests, and
/// does so again whenever a file changes. While a build fails, what runs goes on. State is kept between runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan dev                                 The project in this folder
  sampan dev samples/shopping-cart           Another one
  sampan dev --data-dir ./state -n shop      With state of its own, in a namespace")]
pub(crate) struct Dev {
    /// Folder with a sampan.toml
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,

    /// Namespace of objects that name none
    #[arg(short, long, env = "SAMPAN_NAMESPACE", default_value = "default", value_name = "NAME")]
    namespace: String,

    /// Folder for what compilers leave, in place of each package's own `target`
    #[arg(long, env = "SAMPAN_BUILD_CACHE", value_name = "DIR")]
    build_cache: Option<PathBuf>,

    #[command(flatten)]
    server: ServerArgs,
}

impl Dev {
    pub(super) fn run(self) -> anyhow::Result<()> {
        // What is wrong with the project is told before anything is started.
        let project = Project::read(&self.path)?;
        let screen = Screen::new();
        let (namespace, build_cache) = (self.namespace, self.build_cache);
        let server = self.server;
        let data_dir = server.data.resolve()?.root().to_owned();
        let start = |shutdown| async move { compose::up(&server, &shutdown).await };
        serve(start, |addresses, shutdown| async move {
            screen.event("sampan", format_args!("{} is up", env!("CARGO_PKG_VERSION")));
            addresses.show(screen);
            let mut connection = Connection::open(Kubeconfig::read_from(&addresses.kubeconfig)?).await?;
            connection.namespace = namespace;
            let config = DevConfig {
                project,
                connection,
                images: addresses.images,
                http: addresses.http.context("there is no gateway")?,
                names_answer: addresses.names_answer,
                build_cache,
                data_dir,
            };
            dev::run(config, screen, shutdown).await?;
            screen.event("sampan", "finishing what is in flight");
            Ok(())
        })
    }
}
