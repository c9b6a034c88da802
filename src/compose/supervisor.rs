//! Worker processes of this machine: started, kept running, and ended with the server.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use api::WorkerName;
use control_plane::ControlPlane;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ServerPlan, machine_name,
    outbound::{Granted, WayOut},
};
use crate::{config::WorkerLimitArgs, key_value::Redis, paths::DataDir};

/// The wait before a worker that ended is started again; each further end soon after a start doubles it.
const RESTART_FIRST: Duration = Duration::from_millis(10);
/// The longest such wait.
const RESTART_LAST: Duration = Duration::from_secs(5);
/// A worker that ran for so long counts as well again.
const RAN_WELL: Duration = Duration::from_secs(10);
/// A worker that has not ended so long after it was told to is killed.
const ENDS_WITHIN: Duration = Duration::from_millis(1500);

/// What is said to this process in its environment and not to the workers that it starts: they have no network of their
/// own, are not divided again, and the store is named to them in another way.
const NOT_FOR_WORKERS: [&str; 4] = ["SAMPAN_ISOLATION", "SAMPAN_KEY_VALUE_FILE", "SAMPAN_LISTEN", "SAMPAN_METRICS"];

/// What a worker's process is started with, and how it reaches hosts outside.
pub(super) struct WorkerProcess {
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    way_out: WayOut,
}

/// Keeps worker processes running.
pub(super) struct Supervisor {
    workers: Vec<(WorkerName, WorkerProcess)>,
    control: Arc<ControlPlane>,
}

/// The names of so many workers of this machine.
pub(super) fn own_workers(count: u16) -> Vec<WorkerName> {
    let machine = machine_name();
    (1..=count).map(|number| WorkerName(format!("{machine}-{number}").into())).collect()
}

impl Supervisor {
    pub(super) fn new(
        names: Vec<WorkerName>,
        plan: &ServerPlan,
        redis: Option<&Redis>,
        dir: &DataDir,
        control: Arc<ControlPlane>,
    ) -> Self {
        let process =
            |name: &WorkerName| WorkerProcess::new(&dir.control_socket(), &name.0, dir, &plan.server.worker, redis);
        let workers = names.into_iter().map(|name| {
            let process = process(&name);
            (name, process)
        });
        Self { workers: workers.collect(), control }
    }

    /// What runs in each of them, as far as it is granted hosts outside.
    pub(super) fn granted(&self) -> HashMap<WorkerName, Arc<Granted>> {
        self.workers.iter().map(|(name, process)| (name.clone(), process.granted().clone())).collect()
    }

    /// Runs until `stop`, and until all of them have ended then.
    pub(super) async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for (name, process) in self.workers {
            let (control, stop, died) = (self.control.clone(), stop.clone(), name.clone());
            // Before anything else: its replicas are replaced now.
            tasks.spawn(async move { keep_running(&name, &process, || control.worker_died(died.clone()), stop).await });
        }
        tasks.close();
        tokio::join!(stop.cancelled(), tasks.wait());
    }
}

impl WorkerProcess {
    /// One that joins at a socket of this machine.
    pub(super) fn new(
        socket: &Path,
        name: &str,
        dir: &DataDir,
        limits: &WorkerLimitArgs,
        redis: Option<&Redis>,
    ) -> Self {
        let mut join = OsString::from("unix:");
        join.push(socket);
        let mut arguments: Vec<OsString> = vec!["worker".into(), "--supervised".into(), "--join".into(), join];
        arguments.extend(["--name".into(), name.into(), "--data-dir".into(), dir.root().into()]);
        let mut give = |flag: &str, value: Option<String>| {
            arguments.extend(value.into_iter().flat_map(|value| [OsString::from(flag), value.into()]));
        };
        give("--compile-memory", limits.compile_memory.map(|bytes| bytes.to_string()));
        give("--compile-timeout", limits.compile_timeout.map(api::format_span));
        give("--warm-memory", limits.warm_memory.map(|bytes| bytes.to_string()));
        give("--kept-memory", limits.kept_memory.map(|bytes| bytes.to_string()));
        give("--guest-memory", limits.guest_memory.map(|bytes| bytes.to_string()));
        give("--max-handles", limits.max_handles.map(|handles| handles.to_string()));
        let way_out = WayOut::new(dir, name, redis);
        arguments.extend(way_out.arguments());
        Self { arguments, environment: redis.map(Redis::environment).unwrap_or_default(), way_out }
    }

    /// With so many threads that serve requests, if it is not to have its default.
    pub(super) fn with_threads(mut self, threads: Option<u16>) -> Self {
        let threads = threads.map(|threads| ["--threads".into(), threads.to_string().into()]);
        self.arguments.extend(threads.into_iter().flatten());
        self
    }

    /// What runs in it, as far as it is granted hosts outside.
    pub(super) fn granted(&self) -> &Arc<Granted> {
        self.way_out.granted()
    }

    fn start(&self) -> std::io::Result<Child> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        for name in NOT_FOR_WORKERS {
            command.env_remove(name);
        }
        let started = command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            // Its end tells the worker to end: also when this process is killed.
            .stdin(Stdio::piped())
            // Ctrl-C at a terminal is for this process, which ends the workers in its turn.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        self.granted().began(started.id());
        Ok(started)
    }
}

/// Runs a worker's process again and again until `stop`, and tells each time that it `died`.
pub(super) async fn keep_running(name: &WorkerName, process: &WorkerProcess, died: impl Fn(), stop: CancellationToken) {
    let mut pause = RESTART_FIRST;
    let _way_out = process.way_out.open();
    loop {
        let began = Instant::now();
        match process.start() {
            Ok(mut child) => {
                // Held apart: waiting for the child would close it, and its end tells the worker to end.
                let input = child.stdin.take();
                tokio::select! {
                    () = stop.cancelled() => {
                        drop(input);
                        return end(child).await;
                    }
                    ended = child.wait() => {
                        process.granted().ended();
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
