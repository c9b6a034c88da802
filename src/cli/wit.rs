use std::path::{Path, PathBuf};

use anyhow::bail;

use super::print_line;
use crate::{
    build::{PROJECT_FILE, Project},
    wit,
};

/// Keep the WIT files of a project as this sampan has them
#[derive(Debug, clap::Args)]
pub(crate) struct Wit {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Update(Update),
}

/// Write the packages that a project's worlds name, at the versions that are offered here
///
/// Looks for a folder `wit` in the project and in its components. The packages of WASI, key-value stores, configuration
/// and logging that a world there imports come into `wit/deps`. Import another in the world, and update again.
///
/// Versions of WASI 0.2 become those of this sampan, or what `wasi` of the component in sampan.toml says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan wit update            The project in this folder
  sampan wit update hello      Another one")]
struct Update {
    /// Folder with a sampan.toml, or with a folder `wit`
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
}

impl Wit {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::Update(update) => update.run(),
        }
    }
}

impl Update {
    fn run(self) -> anyhow::Result<()> {
        let has_wit = |folder: &Path| folder.join(wit::FOLDER).is_dir();
        let (mut folders, mut root): (Vec<(PathBuf, String)>, _) = (Vec::new(), self.path.clone());
        let mut add = |folder: &Path, version: Option<&str>| {
            if has_wit(folder) && !folders.iter().any(|(known, _)| known == folder) {
                folders.push((folder.to_owned(), version.unwrap_or(wit::our_version()).to_owned()));
            }
        };
        if self.path.join(PROJECT_FILE).is_file() {
            let project = Project::read(&self.path)?;
            for component in &project.components {
                add(&component.dir, component.wasi.as_deref());
            }
            add(&project.root, None);
            root.clone_from(&project.root);
        } else {
            add(&self.path, None);
        }
        if folders.is_empty() {
            bail!("{} has no folder `wit`: there is nothing to update", self.path.display());
        }
        for (folder, version) in folders {
            let changed = wit::update(&folder.join(wit::FOLDER), &[root.as_path(), folder.as_path()], &version)?;
            for path in &changed {
                print_line(format_args!("{}  written", path.display()));
            }
            if changed.is_empty() {
                print_line(format_args!("{}  is up to date", folder.join(wit::FOLDER).display()));
            }
        }
        Ok(())
    }
}
