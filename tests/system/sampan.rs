//! A running `sampan`, its output, and how to wait for what it does.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

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
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
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

    /// As [`Self::dev`], with these variables in its environment.
    pub(crate) fn dev_with(data_dir: &Path, folder: &Path, variables: &[(&str, String)]) -> Self {
        Self::start_with(data_dir, &["dev", folder.to_str().expect("a path in UTF-8")], variables)
    }

    fn start(data_dir: &Path, args: &[&str]) -> Self {
        Self::start_with(data_dir, args, &[])
    }

    fn start_with(data_dir: &Path, args: &[&str], variables: &[(&str, String)]) -> Self {
        let (http, api) = (free_address(), free_address());
        let load_balancer_ip = own_loopback_ip();
        let mut child = command(args)
            .args(["--http", &http, "--api", &api, "--load-balancer-ip", &load_balancer_ip])
            .arg("--data-dir")
            .arg(data_dir)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sampan program starts");
        let output = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().expect("piped"), &output),
            collect(child.stderr.take().expect("piped"), &output),
        ];
        let mut sampan = Self { child, output, readers, data_dir: data_dir.to_owned(), http, load_balancer_ip };
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
        self.output.lock().expect("no printer panicked").clone()
    }

    /// Waits until it has printed `text`.
    pub(crate) fn wait_for_output(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.output().contains(text) {
            assert!(Instant::now() < deadline, "`{text}` was never printed:\n{}", self.output());
            thread::sleep(Duration::from_millis(20));
        }
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
        let program =
            std::env::var_os("SAMPAN_KUBECTL").map_or_else(|| root().join("target/tools/kubectl"), PathBuf::from);
        assert!(program.exists(), "{} is missing: run `scripts/setup test`", program.display());
        let mut command = Command::new(program);
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--cache-dir").arg(self.data_dir.join("kubectl-cache"));
        command.args(args);
        command
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

    /// Ends it by a signal, and answers all that it and its workers have printed.
    pub(crate) fn end(mut self, by: &str) -> String {
        signal(by, self.child.id());
        let status = self.child.wait().expect("the child can be waited for");
        assert!(status.success(), "it ended with {status}:\n{}", self.output());
        self.readers.drain(..).for_each(|reader| reader.join().expect("no printer panicked"));
        self.output()
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

pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket").to_string()
}

/// A process of one role beside a server. Killed when dropped.
pub(crate) struct Role {
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Role {
    /// Starts it through `program`, which may put it somewhere: a network namespace.
    pub(crate) fn start(mut program: Command) -> Self {
        let started = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.expect("the program starts");
        let output = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().expect("piped"), &output),
            collect(child.stderr.take().expect("piped"), &output),
        ];
        Self { child, output, readers }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it printed until now.
    pub(crate) fn output(&self) -> String {
        self.output.lock().expect("no printer panicked").clone()
    }

    /// Waits until it has printed `text`.
    pub(crate) fn wait_for_output(&self, text: &str) {
        wait_for(&format!("`{text}` is printed"), || self.output().contains(text).then_some(()));
    }

    /// Ends it by a signal, and answers all that it and its processes have printed.
    pub(crate) fn end(mut self, by: &str) -> String {
        signal(by, self.id());
        let status = self.ended();
        assert!(status.success(), "it ended with {status}:\n{}", self.output());
        self.readers.drain(..).for_each(|reader| reader.join().expect("no printer panicked"));
        self.output()
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

fn collect(stream: impl Read + Send + 'static, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = into.lock().expect("no printer panicked");
            output.push_str(&line);
            output.push('\n');
        }
    })
}
