//! The thread that writes the audit log.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::{
    AuditSettings,
    event::{Asked, Outcome, Stage},
    file::Rotated,
};

/// Events that wait to be written; further ones are dropped, and counted.
const QUEUE: usize = 4096;
/// Events that are written at a time.
const BATCH: usize = 256;
/// How often it is said that events were dropped.
const WARN_EVERY: Duration = Duration::from_secs(30);

/// One event, before it is written out.
pub(super) enum Entry {
    OfRequest {
        asked: Arc<Asked>,
        stage: Stage,
        at: Timestamp,
        outcome: Option<Outcome>,
    },
    /// As it is to be written.
    Written(String),
}

impl Entry {
    pub(super) fn of(asked: &Arc<Asked>, stage: Stage, outcome: Option<Outcome>) -> Self {
        Self::OfRequest { asked: asked.clone(), stage, at: Timestamp::now(), outcome }
    }

    fn write_to(&self, lines: &mut Vec<u8>) {
        match self {
            Self::OfRequest { asked, stage, at, outcome } => {
                lines.extend_from_slice(asked.event(*stage, *at, outcome.as_ref()).to_string().as_bytes());
            }
            Self::Written(event) => lines.extend_from_slice(event.as_bytes()),
        }
        lines.push(b'\n');
    }
}

/// The way into the audit log. Whoever notes something never waits.
pub struct AuditLog {
    queue: Mutex<Option<SyncSender<Entry>>>,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
    dropped: Arc<AtomicU64>,
}

impl AuditLog {
    /// Opens the file, and starts the thread that writes it.
    pub fn open(settings: AuditSettings) -> io::Result<Self> {
        Ok(Self::of_file(Rotated::open(settings)?))
    }

    pub(super) fn of_file(file: Rotated) -> Self {
        let (queue, entries) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut writer = Writer { file, entries, dropped: dropped.clone(), warned: None, told: 0 };
        let writer = thread::Builder::new().name("audit-log".to_owned()).spawn(move || writer.run());
        let writer = writer.inspect_err(|error| tracing::error!(%error, "the audit log has no thread")).ok();
        Self { queue: Mutex::new(Some(queue)), writer: Mutex::new(writer), dropped }
    }

    /// Events that are missing from the log, as it is counted on.
    pub fn lost(&self) -> Arc<AtomicU64> {
        self.dropped.clone()
    }

    /// Has an event written, if there is room in the queue.
    pub(super) fn note(&self, entry: Entry) {
        let sent = self.queue.lock().as_ref().map_or(Ok(()), |queue| queue.try_send(entry));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what waits, and takes no more. It blocks.
    pub fn close(&self) {
        drop(self.queue.lock().take());
        if let Some(writer) = self.writer.lock().take() {
            let _ = writer.join();
        }
    }
}

struct Writer {
    file: Rotated,
    entries: Receiver<Entry>,
    dropped: Arc<AtomicU64>,
    warned: Option<Instant>,
    /// Of the dropped ones, how many were warned of.
    told: u64,
}

impl Writer {
    fn run(&mut self) {
        let mut lines = Vec::new();
        while let Ok(first) = self.entries.recv() {
            lines.clear();
            first.write_to(&mut lines);
            let mut count = 1;
            while count < BATCH {
                match self.entries.try_recv() {
                    Ok(entry) => entry.write_to(&mut lines),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
                count += 1;
            }
            let failed = self.file.append(&lines).err();
            if failed.is_some() {
                self.dropped.fetch_add(count as u64, Ordering::Relaxed);
            }
            self.warn(failed.as_ref());
        }
    }

    /// Says how many events are missing from the log, now and then.
    fn warn(&mut self, failed: Option<&io::Error>) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let lately = self.warned.is_some_and(|at| at.elapsed() < WARN_EVERY);
        // That it is written again is said at once.
        if dropped == self.told || (lately && failed.is_some()) {
            return;
        }
        let (file, missing) = (self.file.path().display(), dropped - self.told);
        match failed {
            Some(error) => {
                tracing::warn!(%file, %error, missing, "the audit log cannot be written; requests go on without it")
            }
            None => tracing::warn!(%file, missing, "events are missing from the audit log, which is written again"),
        }
        (self.warned, self.told) = (Some(Instant::now()), dropped);
    }
}
