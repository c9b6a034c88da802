use anyhow::{Context, bail};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    Api,
    api::ListParams,
    core::{Expression, Selector},
};
use tokio::sync::mpsc;

use super::print_line;
use crate::client::{
    connection::{ClientArgs, Connection, split_target},
    logs::{LINE_QUEUE, LogOptions, PodLine, follow_all, read},
};
use crate::terminal::print_error;

/// Show what replicas say
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan logs shop-7d4b9-x2x4q              One replica
  sampan logs -f deployment/shop            All of a Deployment, and go on
  sampan logs -l app=shop --tail 20         The last lines of some")]
pub(crate) struct Logs {
    /// POD, deployment/NAME or replicaset/NAME
    #[arg(value_name = "POD|KIND/NAME", required_unless_present = "selector", conflicts_with = "selector")]
    target: Option<String>,

    /// Replicas with these labels
    #[arg(short = 'l', long, env = "SAMPAN_SELECTOR", value_name = "SELECTOR")]
    selector: Option<String>,

    /// Go on with what is written from now on, by new replicas too
    #[arg(short, long, env = "SAMPAN_FOLLOW")]
    follow: bool,

    /// Only the last so many lines of each replica
    #[arg(long, env = "SAMPAN_TAIL", value_name = "LINES")]
    tail: Option<i64>,

    /// Begin each line with its time
    #[arg(long, env = "SAMPAN_TIMESTAMPS")]
    timestamps: bool,

    #[command(flatten)]
    client: ClientArgs,
}

impl Logs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        let options = LogOptions { tail: self.tail, follow: self.follow, timestamps: self.timestamps };
        match self.selector(&connection).await? {
            Some(selector) if self.follow => follow(&connection, &selector, options).await,
            Some(selector) => print_each(&connection, &selector, options).await,
            None => {
                let pod = self.target.unwrap_or_default();
                let pod = pod.split_once('/').map_or(pod.as_str(), |(_, name)| name);
                print_one(&connection, pod, options).await
            }
        }
    }

    /// The labels that choose the replicas; `None` if the target is one Pod.
    async fn selector(&self, connection: &Connection) -> anyhow::Result<Option<String>> {
        let Some(target) = &self.target else { return Ok(self.selector.clone()) };
        let (kind, name) = match split_target(std::slice::from_ref(target))? {
            (kind, Some(name)) => (kind, name),
            _ => return Ok(None),
        };
        let labels = match kind.to_lowercase().as_str() {
            "pod" | "pods" | "po" => return Ok(None),
            "deployment" | "deployments" | "deploy" | "deployment.apps" | "deployments.apps" => {
                let api: Api<Deployment> = Api::namespaced(connection.client(), &connection.namespace);
                let deployment = api.get(&name).await.map_err(|error| connection.explain(error))?;
                deployment.spec.map(|spec| spec.selector)
            }
            "replicaset" | "replicasets" | "rs" | "replicaset.apps" | "replicasets.apps" => {
                let api: Api<ReplicaSet> = Api::namespaced(connection.client(), &connection.namespace);
                let set = api.get(&name).await.map_err(|error| connection.explain(error))?;
                set.spec.map(|spec| spec.selector)
            }
            _ => bail!("logs are of Pods, Deployments and ReplicaSets, not of `{kind}`"),
        };
        Ok(Some(selector_text(labels.context("the object has no selector")?)))
    }
}

fn selector_text(labels: LabelSelector) -> String {
    let equal = labels.match_labels.into_iter().flatten().map(|(key, value)| Expression::Equal(key, value));
    equal.collect::<Selector>().to_string()
}

async fn print_one(connection: &Connection, pod: &str, options: LogOptions) -> anyhow::Result<()> {
    let (tx, mut rx) = mpsc::channel(LINE_QUEUE);
    let print = async {
        while let Some(PodLine { text, .. }) = rx.recv().await {
            print_line(text);
        }
        Ok(())
    };
    let read = async move { read(connection, &connection.namespace, pod, &options, &tx).await };
    tokio::try_join!(read, print).map(|_| ())
}

/// What each replica that matches has said until now, one after the other.
async fn print_each(connection: &Connection, selector: &str, options: LogOptions) -> anyhow::Result<()> {
    let api: Api<Pod> = Api::namespaced(connection.client(), &connection.namespace);
    let pods = api.list(&ListParams::default().labels(selector)).await.map_err(|error| connection.explain(error))?;
    let names: Vec<String> = pods.items.into_iter().filter_map(|pod| pod.metadata.name).collect();
    if names.is_empty() {
        print_error(format_args!("No replicas with {selector} in namespace {}.", connection.namespace));
    }
    let (tx, mut rx) = mpsc::channel(LINE_QUEUE);
    let several = names.len() > 1;
    let print = async {
        while let Some(line) = rx.recv().await {
            print_prefixed(&line, several);
        }
        Ok(())
    };
    let read_all = async move {
        for name in &names {
            read(connection, &connection.namespace, name, &options, &tx).await?;
        }
        Ok(())
    };
    tokio::try_join!(read_all, print).map(|_| ())
}

async fn follow(connection: &Connection, selector: &str, options: LogOptions) -> anyhow::Result<()> {
    // Asked once, so that a server that is not there is an error and not waited for.
    let api: Api<Pod> = Api::namespaced(connection.client(), &connection.namespace);
    api.list(&ListParams::default().limit(1)).await.map_err(|error| connection.explain(error))?;
    let (tx, mut rx) = mpsc::channel(LINE_QUEUE);
    let print = async {
        while let Some(line) = rx.recv().await {
            print_prefixed(&line, true);
        }
    };
    tokio::join!(follow_all(connection, api, selector, options, tx), print);
    Ok(())
}

fn print_prefixed(line: &PodLine, several: bool) {
    if several {
        print_line(format_args!("[{}] {}", line.pod, line.text));
    } else {
        print_line(&line.text);
    }
}
