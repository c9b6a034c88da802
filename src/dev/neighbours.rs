//! What else runs in the data directory of `sampan dev`: what it deploys goes on after it.

use std::{collections::BTreeSet, path::Path};

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    client::{connection::Connection, projects::PROJECT_LABEL},
    paths::in_shell,
    screen::Screen,
};

/// Other apps that are named; of more, the number is told.
const NAMED: usize = 5;

/// Says which other apps run here, and how they are ended. `data_dir` is the directory that the user named, if one was.
pub(super) async fn show_neighbours(
    connection: &Connection,
    screen: Screen,
    project: &str,
    data_dir: Option<&Path>,
) -> anyhow::Result<()> {
    let deployments: Api<Deployment> = Api::all(connection.client());
    let labelled = ListParams::default().labels(PROJECT_LABEL);
    let deployments = deployments.list(&labelled).await.map_err(|error| connection.explain(error))?;
    let applied = deployments.iter().filter(|one| one.owner_references().is_empty());
    let apps: BTreeSet<&String> =
        applied.filter_map(|one| one.labels().get(PROJECT_LABEL)).filter(|app| *app != project).collect();
    if apps.is_empty() {
        return Ok(());
    }
    let flag = data_dir.map(|dir| format!(" --data-dir {}", in_shell(dir))).unwrap_or_default();
    for app in apps.iter().take(NAMED) {
        screen.event(app, format_args!("runs here too, from before: `sampan down {app}{flag}` ends it"));
    }
    if apps.len() > NAMED {
        screen.event("sampan", format_args!("{} more run here: `sampan down{flag}` lists them", apps.len() - NAMED));
    }
    Ok(())
}
