use std::path::PathBuf;

use anyhow::Context;
use gateway::AccessLog;
use kube::config::Kubeconfig;
use runtime::Code;

use super::print_line;
use crate::{
    build::{Profile, Project},
    client::connection::Connection,
    compose::{self, Audience},
    config::ServerArgs,
    dev::{self, DevConfig},
    screen::Screen,
    serve::serve,
};

/// Run a project and work on it: build, apply, watch, and show what happens
///
/// Runs a server as `sampan up` does, builds the components of PATH's sampan.toml, applies its manifests, and
/// does so again whenever a file changes. While a build fails, what runs goes on. State is kept between runs.
///
/// Where no manifests are named, and where there is a Cargo package or a component alone, a Deployment and a Service are made for
/// it: `--write-manifests` writes them down once they are to say more.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan dev                                 The project in this folder
  sampan dev samples/shopping-cart           Another one
  sampan dev --open                          And open it in a browser
  sampan dev service.wasm                    A component that something else builds
  sampan dev --write-manifests               Write down what is deployed, to change it
  sampan dev --data-dir ./state -n shop      With state of its own, in a namespace
  sampan dev --release                       As it will run when it is shipped, for measuring")]
pub(crate) struct Dev {
    /// Folder with a sampan.toml, a Cargo package or a component, or a component
    #[arg(default_value = ".", value_name = "PATH|FILE.wasm")]
    path: PathBuf,

    /// Namespace of objects that name none
    #[arg(short, long, env = "SAMPAN_NAMESPACE", default_value = "default", value_name = "NAME")]
    namespace: String,

    /// Write the manifests of a project that names none into `deploy/`, for it to go on with, and end; nothing is overwritten
    #[arg(long, env = "SAMPAN_WRITE_MANIFESTS")]
    write_manifests: bool,

    /// Open the first place in a browser once it answers
    #[arg(long, env = "SAMPAN_OPEN")]
    open: bool,

    /// Folder for what compilers leave, in place of each package's own `target`
    #[arg(long, env = "SAMPAN_BUILD_CACHE", value_name = "DIR")]
    build_cache: Option<PathBuf>,

    /// Build as `sampan build` does and compile to fast code, which makes edits slower
    ///
    /// Without it, packages of Rust are built by a profile `sampan-dev` of little optimization (one of this name in the
    /// workspace's Cargo.toml takes its place), and components are compiled to code that is there soon.
    #[arg(long, env = "SAMPAN_RELEASE")]
    release: bool,

    #[command(flatten)]
    server: ServerArgs,
}

impl Dev {
    pub(super) fn run(self) -> anyhow::Result<()> {
        // What is wrong with the project is told before anything is started.
        let project = Project::find(&self.path)?;
        if self.write_manifests {
            return write(&project);
        }
        let screen = Screen::new();
        let (namespace, build_cache) = (self.namespace, self.build_cache);
        let server = self.server;
        let (data_dir, named_data_dir) = (server.data.resolve()?.root().to_owned(), server.data.data_dir.clone());
        let open = self.open;
        let (profile, code) =
            if self.release { (Profile::Release, Code::Optimized) } else { (Profile::Edit, Code::Unoptimized) };
        let (log, requests) = AccessLog::new();
        let start = |shutdown| async move { compose::up(&server, Audience::Developer(log), code, &shutdown).await };
        serve(start, |addresses, shutdown| async move {
            screen.event("sampan", format_args!("{} is up", env!("CARGO_PKG_VERSION")));
            addresses.show(screen);
            let mut connection = Connection::open(Kubeconfig::read_from(&addresses.kubeconfig)?).await?;
            connection.namespace = namespace;
            let config = DevConfig {
                project,
                connection,
                images: addresses.images,
                artifacts: addresses.artifacts,
                http: addresses.http.context("there is no gateway")?,
                names_answer: addresses.names_answer,
                profile,
                build_cache,
                data_dir,
                named_data_dir,
                open,
                requests,
            };
            dev::run(config, screen, shutdown).await?;
            screen.event("sampan", "finishing what is in flight");
            Ok(())
        })
    }
}

fn write(project: &Project) -> anyhow::Result<()> {
    let written = dev::write_manifests(project)?;
    for file in &written.files {
        print_line(format_args!("wrote {}", file.display()));
    }
    if let Some(left) = written.left {
        print_line(format_args!("next: {left}"));
    }
    Ok(())
}
