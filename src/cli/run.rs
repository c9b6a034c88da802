use std::{
    collections::BTreeMap,
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow};
use api::replica::{Grants, Isolation, Limits, LogLine, LogSource};
use clap::ValueEnum;
use ipnet::IpNet;
use tokio::sync::mpsc;

use crate::{
    build::{check_imports, label, read_component},
    compose::{SingleNews, SinglePlan, single},
    config::{GatewayLimitArgs, HttpArgs, WorkerLimitArgs, address, bytes},
    errors::HintExt,
    paths::in_shell,
    screen::Screen,
    serve::reached_here,
    serve::serve,
    size::human_bytes,
};

/// News of the replica that wait to be shown; beyond, lines are dropped.
const NEWS_QUEUE: usize = 1024;

/// Serve one component over HTTP, and keep nothing
///
/// Takes a component that exports `wasi:http/incoming-handler`, of any toolchain. There is no API, no data directory and no
/// manifest: each request has a fresh instance, within limits, and may reach nothing that is not granted here.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan run service.wasm                            At http://127.0.0.1:8080/
  sampan run service.wasm --http 127.0.0.1:3000 --env GREETING=Hello
  sampan run service.wasm --outbound api.example.com --store default
  sampan run service.wasm --http 0.0.0.0:8080        For everybody who reaches this machine
  sampan run service.wasm --memory 64Mi --request-deadline 5s")]
pub(crate) struct Run {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// Where it answers. At an address of this machine alone it answers to that machine's own names (`localhost`,
    /// `127.0.0.1`), so that no web page can turn a name of its own to it; at others to every name
    #[arg(long, visible_alias = "addr", env = "SAMPAN_HTTP", default_value = "127.0.0.1:8080", value_name = "IP:PORT",
        value_parser = address)]
    http: SocketAddr,

    /// Another name that it answers to, such as `shop.example`; `*`: every name
    #[arg(long, env = "SAMPAN_HOST", value_name = "HOST", value_parser = host)]
    host: Vec<String>,

    /// A variable of its environment, which is its `wasi:config` too; without a value, that of this environment
    #[arg(short, long, visible_alias = "config", env = "SAMPAN_ENV", value_name = "NAME[=VALUE]",
        value_parser = variable)]
    env: Vec<(String, String)>,

    /// Hosts that it may send HTTP requests to, such as `api.example.com`, `*.example.com` or `host:port`
    #[arg(long, env = "SAMPAN_OUTBOUND", value_name = "HOST,...", value_delimiter = ',')]
    outbound: Vec<String>,

    /// Stores of `wasi:keyvalue` that it may open: they are in memory, and gone at the end
    #[arg(long, env = "SAMPAN_STORE", value_name = "NAME,...", value_delimiter = ',')]
    store: Vec<String>,

    /// `request`: each request has an instance of its own. `replica`: instances are used again, up to 1000 times
    #[arg(long, env = "SAMPAN_ISOLATION", value_enum, default_value = "request")]
    isolation: IsolationArg,

    /// Memory of all its instances together
    #[arg(long, env = "SAMPAN_MEMORY", value_name = "QUANTITY", default_value = "256Mi", value_parser = bytes,
        help_heading = "Limits")]
    memory: u64,

    /// CPU time, such as `500m` for half a core [default: no limit]
    #[arg(long, env = "SAMPAN_CPU", value_name = "QUANTITY", value_parser = cpu, help_heading = "Limits")]
    cpu: Option<u64>,

    /// Requests at the same time; further ones wait
    #[arg(long, env = "SAMPAN_CONCURRENCY", value_name = "N", default_value_t = Limits::DEFAULT_CONCURRENCY,
        value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Limits")]
    concurrency: u32,

    /// How long a request may take until it is stopped and answered 504
    #[arg(long, env = "SAMPAN_REQUEST_DEADLINE", value_name = "SPAN", default_value = "30s", value_parser = deadline,
        help_heading = "Limits")]
    request_deadline: Duration,

    /// Proxies whose `X-Forwarded-*`, `Forwarded` and `X-Real-IP` are passed on; of others they are replaced
    #[arg(long, env = "SAMPAN_TRUSTED_PROXIES", value_name = "CIDR,...", value_delimiter = ',',
        value_parser = crate::config::network)]
    trusted_proxies: Vec<IpNet>,

    #[command(flatten)]
    gateway: GatewayLimitArgs,

    #[command(flatten)]
    worker: WorkerLimitArgs,
}

/// How long an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IsolationArg {
    /// For one request.
    Request,
    /// For many, one after the other.
    Replica,
}

impl Run {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (component, imports) = read(&self.file)?;
        self.check_grants(&imports)?;
        let (name, shown) = (name_of(&self.file), self.file.display().to_string());
        let within = format!(
            "{} of memory, {} requests at a time, {:?} for each",
            binary(self.memory),
            self.concurrency,
            self.request_deadline
        );
        let everybody = !self.http.ip().to_canonical().is_loopback();
        let plan = self.plan(name.clone(), component);
        let screen = Screen::new();
        let (tx, mut news) = mpsc::channel(NEWS_QUEUE);
        let tell = move |one| drop(tx.try_send(one));
        serve(
            |shutdown| async move { single(plan, tell, &shutdown).await },
            |address, shutdown| async move {
                screen.event(&name, "compiling");
                let mut was_ready = false;
                loop {
                    let one = tokio::select! {
                        one = news.recv() => one,
                        () = shutdown.cancelled() => break,
                    };
                    match one {
                        Some(SingleNews::Ready) if !was_ready => {
                            was_ready = true;
                            screen.success(&name, format_args!("{shown} answers at http://{}/", reached_here(address)));
                            screen.line(format_args!("  within    {within}"));
                            if everybody {
                                screen.line("  for       everybody who reaches this address");
                            }
                            screen.line("\nCtrl-C ends.\n");
                        }
                        Some(SingleNews::Ready) => screen.success(&name, "was started again"),
                        Some(SingleNews::Failed(why)) => screen.failure(&name, format_args!("is started again: {why}")),
                        Some(SingleNews::Said(line)) => say(screen, &name, &line),
                        None => break,
                    }
                }
                shutdown.cancelled().await;
                Ok(())
            },
        )
    }

    /// What it needs so that it can start.
    fn check_grants(&self, imports: &[String]) -> anyhow::Result<()> {
        let needs_store = runtime::grants_for(imports).iter().any(|(grant, _)| *grant == api::annotations::KEY_VALUE);
        if needs_store && self.store.is_empty() {
            return Err(anyhow!("{} opens stores of `wasi:keyvalue`, and none is granted", self.file.display()))
                .hint("name those that it may open, such as `--store default`");
        }
        Ok(())
    }

    fn plan(self, name: String, component: Vec<u8>) -> SinglePlan {
        let isolation = match self.isolation {
            IsolationArg::Request => Isolation::Request,
            IsolationArg::Replica => Isolation::Replica { max_reuse: Limits::DEFAULT_MAX_REUSE },
        };
        SinglePlan {
            name,
            component,
            environment: self.env.into_iter().collect::<BTreeMap<_, _>>(),
            grants: Grants { outbound: self.outbound, key_value: self.store },
            limits: Limits {
                memory_bytes: self.memory,
                cpu_millis: self.cpu,
                concurrency: self.concurrency,
                request_deadline: self.request_deadline,
                isolation,
            },
            http: HttpArgs {
                http: self.http,
                publish_services: false,
                load_balancer_ip: self.http.ip(),
                trusted_proxies: self.trusted_proxies,
            },
            hosts: self.host,
            gateway: self.gateway,
            worker: self.worker,
        }
    }
}

/// Reads a component and what it imports; what is none, or could not run here, is told before anything starts.
fn read(file: &Path) -> anyhow::Result<(Vec<u8>, Vec<String>)> {
    if file.is_dir() {
        return Err(anyhow!("{} is a folder", file.display()))
            .hint(format!("`sampan dev {}` builds what is in it and runs it", in_shell(file)));
    }
    if !file.exists() {
        return Err(anyhow!("there is no file {}", file.display()))
            .hint("`sampan dev` builds the project in this folder and runs it");
    }
    let bytes = read_component(file)?;
    let info = registry_client::inspect(&bytes).with_context(|| format!("{} cannot be run", file.display()))?;
    check_imports(&bytes, file)?;
    Ok((bytes, info.imports))
}

/// A name for a Service and its replicas.
fn name_of(file: &Path) -> String {
    label(&file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default())
}

/// As quantities are written.
fn binary(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{}Mi", bytes >> 20) } else { human_bytes(bytes) }
}

fn say(screen: Screen, name: &str, line: &LogLine) {
    match line.source {
        LogSource::Sampan => screen.failure(name, &line.text),
        _ => screen.log(name, &line.text),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => match env::var(text) {
            Ok(value) => (text.to_owned(), value),
            Err(_) => return Err(format!("this environment has no variable `{text}`: write NAME=VALUE")),
        },
    };
    if name.is_empty() { Err("write NAME=VALUE".to_owned()) } else { Ok((name, value)) }
}

fn host(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let is_name = text == "*" || api::check_dns_subdomain(&name.to_ascii_lowercase()).is_ok();
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "write a name, such as shop.example, or `*` for every name".to_owned())
}

fn cpu(text: &str) -> Result<u64, String> {
    let quantity: api::Quantity = text.parse().map_err(|error: api::InvalidQuantity| error.to_string())?;
    match quantity.as_millis() {
        0 => Err("it could not run without CPU time: leave the flag away for no limit".to_owned()),
        millis => Ok(millis),
    }
}

fn deadline(text: &str) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(3600);
    let span = api::parse_span(text).map_err(|error| error.to_string())?;
    if span.is_zero() || span > MOST { Err("between 1ms and 1h".to_owned()) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_name_and_may_hold_equals_signs() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(("A".into(), String::new())));
        assert!(variable("=b").is_err());
        assert!(variable("SAMPAN_NO_SUCH_VARIABLE").unwrap_err().contains("NAME=VALUE"));
    }
}
