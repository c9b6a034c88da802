//! Threads that serve requests, and threads that must not slow them down.
//!
//! A thread, and a process, begins with the niceness of the thread that starts it, and may not become less nice. So one thread is
//! set aside before any is lowered, and what must not begin lower is started there.

use std::{
    io,
    sync::{OnceLock, mpsc},
    thread,
};

/// How much nicer background threads are: the kernel then gives a thread that serves about ten times the time of
/// one that computes in the background, and preempts the latter for it.
const BACKGROUND_NICENESS: i32 = 10;
/// The same for work that anybody can ask for in any amount.
const COSTLY_NICENESS: i32 = 15;

/// Has the thread that was set aside do something.
type Ask = mpsc::Sender<Box<dyn FnOnce() + Send>>;
static SET_ASIDE: OnceLock<Ask> = OnceLock::new();

/// Sets a thread aside that keeps the priority with which this process was started. To be called before any is lowered, and once a
/// sandbox has been entered, which holds for the thread that enters it and for those that it starts then.
pub fn keep_first_priority() -> io::Result<()> {
    let (ask, asked) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    thread::Builder::new().name("first-priority".into()).spawn(move || asked.into_iter().for_each(|start| start()))?;
    // One that is there already does as well; this one ends then.
    let _ = SET_ASIDE.set(ask);
    Ok(())
}

/// Starts a thread or a process with the priority with which this one was started, whatever that of the calling thread is, and waits
/// until it is started. Where no thread was set aside it has the caller's.
pub fn at_first_priority<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> T {
    let Some(ask) = SET_ASIDE.get() else { return start() };
    let (tell, told) = mpsc::sync_channel(1);
    let _ = ask.send(Box::new(move || drop(tell.send(start()))));
    told.recv().expect("what is started there does not panic")
}

/// Starts a thread that serves requests: at the priority with which this process was started, and with short slices.
pub fn start_serving_thread(name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    at_first_priority(move || {
        let serve = move || {
            shorten_slices_of_this_thread();
            work();
        };
        thread::Builder::new().name(name).spawn(serve).map(drop)
    })
}

/// Lowers the priority of the calling thread, for good: what it does is to wait for those that serve requests. Where that is
/// not possible it stays as it is.
pub fn lower_this_thread() {
    lower_to(BACKGROUND_NICENESS);
}

fn lower_to(niceness: i32) {
    // On Linux this is the calling thread's own niceness, not the process's. One that is lower is not raised.
    #[cfg(target_os = "linux")]
    if rustix::process::getpriority_process(None).is_ok_and(|now| now < niceness)
        && let Err(error) = rustix::process::setpriority_process(None, niceness)
    {
        tracing::debug!(%error, "a thread keeps its priority");
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
fn shorten_slices_of_this_thread() {
    #[cfg(target_os = "linux")]
    if let Err(error) = set_slice(SERVING_SLICE) {
        tracing::debug!(%error, "serving thread keeps its slices");
    }
}

/// Lowers the priority of the calling thread, on which guests compute for long, and lets it give way to all others as they wake.
pub(crate) fn compute_on_this_thread() {
    lower_this_thread();
    lengthen_slices_of_this_thread();
}

/// The same for costly work that requests to the API can ask for, which guests, and all else that the control plane does, go before.
pub fn do_costly_work_on_this_thread() {
    lower_to(COSTLY_NICENESS);
    lengthen_slices_of_this_thread();
}

fn lengthen_slices_of_this_thread() {
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

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).expect("its own niceness")
    }

    #[test]
    fn a_thread_on_which_guests_compute_has_long_slices_and_is_nicer() {
        compute_on_this_thread();
        assert!([COMPUTING_SLICE, 0].contains(&slice()), "{}", slice());
        assert_eq!(niceness(), BACKGROUND_NICENESS);
    }

    #[test]
    fn a_thread_that_does_costly_work_is_nicer_than_others_in_the_background_and_is_not_raised_again() {
        do_costly_work_on_this_thread();
        assert!([COMPUTING_SLICE, 0].contains(&slice()), "{}", slice());
        assert_eq!(niceness(), COSTLY_NICENESS);
        lower_this_thread();
        assert_eq!(niceness(), COSTLY_NICENESS);
    }

    #[test]
    fn a_thread_that_serves_has_the_first_priority_and_short_slices_whoever_starts_it() {
        let first = niceness();
        keep_first_priority().unwrap();
        let lowered = std::thread::spawn(move || {
            lower_this_thread();
            assert!(niceness() > first || first >= BACKGROUND_NICENESS);
            let (tell, told) = std::sync::mpsc::channel();
            start_serving_thread("serving".into(), Box::new(move || tell.send((niceness(), slice())).unwrap()))
                .unwrap();
            told.recv().unwrap()
        });
        let (niceness, slice) = lowered.join().unwrap();
        assert_eq!(niceness, first);
        assert!([SERVING_SLICE, 0].contains(&slice), "{slice}");
    }
}
