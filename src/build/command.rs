//! Runs a compiler and keeps what it says, within bounds.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};

use super::status::{Crates, Status};
use crate::umask;

/// So much of what a compiler prints for programs is kept; what comes after it is read and dropped.
const MAX_OUTPUT_BYTES: usize = 64 << 20;
/// So much of what it says is read at once.
const CHUNK_BYTES: usize = 4096;
/// What a program left running may hold its outputs open: they are read for so long after its end.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// What it said is wrong, if that was kept.
    pub(super) messages: String,
}

/// The processes of a program that leads a group of its own. Dropping it kills them all, unless the program has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // They may have ended by themselves.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Runs a program to its end, and tells how far it is where it says so. Dropping the future kills it, and if it is to lead
/// a group of processes, also all that it has started.
pub(super) async fn run(command: &mut Command, leads: bool, tell: impl Fn(Crates)) -> io::Result<Finished> {
    if leads {
        command.process_group(0);
    }
    umask::give_back(command.as_std_mut());
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut group = Group(leader.filter(|_| leads));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut kept, mut said) = (Vec::new(), Status::default());
    let status = {
        let reading = async { tokio::try_join!(read_bounded(stdout, &mut kept), read_status(stderr, &mut said, tell)) };
        tokio::pin!(reading);
        tokio::select! {
            read = &mut reading => {
                read?;
                child.wait().await?
            }
            status = child.wait() => {
                if let Ok(read) = timeout(LAST_OUTPUT, reading).await {
                    read?;
                }
                status?
            }
        }
    };
    group.0 = None;
    Ok(Finished { status, stdout: kept, messages: said.into_messages() })
}

async fn read_status(
    stream: Option<impl AsyncRead + Unpin>,
    status: &mut Status,
    tell: impl Fn(Crates),
) -> io::Result<()> {
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
    Ok(())
}

async fn read_bounded(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) -> io::Result<()> {
    if let Some(mut stream) = stream {
        (&mut stream).take(MAX_OUTPUT_BYTES as u64).read_to_end(kept).await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Instant};

    use super::*;

    fn shell(line: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    /// Once it is written.
    async fn number_in(file: &Path) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match fs::read_to_string(file) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => assert!(Instant::now() < deadline, "nothing was started"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn runs(process: &str) -> bool {
        fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn a_build_that_is_given_up_ends_with_all_that_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("started");
        let mut endless = shell(&format!("sh -c 'sleep 1000 & echo $! > {}; wait'; true", file.display()));
        let started = tokio::select! {
            finished = run(&mut endless, true, |_| {}) => panic!("it ended: {finished:?}"),
            started = number_in(&file) => started,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while runs(&started) {
            assert!(Instant::now() < deadline, "{started} runs on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_a_build_leaves_running_holds_nothing_up_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("started");
        let mut daemon = shell(&format!("sleep 1000 & echo $! > {}; echo done; echo bad >&2; exit 3", file.display()));
        let finished = timeout(Duration::from_secs(60), run(&mut daemon, true, |_| {})).await;
        let finished = finished.expect("nothing is waited for that goes on").unwrap();
        assert_eq!((finished.status.code(), &*finished.messages), (Some(3), "bad"));
        assert_eq!(finished.stdout, b"done\n");
        let started = number_in(&file).await;
        assert!(runs(&started));
        kill_process_group(Pid::from_raw(group_of(&started)).unwrap(), Signal::KILL).unwrap();
    }

    fn group_of(process: &str) -> i32 {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(2).unwrap().parse().unwrap()
    }
}
