//! The life of a process that serves: from its start through a signal to its end.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use control_plane::encryption::EncryptionKeys;
use registry_client::ImageStore;
use tokio_util::sync::CancellationToken;

use crate::{compose::Roles, diagnostics, screen::Screen, signals};

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
    /// Where workers and gateways of other machines join.
    pub(crate) sessions: Option<SocketAddr>,
    pub(crate) encryption: Encryption,
}

/// By what values are encrypted where they are kept.
#[derive(Debug, Clone)]
pub(crate) struct Encryption {
    pub(crate) keys: EncryptionKeys,
    /// Guests' entries are kept elsewhere, where a start writes nothing anew.
    pub(crate) in_redis: bool,
}

impl Addresses {
    /// Tells a person.
    pub(crate) fn show(&self, screen: Screen) {
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
            screen.line(format_args!("  joining    sampan worker --join {sessions} --token-file FILE"));
        }
        screen.line(format_args!("  API        https://{}", self.api));
        screen.line(format_args!("  kubectl    export KUBECONFIG={}", self.kubeconfig.display()));
        if let Some(encryption) = self.encryption.told() {
            screen.line(format_args!("  encrypted  {encryption}"));
        }
    }
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
            (_, true) => format!("; entries in Redis may still need {}", others.join(", ")),
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
        assert!(told(&format!("{TWO}{ONE}"), true).ends_with("entries in Redis may still need `key-1`"));
        assert!(told(&format!("identity\n{ONE}"), false).starts_with("nothing any more"));
        assert_eq!(Encryption { keys: EncryptionKeys::default(), in_redis: false }.told(), None);
    }
}
