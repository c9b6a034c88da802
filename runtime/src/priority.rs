//! Threads that serve requests, and threads that must not slow them down.

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

/// How long the kernel lets a thread that serves run while another wants to, in nanoseconds: the shortest that it takes.
#[cfg(target_os = "linux")]
const SERVING_SLICE: u64 = 100_000;

/// The same for a thread on which guests compute for long, far above the few milliseconds of others: a thread with a longer slice
/// gives way to one with a shorter slice. Its share of the processor stays what its niceness says.
#[cfg(target_os = "linux")]
const COMPUTING_SLICE: u64 = 20_000_000;

/// Asks the kernel for short slices for the calling thread, which serves requests. From Linux 6.12 on, one that wakes for a request then
/// runs at once in place of one with longer slices, such as a guest that computes for long; else it may wait for several
/// milliseconds. Where that is not possible it stays as it is.
pub fn shorten_slices_of_this_thread() {
    #[cfg(target_os = "linux")]
    if let Err(error) = set_slice(SERVING_SLICE) {
        tracing::debug!(%error, "serving thread keeps its slices");
    }
}

/// Lowers the priority of the calling thread, on which guests compute for long, and lets it give way to all others as they wake.
pub(crate) fn compute_on_this_thread() {
    lower_this_thread();
    #[cfg(target_os = "linux")]
    if let Err(error) = set_slice(COMPUTING_SLICE) {
        tracing::debug!(%error, "computing thread keeps its slices");
    }
}

#[cfg(target_os = "linux")]
fn set_slice(nanoseconds: u64) -> std::io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: rustix::process::getpriority_process(None)?,
        sched_priority: 0,
        sched_runtime: nanoseconds,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that lives until the call returns; 0 is the calling thread.
    #[allow(unsafe_code, reason = "no crate that is used here has a wrapper of it")]
    let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if set == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The slice of the calling thread, as the kernel has it; 0 before Linux 6.12.
    fn slice() -> u64 {
        let mut attributes = [0_u8; size_of::<libc::sched_attr>()];
        // SAFETY: the kernel writes at most as many bytes as it is told that there are.
        #[allow(unsafe_code, reason = "as above")]
        let read =
            unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), attributes.len() as u32, 0) };
        assert_eq!(read, 0, "{}", std::io::Error::last_os_error());
        let at = std::mem::offset_of!(libc::sched_attr, sched_runtime);
        u64::from_ne_bytes(attributes[at..at + 8].try_into().expect("eight bytes"))
    }

    #[test]
    fn a_thread_on_which_guests_compute_has_long_slices_and_is_nicer() {
        compute_on_this_thread();
        assert!([COMPUTING_SLICE, 0].contains(&slice()), "{}", slice());
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), BACKGROUND_NICENESS);
    }

    #[test]
    fn a_thread_that_serves_has_short_slices_and_its_niceness_as_before() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        lower_this_thread();
        let before = niceness();
        set_slice(SERVING_SLICE).unwrap();
        assert!([SERVING_SLICE, 0].contains(&slice()), "{}", slice());
        assert_eq!(niceness(), before);
    }
}
