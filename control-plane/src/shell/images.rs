use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    Digest, ObjectKey, Pull, annotations,
    replica::{Isolation, Limits},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use parking_lot::Mutex;
use registry_client::{Access, DockerConfig, ImageStore, Progress, Registries, Request, Step, VerifyingKeys};
use scheduler::{Event, EventKind};
use serde_json::Value;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Input, environment::Configs};

/// Image references that are resolved at the same time at most.
const MAX_AT_ONCE: usize = 64;
/// Bytes of why an image was not had.
const MAX_WHY: usize = 4096;
/// Between two events about the same transfer.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Turns image references into digests. It may block, and is called on a thread of a runtime that may be blocked.
pub(crate) trait ResolveImage: Send + Sync + 'static {
    /// The digest that a reference names now, or why there is none, for people. It comes back soon after `shutdown`.
    fn resolve(&self, request: &Request, shutdown: &CancellationToken) -> Result<Digest, String>;

    /// What made an image's component, if an instance of it answers one request alone. Reads the whole of it.
    fn answers_once(&self, digest: &Digest) -> Option<String>;
}

/// The store of this machine, and the registries that fill it.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) store: ImageStore,
    pub(crate) registries: Registries,
}

impl ResolveImage for Sources {
    fn resolve(&self, request: &Request, shutdown: &CancellationToken) -> Result<Digest, String> {
        // What waits for a registry on this thread would outlive the runtime's timers.
        let resolved = shutdown.run_until_cancelled(self.registries.resolve(&self.store, request));
        match Handle::current().block_on(resolved) {
            Some(resolved) => resolved.map_err(|error| {
                tracing::debug!(%error, "an image could not be resolved");
                error.without_path().into_owned()
            }),
            None => Err("the server ends".to_owned()),
        }
    }

    fn answers_once(&self, digest: &Digest) -> Option<String> {
        Handle::current().block_on(self.registries.answers_once(&self.store, digest))
    }
}

/// The instances of a revision are to be reused, and its component's engine answers one request in each: workers do not reuse
/// them.
#[derive(Debug)]
pub(crate) struct NotReused {
    pub(crate) revision: ObjectKey,
    /// The tool that built it around its engine.
    pub(crate) made_by: String,
}

/// What users are told of an image that is pulled.
#[derive(Debug)]
pub(crate) struct PullNews {
    /// Whose replicas wait for it.
    pub(crate) revision: ObjectKey,
    pub(crate) kind: EventKind,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Resolves image references beside the shell, and tells it the answers.
pub(super) struct Images {
    resolver: Arc<dyn ResolveImage>,
    at_once: Arc<Semaphore>,
    answers: mpsc::Sender<Input>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// Revisions whose component was looked at for its engine, or is.
    engines_seen: HashSet<ObjectKey>,
}

impl Images {
    pub(super) fn new(
        resolver: Arc<dyn ResolveImage>,
        answers: mpsc::Sender<Input>,
        (tasks, shutdown): (TaskTracker, CancellationToken),
    ) -> Self {
        let at_once = Arc::new(Semaphore::new(MAX_AT_ONCE));
        Self { resolver, at_once, answers, tasks, shutdown, engines_seen: HashSet::new() }
    }

    pub(super) fn resolve(&self, revision: ObjectKey, reference: String, pull: &Pull, configs: &dyn Configs) {
        let (resolver, at_once, answers) = (self.resolver.clone(), self.at_once.clone(), self.answers.clone());
        let (shutdown, ends) = (self.shutdown.clone(), self.shutdown.clone());
        let allowed =
            self.keys(&revision, pull, configs).and_then(|keys| Ok((keys, policy(&revision.namespace, configs)?)));
        let told = Arc::new(Told {
            answers: answers.clone(),
            revision: revision.clone(),
            image: reference.clone(),
            since: Mutex::default(),
        });
        let (policy, progress) = (pull.policy, told.clone().progress());
        let secrets = pull.secrets.clone();
        self.tasks.spawn(shutdown.run_until_cancelled_owned(async move {
            // Neither is closed while the shell runs; when it has ended, nobody waits for the answer.
            let Ok(_permit) = at_once.acquire_owned().await else { return };
            let result = match allowed {
                Err(why) => Err(why),
                Ok((keys, signed_by)) => {
                    let access = Access::of_namespace(&*revision.namespace, keys);
                    let request = Request { reference, policy, access, progress, signed_by };
                    let resolved = tokio::task::spawn_blocking(move || resolver.resolve(&request, &ends)).await;
                    let resolved =
                        resolved.unwrap_or_else(|error| Err(format!("the image could not be looked up: {error}")));
                    resolved.map_err(|why| with_secrets(why, &secrets))
                }
            };
            if result.is_ok() {
                told.pulled();
            }
            // It is written into statuses, of each replica too, and others have said it.
            let result = result.map_err(|mut why| {
                why.truncate(why.floor_char_boundary(MAX_WHY));
                why
            });
            let _ = answers.send(Input::Event(Event::ImageResolved { revision, result })).await;
        }));
    }

    /// Looks, once for each revision, whether instances can be reused as its template asks; tells the shell if not.
    pub(super) fn check_reuse(&mut self, revision: &ObjectKey, limits: &Limits, digest: &Digest) {
        if limits.isolation == Isolation::Request || !self.engines_seen.insert(revision.clone()) {
            return;
        }
        let (resolver, answers, at_once) = (self.resolver.clone(), self.answers.clone(), self.at_once.clone());
        let (revision, digest) = (revision.clone(), digest.clone());
        self.tasks.spawn(self.shutdown.clone().run_until_cancelled_owned(async move {
            let Ok(_permit) = at_once.acquire_owned().await else { return };
            let looked_at = tokio::task::spawn_blocking(move || resolver.answers_once(&digest)).await;
            if let Ok(Some(made_by)) = looked_at {
                let _ = answers.send(Input::NotReused(NotReused { revision, made_by })).await;
            }
        }));
    }

    /// A revision is no more.
    pub(super) fn forget(&mut self, revision: &ObjectKey) {
        self.engines_seen.remove(revision);
    }

    /// The credentials of the Secrets that a revision names. A missing Secret is reported, then skipped.
    fn keys(&self, revision: &ObjectKey, pull: &Pull, configs: &dyn Configs) -> Result<Vec<DockerConfig>, String> {
        let mut keys = Vec::new();
        for name in &pull.secrets {
            match configs.secret(&revision.namespace, name) {
                Some(secret) => keys.push(docker_config(&secret).map_err(|why| {
                    format!("secret \"{name}\" of imagePullSecrets {why}: make it with `kubectl create secret docker-registry`")
                })?),
                None => {
                    let message = format!("secret \"{name}\" of imagePullSecrets not found: the image is asked for without it");
                    let (kind, reason) = (EventKind::Warning, "FailedToRetrieveImagePullSecret");
                    let news = PullNews { revision: revision.clone(), kind, reason, message };
                    let _ = self.answers.try_send(Input::PullNews(news));
                }
            }
        }
        Ok(keys)
    }
}

/// Says which Secrets a registry was shown that lets nobody in.
fn with_secrets(why: String, secrets: &[String]) -> String {
    let is_refused = ["401", "403", "nauthorized", "denied"].iter().any(|word| why.contains(word));
    if !is_refused || secrets.is_empty() {
        return why;
    }
    format!("{why} (imagePullSecrets that were tried where they are for it: {})", secrets.join(", "))
}

/// The keys of which one must have signed the images of a namespace. A policy that cannot be read denies.
fn policy(namespace: &str, configs: &dyn Configs) -> Result<Option<VerifyingKeys>, String> {
    let object = configs.namespace(namespace).unwrap_or_default();
    let Some(keys) = object["metadata"]["annotations"][annotations::SIGNED_BY].as_str() else { return Ok(None) };
    let unusable = |error| format!("the namespace's annotation {} cannot be used: {error}", annotations::SIGNED_BY);
    VerifyingKeys::parse(keys).map(Some).map_err(unusable)
}

/// Reads a Secret of either of Kubernetes' two types for registries.
fn docker_config(secret: &Value) -> Result<DockerConfig, String> {
    let read = |key: &str| match (&secret["data"][key], &secret["stringData"][key]) {
        (Value::String(encoded), _) => {
            Some(BASE64_STANDARD.decode(encoded).map_err(|_| format!("has no base64 in {key}")))
        }
        (_, Value::String(plain)) => Some(Ok(plain.clone().into_bytes())),
        _ => None,
    };
    match (read(".dockerconfigjson"), read(".dockercfg")) {
        (Some(json), _) => DockerConfig::parse(&json?),
        (None, Some(json)) => DockerConfig::parse_legacy(&json?),
        (None, None) => Err("has no key `.dockerconfigjson`".to_owned()),
    }
}

/// Tells the shell how a pull goes on. News that find no room are dropped: the answer itself is not.
struct Told {
    answers: mpsc::Sender<Input>,
    revision: ObjectKey,
    image: String,
    since: Mutex<Option<Since>>,
}

/// When the pull began, when it was last told of, and the size if it is known.
struct Since {
    began: Instant,
    told: Instant,
    total: u64,
}

impl Told {
    fn progress(self: Arc<Self>) -> Progress {
        Progress::to(move |step| self.step(step))
    }

    fn step(&self, step: Step) {
        let now = Instant::now();
        let mut since = self.since.lock();
        match (step, &mut *since) {
            (Step::Begins, since) => {
                *since = Some(Since { began: now, told: now, total: 0 });
                self.tell("Pulling", format!("Pulling image \"{}\"", self.image));
            }
            (Step::Transferred { bytes, total }, Some(since)) => {
                since.total = total;
                if now - since.told >= TELL_EVERY {
                    since.told = now;
                    let message = format!("Pulling image \"{}\": {bytes} of {total} bytes", self.image);
                    self.tell("Pulling", message);
                }
            }
            (Step::Transferred { .. }, None) => {}
        }
    }

    fn pulled(&self) {
        if let Some(Since { began, total, .. }) = &*self.since.lock() {
            let took = api::format_span(Duration::from_millis(began.elapsed().as_millis() as u64));
            self.tell("Pulled", format!("Successfully pulled image \"{}\" in {took} ({total} bytes)", self.image));
        }
    }

    fn tell(&self, reason: &'static str, message: String) {
        let news = PullNews { revision: self.revision.clone(), kind: EventKind::Normal, reason, message };
        let _ = self.answers.try_send(Input::PullNews(news));
    }
}
