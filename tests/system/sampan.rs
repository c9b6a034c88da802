//! A running `sampan`, its output, and how to wait for what it does.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};

pub(crate) use crate::ports::free_address;
use crate::printed::Printed;

/// How long a test waits for something that should come: generous, since machines are slow and busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// The checkout.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A guest built by `make guests`.
pub(crate) fn guest(name: &str) -> PathBuf {
    let folder = std::env::var_os("SAMPAN_GUESTS").map_or_else(|| root().join("target/guests"), PathBuf::from);
    let path = folder.join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `make guests`", path.display());
    path
}

/// Waits until `probe` answers, or fails with `what`.
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A loopback address that no other test of this run uses, so that fixed ports do not collide.
fn own_loopback_ip() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    format!("127.{}.{}.{}", 1 + process % 250, 1 + (process / 250) % 250, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A server process with a data directory of its own. Killed when dropped.
pub(crate) struct Sampan {
    child: Child,
    printed: Printed,
    pub(crate) data_dir: PathBuf,
    pub(crate) http: String,
    pub(crate) load_balancer_ip: String,
}

impl Sampan {
    /// Starts `sampan up` and waits until it serves.
    pub(crate) fn up(data_dir: &Path) -> Self {
        Self::start(data_dir, &["up"])
    }

    /// As [`Self::up`], with further flags.
    pub(crate) fn up_with(data_dir: &Path, flags: &[&str]) -> Self {
        Self::start(data_dir, &[&["up"], flags].concat())
    }

    /// Starts `sampan server --workers N` and waits until it serves and all workers are there.
    pub(crate) fn server(data_dir: &Path, workers: usize) -> Self {
        Self::server_with(data_dir, workers, &[])
    }

    /// As [`Self::server`], with further flags.
    pub(crate) fn server_with(data_dir: &Path, workers: usize, flags: &[&str]) -> Self {
        let sampan = Self::start(data_dir, &[&["server", "--workers", &workers.to_string()], flags].concat());
        sampan.wait_for_nodes(workers);
        sampan
    }

    /// Waits until so many workers are ready.
    pub(crate) fn wait_for_nodes(&self, workers: usize) {
        wait_for("all workers are ready", || {
            let nodes = self.cli_ok(&["get", "nodes"]);
            (nodes.lines().filter(|line| line.contains(" Ready ")).count() == workers).then_some(())
        });
    }

    /// Starts `sampan dev FOLDER` and waits until it serves.
    pub(crate) fn dev(data_dir: &Path, folder: &Path) -> Self {
        Self::dev_with(data_dir, folder, &[])
    }

    /// As [`Self::dev`], with these variables in its environment. Crates of the samples are built for release already.
    pub(crate) fn dev_with(data_dir: &Path, folder: &Path, variables: &[(&str, String)]) -> Self {
        Self::start_with(data_dir, &["dev", "--release", folder.to_str().expect("a path in UTF-8")], variables)
    }

    fn start(data_dir: &Path, args: &[&str]) -> Self {
        Self::start_with(data_dir, args, &[])
    }

    /// As [`Self::up_with`], where it may have so many descriptors.
    pub(crate) fn limited(data_dir: &Path, descriptors: u32, flags: &[&str]) -> Self {
        let program = command(&[&["up"], flags].concat());
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
        limited.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        Self::run(limited, data_dir)
    }

    /// Starts it with these variables in its environment, and waits until it serves.
    pub(crate) fn start_with(data_dir: &Path, args: &[&str], variables: &[(&str, String)]) -> Self {
        let mut program = command(args);
        program.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::run(program, data_dir)
    }

    fn run(mut program: Command, data_dir: &Path) -> Self {
        let (http, api) = (free_address(), free_address());
        let load_balancer_ip = own_loopback_ip();
        let mut child = program
            .args(["--http", &http, "--api", &api, "--load-balancer-ip", &load_balancer_ip])
            .arg("--data-dir")
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sampan program starts");
        let printed = Printed::by(&mut child);
        let mut sampan = Self { child, printed, data_dir: data_dir.to_owned(), http, load_balancer_ip };
        sampan.wait_until_ready(&api);
        sampan
    }

    fn wait_until_ready(&mut self, api: &str) {
        let deadline = Instant::now() + PATIENCE;
        // The kubeconfig may be that of an earlier run, at another address.
        let is_named = |path| std::fs::read_to_string(path).is_ok_and(|kubeconfig| kubeconfig.contains(api));
        let answers = |address: &str| std::net::TcpStream::connect(address).is_ok();
        while !answers(&self.http) || !answers(api) || !is_named(self.kubeconfig()) {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                panic!("sampan ended with {status}:\n{}", self.output());
            }
            assert!(Instant::now() < deadline, "sampan does not serve:\n{}", self.output());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that it printed until now.
    pub(crate) fn output(&self) -> String {
        self.printed.text()
    }

    /// Waits until it has printed `text`.
    pub(crate) fn wait_for_output(&self, text: &str) {
        self.printed.wait_for(text);
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.data_dir.join("kubeconfig")
    }

    /// Runs the command line against this server.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        command(args).arg("--data-dir").arg(&self.data_dir).output().expect("the sampan program starts")
    }

    /// As [`Self::cli`], and it must succeed.
    pub(crate) fn cli_ok(&self, args: &[&str]) -> String {
        succeed(&format!("sampan {}", args.join(" ")), self.cli(args))
    }

    /// Runs the real kubectl against this server.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl_command(args).output().expect("kubectl starts")
    }

    /// As [`Self::kubectl`], and it must succeed.
    pub(crate) fn kubectl_ok(&self, args: &[&str]) -> String {
        succeed(&format!("kubectl {}", args.join(" ")), self.kubectl(args))
    }

    /// The real kubectl, to be run in a way of the test's own.
    pub(crate) fn kubectl_command(&self, args: &[&str]) -> Command {
        let mut command = Self::kubectl_program();
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--cache-dir").arg(self.data_dir.join("kubectl-cache"));
        command.args(args);
        command
    }

    /// The real kubectl, which is told nothing yet.
    pub(crate) fn kubectl_program() -> Command {
        let program =
            std::env::var_os("SAMPAN_KUBECTL").map_or_else(|| root().join("target/tools/kubectl"), PathBuf::from);
        assert!(program.exists(), "{} is missing: run `scripts/setup test`", program.display());
        Command::new(program)
    }

    /// The process of a worker with this name on this machine, if it runs.
    pub(crate) fn process(&self, name: &str) -> Option<u32> {
        let data_dir = self.data_dir.to_str().expect("a path in UTF-8");
        let is_it = |line: &[u8]| {
            let line = String::from_utf8_lossy(line).replace('\0', " ");
            line.contains(&format!("--name {name} ")) && line.contains(data_dir)
        };
        let processes = std::fs::read_dir("/proc").expect("proc");
        let mut ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.find(|id: &u32| std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| is_it(&line)))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by a signal, and answers all that it and its workers have printed.
    pub(crate) fn end(self, by: &str) -> String {
        signal(by, self.id());
        self.over()
    }

    /// Waits until it has ended as it was told to, and answers all that it and its workers have printed.
    pub(crate) fn over(mut self) -> String {
        let status = self.child.wait().expect("the child can be waited for");
        assert!(status.success(), "it ended with {status}:\n{}", self.output());
        self.printed.all()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let interrupted = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(interrupted.expect("kill starts").success());
        let status = self.child.wait().expect("the child can be waited for");
        (status, began.elapsed())
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the child can be killed");
        self.child.wait().expect("the child can be waited for");
    }
}

impl Drop for Sampan {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- sampan printed:\n{}", self.output());
        }
    }
}

/// The program under test, without the environment's settings for it.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
    command
        .args(args)
        .env_remove("SAMPAN_DATA_DIR")
        .env_remove("SAMPAN_REGISTRIES")
        .env_remove("SAMPAN_KEY_VALUE")
        .env_remove("KUBECONFIG");
    // Who runs the tests may be logged in somewhere.
    command.env("DOCKER_CONFIG", "/nonexistent");
    command
}

/// What a command printed on standard output; fails with all that it printed.
pub(crate) fn succeed(what: &str, output: Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// A process of one role beside a server. Killed when dropped.
pub(crate) struct Role {
    child: Child,
    printed: Printed,
}

impl Role {
    /// Starts it through `program`, which may put it somewhere: a network namespace.
    pub(crate) fn start(mut program: Command) -> Self {
        let started = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.expect("the program starts");
        let printed = Printed::by(&mut child);
        Self { child, printed }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it printed until now.
    pub(crate) fn output(&self) -> String {
        self.printed.text()
    }

    /// Waits until it has printed `text`.
    pub(crate) fn wait_for_output(&self, text: &str) {
        self.printed.wait_for(text);
    }

    /// Ends it by a signal, and answers all that it and its processes have printed.
    pub(crate) fn end(self, by: &str) -> String {
        signal(by, self.id());
        self.over()
    }

    /// Waits until it has ended as it was told to, and answers all that it and its processes have printed.
    pub(crate) fn over(mut self) -> String {
        let status = self.ended();
        assert!(status.success(), "it ended with {status}:\n{}", self.output());
        self.printed.all()
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_for("the process ends", || self.child.try_wait().expect("the child can be asked"))
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the child can be killed");
        self.child.wait().expect("the child can be waited for");
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- a role printed:\n{}", self.output());
        }
    }
}

/// Sends a signal, such as `STOP`.
pub(crate) fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(sent.expect("kill starts").success(), "{name} to {process}");
}
