//! Packing beside best-fit-decreasing: how much of the same replicas, which are more than fit, either places on the same nodes.
//!
//! That algorithm knows all replicas before it places the largest first; the scheduler places each as it comes.

use rand::{Rng, SeedableRng, rngs::SmallRng};
use scheduler::Resources;

use crate::bench::{Bench, CAPACITY};

const SEEDS: u64 = 5;
/// Of the first, all nodes are compared for each replica; of the second, a sample.
const CLUSTERS: [u32; 2] = [50, 5000];
/// What is offered, as a share of what the nodes have.
const OFFERED: f64 = 1.25;

/// Draws the shares of a node that a replica asks for: in CPU and in memory.
type Mix = fn(&mut SmallRng) -> (f64, f64);

const MIXES: [(&str, Mix); 5] = [
    ("memory_small", |rng| (0.001, f64::from(rng.random_range(1..=9)) / 64.0)),
    ("memory_large", |rng| (0.001, f64::from(rng.random_range(6..=32)) / 64.0)),
    ("powers_of_two", |rng| {
        let size = f64::from(1 << rng.random_range(0..=4)) / 64.0;
        (size, size)
    }),
    ("independent", |rng| (rng.random_range(0.01..0.25), rng.random_range(0.01..0.25))),
    ("opposed", |rng| {
        let (more, less) = (rng.random_range(0.05..0.25), rng.random_range(0.01..0.05));
        if rng.random_bool(0.5) { (more, less) } else { (less, more) }
    }),
];

/// Prints a line for each mix and cluster: the least and the mean of all seeds.
pub(crate) fn print() {
    for (name, mix) in MIXES {
        for nodes in CLUSTERS {
            let ratios: Vec<f64> = (0..SEEDS).map(|seed| ratio(nodes, &sizes(nodes, mix, seed))).collect();
            let least = ratios.iter().copied().fold(f64::MAX, f64::min);
            let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
            println!("packing {name} {nodes} {least:.4} {mean:.4}");
        }
    }
}

fn sizes(nodes: u32, mix: Mix, seed: u64) -> Vec<Resources> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut cpu, mut memory, mut sizes) = (0.0, 0.0, Vec::new());
    while f64::max(cpu, memory) < OFFERED * f64::from(nodes) {
        let (of_cpu, of_memory) = mix(&mut rng);
        (cpu, memory) = (cpu + of_cpu, memory + of_memory);
        sizes.push(Resources {
            cpu_millis: (of_cpu * CAPACITY.cpu_millis as f64) as u64,
            memory_bytes: (of_memory * CAPACITY.memory_bytes as f64) as u64,
        });
    }
    sizes
}

fn ratio(nodes: u32, sizes: &[Resources]) -> f64 {
    let mut bench = Bench::new(nodes);
    let placed = sizes.iter().enumerate().map(|(number, size)| bench.place_alone(number as u32, *size));
    let ours = amount(sizes, placed);
    // Two ways to say which is the largest: the better one counts.
    let sum = |(cpu, memory): (f64, f64)| cpu + memory;
    let larger = |(cpu, memory): (f64, f64)| f64::max(cpu, memory);
    let best = |size: fn((f64, f64)) -> f64| amount(sizes, best_fit_decreasing(nodes, sizes, size));
    ours / f64::max(best(sum), best(larger))
}

/// Which of them are placed: the largest first, each on the node that it leaves the least room on.
fn best_fit_decreasing(nodes: u32, sizes: &[Resources], size: fn((f64, f64)) -> f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|a, b| size(shares(&sizes[*b])).total_cmp(&size(shares(&sizes[*a]))));
    let empty = Resources { cpu_millis: CAPACITY.cpu_millis, memory_bytes: CAPACITY.memory_bytes };
    let mut nodes = vec![(size(shares(&empty)), empty); nodes as usize];
    let mut placed = vec![false; sizes.len()];
    for index in order {
        let asked = sizes[index];
        let has_room = |(_, free): &&mut (f64, Resources)| {
            free.cpu_millis >= asked.cpu_millis && free.memory_bytes >= asked.memory_bytes
        };
        let fullest = nodes.iter_mut().filter(has_room).min_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((left, free)) = fullest {
            free.cpu_millis -= asked.cpu_millis;
            free.memory_bytes -= asked.memory_bytes;
            *left = size(shares(free));
            placed[index] = true;
        }
    }
    placed
}

fn shares(requests: &Resources) -> (f64, f64) {
    let of = |asked: u64, capacity: u64| asked as f64 / capacity as f64;
    (of(requests.cpu_millis, CAPACITY.cpu_millis), of(requests.memory_bytes, CAPACITY.memory_bytes))
}

/// What is placed, in nodes that are full of it: both dimensions together.
fn amount(sizes: &[Resources], placed: impl IntoIterator<Item = bool>) -> f64 {
    let placed = sizes.iter().zip(placed).filter(|(_, placed)| *placed);
    placed.map(|(size, _)| shares(size)).map(|(cpu, memory)| cpu + memory).sum()
}
