use std::time::Duration;

use registry_client::ImageStore;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::print_line;
use crate::{
    client::{connection::ConnectionArgs, table::Table},
    output::{OutputArgs, Shown},
    size::human_bytes,
    terminal::print_error,
};

/// Show the images of this installation: what they are, how large, and who uses them
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
EXAMPLES:
  sampan images             What there is
  sampan images -o wide     With whole digests
  sampan images prune       Remove what nothing uses"
)]
pub(crate) struct Images {
    #[command(subcommand)]
    command: Option<ImagesCommand>,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    client: ConnectionArgs,
}

#[derive(Debug, clap::Subcommand)]
enum ImagesCommand {
    Prune(Prune),
}

/// Remove what nothing uses: no Deployment, no revision that it could go back to, no upload
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan images prune              Blobs that no image needs any more
  sampan images prune --all        Images too that have a name and that no Deployment uses
  sampan images prune --dry-run    Only say what would go, and what is too young")]
pub(crate) struct Prune {
    /// Also images that have a name
    #[arg(long, env = "SAMPAN_PRUNE_ALL")]
    all: bool,

    /// Remove nothing; say what would be removed
    #[arg(long, env = "SAMPAN_DRY_RUN")]
    dry_run: bool,

    /// What was written or used within this time stays: somebody may be about to deploy it
    #[arg(long, env = "SAMPAN_PRUNE_GRACE", default_value = "1h", value_name = "SPAN", value_parser = api::parse_span)]
    grace: Duration,

    #[command(flatten)]
    client: ConnectionArgs,
}

#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    reference: String,
    digest: api::Digest,
    component_digest: api::Digest,
    size_bytes: u64,
    /// Whether this machine has it ready to run.
    #[serde(default)]
    compiled: bool,
    /// `None`: nobody is there who knows.
    #[serde(default)]
    used_by: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pruned {
    #[serde(flatten)]
    collected: Collected,
    #[serde(default)]
    kept_by_grace: Collected,
}

#[derive(Debug, Default, Deserialize)]
struct Collected {
    names: Vec<String>,
    blobs: usize,
    bytes: u64,
}

impl Images {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Some(ImagesCommand::Prune(prune)) => prune.run().await,
            None => list(&self.client, &self.output).await,
        }
    }
}

async fn list(client: &ConnectionArgs, output: &OutputArgs) -> anyhow::Result<()> {
    let compiled = runtime::compiled_components(&client.data.resolve()?.compile_cache());
    let asked = async { client.connect().await?.get::<Listed>("/sampan/v1/images").await };
    let (mut lines, unknown) = match asked.await {
        Ok(listed) => (listed.items, None),
        // Without a server the images are still there.
        Err(error) => {
            let dir = client.data.resolve()?.images();
            anyhow::ensure!(dir.is_dir(), error);
            let line = |image: registry_client::Image| Line {
                reference: image.reference,
                digest: image.digest,
                component_digest: image.component_digest,
                size_bytes: image.size_bytes,
                compiled: false,
                used_by: None,
            };
            (ImageStore::open(dir)?.list()?.into_iter().map(line).collect(), Some(error))
        }
    };
    for line in &mut lines {
        line.compiled = compiled.contains(line.component_digest.hex());
    }
    let names = Some(lines.iter().map(|line| line.reference.clone()).collect());
    let whole = json!({ "items": lines });
    output.show_list(&Shown { what: "a list of images", whole: &whole, names }, || table(&lines))?;
    if let Some(error) = unknown {
        print_error(format_args!("who uses them is not known: {error}"));
    }
    Ok(())
}

fn table(lines: &[Line]) -> Table {
    let columns = [
        ("Image", 0),
        ("Digest", 0),
        ("Size", 0),
        ("Compiled", 0),
        ("Whole digest", 1),
        ("Component", 1),
        ("Used by", 0),
    ];
    let row = |line: &Line| {
        let users = match line.used_by.as_deref() {
            None => "?".to_owned(),
            Some([]) => "-".to_owned(),
            Some(users) => users.join(", "),
        };
        let is_compiled = if line.compiled { "yes" } else { "no" };
        vec![
            line.reference.clone(),
            line.digest.short().to_string(),
            human_bytes(line.size_bytes),
            is_compiled.to_owned(),
            line.digest.to_string(),
            line.component_digest.to_string(),
            users,
        ]
    };
    Table::new(&columns, lines.iter().map(row))
}

impl Prune {
    async fn run(self) -> anyhow::Result<()> {
        let (all, dry_run, grace) = (self.all, self.dry_run, self.grace.as_secs());
        let path = format!("/sampan/v1/images/prune?all={all}&dryRun={dry_run}&graceSeconds={grace}");
        let connection = self.client.connect().await?;
        let Pruned { collected, kept_by_grace } = connection.send(http::Request::post(path).body(Vec::new())?).await?;
        let done = if self.dry_run { "would be removed" } else { "removed" };
        for name in collected.names {
            print_line(format_args!("{name}  {done}"));
        }
        print_line(format_args!("{} blobs of {} {done}", collected.blobs, human_bytes(collected.bytes)));
        print_kept(&kept_by_grace, self.grace);
        Ok(())
    }
}

/// What would go too if it were not so young.
fn print_kept(kept: &Collected, grace: Duration) {
    let grace = api::format_span(grace);
    for name in &kept.names {
        print_line(format_args!("{name}  kept: written or used within {grace} (--grace)"));
    }
    if kept.blobs > 0 {
        let size = human_bytes(kept.bytes);
        print_line(format_args!("{} blobs of {size} kept: written or used within {grace} (--grace)", kept.blobs));
    }
}
