//! The life of a process that serves: from its start through a signal to its end.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use registry_client::ImageStore;
use runtime::Artifacts;
use store::encryption::EncryptionKeys;
use tokio_util::sync::CancellationToken;

use crate::{compose::Roles, diagnostics, paths::in_shell, screen::Screen, signals, terminal::print_error};

/// Threads for everything that is not serving requests.
const BACKGROUND_THREADS: usize = 2;
/// What still computes in the background at the end gets this long.
const LAST_WAIT: Duration = Duration::from_millis(200);

/// Where a server can be reached.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// `None`: this process is no gateway.
    pub(crate) http: Option<SocketAddr>,
    /// Whether Services answer there by their names.
    pub(crate) names_answer: bool,
    pub(crate) api: SocketAddr,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) images: ImageStore,
    /// Where components are compiled, if it is for one worker in this process.
    pub(crate) artifacts: Option<Artifacts>,
    /// Where workers and gateways of other machines join.
    pub(crate) sessions: Option<SocketAddr>,
    pub(crate) encryption: Encryption,
}

/// By what values are encrypted where they are kept.
#[derive(Debug, Clone)]
pub(crate) struct Encryption {
    pub(crate) keys: EncryptionKeys,
    /// Guests' entries are kept elsewhere, and are written anew while guests go on.
    pub(crate) in_redis: bool,
}

impl Addresses {
    /// Tells a person.
    pub(crate) fn show(&self, screen: Screen) {
        if rustix::process::geteuid().is_root() {
            print_error(
                "warning: this runs as root: give it a user of its own, so that nobody who breaks out of it is root",
            );
        }
        if let Some(http) = self.http {
            let port = http.port();
            if self.names_answer {
                screen.line(format_args!(
                    "  services   http://{http}, each at http://SERVICE.NAMESPACE.localhost:{port}"
                ));
            } else {
                screen.line(format_args!("  services   http://{http}, those that an Ingress names"));
            }
        }
        if let Some(sessions) = self.sessions {
            screen.line(format_args!(
                "  joining    sampan token create --out FILE, and with that file on the other machine\n             \
                 sampan worker --join {sessions} --token-file FILE --listen IP:PORT"
            ));
        }
        screen.line(format_args!("  API        https://{}", self.api));
        screen.line(format_args!("  kubectl    export KUBECONFIG={}", in_shell(&self.kubeconfig)));
        if let Some(encryption) = self.encryption.told() {
            screen.line(format_args!("  encrypted  {encryption}"));
        }
    }
}

/// Where this machine itself reaches a listener.
pub(crate) fn reached_here(bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, bound.port()).into() } else { bound }
}

/// Where others reach a listener: one at every address is at that from which this machine sends. Nothing is sent to find it out.
pub(crate) fn reached_at(bound: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        // An address that is for documents alone: it is not this machine's, so that the route out decides.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    SocketAddr::new(outward.map_or(Ipv4Addr::LOCALHOST.into(), |own| own.ip()), bound.port())
}

impl Encryption {
    /// Which key writes, and which ones are not needed any more: a start has written anew what others had written.
    fn told(&self) -> Option<String> {
        let others: Vec<_> = self.keys.readers().map(|name| format!("`{name}`")).collect();
        let writes = match self.keys.writer() {
            Some(writer) => format!("by the key `{writer}`: all that is kept in the data directory"),
            None if others.is_empty() => return None,
            None => "nothing any more in the data directory".to_owned(),
        };
        let others = match (&others[..], self.in_redis) {
            ([], _) => String::new(),
            (_, true) => format!(
                "; entries in Redis are written anew meanwhile, and the log says when they need {} no more",
                others.join(", ")
            ),
            (_, false) => format!("; of {}, backups alone have need", others.join(", ")),
        };
        Some(writes + &others)
    }
}

/// Runs roles, and `work` beside them, until a signal comes or either fails.
pub(crate) fn serve<T, S, W>(
    start: impl FnOnce(CancellationToken) -> S,
    work: impl FnOnce(T, CancellationToken) -> W,
) -> anyhow::Result<()>
where
    S: Future<Output = anyhow::Result<(T, Roles)>>,
    W: Future<Output = anyhow::Result<()>>,
{
    run(|shutdown| async move {
        signals::watch(shutdown.clone(), signals::END_AFTER).context("signals cannot be received")?;
        let (started, mut roles) = start(shutdown.clone()).await?;
        let worked = tokio::select! {
            // `work` ends by itself when it is told to; the roles end early only by failing.
            ended = roles.ended() => ended,
            worked = work(started, shutdown.clone()) => worked,
        };
        shutdown.cancel();
        let ended = roles.ended().await;
        worked.and(ended)
    })
}

/// Runs `work` with threads for what is not serving requests, and lets go of what is left at its end.
pub(crate) fn run<W>(work: impl FnOnce(CancellationToken) -> W) -> anyhow::Result<()>
where
    W: Future<Output = anyhow::Result<()>>,
{
    diagnostics::init();
    runtime::keep_first_priority().context("threads cannot be started")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .thread_name("background")
        // What follows requests, such as what is decided and written after a replica has started, is not to hold them up.
        .on_thread_start(runtime::lower_this_thread)
        .enable_all()
        .build()
        .context("threads cannot be started")?;
    let result = runtime.block_on(work(CancellationToken::new()));
    runtime.shutdown_timeout(LAST_WAIT);
    result
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    const ONE: &str = "key-1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";
    const TWO: &str = "key-2 AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";

    #[test]
    fn a_listener_at_every_address_is_shown_at_one() {
        let all = "0.0.0.0:8080".parse().unwrap();
        assert!(!reached_at(all).ip().is_unspecified() && reached_at(all).port() == 8080, "{}", reached_at(all));
        let one = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(reached_at(one), one);
    }

    #[test]
    fn it_is_said_which_key_writes_and_which_may_go() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let told = |text: &str, in_redis| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let keys = EncryptionKeys::read(&file).unwrap();
            Encryption { keys, in_redis }.told().unwrap_or_default()
        };
        assert_eq!(told(ONE, false), "by the key `key-1`: all that is kept in the data directory");
        let both = told(&format!("{TWO}{ONE}"), false);
        assert!(
            both.contains("by the key `key-2`") && both.ends_with("; of `key-1`, backups alone have need"),
            "{both}"
        );
        assert!(told(&format!("{TWO}{ONE}"), true).contains("the log says when they need `key-1` no more"));
        assert!(told(&format!("identity\n{ONE}"), false).starts_with("nothing any more"));
        assert_eq!(Encryption { keys: EncryptionKeys::default(), in_redis: false }.told(), None);
    }
}
