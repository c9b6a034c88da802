//! What a worker's process gives up before it runs guests: files, programs, privileges and most of the kernel. Should a
//! guest break out of its WebAssembly sandbox, it finds itself in this one.
//!
//! Which hosts it reaches is not the kernel's to limit, which knows addresses and no names: either the process has no
//! network at all, and asks another for each connection, or it has the whole. See [`Network`]. Who pulls an image has a sandbox
//! too, in which it connects and no more.

mod files;
mod privileges;
mod seccomp;
mod system_calls;

use std::{fs, io, path::PathBuf};

use seccomp::Does;

/// What stays open to a process that enters. All else is closed to it, and to what it starts, until its end.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// Files and directories that are read.
    pub read: Vec<PathBuf>,
    /// Files and directories that are read and changed, with sockets in them.
    pub read_write: Vec<PathBuf>,
    /// Whether it makes connections.
    pub network: Network,
}

/// Who makes a process's connections to other machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// It makes and takes them itself: to any address, whatever is granted to its guests.
    #[default]
    Own,
    /// It makes them itself, to any address, and takes none. It connects to no socket of this machine.
    Outgoing,
    /// Another process, which is asked over a Unix socket and passes on connections and sockets. This one makes none, but pairs
    /// of its own, connects nothing, also no socket of this machine, and listens nowhere else.
    Asked,
}

/// A part of the sandbox that this kernel, or this process, does not allow.
#[derive(Debug, thiserror::Error)]
pub enum SandboxGap {
    /// Other threads run already.
    #[error("{0} threads ran before: files and capabilities stay open to them")]
    Threads(usize),
    /// Programs that it starts might have more privileges than it has.
    #[error("the kernel cannot rule out new privileges: {0}")]
    NewPrivileges(io::Error),
    /// All files are open.
    #[error(
        "the kernel has no Landlock, which came with Linux 5.13 and must be enabled: files are not closed, and a connection \
         that was passed here can be turned elsewhere"
    )]
    NoLandlock,
    /// Some accesses are not closed.
    #[error(
        "the kernel's Landlock is older than that of Linux 6.12: some ways to files, devices and signals are open, and before \
         Linux 6.7 a connection that was passed here can be turned elsewhere"
    )]
    OldLandlock,
    /// All files are open.
    #[error("Landlock cannot be used: {0}; files are not closed")]
    Landlock(#[from] landlock::RulesetError),
    /// What the process may do as its user's superuser is not given up.
    #[error("capabilities cannot be dropped: {0}")]
    Capabilities(io::Error),
    /// All of the kernel is open.
    #[error("system calls cannot be limited: {0}")]
    SystemCalls(#[from] seccompiler::Error),
}

impl Sandbox {
    /// Gives up all but what is named, for good. What cannot be given up here is told, and warned of in the log.
    ///
    /// To be called on the main thread before any other is started: Landlock and capabilities are of threads, which
    /// inherit them when they start. The directories that are named must exist. They must be open to this user without privileges.
    pub fn enter(&self) -> Vec<SandboxGap> {
        let gaps = self.enter_quietly();
        for gap in &gaps {
            tracing::warn!("the worker's sandbox has a gap: {gap}");
        }
        gaps
    }

    /// As [`enter`](Self::enter), for processes of which there are many: the workers warn of what the system lacks.
    pub fn enter_quietly(&self) -> Vec<SandboxGap> {
        let changes_files = !self.read_write.is_empty();
        give_up(|| files::close(self), Does::Work { network: self.network, changes_files })
    }
}

/// A compile server's: it has no file at all, and speaks over the sockets that it has been given alone.
pub(crate) fn enter_as_compile_server() -> Vec<SandboxGap> {
    give_up(files::close_all, Does::StartCompiles)
}

/// Within that, what a process gives up beside that compiles one component.
pub(crate) fn enter_as_compiler() -> Result<(), SandboxGap> {
    Ok(seccomp::limit(Does::Compile)?)
}

fn give_up(close_files: impl FnOnce() -> Result<(), SandboxGap>, does: Does) -> Vec<SandboxGap> {
    let steps = [
        alone(),
        rustix::thread::set_no_new_privs(true).map_err(|error| SandboxGap::NewPrivileges(error.into())),
        close_files(),
        privileges::drop_all().map_err(SandboxGap::Capabilities),
        // The last: it closes the calls that the others need.
        seccomp::limit(does).map_err(SandboxGap::SystemCalls),
    ];
    steps.into_iter().filter_map(Result::err).collect()
}

/// Whether this is the only thread. Where `/proc` does not tell, it is believed.
fn alone() -> Result<(), SandboxGap> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 { Err(SandboxGap::Threads(threads - 1)) } else { Ok(()) }
}
