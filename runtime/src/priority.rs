//! Threads that must not slow down the threads that serve requests.

/// How much nicer background threads are: the kernel then gives a thread that serves about ten times the time of
/// one that computes in the background, and preempts the latter for it.
const BACKGROUND_NICENESS: i32 = 10;

/// Lowers the priority of the calling thread, for good: what it does is to wait for those that serve requests. Where that is
/// not possible it stays as it is.
pub fn lower_this_thread() {
    // On Linux this is the calling thread's own niceness, not the process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, BACKGROUND_NICENESS) {
        tracing::debug!(%error, "background thread keeps its priority");
    }
}
