//! What workers, replicas and Services use.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::print_line;
use crate::{
    client::{
        connection::{ClientArgs, Connection},
        table::{Columns, Table},
    },
    output::{Output, OutputArgs, Shown},
    size::human_bytes,
};

/// Show what workers, replicas and Services use: CPU, requests, and the memory that they may take
///
/// CPU and requests are those of the time between two looks. Memory in use is not measured yet: shown is what replicas asked
/// for and what they are limited to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan top                     Of this namespace, and all workers
  sampan top -A --interval 10s   Of all namespaces, over ten seconds
  sampan top -o jsonpath='{.replicas[*].cpuMillis}'")]
pub(crate) struct Top {
    /// What to show [default: all three]
    #[arg(value_name = "WHAT", value_enum)]
    what: Vec<What>,

    /// Of every namespace
    #[arg(short = 'A', long, env = "SAMPAN_ALL_NAMESPACES", conflicts_with = "namespace")]
    all_namespaces: bool,

    /// How long to measure
    #[arg(long, env = "SAMPAN_INTERVAL", default_value = "1s", value_name = "SPAN", value_parser = interval)]
    interval: Duration,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    #[value(alias = "nodes")]
    Workers,
    #[value(alias = "pods")]
    Replicas,
    Services,
}

/// Workers tell what replicas have used each second: in less, nothing is to be seen.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(600);

fn interval(text: &str) -> Result<Duration, String> {
    let span = api::parse_span(text).map_err(|error| error.to_string())?;
    if (MIN_INTERVAL..=MAX_INTERVAL).contains(&span) { Ok(span) } else { Err("write 1s to 10m".to_owned()) }
}

/// What the server has counted since it started.
#[derive(Debug, Clone, Default, Deserialize)]
struct Usage {
    replicas: Vec<UsedCpu>,
    services: Vec<Served>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsedCpu {
    namespace: String,
    name: String,
    cpu_micros: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    namespace: String,
    name: String,
    completed: u64,
    failed: u64,
    latency_micros: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    name: String,
    replicas: usize,
    cpu_millis: u64,
    cpu_capacity_millis: u64,
    memory_requested_bytes: u64,
    memory_capacity_bytes: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Replica {
    namespace: String,
    name: String,
    worker: String,
    cpu_millis: u64,
    memory_requested_bytes: u64,
    memory_limit_bytes: Option<u64>,
    restarts: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    namespace: String,
    name: String,
    requests_per_second: f64,
    failed_per_second: f64,
    /// Of the requests that ended; `None`: none did.
    latency_millis: Option<f64>,
}

/// What two looks at the server show.
struct Measured {
    workers: Vec<Worker>,
    replicas: Vec<Replica>,
    services: Vec<Service>,
}

impl Top {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.output.refuse_wide("this")?;
        let connection = self.client.connect().await?;
        let namespace = (!self.all_namespaces).then(|| connection.namespace.clone());
        let measured = Measured::of(&connection, namespace.as_deref(), self.interval).await?;
        let shows = |what: What| self.what.is_empty() || self.what.contains(&what);
        if let Output::Whole(whole) = self.output.format() {
            let mut value = json!({ "intervalSeconds": self.interval.as_secs_f64() });
            let mut show = |what: What, field: &str, list: Value| {
                if shows(what) {
                    value[field] = list;
                }
            };
            show(What::Workers, "workers", json!(measured.workers));
            show(What::Replicas, "replicas", json!(measured.replicas));
            show(What::Services, "services", json!(measured.services));
            return Shown { what: "this", whole: &value, names: None }.print(&whole);
        }
        let mut tables = Vec::new();
        if shows(What::Workers) {
            tables.push(("Workers", workers(&measured.workers)));
        }
        if shows(What::Replicas) {
            tables.push(("Replicas", replicas(&measured.replicas)));
        }
        if shows(What::Services) {
            tables.push(("Services", services(&measured.services)));
        }
        for (at, (heading, table)) in tables.iter().enumerate() {
            if at > 0 {
                print_line("");
            }
            print_line(heading);
            if table.rows.is_empty() {
                print_line("  <none>");
            } else {
                table.indented(Columns::Narrow, 2).into_iter().for_each(print_line);
            }
        }
        Ok(())
    }
}

impl Measured {
    async fn of(connection: &Connection, namespace: Option<&str>, interval: Duration) -> anyhow::Result<Self> {
        let before: Usage = connection.get(USAGE).await?;
        tokio::time::sleep(interval).await;
        let after: Usage = connection.get(USAGE).await?;
        let nodes: Value = connection.get("/api/v1/nodes").await?;
        let pods: Value = connection.get("/api/v1/pods").await?;
        let cpu = cpu_millis(&before, &after, interval);
        let list = |value: &Value| value["items"].as_array().cloned().unwrap_or_default();
        let all: Vec<Replica> = list(&pods).iter().map(|pod| replica(pod, &cpu)).collect();
        let workers = list(&nodes).iter().map(|node| worker(node, &all)).collect();
        let is_shown = |of: &str| namespace.is_none_or(|namespace| namespace == of);
        let services = rates(&before, &after, interval).into_iter().filter(|service| is_shown(&service.namespace));
        let services = services.collect();
        let replicas = all.into_iter().filter(|replica| is_shown(&replica.namespace)).collect();
        Ok(Self { workers, replicas, services })
    }
}

/// Where the server says what it has counted.
const USAGE: &str = "/sampan/v1/usage";

/// Thousandths of a processor, by namespace and name. One that was restarted meanwhile begins anew; of one that was not told of
/// before, nobody knows when it has used what it has.
fn cpu_millis(before: &Usage, after: &Usage, interval: Duration) -> BTreeMap<(String, String), u64> {
    let key = |used: &UsedCpu| (used.namespace.clone(), used.name.clone());
    let earlier: BTreeMap<_, _> = before.replicas.iter().map(|used| (key(used), used.cpu_micros)).collect();
    let rate = |used: &UsedCpu| {
        let since = match earlier.get(&key(used)) {
            None => used.cpu_micros,
            Some(earlier) if *earlier <= used.cpu_micros => *earlier,
            Some(_) => 0,
        };
        (used.cpu_micros - since) as f64 / interval.as_secs_f64() / 1e3
    };
    after.replicas.iter().map(|used| (key(used), rate(used).round() as u64)).collect()
}

fn rates(before: &Usage, after: &Usage, interval: Duration) -> Vec<Service> {
    let mut services = Vec::new();
    for now in &after.services {
        let is_it = |then: &&Served| then.namespace == now.namespace && then.name == now.name;
        let then = before.services.iter().find(is_it).filter(|then| then.completed <= now.completed);
        let since = |of: fn(&Served) -> u64| of(now).saturating_sub(then.map_or(0, of));
        let (completed, seconds) = (since(|served| served.completed), interval.as_secs_f64());
        let latency = since(|served| served.latency_micros) as f64 / 1e3;
        services.push(Service {
            namespace: now.namespace.clone(),
            name: now.name.clone(),
            requests_per_second: completed as f64 / seconds,
            failed_per_second: since(|served| served.failed) as f64 / seconds,
            latency_millis: (completed > 0).then(|| latency / completed as f64),
        });
    }
    services
}

fn quantity(value: &Value) -> Option<api::Quantity> {
    value.as_str()?.parse().ok()
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn replica(pod: &Value, cpu: &BTreeMap<(String, String), u64>) -> Replica {
    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    let resources = &pod["spec"]["containers"][0]["resources"];
    let limit = quantity(&resources["limits"]["memory"]).map(api::Quantity::as_units);
    let requested = quantity(&resources["requests"]["memory"]).map(api::Quantity::as_units);
    Replica {
        cpu_millis: cpu.get(&(namespace.clone(), name.clone())).copied().unwrap_or(0),
        worker: text(pod, "/spec/nodeName"),
        memory_requested_bytes: requested.or(limit).unwrap_or(0),
        memory_limit_bytes: limit,
        restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0),
        namespace,
        name,
    }
}

fn worker(node: &Value, replicas: &[Replica]) -> Worker {
    let name = text(node, "/metadata/name");
    let own: Vec<&Replica> = replicas.iter().filter(|replica| replica.worker == name).collect();
    let allocatable = &node["status"]["allocatable"];
    Worker {
        replicas: own.len(),
        cpu_millis: own.iter().map(|replica| replica.cpu_millis).sum(),
        cpu_capacity_millis: quantity(&allocatable["cpu"]).map_or(0, api::Quantity::as_millis),
        memory_requested_bytes: own.iter().map(|replica| replica.memory_requested_bytes).sum(),
        memory_capacity_bytes: quantity(&allocatable["memory"]).map_or(0, api::Quantity::as_units),
        name,
    }
}

fn workers(workers: &[Worker]) -> Table {
    let row = |worker: &Worker| {
        let percent = (worker.cpu_millis * 100).checked_div(worker.cpu_capacity_millis).unwrap_or(0);
        vec![
            worker.name.clone(),
            worker.replicas.to_string(),
            format!("{}m of {}m ({percent}%)", worker.cpu_millis, worker.cpu_capacity_millis),
            format!("{} of {}", human_bytes(worker.memory_requested_bytes), human_bytes(worker.memory_capacity_bytes)),
        ]
    };
    let columns = [("Name", 0), ("Replicas", 0), ("CPU", 0), ("Memory asked for", 0)];
    Table::new(&columns, workers.iter().map(row))
}

fn replicas(replicas: &[Replica]) -> Table {
    let row = |replica: &Replica| {
        vec![
            replica.namespace.clone(),
            replica.name.clone(),
            if replica.worker.is_empty() { "-".to_owned() } else { replica.worker.clone() },
            format!("{}m", replica.cpu_millis),
            replica.memory_limit_bytes.map_or_else(|| "-".to_owned(), human_bytes),
            replica.restarts.to_string(),
        ]
    };
    let columns = [("Namespace", 0), ("Name", 0), ("Worker", 0), ("CPU", 0), ("Memory limit", 0), ("Restarts", 0)];
    Table::new(&columns, replicas.iter().map(row))
}

fn services(services: &[Service]) -> Table {
    let row = |service: &Service| {
        vec![
            service.namespace.clone(),
            service.name.clone(),
            format!("{:.1}", service.requests_per_second),
            format!("{:.1}", service.failed_per_second),
            service.latency_millis.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.1} ms")),
        ]
    };
    let columns = [("Namespace", 0), ("Name", 0), ("Req/s", 0), ("Failed/s", 0), ("Mean latency", 0)];
    Table::new(&columns, services.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(cpu: u64, completed: u64, latency: u64) -> Usage {
        let (namespace, name) = ("default".to_owned(), "shop".to_owned());
        Usage {
            replicas: vec![UsedCpu { namespace: namespace.clone(), name: name.clone(), cpu_micros: cpu }],
            services: vec![Served { namespace, name, completed, failed: 0, latency_micros: latency }],
        }
    }

    #[test]
    fn figures_are_of_the_time_between_two_looks() {
        let (before, after) = (usage(1_000_000, 100, 5_000), usage(1_500_000, 300, 405_000));
        let span = Duration::from_secs(2);
        assert_eq!(cpu_millis(&before, &after, span).into_values().collect::<Vec<_>>(), [250]);
        let service = &rates(&before, &after, span)[0];
        assert_eq!((service.requests_per_second, service.latency_millis), (100.0, Some(2.0)));
        let unknown = cpu_millis(&Usage::default(), &after, span);
        assert_eq!(unknown.into_values().collect::<Vec<_>>(), [0], "it may have used that long ago");
        let idle = &rates(&before, &before, span)[0];
        assert_eq!((idle.requests_per_second, idle.latency_millis), (0.0, None), "nothing ended, so nothing is known");
    }

    #[test]
    fn counts_that_began_anew_are_taken_from_their_beginning() {
        let (before, after) = (usage(9_000_000, 900, 9), usage(100_000, 10, 1));
        let span = Duration::from_secs(1);
        assert_eq!(cpu_millis(&before, &after, span).into_values().collect::<Vec<_>>(), [100]);
        assert_eq!(rates(&before, &after, span)[0].requests_per_second, 10.0);
    }
}
