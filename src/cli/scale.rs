use http::Method;
use serde_json::{Value, json};

use super::print_line;
use crate::client::{
    apply::{FIELD_MANAGER, request},
    connection::ClientArgs,
    kinds::Kinds,
    target::{say_which, split_target},
};

/// Set how many replicas a Deployment has
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan scale deployment/shop --replicas 5
  sampan scale deployment shop --replicas 0     Stop it, and keep everything else")]
pub(crate) struct Scale {
    /// KIND/NAME or KIND NAME
    #[arg(required = true, num_args = 1..=2, value_name = "KIND/NAME")]
    target: Vec<String>,

    /// How many replicas there are to be
    #[arg(long, env = "SAMPAN_REPLICAS", value_name = "N")]
    replicas: u32,

    #[command(flatten)]
    client: ClientArgs,
}

impl Scale {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (kind, Some(name)) = split_target(&self.target)? else {
            anyhow::bail!(say_which(&self.target.join(" ")));
        };
        let connection = self.client.connect().await?;
        let kinds = Kinds::discover(&connection).await?;
        let kind = kinds.named(&kind)?;
        let path = kind.path(Some(&connection.namespace));
        let uri = format!("{path}/{name}/scale?fieldManager={FIELD_MANAGER}");
        let patch = json!({"spec": {"replicas": self.replicas}});
        let _: Value = connection.send(request(Method::PATCH, uri, "application/merge-patch+json", &patch)?).await?;
        print_line(format_args!("{} scaled", kind.label(&name)));
        Ok(())
    }
}
