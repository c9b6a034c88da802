use std::path::PathBuf;

use anyhow::bail;

use super::print_line;
use crate::client::{
    apply::{Mode, apply_one, check_all, plan},
    connection::ClientArgs,
    kinds::Kinds,
    manifest::{Manifests, Problem},
};

/// Apply manifests: create what is not there, change what differs
///
/// Everything is checked before anything is applied. Manifests are Kubernetes YAML or JSON, and
/// `kubectl apply` and `sampan apply` can be mixed: a field that leaves a manifest is removed by either.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan apply -f deploy/                     Everything in a folder and below it
  sampan apply -f shop.yaml -f config.json    Some files
  sampan apply -f - -n staging                Standard input, into a namespace
  sampan apply -f deploy/ --dry-run           Only say what would happen")]
pub(crate) struct Apply {
    /// File, folder or `-` for standard input; may be given several times
    #[arg(short, long = "filename", env = "SAMPAN_FILENAME", value_name = "FILE|DIR|-", required = true)]
    filename: Vec<PathBuf>,

    /// Have the server check the manifests and say what would be done, without doing it
    #[arg(long, env = "SAMPAN_DRY_RUN")]
    dry_run: bool,

    #[command(flatten)]
    client: ClientArgs,
}

impl Apply {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let manifests = Manifests::read(&self.filename);
        refuse(manifests.problems)?;
        if manifests.documents.is_empty() {
            bail!(
                "no objects in {}",
                self.filename.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")
            );
        }
        let connection = self.client.connect().await?;
        let kinds = Kinds::discover(&connection).await?;
        let planned = match plan(manifests.documents, &kinds, &connection.namespace) {
            Ok(planned) => planned,
            Err(problems) => return refuse(problems),
        };
        refuse(check_all(&connection, &planned).await?)?;
        let (mode, suffix) = if self.dry_run { (Mode::DryRun, " (dry run)") } else { (Mode::Commit, "") };
        let mut problems = Vec::new();
        for one in &planned {
            match apply_one(&connection, one, mode).await? {
                Ok((outcome, _)) => print_line(format_args!("{} {outcome}{suffix}", one.kind.label(&one.name))),
                Err(refused) => problems.extend(refused),
            }
        }
        refuse(problems)
    }
}

/// Fails with all of these, if there are any.
fn refuse(problems: Vec<Problem>) -> anyhow::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!("{}", lines.join("\nerror: "))
}
