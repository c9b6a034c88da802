//! Threads that must not slow down those that serve requests.
//!
//! From Linux 6.12 on, a thread says how long it may run while others want to: its slice. Of two, the one with the shorter slice goes first
//! as it wakes, and the share of each stays what its niceness says. Threads that serve have the kernel's own slices of one to three milliseconds.

/// How much nicer background threads are: the kernel then gives a thread that serves about ten times the time of
/// one that computes in the background, and preempts the latter for it.
const BACKGROUND_NICENESS: i32 = 10;

/// The slice of a background thread, in nanoseconds.
const BACKGROUND_SLICE: u64 = 5_000_000;

/// The same of a thread on which guests compute for long: it gives way to those in the background, too.
const GUEST_SLICE: u64 = 20_000_000;

/// Lowers the priority of the calling thread, for good: what it does is to wait for those that serve requests. Where that is
/// not possible it stays as it is.
pub fn lower_this_thread() {
    lower(BACKGROUND_SLICE);
}

/// The same for a thread on which guests compute for long.
pub(crate) fn lower_this_guest_thread() {
    lower(GUEST_SLICE);
}

fn lower(slice: u64) {
    #[cfg(target_os = "linux")]
    {
        // On Linux this is the calling thread's own niceness, not the process's.
        if let Err(error) = rustix::process::setpriority_process(None, BACKGROUND_NICENESS) {
            tracing::debug!(%error, "background thread keeps its priority");
        }
        if let Err(error) = set_slice(slice) {
            tracing::debug!(%error, "background thread keeps its slices");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = slice;
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
    fn a_background_thread_is_nicer_and_has_long_slices_and_one_of_guests_longer_ones() {
        for (lower_it, expected) in
            [(lower_this_thread as fn(), BACKGROUND_SLICE), (lower_this_guest_thread, GUEST_SLICE)]
        {
            lower_it();
            assert!([expected, 0].contains(&slice()), "{}", slice());
            assert_eq!(rustix::process::getpriority_process(None).unwrap(), BACKGROUND_NICENESS);
        }
    }
}
