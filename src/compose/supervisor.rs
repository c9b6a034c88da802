//! Worker processes of this machine: started, kept running, and ended with the server.

use std::{
    ffi::OsString,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use api::WorkerName;
use control_plane::ControlPlane;
use runtime::Artifacts;
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};
use transport::{BrokerSocket, Offer, serve_sessions};

use super::{
    ServerPlan, machine_name,
    process::{Bound, Elsewhere, Granted, Lent, ProcessBroker, hand_on},
};
use crate::{config::WorkerLimitArgs, paths::DataDir};

/// The wait before a worker that ended is started again; each further end soon after a start doubles it.
const RESTART_FIRST: Duration = Duration::from_millis(10);
/// The longest such wait.
const RESTART_LAST: Duration = Duration::from_secs(5);
/// A worker that ran for so long counts as well again.
const RAN_WELL: Duration = Duration::from_secs(10);
/// A worker that has not ended so long after it was told to is killed.
const ENDS_WITHIN: Duration = Duration::from_millis(1500);
/// What it said last is there by then.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What of this process' environment a worker's has: the settings of Sampan and of the run time, and nothing that is secret or
/// that it has no use for. It reaches the store by this process, and is not divided again.
fn is_for_workers(name: &str) -> bool {
    let not = [
        "SAMPAN_ISOLATION",
        "SAMPAN_LISTEN",
        "SAMPAN_METRICS",
        "SAMPAN_TOKEN_FILE",
        "SAMPAN_ADVERTISE",
        "SAMPAN_CONFIG",
    ];
    let of_the_store = name.starts_with("SAMPAN_KEY_VALUE") || name == "SAMPAN_ENCRYPTION_KEY_FILE";
    let ours = name.starts_with("SAMPAN_") && !of_the_store && !not.contains(&name);
    ours || name.starts_with("RUST_") || ["TZ", "LANG", "NO_COLOR", "TERM", "PATH", "HOME"].contains(&name)
}

/// What a worker's process is started with, and what it may have.
pub(super) struct WorkerProcess {
    arguments: Vec<OsString>,
    granted: Arc<Granted>,
    lent: Arc<Lent>,
    broker: Arc<ProcessBroker>,
}

/// Keeps worker processes running.
pub(super) struct Supervisor {
    workers: Vec<(WorkerName, WorkerProcess, Bound, Offer)>,
    control: Arc<ControlPlane>,
}

/// The names of so many workers of this machine.
pub(super) fn own_workers(count: u16) -> Vec<WorkerName> {
    let machine = machine_name();
    (1..=count).map(|number| WorkerName(format!("{machine}-{number}").into())).collect()
}

impl Supervisor {
    /// Each is offered this, of which it may have what the offer's rules say, and lent artifacts.
    pub(super) fn new(
        names: Vec<WorkerName>,
        plan: &ServerPlan,
        dir: &DataDir,
        control: Arc<ControlPlane>,
        (offer, elsewhere, artifacts): (&Offer, &Arc<Elsewhere>, &Artifacts),
    ) -> Self {
        let workers = names.into_iter().map(|name| {
            let bound = Bound::new(&name.0, dir, elsewhere.clone(), artifacts.clone());
            let process = WorkerProcess::new(&bound, &name.0, dir, &plan.server.worker);
            let offer = bound.noting(offer.clone());
            (name, process, bound, offer)
        });
        Self { workers: workers.collect(), control }
    }

    /// Runs until `stop`, and until all of them have ended then.
    pub(super) async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for (name, process, bound, offer) in self.workers {
            let (control, stop, died) = (self.control.clone(), stop.clone(), name.clone());
            tasks.spawn(async move {
                // Before anything else: its replicas are replaced now.
                let died = || control.worker_died(died.clone());
                serve_process(&name, &process, (bound, offer), died, stop).await;
            });
        }
        tasks.close();
        tokio::join!(stop.cancelled(), tasks.wait());
    }
}

impl WorkerProcess {
    /// One that is bound to a name, and sees of `dir` what it is lent there.
    pub(super) fn new(bound: &Bound, name: &str, dir: &DataDir, limits: &WorkerLimitArgs) -> Self {
        let dir = dir.of_process(name);
        let mut arguments: Vec<OsString> = vec!["worker".into(), "--join".into(), "broker:".into()];
        arguments.extend(["--name".into(), name.into(), "--data-dir".into(), dir.root().into()]);
        let mut give = |flag: &str, value: Option<String>| {
            arguments.extend(value.into_iter().flat_map(|value| [OsString::from(flag), value.into()]));
        };
        give("--warm-memory", limits.warm_memory.map(|bytes| bytes.to_string()));
        give("--kept-memory", limits.kept_memory.map(|bytes| bytes.to_string()));
        give("--guest-memory", limits.guest_memory.map(|bytes| bytes.to_string()));
        give("--max-handles", limits.max_handles.map(|handles| handles.to_string()));
        let (granted, lent, broker) = (bound.granted.clone(), bound.lent.clone(), bound.broker.clone());
        Self { arguments, granted, lent, broker }
    }

    /// With so many threads that serve requests, if it is not to have its default.
    pub(super) fn with_threads(mut self, threads: Option<u16>) -> Self {
        let threads = threads.map(|threads| ["--threads".into(), threads.to_string().into()]);
        self.arguments.extend(threads.into_iter().flatten());
        self
    }

    /// The process, what answers it, and what prints its words. When what answers is dropped the process ends, as it does when this
    /// one is killed.
    fn start(&self, name: &WorkerName) -> std::io::Result<(Child, AbortOnDropHandle<()>, JoinHandle<()>)> {
        let program = std::env::current_exe()?;
        let (socket, theirs) = BrokerSocket::pair()?;
        self.granted.began();
        self.lent.began()?;
        let environment = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_for_workers));
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at a terminal is for this process, which ends the workers in its turn.
            .process_group(0)
            .kill_on_drop(true);
        let here = Handle::current();
        let mut started = runtime::at_first_priority(move || {
            let _here = here.enter();
            command.spawn()
        })?;
        let broker = self.broker.clone();
        let answering = tokio::spawn(async move {
            if let Err(error) = socket.serve(broker).await {
                tracing::debug!(%error, "a worker's process is not answered any more");
            }
        });
        let (output, errors, name) = (started.stdout.take(), started.stderr.take(), name.clone());
        let words = tokio::spawn(async move {
            let (Some(output), Some(errors)) = (output, errors) else { return };
            tokio::join!(hand_on(name.clone(), output), hand_on(name, errors));
        });
        Ok((started, AbortOnDropHandle::new(answering), words))
    }
}

/// Takes the sessions of a worker's process and keeps it running, until `stop`.
pub(super) async fn serve_process(
    name: &WorkerName,
    process: &WorkerProcess,
    (bound, offer): (Bound, Offer),
    died: impl Fn(),
    stop: CancellationToken,
) {
    // What it says last, as it ends, is heard.
    let ended = CancellationToken::new();
    let sessions = serve_sessions(bound.listener, offer, ended.clone());
    let running = async {
        let _ended = ended.drop_guard_ref();
        keep_running(name, process, died, stop).await;
    };
    let lent = process.lent.clone();
    let served = tokio::select! {
        (served, ()) = async { tokio::join!(sessions, running) } => served,
        () = lent.keep_used() => Ok(()),
    };
    if let Err(error) = served {
        tracing::error!(worker = %name, %error, "sessions of its process cannot be taken");
    }
}

/// Runs a worker's process again and again until `stop`, and tells each time that it `died`.
async fn keep_running(name: &WorkerName, process: &WorkerProcess, died: impl Fn(), stop: CancellationToken) {
    let mut pause = RESTART_FIRST;
    loop {
        let began = Instant::now();
        match process.start(name) {
            Ok((mut child, answering, words)) => {
                tokio::select! {
                    () = stop.cancelled() => {
                        drop(answering);
                        end(child).await;
                        // What it said last is there already.
                        let _ = timeout(LAST_WORDS, words).await;
                        return;
                    }
                    ended = child.wait() => {
                        let _ = timeout(LAST_WORDS, words).await;
                        process.granted.began();
                        died();
                        let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                        tracing::warn!(worker = %name, status, "a worker ended, and is started again");
                    }
                }
            }
            Err(error) => tracing::error!(worker = %name, %error, "a worker cannot be started"),
        }
        pause = if began.elapsed() > RAN_WELL { RESTART_FIRST } else { (pause * 2).min(RESTART_LAST) };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

async fn end(mut child: Child) {
    if timeout(ENDS_WITHIN, child.wait()).await.is_err() {
        // What is left of it has had its time.
        let _ = child.kill().await;
    }
}
