use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    thread::available_parallelism,
    time::Duration,
};

use api::StartThread;
use ipnet::IpNet;

use crate::{AccessLog, OverloadThresholds};

/// Where the gateway listens and every limit that it keeps.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The main HTTP address, where rules of Ingresses and names of Services answer. Port 0 lets the system choose.
    pub http: SocketAddr,
    /// Whether every Service answers by its name on every address. Else names answer on loopback alone, and on other addresses
    /// only what a rule of an Ingress names.
    pub publish_services: bool,
    /// Whether this machine's own names (`localhost`, and its loopback addresses) lead to the one Service that is exposed, where
    /// names of Services answer and no rule says otherwise: to the only one that there is, or of several the only one that a rule
    /// names or that has ports of its own.
    pub default_service: bool,
    /// Where requests are told as they end; `None`: nowhere, and then they cost nothing for it.
    pub access_log: Option<AccessLog>,
    /// What can be done so that a host answers that does not, for who asks for one on this machine.
    pub unknown_host_hint: Option<&'static str>,
    /// The address at which ports of LoadBalancer Services are bound.
    pub load_balancer_ip: IpAddr,
    /// Ports of LoadBalancer Services. Each takes a descriptor for each thread; beyond, a port is not bound.
    pub max_load_balancer_ports: usize,
    /// Proxies whose word is taken for whom they ask: `X-Forwarded-*`, `Forwarded`, `X-Real-IP`. Of others these are replaced.
    pub trusted_proxies: Vec<IpNet>,
    /// Serving threads, each with a runtime and listeners of its own. At least one is started.
    pub threads: usize,
    /// How each of them is started.
    pub start_thread: StartThread,
    /// Bytes of a request's head, start line included. Beyond: 431.
    pub max_header_bytes: u32,
    /// Bytes of a request's body. Beyond: 413.
    pub max_body_bytes: u64,
    /// From the first byte of a request's head (or from the connection's start) to its end. Beyond: closed.
    pub header_read_timeout: Duration,
    /// Between two pieces of a request's body, while the replica waits for one. Beyond: 408.
    pub body_idle_timeout: Duration,
    /// From the head of a request to the end of its body, so that a trickle holds no replica. Beyond: 408.
    pub request_body_timeout: Duration,
    /// How long a client may take no byte of an answer that waits for it. Beyond: closed.
    pub write_stall_timeout: Duration,
    /// Bytes that are read, and dropped, of a request's body that nobody wants, so that its client can read the answer.
    pub linger_bytes: u64,
    /// How long a pause may be in such a body.
    pub linger_idle: Duration,
    /// How long such a body is read in all.
    pub linger_total: Duration,
    /// How long a connection may stay open without a request.
    pub keep_alive_idle: Duration,
    /// Open connections of one listener, over all threads. Beyond: 503.
    pub max_connections: usize,
    /// Open connections from one address, over all listeners; of IPv6, from a network of 64 bits. Beyond: 503. 0: no limit; `None`: a
    /// quarter of a listener's, and none for this machine's own addresses. Trusted proxies have none.
    pub max_connections_per_source: Option<usize>,
    /// Connections are accepted while the process has fewer descriptors than this: the others are for what goes on without new
    /// connections. Beyond: 503, and a pause.
    pub descriptors: usize,
    /// Bytes of memory that the process may have: `None`: what its cgroup says, if that says anything.
    pub memory_limit: Option<u64>,
    /// Below this directory are `proc` and `sys`, where the kernel tells of memory.
    pub system_root: PathBuf,
    /// What is done as memory gets short.
    pub overload: OverloadThresholds,
    /// Requests at the same time on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Requests of one Service that wait for a replica. Beyond: 503.
    pub queue_limit: usize,
    /// How long a request waits for a replica when all are busy. Beyond: 503.
    pub queue_wait: Duration,
    /// How long a request waits for a replica when there is none. Beyond: 503.
    pub queue_wait_no_endpoints: Duration,
    /// Bytes of a request's body that are kept, so that another replica can be asked when a worker is lost with it.
    pub replay_body_bytes: usize,
    /// How often measurements go up to the control plane.
    pub sample_interval: Duration,
    /// What requests in flight get to finish at shutdown.
    pub drain: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            publish_services: false,
            default_service: false,
            access_log: None,
            unknown_host_hint: None,
            load_balancer_ip: Ipv4Addr::LOCALHOST.into(),
            max_load_balancer_ports: 500,
            trusted_proxies: Vec::new(),
            threads: available_parallelism().map_or(1, usize::from),
            start_thread: api::start_thread,
            max_header_bytes: 32 << 10,
            max_body_bytes: 16 << 20,
            header_read_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(15),
            request_body_timeout: Duration::from_secs(60),
            write_stall_timeout: Duration::from_secs(20),
            linger_bytes: 64 << 20,
            linger_idle: Duration::from_secs(5),
            linger_total: Duration::from_secs(30),
            keep_alive_idle: Duration::from_secs(75),
            max_connections: 10_000,
            max_connections_per_source: None,
            descriptors: usize::MAX,
            memory_limit: None,
            system_root: PathBuf::from("/"),
            overload: OverloadThresholds::default(),
            max_concurrent_streams: 128,
            queue_limit: 1024,
            queue_wait: Duration::from_secs(10),
            queue_wait_no_endpoints: Duration::from_secs(5),
            replay_body_bytes: 64 << 10,
            sample_interval: api::session::SAMPLE_WINDOW,
            drain: Duration::from_secs(4),
        }
    }
}

impl GatewayConfig {
    /// Whether what this client says of those that it asks for is passed on.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }

    /// How often a connection looks at its time limits: a quarter of the shortest, so that none is passed by much.
    pub(crate) fn watch_interval(&self) -> Duration {
        let shortest = self.header_read_timeout.min(self.write_stall_timeout).min(self.keep_alive_idle);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }
}
