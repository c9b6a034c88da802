use k8s_openapi::apimachinery::pkg::version::Info;
use serde_json::json;

use crate::{
    client::connection::ConnectionArgs,
    output::{OutputArgs, Shown},
};

/// Show the version of this program and, if it runs, of the server
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan version             This program, and the server if it runs
  sampan version --client    This program alone
  sampan version -o json")]
pub(crate) struct Version {
    /// Do not ask the server
    #[arg(long, env = "SAMPAN_CLIENT")]
    client: bool,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

impl Version {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut value = json!({ "client": { "version": env!("CARGO_PKG_VERSION") } });
        let mut lines = vec![format!("sampan {}", env!("CARGO_PKG_VERSION"))];
        if !self.client {
            match self.connection.connect().await {
                Err(_) => lines.push("server: none has run here".to_owned()),
                Ok(connection) => match connection.get::<Info>("/version").await {
                    Ok(info) => {
                        lines.push(format!("server {} at {}", info.git_version, connection.server));
                        value["server"] = json!({ "version": info.git_version, "address": connection.server });
                    }
                    Err(error) => lines.push(format!("server: {error}")),
                },
            }
        }
        self.output.show_lines(&Shown { what: "a version", whole: &value, names: None }, || lines)
    }
}
