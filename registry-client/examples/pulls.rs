//! How long pulls of one image take: into an empty store, into one that has it, and for a hundred who ask at once.
//! usage: cargo run --release -p sampan-registry-client --example pulls -- HOST/NAME:TAG [PROGRAM]
//! With the path of `sampan`, by a process of its own for each pull, as servers pull.

use std::{error::Error, time::Instant};

use api::PullPolicy;
use futures::future::try_join_all;
use registry_client::{ImageStore, Puller, Registries, RegistrySettings, Request};

/// As many as workers of a large installation.
const AT_ONCE: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let image = std::env::args().nth(1).ok_or("name an image")?;
    let registries = Registries::new(RegistrySettings::default())?;
    let registries = match std::env::args().nth(2) {
        Some(program) => registries.pulled_by(Puller::new(program, ["pull-process"])),
        None => registries,
    };
    // Each asks the registry whether the tag has moved.
    let request = Request { policy: PullPolicy::Always, ..Request::of_machine(image) };
    let dir = tempfile::tempdir()?;
    let store = ImageStore::open(dir.path().join("one"))?;
    for name in ["cold", "warm"] {
        let began = Instant::now();
        registries.resolve(&store, &request).await?;
        println!("{name} {:.1}", began.elapsed().as_secs_f64() * 1e3);
    }
    let store = ImageStore::open(dir.path().join("many"))?;
    let began = Instant::now();
    try_join_all((0..AT_ONCE).map(|_| registries.resolve(&store, &request))).await?;
    println!("{AT_ONCE}-at-once {:.1}", began.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
