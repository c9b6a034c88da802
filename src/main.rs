//! The `sampan` program: the command line, the configuration, and the composition root that joins the
//! roles. It serves no request and takes no decision itself; the rooms do.

// `terminal` is the one place that prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod build;
mod cli;
mod client;
mod compose;
mod config;
mod descriptors;
mod dev;
mod diagnostics;
mod docker_config;
mod errors;
mod key_value;
mod layout;
mod metrics;
mod new;
mod open;
mod output;
mod paths;
#[cfg(test)]
mod reference;
mod registries;
mod replay;
mod screen;
mod serve;
mod signals;
mod size;
mod terminal;
mod umask;
mod wit;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 0: done; 1: failed, and standard error says why; 2: the command line is wrong (clap's own).
fn main() -> ExitCode {
    umask::make_private();
    descriptors::raise();
    // An error means that a provider is installed already, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(errors::report(&error));
            ExitCode::FAILURE
        }
    }
}
