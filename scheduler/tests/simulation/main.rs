//! The whole scheduler in a simulated world: workers, sessions, a durable store and users, all of them unreliable, driven
//! by a seed. After every step the invariants are checked; when the world has gone quiet it must have converged.
//!
//! It has no clock, no thread and no socket: the same seed gives the same run. `make simulate SEED=123` reruns one.

mod chaos;
mod control;
mod convergence;
mod invariants;
mod mirror;
mod preemption;
mod scaled;
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
/// Seeds of small worlds that do not hold what is wanted.
const SCARCE: std::ops::Range<u64> = 1000..2000;
/// Seeds of small worlds in which rollouts are paused, or cannot end.
const STUCK: std::ops::Range<u64> = 2000..2300;
/// Seeds of large worlds: a thousand workers and thousands of replicas.
const LARGE: std::ops::Range<u64> = 10_000..10_002;

#[test]
fn small_worlds_keep_the_invariants_and_converge() {
    run_all(SMALL, Scenario::small);
}

#[test]
fn worlds_without_room_for_all_keep_the_invariants_and_come_to_rest() {
    run_all(SCARCE, Scenario::scarce);
}

#[test]
fn rollouts_that_cannot_end_are_scaled_and_keep_what_serves() {
    run_all(STUCK, Scenario::stuck);
}

#[test]
fn large_worlds_keep_the_invariants_and_converge() {
    run_all(LARGE, Scenario::large);
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

/// All seeds of a kind of world, or the one that is asked for if it is one of them.
fn run_all(seeds: std::ops::Range<u64>, scenario: fn(u64) -> Scenario) {
    match asked_for() {
        Some(seed) if seeds.contains(&seed) => run(scenario(seed)),
        Some(_) => {}
        None => seeds.for_each(|seed| run(scenario(seed))),
    }
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
