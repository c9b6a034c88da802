//! Pulling by a process that does nothing else, and that is gone afterwards: it alone reads what a registry sends. It is given one
//! image to pull and the credentials for its registry, asks for files to write to, and has no others; what it wrote is held against
//! the digests before it is kept.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as BlockingStream, unix::process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use api::Digest;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::process::{Child, Command};

use super::{
    Registries, Request, TransferLimits,
    exchange::{Answer, Line, Said, Settings, Task, Work},
    intake::{Intake, OUT_OF_TURN},
};
use crate::{
    Access, Image, ImageError, ImageReference, ImageStore, VerifyingKeys,
    access::{Credentials, Machine},
    blobs::MAX_MANIFEST_BYTES,
    signature::Evidence,
};

/// Messages of one process that are read, besides those on how much has come.
const MAX_MESSAGES: u64 = 200;
/// Messages on how much has come that are read for each second that the process may take: twice what it says.
const MAX_MESSAGES_A_SECOND: u64 = 4;
/// Why it cannot be done, in the longest words that are passed on.
const MAX_WORDS_BYTES: usize = 16 << 10;
/// How long a process may say nothing, at the least: it speaks twice a second, also while the registry is silent. If the registry may be
/// silent for longer (`idle-timeout`), so may it.
const SPEAKS_WITHIN: Duration = Duration::from_secs(10);
/// How long a process may take to end once it says no more.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take to look at a component.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(60);
const LOOKING: Bounds = Bounds { messages: MAX_MESSAGES, speaks_within: LOOKED_AT_WITHIN };

/// What of the environment a pull process has: where proxies and authorities are, as its HTTP client and TLS read them.
const ENVIRONMENT: [&str; 8] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"];
/// Likewise: where the system's authorities are, if not where they usually are.
pub(super) const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// How images are pulled in processes of their own.
#[derive(Debug, Clone)]
pub struct Puller {
    program: PathBuf,
    args: Vec<OsString>,
    is_heard: bool,
}

/// A process that pulls one image. It is killed when this is dropped.
struct Process {
    line: Line,
    child: Child,
    bounds: Bounds,
}

/// What of a process is still waited for.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    messages: u64,
    /// How long it may say nothing.
    speaks_within: Duration,
}

impl Puller {
    /// `program` with these arguments calls [`serve_pull`](crate::serve_pull).
    pub fn new(program: impl AsRef<Path>, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { program: program.as_ref().to_owned(), args, is_heard: false }
    }

    /// Has its processes print to this one's standard error, in builds for tests. Else they do not: what a registry has taken over says
    /// nothing in the words of this program.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn heard(self) -> Self {
        Self { is_heard: true, ..self }
    }

    /// Pulls an image into the store.
    pub(super) async fn pull(
        &self,
        registries: &Registries,
        store: &ImageStore,
        request: &Request,
        reference: &ImageReference,
    ) -> Result<Image, ImageError> {
        let broken = |why: String| ImageError::Registry { action: "pull", reference: reference.to_string(), why };
        let hosts = registries.hosts(reference, "pull")?;
        let work = Work::Pull { reference: reference.clone() };
        let task = task(registries, work, &hosts, reference, &request.access);
        let mut process = self.begin(&task, None, registries.bounds()).await.map_err(broken)?;
        request.progress.begins();
        let mut intake = Intake::new(store, request, reference, hosts.len());
        loop {
            let said = process.hear().await.map_err(broken)?;
            let (answer, file) = match said {
                Said::Transferred { bytes, total } => {
                    if total > 0 {
                        request.progress.transferred(bytes.min(total), total);
                    }
                    continue;
                }
                Said::WhoIs { host } => {
                    let found = registries.of_machine(&hosts, &host).await;
                    (Answer::Credentials(found), None)
                }
                Said::Found { manifest, index, component, size_bytes } => {
                    let found = intake.found(manifest.0, index.map(|index| index.0), component, size_bytes);
                    found.map_err(broken)?;
                    process.limit_files(size_bytes).map_err(broken)?;
                    (Answer::IsHere(intake.is_whole().await?), None)
                }
                Said::Wants { digest, limit_bytes } => {
                    intake.check_wanted(&digest, limit_bytes).map_err(broken)?;
                    match intake.lend(digest, limit_bytes).await? {
                        Some(file) => (Answer::GoOn, Some(file)),
                        None => (Answer::IsHere(true), None),
                    }
                }
                Said::Fetched { is_of_use } => {
                    intake.fetched(is_of_use).await?.map_err(broken)?;
                    (Answer::Kept, None)
                }
                Said::Whole { is_private } => {
                    let image = intake.keep(is_private).await?.map_err(broken)?;
                    // It has nothing left to do, and may have ended.
                    let _ = process.answer(&Answer::Kept, None).await;
                    return Ok(image);
                }
                Said::Failed(why) => return Err(ImageError::NotPulled(words(&why))),
                Said::Signed(_) | Said::MadeBy(_) => return Err(broken(OUT_OF_TURN.to_owned())),
            };
            process.answer(&answer, file.as_ref()).await.map_err(broken)?;
        }
    }

    /// Looks for a signature of an image by one of the keys.
    pub(super) async fn find_signature(
        &self,
        registries: &Registries,
        (reference, digest, keys): (&ImageReference, &Digest, &VerifyingKeys),
        access: &Access,
    ) -> Result<Evidence, ImageError> {
        let hosts = vec![registries.host(reference, "verify")?];
        let work = Work::Verify { reference: reference.clone(), digest: digest.clone(), keys: keys.to_pem() };
        let task = task(registries, work, &hosts, reference, access);
        let said = async {
            let mut process = self.begin(&task, None, registries.bounds()).await?;
            loop {
                match process.hear().await? {
                    Said::Transferred { .. } => {}
                    Said::WhoIs { host } => {
                        let found = registries.of_machine(&hosts, &host).await;
                        process.answer(&Answer::Credentials(found), None).await?;
                    }
                    Said::Signed(evidence) => return Ok(evidence),
                    Said::Failed(why) => return Err(words(&why)),
                    _ => return Err(OUT_OF_TURN.to_owned()),
                }
            }
        };
        said.await.map_err(ImageError::NotPulled)
    }

    /// What made a component, if an instance of it answers one request alone; or why that cannot be told.
    pub async fn answers_once(&self, component: &File) -> Result<Option<String>, String> {
        let settings = Settings::of(&crate::RegistrySettings::default());
        let (namespace, credentials) = (None, BTreeMap::new());
        let task = Task { work: Work::AnswersOnce, settings, namespace, credentials };
        let looked_at = async {
            let mut process = self.begin(&task, Some(component), LOOKING).await?;
            loop {
                match process.hear().await? {
                    Said::Transferred { .. } => {}
                    Said::MadeBy(tool) => return Ok(tool.map(|tool| words(&tool))),
                    Said::Failed(why) => return Err(words(&why)),
                    _ => return Err(OUT_OF_TURN.to_owned()),
                }
            }
        };
        let in_time = tokio::time::timeout(LOOKED_AT_WITHIN, looked_at).await;
        in_time.unwrap_or_else(|_| Err("it takes too long to look at the component".to_owned()))
    }

    async fn begin(&self, task: &Task, file: Option<&File>, bounds: Bounds) -> Result<Process, String> {
        let mut process = self
            .start(bounds)
            .map_err(|error| format!("the process that reads what the registry sends cannot be started: {error}"))?;
        match process.line.send(task, file).await {
            Ok(()) => Ok(process),
            Err(error) => Err(process.lost(&error).await),
        }
    }

    fn start(&self, bounds: Bounds) -> io::Result<Process> {
        let (ours, theirs) = BlockingStream::pair()?;
        let known = ENVIRONMENT.iter().chain(&AUTHORITIES);
        let environment = known.filter_map(|name| Some((name, env::var_os(name)?)));
        let child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(if self.is_heard { Stdio::inherit() } else { Stdio::null() })
            // A terminal's Ctrl-C is for this process, which ends that one.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Process { line: Line::new(ours)?, child, bounds })
    }
}

impl Process {
    /// What it says next. If nothing comes any more, how it ended.
    async fn hear(&mut self) -> Result<Said, String> {
        let Some(left) = self.bounds.messages.checked_sub(1) else {
            return Err("the process that reads what the registry sends says too much".to_owned());
        };
        self.bounds.messages = left;
        let Ok(received) = tokio::time::timeout(self.bounds.speaks_within, self.line.receive()).await else {
            let silence = api::format_span(self.bounds.speaks_within);
            return Err(format!(
                "the process that reads what the registry sends hangs: it has said nothing for {silence}"
            ));
        };
        match received {
            // It has nothing to pass on.
            Ok(Some((said, None))) => Ok(said),
            Ok(Some((_, Some(_)))) => Err(OUT_OF_TURN.to_owned()),
            Ok(None) => Err(self.ended().await),
            Err(error) => Err(self.lost(&error).await),
        }
    }

    /// Has it write no more to a file than the larger of a component of this size, and a configuration.
    fn limit_files(&self, component_bytes: u64) -> Result<(), String> {
        let most = Some(component_bytes.max(MAX_MANIFEST_BYTES));
        let Some(id) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return Ok(()) };
        let limited = prlimit(Some(id), Resource::Fsize, Rlimit { current: most, maximum: most });
        limited
            .map(drop)
            .map_err(|error| format!("the process that reads what the registry sends cannot be limited: {error}"))
    }

    async fn answer(&mut self, answer: &Answer, file: Option<&File>) -> Result<(), String> {
        match self.line.send(answer, file).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.lost(&error).await),
        }
    }

    /// Why nothing can be said to it, or heard of it, any more.
    async fn lost(&mut self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                self.ended().await
            }
            _ => format!("the process that reads what the registry sends cannot be understood: {error}"),
        }
    }

    async fn ended(&mut self) -> String {
        let status = tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await;
        match status {
            Ok(Ok(status)) => format!("the process that reads what the registry sends ended with {}", how(status)),
            _ => "the process that reads what the registry sends says no more".to_owned(),
        }
    }
}

impl Registries {
    fn bounds(&self) -> Bounds {
        let TransferLimits { idle_timeout, transfer_timeout, .. } = self.settings.limits;
        Bounds {
            messages: MAX_MESSAGES.saturating_add(MAX_MESSAGES_A_SECOND.saturating_mul(transfer_timeout.as_secs())),
            speaks_within: idle_timeout.max(SPEAKS_WITHIN),
        }
    }

    /// The hosts that an image is asked for at, the registry itself last.
    fn hosts(&self, reference: &ImageReference, action: &'static str) -> Result<Vec<String>, ImageError> {
        let host = self.host(reference, action)?;
        let mirrors = self.settings.registry.get(&host).map_or(&[][..], |host| &host.mirrors);
        Ok(mirrors.iter().cloned().chain([host]).collect())
    }

    /// What this machine's user is shown by at a registry, if it is one of these.
    async fn of_machine(&self, hosts: &[String], host: &str) -> Result<Credentials, String> {
        if !hosts.iter().any(|known| known == host) {
            return Err(format!("{} is not the image's registry", words(host)));
        }
        match self.settings.registry.get(host).and_then(|host| host.token.clone()) {
            Some(token) => Ok(Credentials::Bearer(token)),
            None => Machine::Configuration.credentials(host).await,
        }
    }
}

fn task(registries: &Registries, work: Work, hosts: &[String], reference: &ImageReference, access: &Access) -> Task {
    let repository = reference.repository();
    let credentials = hosts.iter().map(|host| (host.clone(), access.find(host, &repository))).collect();
    let settings = Settings::of(&registries.settings);
    Task { work, settings, namespace: access.namespace().map(str::to_owned), credentials }
}

/// What a process says in words, in bounds and without what would steer a terminal.
fn words(said: &str) -> String {
    let said = &said[..said.floor_char_boundary(MAX_WORDS_BYTES)];
    let plain = |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() };
    said.chars().map(plain).collect()
}

fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(_) => format!("{status}: it is started again when the image is pulled again"),
        None => status.to_string(),
    }
}

#[cfg(test)]
#[path = "puller_tests.rs"]
mod tests;
