//! What the commands that serve can be told.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use gateway::OverloadThreshold;
use ipnet::{IpNet, Ipv4Net};
use registry_client::{DiskReserve, ImageStore, hosted::UploadQuota};

use crate::{key_value::KeyValueArgs, metrics::MetricsArgs, paths::DataDirArgs, registries::RegistriesArgs};

/// Flags of a server that plays all roles, or the control plane's and perhaps a gateway's.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,

    /// Where the API answers, for kubectl and sampan
    #[arg(long, env = "SAMPAN_API", default_value = "127.0.0.1:7443", value_name = "IP:PORT", value_parser = address)]
    pub(crate) api: SocketAddr,

    /// File of users beside the administrator, which only this user may read: in each line `token,user,uid,"group1,group2"`
    #[arg(long, env = "SAMPAN_TOKEN_AUTH_FILE", value_name = "FILE")]
    pub(crate) token_auth_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) api_limits: ApiLimitArgs,

    #[command(flatten)]
    pub(crate) audit: AuditArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayLimitArgs,

    #[command(flatten)]
    pub(crate) worker: WorkerLimitArgs,

    #[command(flatten)]
    pub(crate) images: ImageLimitArgs,

    #[command(flatten)]
    pub(crate) disk: DiskLimitArgs,

    #[command(flatten)]
    pub(crate) key_value: KeyValueArgs,

    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,

    #[command(flatten)]
    pub(crate) registries: RegistriesArgs,

    #[command(flatten)]
    pub(crate) data: DataDirArgs,
}

/// Where a gateway listens.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct HttpArgs {
    /// Where services answer: by Ingress rule, and on loopback addresses by their names too
    #[arg(long, env = "SAMPAN_HTTP", default_value = "127.0.0.1:8080", value_name = "IP:PORT", value_parser = address)]
    pub(crate) http: SocketAddr,

    /// Let every Service answer at SERVICE.NAMESPACE.localhost on addresses that others reach too, and not on loopback alone
    #[arg(long, env = "SAMPAN_PUBLISH_SERVICES")]
    pub(crate) publish_services: bool,

    /// Where ports of LoadBalancer Services are bound
    #[arg(long, env = "SAMPAN_LOAD_BALANCER_IP", default_value = "127.0.0.1", value_name = "IP")]
    pub(crate) load_balancer_ip: IpAddr,

    /// Proxies whose `X-Forwarded-*`, `Forwarded` and `X-Real-IP` are passed on, such as `10.0.0.0/8`; of others they are replaced
    #[arg(
        long,
        env = "SAMPAN_TRUSTED_PROXIES",
        value_name = "CIDR,...",
        value_delimiter = ',',
        value_parser = network
    )]
    pub(crate) trusted_proxies: Vec<IpNet>,
}

impl HttpArgs {
    /// Whether names of Services answer at a bound address for those on this machine.
    pub(crate) fn names_answer_at(&self, bound: SocketAddr) -> bool {
        self.publish_services || bound.ip().is_unspecified() || bound.ip().to_canonical().is_loopback()
    }
}

/// What a gateway takes before it refuses. What is not set keeps its default.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct GatewayLimitArgs {
    /// Threads that serve requests [default: one for each core]
    #[arg(long, env = "SAMPAN_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Largest head of a request, such as `64Ki`; beyond it is answered 431 [default: 32Ki]
    #[arg(long, env = "SAMPAN_MAX_HEADER_BYTES", value_name = "QUANTITY", value_parser = header_bytes)]
    pub(crate) max_header_bytes: Option<u32>,

    /// Largest body of a request, such as `64Mi`; beyond it is answered 413 [default: 16Mi]
    #[arg(long, env = "SAMPAN_MAX_BODY_BYTES", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) max_body_bytes: Option<u64>,

    /// Connections open at a time, for each listener [default: 10000]
    #[arg(long, env = "SAMPAN_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) max_connections: Option<usize>,

    /// Connections open at a time from one address, or network of 64 bits of IPv6; 0: no limit. Proxies that are trusted have none
    /// [default: a quarter of --max-connections, and none for this machine]
    #[arg(long, env = "SAMPAN_MAX_CONNECTIONS_PER_SOURCE", value_name = "N")]
    pub(crate) max_connections_per_source: Option<usize>,

    /// Memory of this process, such as `2Gi`, at parts of which load is shed [default: its cgroup's limit]
    #[arg(long, env = "SAMPAN_MEMORY_LIMIT", value_name = "QUANTITY", value_parser = memory)]
    pub(crate) memory_limit: Option<u64>,

    /// From which part of that on, in percent, load is shed, and how; `off` never does
    /// [default: disable-keep-alive=85, stop-accepting-requests=92, stop-accepting-connections=97]
    #[arg(long, env = "SAMPAN_OVERLOAD", value_name = "ACTION=PERCENT,...", value_delimiter = ',')]
    pub(crate) overload: Vec<OverloadThreshold>,

    /// Requests of a service that wait while all its replicas are busy; beyond it is answered 503
    /// [default: 1024]
    #[arg(long, env = "SAMPAN_QUEUE_LIMIT", value_name = "N")]
    pub(crate) queue_limit: Option<usize>,

    /// How long such a request waits [default: 10s]
    #[arg(long, env = "SAMPAN_QUEUE_WAIT", value_name = "SPAN", value_parser = api::parse_span)]
    pub(crate) queue_wait: Option<Duration>,

    /// Bytes of a body that are kept to ask another replica when a worker is lost, such as `1Mi`
    /// [default: 64Ki]
    #[arg(long, env = "SAMPAN_REPLAY_BODY_BYTES", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) replay_body_bytes: Option<u64>,
}

/// Who may connect to the API. What is not set keeps its default.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct ApiLimitArgs {
    /// Connections to the API of clients that have shown a token [default: 512]
    #[arg(long, env = "SAMPAN_API_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) api_max_connections: Option<usize>,

    /// Connections to the API of clients that have not, and as many again of this machine; later ones take the seats of
    /// earlier ones [default: 128]
    #[arg(long, env = "SAMPAN_API_MAX_STRANGERS", value_name = "N")]
    pub(crate) api_max_strangers: Option<usize>,

    /// Of those, connections from one address [default: 16]
    #[arg(long, env = "SAMPAN_API_MAX_STRANGERS_PER_SOURCE", value_name = "N")]
    pub(crate) api_max_strangers_per_source: Option<usize>,

    /// Time from a connection to the API to its first request that shows a token [default: 10s]
    #[arg(long, env = "SAMPAN_API_TIME_TO_AUTHENTICATE", value_name = "SPAN", value_parser = api::parse_span)]
    pub(crate) api_time_to_authenticate: Option<Duration>,
}

/// Where it is written who asked the API and the registry for what. The flags are those of Kubernetes' API server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct AuditArgs {
    /// File for the audit log: a line of JSON (audit.k8s.io/v1) for each request of the API and the registry. It must be
    /// writable at the start; links are refused
    #[arg(long, env = "SAMPAN_AUDIT_LOG", value_name = "FILE", visible_alias = "audit-log-path")]
    pub(crate) audit_log: Option<PathBuf>,

    /// Size of the audit log, in megabytes, at which it is rotated [default: 100]
    #[arg(long, env = "SAMPAN_AUDIT_LOG_MAXSIZE", value_name = "MB", requires = "audit_log",
        value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) audit_log_maxsize: Option<u64>,

    /// Rotated files that are kept; 0 keeps all [default: 10]
    #[arg(long, env = "SAMPAN_AUDIT_LOG_MAXBACKUP", value_name = "N", requires = "audit_log")]
    pub(crate) audit_log_maxbackup: Option<usize>,

    /// Days that they are kept; 0 keeps them whatever their age [default: 30]
    #[arg(long, env = "SAMPAN_AUDIT_LOG_MAXAGE", value_name = "DAYS", requires = "audit_log",
        value_parser = clap::value_parser!(u64).range(..=36500))]
    pub(crate) audit_log_maxage: Option<u64>,
}

/// What a worker takes before it refuses. What is not set keeps its default.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct WorkerLimitArgs {
    /// Memory for the process that compiles a component, such as `8Gi` [default: 4Gi]
    #[arg(long, env = "SAMPAN_COMPILE_MEMORY", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) compile_memory: Option<u64>,

    /// How long compiling a component may take [default: 5m]
    #[arg(long, env = "SAMPAN_COMPILE_TIMEOUT", value_name = "SPAN", value_parser = api::parse_span)]
    pub(crate) compile_timeout: Option<Duration>,

    /// Components that nothing runs stay mapped up to this, so that they start at once [default: 512Mi]
    #[arg(long, env = "SAMPAN_WARM_MEMORY", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) warm_memory: Option<u64>,

    /// Memory of large guests that stays resident for their next instances, over all of them, so that a fresh one for each request
    /// costs less; 0 keeps none [default: 512Mi, at most an eighth of the machine's]
    #[arg(long, env = "SAMPAN_KEPT_MEMORY", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) kept_memory: Option<u64>,

    /// Memory for guests, such as `2Gi` [default: all of the machine's]
    #[arg(long, env = "SAMPAN_GUEST_MEMORY", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) guest_memory: Option<u64>,

    /// Handles that one instance has at a time: streams, bodies, fields, pollables, buckets [default: 1000]
    #[arg(long, env = "SAMPAN_MAX_HANDLES", value_name = "N", value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub(crate) max_handles: Option<u32>,
}

/// How many images are kept. What is not set keeps its default.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct ImageLimitArgs {
    /// Images from other registries that nothing used for this long are removed [default: 30d]
    #[arg(long, env = "SAMPAN_IMAGE_MAX_AGE", value_name = "SPAN", value_parser = api::parse_span)]
    pub(crate) image_max_age: Option<Duration>,

    /// Above this, those of them go that were not used for the longest time, such as `10Gi` [default: no limit]
    #[arg(long, env = "SAMPAN_IMAGE_MAX_BYTES", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) image_max_bytes: Option<u64>,
}

/// What may be written to a server's disk. What is not set keeps its default.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct DiskLimitArgs {
    /// Bytes of blobs, manifests and unfinished uploads in all repositories of an owner, which is the first word of their names,
    /// such as `100Gi` [default: 32Gi]
    #[arg(long, env = "SAMPAN_REGISTRY_OWNER_BYTES", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) registry_owner_bytes: Option<u64>,

    /// Blobs, manifests and tags of an owner [default: 10000]
    #[arg(long, env = "SAMPAN_REGISTRY_OWNER_ENTRIES", value_name = "N")]
    pub(crate) registry_owner_entries: Option<u64>,

    /// Bytes of unfinished uploads of an owner [default: 16Gi]
    #[arg(long, env = "SAMPAN_REGISTRY_UNFINISHED_BYTES", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) registry_unfinished_bytes: Option<u64>,

    /// Free space of the disk that is left to the API's objects: below it nothing is pulled, pushed or built (by `sampan build`,
    /// neither), and guests' stores take no writes; 0 reserves none [default: 256Mi, at most a twentieth of the disk]
    #[arg(long, env = "SAMPAN_DISK_RESERVE", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) disk_reserve: Option<u64>,
}

impl DiskLimitArgs {
    /// What an owner of repositories may have.
    pub(crate) fn uploads(&self) -> UploadQuota {
        let default = UploadQuota::default();
        UploadQuota {
            owner_bytes: self.registry_owner_bytes.unwrap_or(default.owner_bytes),
            entries: self.registry_owner_entries.unwrap_or(default.entries),
            unfinished_bytes: self.registry_unfinished_bytes.unwrap_or(default.unfinished_bytes),
            ..default
        }
    }

    /// Opens the images of a server.
    pub(crate) fn open_images(&self, dir: PathBuf) -> anyhow::Result<ImageStore> {
        let reserve = DiskReserve::of(&dir, self.disk_reserve);
        Ok(ImageStore::open_above(dir, reserve)?)
    }
}

/// How a process of another machine finds its control plane and is let in.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Joining")]
pub(crate) struct JoinArgs {
    /// Where the control plane takes sessions: HOST:PORT, or unix:PATH on the same machine
    #[arg(long, env = "SAMPAN_JOIN", value_name = "ADDRESS", value_parser = join_address)]
    pub(crate) join: JoinAddress,

    /// File with a token of `sampan token create`; not needed again once the control plane has given a certificate
    #[arg(long, env = "SAMPAN_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// What it is called [default: the machine's name]
    #[arg(long, env = "SAMPAN_NAME", value_name = "NAME", value_parser = node_name)]
    pub(crate) name: Option<String>,
}

/// Where a control plane takes sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JoinAddress {
    /// The process that started this one, over the socket that is its standard input.
    Broker,
    Socket(PathBuf),
    Tcp(String),
}

fn join_address(text: &str) -> Result<JoinAddress, String> {
    // Not for people: a process of ours says so to those that it starts.
    if text == "broker:" {
        return Ok(JoinAddress::Broker);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(JoinAddress::Socket(path.into()));
    }
    let has_port = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if has_port { Ok(JoinAddress::Tcp(text.to_owned())) } else { Err("write HOST:PORT, or unix:PATH".to_owned()) }
}

fn node_name(text: &str) -> Result<String, api::InvalidName> {
    api::check_dns_subdomain(text).map(|()| text.to_owned())
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.replace("localhost:", "127.0.0.1:").parse().map_err(|_| "write IP:PORT, such as 127.0.0.1:8080".to_owned())
}

pub(crate) fn bytes(text: &str) -> Result<u64, api::InvalidQuantity> {
    text.parse::<api::Quantity>().map(api::Quantity::as_units)
}

/// Bytes of which parts can be counted.
fn memory(text: &str) -> Result<u64, String> {
    match bytes(text).map_err(|error| error.to_string())? {
        0 => Err("there is no part of nothing: leave the flag away for no limit".to_owned()),
        bytes => Ok(bytes),
    }
}

/// A network, or one address.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse());
    network.map(unmapped).map_err(|_| "neither a network, such as 10.0.0.0/8, nor an address".to_owned())
}

/// A network of addresses of IPv4 that was written as one of IPv6, as `::ffff:10.0.0.0/104`: peers are known by IPv4 addresses.
fn unmapped(network: IpNet) -> IpNet {
    let (IpAddr::V4(address), Some(length)) = (network.addr().to_canonical(), network.prefix_len().checked_sub(96))
    else {
        return network;
    };
    match network {
        IpNet::V6(_) => Ipv4Net::new(address, length).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}

fn header_bytes(text: &str) -> Result<u32, String> {
    let bytes = bytes(text).map_err(|error| error.to_string())?;
    u32::try_from(bytes).map_err(|_| "a head of a request is at most 4Gi".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_proxies_are_networks_or_addresses_of_both_families() {
        for (text, is) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).map(|network| network.to_string()), Ok(is.to_owned()), "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "proxy.example", "::/129", "10.0.0.0:80"] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
