use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, bail};
use clap::Subcommand;
use futures::StreamExt;
use http::Method;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

use super::print_line;
use crate::{
    client::{
        apply::{FIELD_MANAGER, request},
        connection::{ClientArgs, Connection},
        revisions::{self, Revision},
        rollout::{Progress, obstacle, progress},
        table::Table,
        target::{say_which, split_target},
    },
    output::{Output, OutputArgs, Shown},
};

/// Different reasons that `status` shows why replicas do not start.
const MAX_OBSTACLES: usize = 16;

/// Look at, undo and repeat rollouts of Deployments
#[derive(Debug, clap::Args)]
pub(crate) struct Rollout {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Wait until a rollout is done, saying how far it is
    #[command(after_help = "\
EXAMPLES:
  sampan rollout status deployment/shop
  sampan rollout status deployment/shop --timeout 30s")]
    Status {
        #[command(flatten)]
        target: Target,
        /// Give up after this time
        #[arg(long, env = "SAMPAN_TIMEOUT", value_parser = api::parse_span, value_name = "SPAN")]
        timeout: Option<Duration>,
    },
    /// Go back to an earlier revision
    #[command(after_help = "\
EXAMPLES:
  sampan rollout undo deployment/shop                    To the one before
  sampan rollout undo deployment/shop --to-revision 3    To a certain one")]
    Undo {
        #[command(flatten)]
        target: Target,
        /// The revision to go back to [default: the one before]
        #[arg(long, env = "SAMPAN_TO_REVISION", value_name = "N")]
        to_revision: Option<u64>,
    },
    /// List the revisions that can be gone back to
    #[command(after_help = "\
EXAMPLES:
  sampan rollout history deployment/shop
  sampan rollout history deployment/shop -o yaml    With what each of them would run")]
    History {
        #[command(flatten)]
        target: Target,

        #[command(flatten)]
        output: OutputArgs,
    },
    /// Replace all replicas by new ones, a few at a time
    #[command(after_help = "\
EXAMPLES:
  sampan rollout restart deployment/shop")]
    Restart {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, clap::Args)]
struct Target {
    /// deployment/NAME
    #[arg(required = true, num_args = 1..=2, value_name = "deployment/NAME")]
    target: Vec<String>,

    #[command(flatten)]
    client: ClientArgs,
}

/// A Deployment and the way to it.
struct Subject {
    connection: Connection,
    name: String,
}

impl Rollout {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::Status { target, timeout } => {
                let subject = target.resolve().await?;
                match timeout {
                    None => subject.status().await,
                    Some(limit) => tokio::time::timeout(limit, subject.status())
                        .await
                        .unwrap_or_else(|_| bail!("the rollout is not done after {}", api::format_span(limit))),
                }
            }
            Action::Undo { target, to_revision } => target.resolve().await?.undo(to_revision).await,
            Action::History { target, output } => target.resolve().await?.history(&output).await,
            Action::Restart { target } => target.resolve().await?.restart().await,
        }
    }
}

impl Target {
    async fn resolve(&self) -> anyhow::Result<Subject> {
        let (kind, name) = split_target(&self.target)?;
        let name = name.with_context(|| say_which(&kind))?;
        if !["deployment", "deployments", "deploy", "deployment.apps", "deployments.apps"]
            .contains(&&*kind.to_lowercase())
        {
            bail!("rollouts are of Deployments, not of `{kind}`");
        }
        Ok(Subject { connection: self.client.connect().await?, name })
    }
}

impl Subject {
    fn api(&self) -> Api<Deployment> {
        Api::namespaced(self.connection.client(), &self.connection.namespace)
    }

    async fn get(&self) -> anyhow::Result<Deployment> {
        self.api().get(&self.name).await.map_err(|error| self.connection.explain(error))
    }

    async fn status(&self) -> anyhow::Result<()> {
        let mut deployment = self.get().await?;
        let only = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut changes = watcher(self.api(), only).default_backoff().touched_objects().boxed();
        let pods: Api<Pod> = Api::namespaced(self.connection.client(), &self.connection.namespace);
        let mut pods = watcher(pods, watcher::Config::default()).default_backoff().applied_objects().boxed();
        let (mut last, mut told) = (String::new(), BTreeSet::new());
        loop {
            match progress(&deployment) {
                Progress::Done => {
                    print_line(format_args!("deployment \"{}\" successfully rolled out", self.name));
                    return Ok(());
                }
                Progress::Failed(why) => bail!("{why}"),
                Progress::Waiting(what) if what != last => {
                    print_line(format_args!("Waiting for deployment \"{}\" rollout to finish: {what}...", self.name));
                    last = what;
                }
                Progress::Waiting(_) => {}
            }
            deployment = loop {
                let change = tokio::select! {
                    change = changes.next() => change.context("the watch ended")?,
                    Some(Ok(pod)) = pods.next() => {
                        if let Some(why) = obstacle(&self.name, &pod) && told.len() < MAX_OBSTACLES
                            && told.insert(why.clone()) {
                            print_line(format_args!("A replica does not start: {why}"));
                        }
                        continue;
                    }
                };
                match change {
                    Ok(changed) if changed.metadata.deletion_timestamp.is_some() => bail!("the Deployment was deleted"),
                    Ok(changed) => break changed,
                    Err(error) => tracing::debug!(%error, "the watch is begun again"),
                }
            };
        }
    }

    async fn undo(&self, wanted: Option<u64>) -> anyhow::Result<()> {
        let deployment = self.get().await?;
        let revisions = revisions::of(&self.connection, &deployment).await?;
        let revision = match wanted {
            Some(number) => revisions.iter().find(|revision| revision.number == number),
            None => revisions.iter().rev().nth(1),
        };
        let Some(revision) = revision else {
            let known: Vec<String> = revisions.iter().map(|revision| revision.number.to_string()).collect();
            bail!("no such revision of {}: there is {}", self.name, known.join(", "));
        };
        if revisions.last().map(|current| current.number) == Some(revision.number) {
            print_line(format_args!(
                "deployment.apps/{} skipped rollback (revision {} is the current one)",
                self.name, revision.number
            ));
            return Ok(());
        }
        let patch = json!([{"op": "replace", "path": "/spec/template", "value": revision.template}]);
        self.patch("application/json-patch+json", &patch).await?;
        print_line(format_args!("deployment.apps/{} rolled back to revision {}", self.name, revision.number));
        Ok(())
    }

    async fn history(&self, output: &OutputArgs) -> anyhow::Result<()> {
        let revisions = revisions::of(&self.connection, &self.get().await?).await?;
        let names = Some(revisions.iter().map(|revision| format!("replicaset.apps/{}", revision.name)).collect());
        let whole = json!({ "items": revisions });
        if let Output::Table(_) = output.format() {
            print_line(format_args!("deployment.apps/{}", self.name));
        }
        output.show_list(&Shown { what: "a history", whole: &whole, names }, || {
            let columns = [("Revision", 0), ("Replicas", 0), ("Change-Cause", 0), ("Image", 0), ("ReplicaSet", 1)];
            let row = |revision: &Revision| {
                let cause = revision.change_cause.clone().unwrap_or_else(|| "<none>".to_owned());
                let (number, replicas) = (revision.number.to_string(), revision.replicas.to_string());
                vec![number, replicas, cause, revision.image.clone(), revision.name.clone()]
            };
            Table::new(&columns, revisions.iter().map(row))
        })
    }

    async fn restart(&self) -> anyhow::Result<()> {
        let now = k8s_openapi::jiff::Timestamp::now().to_string();
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        self.patch("application/merge-patch+json", &patch).await?;
        print_line(format_args!("deployment.apps/{} restarted", self.name));
        Ok(())
    }

    async fn patch(&self, kind: &str, patch: &Value) -> anyhow::Result<()> {
        let Connection { namespace, .. } = &self.connection;
        let uri =
            format!("/apis/apps/v1/namespaces/{namespace}/deployments/{}?fieldManager={FIELD_MANAGER}", self.name);
        let _: Value = self.connection.send(request(Method::PATCH, uri, kind, patch)?).await?;
        Ok(())
    }
}
