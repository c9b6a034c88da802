//! Runs a compiler and keeps what it says, within bounds.

use std::{
    io,
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use super::status::{Crates, Status};

/// So much of what a compiler prints for programs is kept; what comes after it is read and dropped.
const MAX_OUTPUT_BYTES: usize = 64 << 20;
/// So much of what it says is read at once.
const CHUNK_BYTES: usize = 4096;

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// What it said is wrong, if that was kept.
    pub(super) messages: String,
}

/// Runs a program to its end, and tells how far it is where it says so. Dropping the future kills it.
pub(super) async fn run(command: &mut Command, tell: impl Fn(Crates)) -> io::Result<Finished> {
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, messages, status) =
        tokio::try_join!(read_bounded(stdout, MAX_OUTPUT_BYTES), read_status(stderr, tell), child.wait())?;
    Ok(Finished { status, stdout, messages })
}

async fn read_status(stream: Option<impl AsyncRead + Unpin>, tell: impl Fn(Crates)) -> io::Result<String> {
    let mut status = Status::default();
    if let Some(mut stream) = stream {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            let length = stream.read(&mut chunk).await?;
            if length == 0 {
                break;
            }
            if let Some(crates) = status.feed(&chunk[..length]) {
                tell(crates);
            }
        }
    }
    Ok(status.into_messages())
}

async fn read_bounded(stream: Option<impl AsyncRead + Unpin>, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(limit_bytes as u64).read_to_end(&mut kept).await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}
