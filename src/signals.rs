//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once.

use std::{
    process,
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::terminal::print_error;

/// An orderly end that takes longer is cut short.
pub(crate) const END_AFTER: Duration = Duration::from_millis(4_800);
/// What comes so soon after the first is the same again: `timeout`, `npm` and others pass on what the terminal, or they
/// themselves, send to the whole group of processes.
const SAME_AGAIN: Duration = Duration::from_millis(300);
/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Cancels `shutdown` at the first signal; an end that takes longer than `end_after` is cut short. Must be called within a
/// runtime, whose end ends it.
pub(crate) fn watch(shutdown: CancellationToken, end_after: Duration) -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = shutdown.cancelled() => {}
        }
        shutdown.cancel();
        let first = Instant::now();
        let second = async {
            while first.elapsed() < SAME_AGAIN {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
        };
        tokio::select! {
            () = second => {}
            () = tokio::time::sleep(end_after) => {
                print_error(format_args!("error: not everything ended within {end_after:?}; what was left is cut off"));
            }
        }
        process::exit(INTERRUPTED);
    });
    Ok(())
}
