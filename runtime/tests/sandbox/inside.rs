//! The process that a test runs in.

use std::{
    env,
    future::Future,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use runtime::{Compile, CompileProcess, CompileServer, Network, Sandbox, SandboxGap};

use crate::fleet::Fleet;

pub(crate) enum Test {
    /// In the sandbox.
    Inside(fn(&Inside)),
    /// In the sandbox of a worker that asks for its connections.
    Asking(fn(&Inside)),
    /// As it is.
    Outside(fn()),
}

/// A process that has entered the sandbox.
pub(crate) struct Inside {
    /// It holds `given`, which may be read, `own`, which may be changed, and `other`.
    pub(crate) dir: PathBuf,
    /// A connection that was made before, and where else somebody listens.
    pub(crate) passed: (TcpStream, SocketAddr),
    gaps: Vec<SandboxGap>,
    _listeners: [TcpListener; 2],
    server: CompileServer,
    /// One that may use little memory.
    pub(crate) tight_server: CompileServer,
    /// One that has ended.
    pub(crate) dead_server: CompileServer,
}

/// How long this program compiles.
pub(crate) const COMPILE_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn server(memory_bytes: u64) -> CompileServer {
    started(&["compile-server", &memory_bytes.to_string()], memory_bytes)
}

/// One that tries to escape in place of compiling.
pub(crate) fn hostile_server() -> CompileServer {
    started(&["hostile-compile-server"], 1 << 30)
}

/// This program, with these arguments.
fn started(args: &[&str], memory_bytes: u64) -> CompileServer {
    let (program, args) = (env::current_exe().unwrap(), args.iter().map(|&arg| arg.to_owned()).collect());
    let server = CompileServer::new(CompileProcess { program, args, memory_bytes, timeout: COMPILE_TIMEOUT });
    server.start().unwrap();
    server
}

impl Inside {
    pub(crate) fn enter(dir: &Path, network: Network) -> Self {
        let tight_server = server(40 << 20);
        // A list of tests, and the end.
        let dead_server = started(&["--list"], 0);
        let server = server(CompileProcess::DEFAULT_MEMORY_BYTES);
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/guests");
        let guests = env::var_os("SAMPAN_GUESTS").map_or(built, PathBuf::from);
        let sandbox = Sandbox { read: vec![dir.join("given"), guests], read_write: vec![dir.join("own")], network };
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [first, second] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let passed = (TcpStream::connect(first).unwrap(), second);
        let gaps = sandbox.enter();
        assert!(!gaps.iter().any(|gap| matches!(gap, SandboxGap::Threads(_))), "{gaps:?}");
        Self { dir: dir.to_owned(), passed, gaps, _listeners: listeners, server, tight_server, dead_server }
    }

    pub(crate) fn run(&self, test: &fn(&Self)) {
        self.gaps.iter().for_each(|gap| println!("not all is tested: {gap}"));
        test(self);
    }

    /// Whether this kernel closes files. Where it does not, there is nothing to see.
    pub(crate) fn closes_files(&self) -> bool {
        !self.gaps.iter().any(|gap| matches!(gap, SandboxGap::NoLandlock | SandboxGap::Landlock(_)))
    }

    /// Whether this kernel's Landlock is whole.
    pub(crate) fn closes_all(&self) -> bool {
        self.closes_files() && !self.gaps.iter().any(|gap| matches!(gap, SandboxGap::OldLandlock))
    }

    /// Whether this kernel limits system calls.
    pub(crate) fn limits_calls(&self) -> bool {
        !self.gaps.iter().any(|gap| matches!(gap, SandboxGap::SystemCalls(_)))
    }

    /// A worker that compiles by the server.
    pub(crate) async fn fleet(&self) -> Fleet {
        self.fleet_by(self.server.clone()).await
    }

    pub(crate) async fn fleet_by(&self, server: CompileServer) -> Fleet {
        Fleet::compiling(Compile::Server(server), &self.dir.join("own/compiled"), |_| {}).await
    }
}

/// On one thread, as those that serve are.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}
