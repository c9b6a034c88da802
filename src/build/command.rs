//! Runs a compiler and keeps what it says, within bounds.

use std::{
    io,
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

/// So much of a compiler's messages is kept; what comes after it is read and dropped.
const MAX_MESSAGES_BYTES: usize = 1 << 20;
/// So much of what a compiler prints for programs is kept.
const MAX_OUTPUT_BYTES: usize = 64 << 20;

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Runs a program to its end. Dropping the future kills it.
pub(super) async fn run(command: &mut Command) -> io::Result<Finished> {
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr, status) = tokio::try_join!(
        read_bounded(stdout, MAX_OUTPUT_BYTES),
        read_bounded(stderr, MAX_MESSAGES_BYTES),
        child.wait(),
    )?;
    Ok(Finished { status, stdout, stderr })
}

async fn read_bounded(stream: Option<impl AsyncRead + Unpin>, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(limit_bytes as u64).read_to_end(&mut kept).await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}
