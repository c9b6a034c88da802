//! Taking workers out of placement, emptying them, and putting them back.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::print_line;
use crate::client::{
    apply::{FIELD_MANAGER, request},
    connection::{Connection, ConnectionArgs},
};

/// How often it is looked whether pods are gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long after it was refused a pod is asked for again: there may be room by then.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Take workers out of placement: they get no new replicas, and keep those they have
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan cordon worker-1
  sampan cordon worker-1 worker-2")]
pub(crate) struct Cordon {
    /// As `sampan get nodes` shows them
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,

    #[command(flatten)]
    client: ConnectionArgs,
}

/// Put workers back into placement
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan uncordon worker-1")]
pub(crate) struct Uncordon {
    /// As `sampan get nodes` shows them
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,

    #[command(flatten)]
    client: ConnectionArgs,
}

/// Empty workers: each replica is moved, and serves on until another is ready in its place
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan drain worker-1                 Then upgrade it, and `sampan uncordon worker-1`
  sampan drain worker-1 --timeout 1m")]
pub(crate) struct Drain {
    /// As `sampan get nodes` shows them
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,

    /// How long it may take until nothing runs there
    #[arg(long, env = "SAMPAN_TIMEOUT", default_value = "5m", value_name = "SPAN", value_parser = api::parse_span)]
    timeout: Duration,

    #[command(flatten)]
    client: ConnectionArgs,
}

#[derive(Debug, Deserialize)]
struct Items {
    items: Vec<Value>,
}

impl Cordon {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        cordon_all(&self.client.connect().await?, &self.nodes, true).await
    }
}

impl Uncordon {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        cordon_all(&self.client.connect().await?, &self.nodes, false).await
    }
}

impl Drain {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        refuse_the_last_reached(&connection, &self.nodes).await?;
        cordon_all(&connection, &self.nodes, true).await?;
        let until = Instant::now() + self.timeout;
        for node in &self.nodes {
            drain(&connection, node, until, self.timeout).await?;
            print_line(format_args!("node/{node} drained"));
        }
        Ok(())
    }
}

/// Refuses to empty the last nodes that gateways reach: what runs there could be moved only to where nobody finds it. Where
/// there is no other node at all, one may come while it waits.
async fn refuse_the_last_reached(connection: &Connection, drained: &[String]) -> anyhow::Result<()> {
    let nodes: Items = connection.get("/api/v1/nodes").await?;
    let is = |node: &Value, kind: &str| {
        let conditions = node["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    let takes = |node: &&Value| is(node, "Ready") && node["spec"]["unschedulable"] != true;
    let others = nodes.items.iter().filter(|node| !drained.iter().any(|name| node["metadata"]["name"] == **name));
    let (unreached, reached): (Vec<&Value>, Vec<_>) =
        others.filter(takes).partition(|node| is(node, "NetworkUnavailable"));
    if unreached.is_empty() || !reached.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unreached.iter().filter_map(|node| node["metadata"]["name"].as_str()).collect();
    anyhow::bail!(
        "nothing is drained: no other node is left that gateways reach. They do not reach {}: `kubectl describe node` says \
         why; a worker that joins over the network is to have `--listen IP:PORT`",
        names.join(", ")
    )
}

async fn cordon_all(connection: &Connection, nodes: &[String], cordoned: bool) -> anyhow::Result<()> {
    for node in nodes {
        let uri = format!("/api/v1/nodes/{node}?fieldManager={FIELD_MANAGER}");
        let patch = json!({ "spec": { "unschedulable": cordoned } });
        let _: Value = connection.send(request(Method::PATCH, uri, "application/merge-patch+json", &patch)?).await?;
        print_line(format_args!("node/{node} {}", if cordoned { "cordoned" } else { "uncordoned" }));
    }
    Ok(())
}

/// Asks for every pod of the node to be moved, and again for those that come, until there is none.
async fn drain(connection: &Connection, node: &str, until: Instant, timeout: Duration) -> anyhow::Result<()> {
    let mut moved: Vec<String> = Vec::new();
    let mut refused: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        let left: Items = connection.get(&format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")).await?;
        let names: Vec<(String, String)> = left.items.iter().filter_map(name_of).collect();
        if names.is_empty() {
            return Ok(());
        }
        for (namespace, name) in &names {
            let is_early = refused.get(name).is_some_and(|at| at.elapsed() < ASK_AGAIN);
            if is_early || moved.contains(name) {
                continue;
            }
            match evict(connection, namespace, name).await? {
                Evicted::Moved => {
                    print_line(format_args!("pod/{name} is moved"));
                    moved.push(name.clone());
                }
                Evicted::NotYet(why) => {
                    if refused.insert(name.clone(), Instant::now()).is_none() {
                        print_line(format_args!("pod/{name} is not moved yet: {why}"));
                    }
                }
            }
        }
        if Instant::now() >= until {
            let names: Vec<_> = names.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
            anyhow::bail!(
                "node/{node} is not empty after {}: {} could not be moved; is there room on another node?",
                api::format_span(timeout),
                names.join(", ")
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What became of a pod that is to be moved.
enum Evicted {
    Moved,
    /// Nothing could follow it now, and why.
    NotYet(String),
}

async fn evict(connection: &Connection, namespace: &str, name: &str) -> anyhow::Result<Evicted> {
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": { "name": name, "namespace": namespace } });
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
    let evicted = connection.send::<Value>(request(Method::POST, uri, "application/json", &eviction)?).await;
    let Err(error) = evicted else { return Ok(Evicted::Moved) };
    match crate::client::connection::refusal_code(&error).and_then(|code| StatusCode::from_u16(code).ok()) {
        // It went by itself.
        Some(StatusCode::NOT_FOUND) => Ok(Evicted::Moved),
        Some(StatusCode::TOO_MANY_REQUESTS) => Ok(Evicted::NotYet(error.to_string())),
        _ => Err(error),
    }
}

fn name_of(pod: &Value) -> Option<(String, String)> {
    let metadata = &pod["metadata"];
    Some((metadata["namespace"].as_str()?.to_owned(), metadata["name"].as_str()?.to_owned()))
}
