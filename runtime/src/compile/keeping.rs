use std::sync::{
    OnceLock,
    atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::{capabilities::GuestState, engine::KEPT_MEMORY_BYTES};

/// Requests whose page faults are counted.
const REQUESTS: u32 = 16;
/// A page fault costs as much as writing so many bytes. Measured on two processors of a virtual machine: 60 KiB where one thread
/// runs guests, and two to three times that where each processor does, as faults then interrupt the others.
const BYTES_OF_A_FAULT: u64 = 128 << 10;

/// Not looked at yet, or of little memory.
const UNKNOWN: u8 = 0;
const COUNTING: u8 = 1;
/// It is to be linked to the [`KeptEngine`](crate::engine::KeptEngine).
const WORTH: u8 = 2;
const NOT_WORTH: u8 = 3;

/// Whether memory of a component's instances is kept for the next ones: what is kept is written anew, whole, after each
/// instance; what is not comes back by a page fault for each page that is used. Which costs less is found out by counting faults
/// of its first requests: interpreters use nearly all of their memory, others have much that they never touch.
#[derive(Default)]
pub(crate) struct Keeping {
    state: AtomicU8,
    requests: AtomicU32,
    faults: AtomicU64,
    kept: OnceLock<ProxyPre<GuestState>>,
}

impl Keeping {
    /// The component, linked to the engine that keeps its memory, if that is worth it.
    pub(crate) fn kept(&self) -> Option<&ProxyPre<GuestState>> {
        self.kept.get()
    }

    /// Its instances have much memory: begins to count, unless that was done.
    pub(crate) fn consider(&self) {
        let _ = self.state.compare_exchange(UNKNOWN, COUNTING, Relaxed, Relaxed);
    }

    /// Whether faults are counted at the moment.
    pub(crate) fn counts(&self) -> bool {
        self.state.load(Relaxed) == COUNTING
    }

    /// Page faults of a part of a request.
    pub(crate) fn add_faults(&self, faults: u64) {
        self.faults.fetch_add(faults, Relaxed);
    }

    /// A request is over, at whose end its instance had so much memory, of which `kept_anyway` stays resident wherever it is. The
    /// last one that is counted decides.
    pub(crate) fn counted(&self, instance_bytes: u64, kept_anyway: u64) {
        if self.counts() && self.requests.fetch_add(1, Relaxed) + 1 == REQUESTS {
            let faults = self.faults.load(Relaxed) / u64::from(REQUESTS);
            let written = instance_bytes.min(KEPT_MEMORY_BYTES as u64).saturating_sub(kept_anyway);
            let worth = written <= faults.saturating_mul(BYTES_OF_A_FAULT);
            self.state.store(if worth { WORTH } else { NOT_WORTH }, Relaxed);
            tracing::debug!(faults, instance_bytes, worth, "counted page faults of a component's requests");
        }
    }

    /// Whether it is worth it, and is still to be linked.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state.load(Relaxed) == WORTH && self.kept.get().is_none()
    }

    pub(super) fn keep(&self, linked: ProxyPre<GuestState>) {
        // Linked twice at the same time, one is as good as the other.
        let _ = self.kept.set(linked);
    }
}

/// Page faults of the calling thread since it began, as far as no disk was needed for them.
#[cfg(target_os = "linux")]
pub(crate) fn thread_faults() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes a structure of this type; all of its bits may be zero.
    #[allow(unsafe_code, reason = "no crate that is used here has a wrapper of it")]
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    u64::try_from(usage.ru_minflt).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn thread_faults() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many requests with so many faults each, of instances with so much memory.
    fn after(requests: u32, faults: u64, instance_bytes: u64) -> Keeping {
        let keeping = Keeping::default();
        keeping.consider();
        for _ in 0..requests {
            keeping.add_faults(faults);
            keeping.counted(instance_bytes, 2 << 20);
        }
        keeping
    }

    #[test]
    fn memory_is_kept_of_guests_that_use_most_of_it() {
        assert!(after(REQUESTS, 340, 16 << 20).is_wanted(), "as measured of Python");
        assert!(after(REQUESTS, 235, 10 << 20).is_wanted(), "as measured of JavaScript");
        assert!(after(REQUESTS, 51, 4 << 20).is_wanted(), "as measured of Go");
        assert!(!after(REQUESTS, 20, 16 << 20).is_wanted(), "most of it is never touched");
        assert!(!after(REQUESTS - 1, 340, 16 << 20).is_wanted(), "not known yet");
    }

    #[test]
    fn what_was_decided_once_is_not_counted_again() {
        let keeping = after(REQUESTS, 20, 16 << 20);
        keeping.consider();
        assert!(!keeping.counts());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn faults_of_this_thread_are_counted() {
        let before = thread_faults();
        let fresh = touch_pages(64);
        assert!(thread_faults() - before >= 64, "{fresh}");
    }

    /// Maps so many pages and writes to each.
    #[cfg(target_os = "linux")]
    fn touch_pages(pages: usize) -> usize {
        let bytes = vec![1_u8; pages * 4096 * 64];
        bytes.iter().step_by(4096).map(|byte| usize::from(*byte)).sum()
    }
}
