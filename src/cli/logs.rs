use anyhow::{Context, anyhow, bail};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Pod, Service},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{Api, api::ListParams};
use serde_json::Value;
use tokio::sync::mpsc;

use super::print_line;
use crate::{
    client::{
        connection::{ClientArgs, Connection},
        kinds::closest,
        logs::{LINE_QUEUE, LogOptions, PodLine, follow_all, read},
        query::percent_encode,
        selector,
        target::split_target,
    },
    errors::HintExt,
    terminal::print_error,
};

/// Names that are listed where none was known.
const MAX_LISTED: usize = 12;

/// Show what replicas say
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan logs shop                          All replicas of the Deployment `shop`
  sampan logs -f shop                       And go on with what they say
  sampan logs shop-7d4b9-x2x4q              One replica
  sampan logs -l app=shop --tail 20         The last lines of some")]
pub(crate) struct Logs {
    /// Name of a Deployment or of a Pod; or KIND/NAME, of a ReplicaSet or Service too
    #[arg(value_name = "NAME|KIND/NAME", required_unless_present = "selector", conflicts_with = "selector")]
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
        match self.whose(&connection).await? {
            Whose::Chosen(selector) if self.follow => follow(&connection, &selector, options).await,
            Whose::Chosen(selector) => print_each(&connection, &selector, options).await,
            Whose::Pod(name) => print_one(&connection, &name, options).await,
        }
    }

    async fn whose(&self, connection: &Connection) -> anyhow::Result<Whose> {
        let Some(target) = &self.target else {
            return Ok(Whose::Chosen(self.selector.clone().unwrap_or_default()));
        };
        let (kind, name) = match split_target(std::slice::from_ref(target))? {
            (kind, Some(name)) => (kind, name),
            (name, None) => return named(connection, &name).await,
        };
        let labels = match kind.to_lowercase().as_str() {
            "pod" | "pods" | "po" => return Ok(Whose::Pod(name)),
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
            "service" | "services" | "svc" => {
                let api: Api<Service> = Api::namespaced(connection.client(), &connection.namespace);
                let service = api.get(&name).await.map_err(|error| connection.explain(error))?;
                let labels = service.spec.and_then(|spec| spec.selector).filter(|labels| !labels.is_empty());
                labels.map(|labels| LabelSelector { match_labels: Some(labels), match_expressions: None })
            }
            _ => bail!("logs are of Pods, Deployments, ReplicaSets and Services, not of `{kind}`"),
        };
        Ok(Whose::Chosen(selector::text(&labels.context("the object has no selector")?)))
    }
}

/// Whose logs are shown.
enum Whose {
    /// Of one Pod.
    Pod(String),
    /// Of the Pods with these labels.
    Chosen(String),
}

/// What a bare name names: a Pod, a Deployment or a ReplicaSet of the namespace, of which it may be one only.
async fn named(connection: &Connection, name: &str) -> anyhow::Result<Whose> {
    let namespace = &connection.namespace;
    let (pods, deployments, sets) = tokio::try_join!(
        optional::<Pod>(connection, "/api/v1", "pods", name),
        optional::<Deployment>(connection, "/apis/apps/v1", "deployments", name),
        optional::<ReplicaSet>(connection, "/apis/apps/v1", "replicasets", name),
    )?;
    let deployment = deployments.and_then(|deployment| deployment.spec).map(|spec| spec.selector);
    let set = sets.and_then(|set| set.spec).map(|spec| spec.selector);
    match (pods, deployment, set) {
        (Some(_), None, None) => Ok(Whose::Pod(name.to_owned())),
        (None, Some(labels), None) | (None, None, Some(labels)) => Ok(Whose::Chosen(selector::text(&labels))),
        (None, None, None) => Err(unknown(connection, name).await?),
        (pod, deployment, set) => {
            let there = [("pod", pod.is_some()), ("deployment", deployment.is_some()), ("replicaset", set.is_some())];
            let names = there.into_iter().filter(|(_, is_there)| *is_there).map(|(kind, _)| format!("{kind}/{name}"));
            bail!("`{name}` is several in namespace {namespace}: write {}", names.collect::<Vec<_>>().join(" or "))
        }
    }
}

async fn optional<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    root: &str,
    plural: &str,
    name: &str,
) -> anyhow::Result<Option<T>> {
    let name = percent_encode(name);
    let path = format!("{root}/namespaces/{}/{plural}/{name}", connection.namespace);
    connection.send_optional(http::Request::get(path).body(Vec::new())?).await
}

/// Says which names there are instead, here or in another namespace.
async fn unknown(connection: &Connection, name: &str) -> anyhow::Result<anyhow::Error> {
    let namespace = &connection.namespace;
    let all: Value = connection.get("/apis/apps/v1/deployments").await?;
    let found = all["items"].as_array().into_iter().flatten().filter_map(|deployment| {
        let metadata = &deployment["metadata"];
        Some((metadata["namespace"].as_str()?, metadata["name"].as_str()?))
    });
    let (here, elsewhere): (Vec<_>, Vec<_>) = found.partition(|(place, _)| place == namespace);
    let error = anyhow!("there is no Deployment or Pod `{name}` in namespace {namespace}");
    if let Some((place, _)) = elsewhere.iter().find(|(_, other)| *other == name) {
        return Ok(error.hint(format!("namespace {place} has one: `sampan logs {name} -n {place}`")));
    }
    let here: Vec<&str> = here.into_iter().map(|(_, name)| name).collect();
    if here.is_empty() {
        let place = elsewhere.first().map(|(place, _)| format!(": namespace {place} has some (-n {place})"));
        return Ok(error.hint(format!("there is no Deployment there{}", place.unwrap_or_default())));
    }
    let more = here.len().saturating_sub(MAX_LISTED);
    let mut list = here.iter().take(MAX_LISTED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more (`sampan get deployments`)"));
    }
    let meant = closest(name, here.iter().copied()).map(|meant| format!("did you mean `{meant}`? "));
    Ok(error.hint(format!("{}there is {list}", meant.unwrap_or_default())))
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
            match read(connection, &connection.namespace, name, &options, &tx).await {
                // One that has not started yet does not keep the others from being read.
                Err(error) if several => print_error(format_args!("pod/{name}: {error}")),
                read => read?,
            }
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
