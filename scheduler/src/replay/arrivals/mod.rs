//! From counts to moments: a trace that counts by the minute says nothing about the seconds.

mod bursts;

use std::{fmt, str::FromStr, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{Function, Load, ServiceTime};

const MINUTE_MICROS: u64 = 60_000_000;

/// A request as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// When, after the trace began.
    pub at: Duration,
    /// How long a replica will work on it.
    pub service: Duration,
}

/// How the requests of a minute are spread over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seconds {
    /// Each for itself: a Poisson process, of which the minute's count is known.
    #[default]
    Poisson,
    /// In bursts of about a second, six times as dense as the minute's average.
    Bursty,
}

impl Seconds {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Poisson, Self::Bursty];

    /// What users call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Bursty => "bursty",
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no way to spread requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no way to spread requests over a minute: write `poisson` or `bursty`")]
pub struct UnknownSeconds(String);

impl FromStr for Seconds {
    type Err = UnknownSeconds;

    fn from_str(text: &str) -> Result<Self, UnknownSeconds> {
        Self::ALL.into_iter().find(|seconds| seconds.name() == text).ok_or_else(|| UnknownSeconds(text.to_owned()))
    }
}

/// The requests of a function, in order of arrival; a minute at a time is in memory.
#[derive(Debug, Clone)]
pub struct Requests<'a> {
    function: &'a Function,
    service: ServiceTime,
    seconds: Seconds,
    /// Moments and service times come from generators of their own.
    moments: SmallRng,
    services: SmallRng,
    /// The next minute, or the next request.
    next: usize,
    /// Moments of the minute before `next` that are still to come, the last first, in microseconds.
    minute: Vec<u64>,
}

impl Function {
    /// Its requests, in order of arrival: the same for the same `seed`. Where the trace does not say how long they are worked
    /// on, it is `otherwise`.
    pub fn requests(&self, seconds: Seconds, seed: u64, otherwise: &ServiceTime) -> Requests<'_> {
        Requests {
            function: self,
            service: self.service.as_ref().unwrap_or(otherwise).clone(),
            seconds,
            moments: SmallRng::seed_from_u64(seed),
            services: SmallRng::seed_from_u64(!seed),
            next: 0,
            minute: Vec::new(),
        }
    }
}

impl Iterator for Requests<'_> {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        let minutes = match &self.function.load {
            Load::Minutes(minutes) => minutes,
            Load::Requests(requests) => {
                self.next += 1;
                return requests.get(self.next - 1).copied();
            }
        };
        loop {
            if let Some(micros) = self.minute.pop() {
                let at = Duration::from_micros(micros);
                return Some(Request { at, service: self.service.draw(&mut self.services) });
            }
            let count = *minutes.get(self.next)?;
            self.spread(count);
        }
    }
}

impl Requests<'_> {
    fn spread(&mut self, count: u32) {
        let begin = self.next as u64 * MINUTE_MICROS;
        self.next += 1;
        if count == 0 {
            return;
        }
        let rng = &mut self.moments;
        match self.seconds {
            Seconds::Poisson => self.minute.extend((0..count).map(|_| begin + rng.random_range(0..MINUTE_MICROS))),
            Seconds::Bursty => {
                let bursts = bursts::Bursts::of_a_minute(rng);
                self.minute.extend((0..count).map(|_| begin + bursts.moment(rng)));
            }
        }
        self.minute.sort_unstable_by(|a, b| b.cmp(a));
    }
}

#[cfg(test)]
mod tests;
