use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use crate::priority::at_first_priority;

/// How often a guest that computes is interrupted. Short, so that it gives its thread to others soon.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a request until the thread rests.
const IDLE_TICKS: u32 = 1000;
/// How long it rests at most, should a wake-up be missed.
const REST: Duration = Duration::from_millis(50);

/// The clock of the engines' epochs: a thread that ticks while requests are in flight.
pub(crate) struct Ticker {
    ticks: AtomicU64,
    in_flight: AtomicU32,
    resting: AtomicBool,
    stopped: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl Ticker {
    pub(crate) fn start(engines: Vec<wasmtime::Engine>) -> io::Result<Arc<Self>> {
        let ticker = Arc::new(Self {
            ticks: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            resting: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        });
        let ticking = ticker.clone();
        // Late, it would let guests compute for longer than they may on a thread that serves.
        let start = move || thread::Builder::new().name("sampan-epoch".into()).spawn(move || ticking.run(&engines));
        let handle = at_first_priority(start)?;
        let _ = ticker.thread.set(handle.thread().clone());
        Ok(ticker)
    }

    /// Ticks since the start. It stands still while nothing is in flight.
    pub(crate) fn now(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// Keeps the clock ticking until the guard is dropped.
    pub(crate) fn keep_ticking(self: &Arc<Self>) -> Ticking {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if self.resting.load(Ordering::Relaxed)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
        Ticking(self.clone())
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn run(&self, engines: &[wasmtime::Engine]) {
        let mut idle = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            idle = if self.in_flight.load(Ordering::Relaxed) == 0 { idle + 1 } else { 0 };
            if idle > IDLE_TICKS {
                self.resting.store(true, Ordering::Relaxed);
                thread::park_timeout(REST);
                self.resting.store(false, Ordering::Relaxed);
                continue;
            }
            thread::sleep(TICK);
            self.ticks.fetch_add(1, Ordering::Relaxed);
            engines.iter().for_each(wasmtime::Engine::increment_epoch);
        }
    }
}

/// Something is in flight that needs the clock.
pub(crate) struct Ticking(Arc<Ticker>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
