//! The whole scheduler in a simulated world: workers, sessions, a durable store and users, all of them unreliable, driven
//! by a seed. After every step the invariants are checked; when the world has gone quiet it must have converged.
//!
//! It has no clock, no thread and no socket: the same seed gives the same run. `make simulate SEED=123` reruns one.

mod chaos;
mod control;
mod convergence;
mod invariants;
mod mirror;
mod scenario;
mod sessions;
mod store;
mod traffic;
mod user;
mod worker;
mod world;

use scenario::Scenario;
use world::World;

/// Seeds of small worlds: a few workers, much trouble.
const SMALL: std::ops::Range<u64> = 0..1000;
/// Seeds of large worlds: a thousand workers and thousands of replicas.
const LARGE: std::ops::Range<u64> = 10_000..10_002;

#[test]
fn small_worlds_keep_the_invariants_and_converge() {
    match asked_for() {
        Some(seed) if !LARGE.contains(&seed) => run(Scenario::small(seed)),
        Some(_) => {}
        None => SMALL.for_each(|seed| run(Scenario::small(seed))),
    }
}

#[test]
fn large_worlds_keep_the_invariants_and_converge() {
    match asked_for() {
        Some(seed) if LARGE.contains(&seed) => run(Scenario::large(seed)),
        Some(_) => {}
        None => LARGE.for_each(|seed| run(Scenario::large(seed))),
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let steps = |seed| {
        let mut world = World::new(Scenario::small(seed));
        world.run();
        world.digest()
    };
    assert_eq!(steps(7), steps(7));
}

fn run(scenario: Scenario) {
    let _named = NameSeedOnPanic(scenario.seed);
    World::new(scenario).run();
}

/// A seed to rerun, whose trace is printed.
fn asked_for() -> Option<u64> {
    let seed = std::env::var("SAMPAN_SEED").ok()?;
    Some(seed.parse().expect("SAMPAN_SEED is a number"))
}

/// Says how to rerun a seed that failed, wherever it failed.
struct NameSeedOnPanic(u64);

impl Drop for NameSeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed; rerun it with its trace: make simulate SEED={}", self.0, self.0);
        }
    }
}
