//! What else runs in the data directory of `sampan dev`: what it deploys goes on after it.

use std::path::Path;

use crate::{
    client::{
        connection::Connection,
        kinds::Kinds,
        projects::{Owned, owned},
    },
    screen::Screen,
};

/// Other apps that are named; of more, the number is told.
const NAMED: usize = 5;

/// Says which other apps run here, and how they are ended. `data_dir` is the directory that the user named, if one was.
pub(super) async fn show_neighbours(
    connection: &Connection,
    kinds: &Kinds,
    screen: Screen,
    project: &str,
    data_dir: Option<&Path>,
) -> anyhow::Result<()> {
    let mut apps = owned(connection, kinds, None).await?;
    apps.retain(|app, objects| app != project && objects.iter().any(runs));
    if apps.is_empty() {
        return Ok(());
    }
    let flag = data_dir.map(|dir| format!(" --data-dir {}", dir.display())).unwrap_or_default();
    for app in apps.keys().take(NAMED) {
        screen.event(app, format_args!("runs here too, from before: `sampan down {app}{flag}` ends it"));
    }
    if apps.len() > NAMED {
        screen.event("sampan", format_args!("{} more run here: `sampan down{flag}` lists them", apps.len() - NAMED));
    }
    Ok(())
}

fn runs(object: &Owned) -> bool {
    object.kind == "Deployment"
}
