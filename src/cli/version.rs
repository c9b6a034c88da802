use k8s_openapi::apimachinery::pkg::version::Info;

use super::print_line;
use crate::client::connection::ClientArgs;

/// Show the version of this program and, if it runs, of the server
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan version             This program, and the server if it runs
  sampan version --client    This program alone")]
pub(crate) struct Version {
    /// Do not ask the server
    #[arg(long, env = "SAMPAN_CLIENT")]
    client: bool,

    #[command(flatten)]
    connection: ClientArgs,
}

impl Version {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        print_line(format_args!("sampan {}", env!("CARGO_PKG_VERSION")));
        if self.client {
            return Ok(());
        }
        let Ok(connection) = self.connection.connect().await else {
            print_line("server: none has run here");
            return Ok(());
        };
        match connection.get::<Info>("/version").await {
            Ok(info) => print_line(format_args!("server {} at {}", info.git_version, connection.server)),
            Err(error) => print_line(format_args!("server: {error}")),
        }
        Ok(())
    }
}
