//! Load as callers make it: requests come when they come, whether or not earlier ones have been answered.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::client::{self, Client};

/// Callers at the same time. More requests than these have to wait, and that counts into their latency.
const CALLERS: usize = 24;
/// How long the capacity is measured.
const MEASURED: Duration = Duration::from_secs(1);
/// What a caller of the tests' own sends at most: beyond, it is the tests that are slow.
const MOST_PER_SECOND: f64 = 1500.0;

/// An open loop of requests.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
    outcome: Arc<Mutex<Outcome>>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: usize,
    pub(crate) failed: Vec<String>,
}

impl Load {
    /// Measures how much the system takes, and then sends seven tenths of it: GETs and idempotent PUTs.
    pub(crate) fn at_seven_tenths(address: &str, host: &'static str) -> Self {
        Self::at_seven_tenths_of(address, host, "/env", &[Kind::Get, Kind::Put])
    }

    /// Measures how many GETs of `path` it takes, and then sends seven tenths as many requests, of these kinds in turn.
    pub(crate) fn at_seven_tenths_of(
        address: &str,
        host: &'static str,
        path: &'static str,
        kinds: &'static [Kind],
    ) -> Self {
        let began = Instant::now();
        let closed = client::Load::start(address, Some(host), path, 4);
        thread::sleep(MEASURED);
        let (sent, failed) = closed.stop();
        assert!(failed.is_empty(), "before anything was wrong: {:?}", failed.first());
        let capacity = sent as f64 / began.elapsed().as_secs_f64();
        Self::start(address, host, (0.7 * capacity).min(MOST_PER_SECOND), kinds)
    }

    /// As many requests a second, of these kinds in turn.
    pub(crate) fn start(address: &str, host: &'static str, per_second: f64, kinds: &'static [Kind]) -> Self {
        let (over, outcome) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Outcome::default())));
        let (next, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let callers = (0..CALLERS).map(|_| {
            let (client, over, outcome, next) =
                (Client::new(address, Some(host)), over.clone(), outcome.clone(), next.clone());
            thread::spawn(move || {
                while !over.load(Relaxed) {
                    let number = next.fetch_add(1, Relaxed);
                    let due = began + Duration::from_secs_f64(number as f64 / per_second);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let failed = kinds[number as usize % kinds.len()].send(&client, number);
                    outcome.lock().expect("no caller panicked").note(failed);
                }
            })
        });
        Self { callers: callers.collect(), over, outcome }
    }

    /// How many have failed until now.
    pub(crate) fn failed(&self) -> usize {
        self.outcome.lock().expect("no caller panicked").failed.len()
    }

    /// Waits for what is in flight.
    pub(crate) fn stop(self) -> Outcome {
        self.over.store(true, Relaxed);
        self.callers.into_iter().for_each(|caller| caller.join().expect("no caller panicked"));
        std::mem::take(&mut *self.outcome.lock().expect("no caller panicked"))
    }
}

impl Outcome {
    fn note(&mut self, failed: Option<String>) {
        self.sent += 1;
        self.failed.extend(failed);
    }
}

/// Kinds of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Get,
    /// Answers what it was sent.
    Put,
    Post,
    /// Takes 50 ms, in which it only waits.
    Sleep,
    /// Reads what the guest keeps under [`KEPT`], which is `kept`.
    ReadStore,
    /// Sets one of some entries.
    WriteStore,
}

/// An entry that [`Kind::ReadStore`] reads.
pub(crate) const KEPT: &str = "/kv/default/kept";
/// Entries that are written.
const WRITTEN: u64 = 64;

impl Kind {
    /// What went wrong, if something did.
    fn send(self, client: &Client, number: u64) -> Option<String> {
        let (text, kept) = (format!("number {number}"), "kept".to_owned());
        let (answer, wanted) = match self {
            Self::Get => (client.try_get("/env"), None),
            Self::Sleep => (client.try_get("/sleep?ms=50"), None),
            Self::Put => (client.try_put_text("/echo", &text), Some(&text)),
            Self::Post => (client.try_post_text("/echo", "text/plain", &text), Some(&text)),
            Self::ReadStore => (client.try_get(KEPT), Some(&kept)),
            Self::WriteStore => (client.try_put_text(&format!("/kv/default/{}", number % WRITTEN), &text), None),
        };
        match answer {
            Ok(answer) if answer.status == 200 && wanted.is_none_or(|wanted| answer.body == *wanted) => None,
            Ok(answer) => Some(format!("{self:?}: {answer:?}")),
            Err(error) => Some(format!("{self:?}: {error}")),
        }
    }
}
