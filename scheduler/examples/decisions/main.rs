//! How many placements the scheduler decides in a second at 5000 nodes, and how well it packs. Run it with `--release`.

mod bench;
mod packing;

use std::time::Instant;

use bench::{Bench, deployment};
use scheduler::Resources;

const NODES: u32 = 5000;
/// Deployments and replicas of each: what is placed to measure speed.
const DEPLOYMENTS: u32 = 200;
const REPLICAS: u32 = 500;

/// The median counts.
const ROUNDS: usize = 5;

fn main() {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| decisions_per_second()).collect();
    rounds.sort_by(f64::total_cmp);
    println!("decisions_per_second {:.0} {:.0} {:.0}", rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
    packing::print();
}

fn decisions_per_second() -> f64 {
    let mut bench = Bench::new(NODES);
    let requests = |number: u32| Resources { cpu_millis: 100, memory_bytes: u64::from(number % 7 + 1) << 30 };
    let deployments: Vec<_> = (0..DEPLOYMENTS).map(|number| deployment(number, REPLICAS, requests(number))).collect();
    let began = Instant::now();
    let placed: usize = deployments.into_iter().map(|deployment| bench.place(deployment)).sum();
    placed as f64 / began.elapsed().as_secs_f64()
}
