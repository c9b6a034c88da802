//! Images from registries, and to them: the OCI distribution protocol as a client.

mod asker;
mod authorize;
mod challenge;
pub(crate) mod credentials;
mod download;
mod endpoint;
mod exchange;
mod follow;
mod identities;
mod intake;
mod limits;
mod manifest;
mod places;
mod progress;
mod pull;
mod puller;
mod push;
mod reach;
mod refusal;
mod registry;
mod request;
mod scope;
mod serve;
pub(crate) mod settings;
mod shelf;
mod signing;

use std::sync::Arc;

use api::{Digest, PullPolicy};
use parking_lot::RwLock;

use crate::{
    Access, Image, ImageError, ImageReference, ImageStore,
    access::Credentials,
    remote::settings::{RegistryHost, RegistrySettings},
};

pub(crate) use asker::Asker;
use endpoint::{Clients, Endpoint};
pub(crate) use exchange::Text;
use identities::Identities;
use places::Places;
use reach::Reach;
use registry::Registry;
pub(crate) use registry::Registry as RemoteRepository;
use shelf::Shelf;

pub use limits::TransferLimits;
pub use progress::{Progress, Step};
pub use puller::Puller;
pub use request::Request;
#[cfg(debug_assertions)]
pub use serve::serve_pull_after;
pub use serve::{PullNeeds, serve_pull};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// Registries, reached as their settings say. Clones share connections.
#[derive(Debug, Clone)]
pub struct Registries {
    /// For registries that have no authority of their own.
    clients: Arc<Clients>,
    settings: Arc<RegistrySettings>,
    /// Hosts at which this installation's own registry answers: their images are those of the local store.
    own_hosts: Arc<RwLock<Vec<String>>>,
    /// One pull at a time for each name, so that the same image is fetched once however many ask.
    pulling: Arc<pull::Pulling>,
    places: Arc<Places>,
    /// Who reads what registries send; `None`: this process.
    puller: Option<Puller>,
}

impl Registries {
    /// Registries as these settings say.
    pub fn new(settings: RegistrySettings) -> Result<Self, ImageError> {
        let registries = Self::of(settings)?;
        // What is wrong with the system's authorities is said at the start.
        registries.clients.check()?;
        Ok(registries)
    }

    /// The same, where the system's authorities are read once they are needed.
    fn of(settings: RegistrySettings) -> Result<Self, ImageError> {
        // reqwest takes the process's provider; whoever installs one first decides, and all here install this.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let places = Arc::new(Places::new(settings.limits.pulls_at_once));
        let (settings, own_hosts) = (Arc::new(settings), Arc::default());
        let clients = Arc::new(Clients::new(None, &settings.limits)?);
        Ok(Self { clients, settings, own_hosts, pulling: Arc::default(), places, puller: None })
    }

    /// The same, where each image is pulled, and its signature looked for, by a process of its own.
    #[must_use]
    pub fn pulled_by(self, puller: Puller) -> Self {
        Self { puller: Some(puller), ..self }
    }

    /// From now on images of the registries at `hosts` are those of the local store.
    pub fn set_own_hosts(&self, hosts: Vec<String>) {
        *self.own_hosts.write() = hosts;
    }

    /// What a reference is called in the local store: without the address of this installation's own registry.
    pub fn local_name(&self, reference: &str) -> String {
        let local =
            reference.parse::<ImageReference>().ok().and_then(|written| written.without_host(&self.own_hosts.read()));
        local.map_or_else(|| reference.to_owned(), |local| local.to_string())
    }

    /// The digest that a reference names: of the local store or of its registry, as the policy says.
    /// A reference that names no registry is of the local store only.
    pub async fn resolve(&self, store: &ImageStore, request: &Request) -> Result<Digest, ImageError> {
        let digest = self.resolve_unverified(store, request).await?;
        if let Some(keys) = &request.signed_by {
            self.verify_as(store, &request.reference, &digest, keys, &request.access).await?;
        }
        Ok(digest)
    }

    async fn resolve_unverified(&self, store: &ImageStore, request: &Request) -> Result<Digest, ImageError> {
        let written: ImageReference = request.reference.parse()?;
        let own = written.without_host(&self.own_hosts.read());
        let remote = own.is_none() && written.names_registry();
        let (name, namespace) = (own.unwrap_or(written).to_string(), request.access.namespace().map(str::to_owned));
        let local = blocking(store, move |store| store.resolve_for(&name, namespace.as_deref())).await;
        match (request.policy, local) {
            (PullPolicy::Always, _) if remote => Ok(self.pull(store, request).await?.digest),
            (_, Err(ImageError::NotFound { .. } | ImageError::DigestNotFound { .. })) if remote => {
                if request.policy == PullPolicy::Never {
                    return Err(ImageError::NeverPulled { reference: request.reference.clone() });
                }
                Ok(self.pull(store, request).await?.digest)
            }
            (_, resolved) => resolved,
        }
    }

    /// Brings an image into the store. Every digest is checked before anything is kept.
    pub async fn pull(&self, store: &ImageStore, request: &Request) -> Result<Image, ImageError> {
        let reference: ImageReference = request.reference.parse()?;
        let namespace = request.access.namespace();
        let wanted = format!("{} {reference} {:?}", namespace.unwrap_or_default(), request.policy);
        self.pulling.once(&wanted, self.pull_now(store, request, &reference)).await
    }

    async fn pull_now(
        &self,
        store: &ImageStore,
        request: &Request,
        reference: &ImageReference,
    ) -> Result<Image, ImageError> {
        let namespace = request.access.namespace();
        if request.policy != PullPolicy::Always || reference.digest().is_some() {
            let (name, namespace) = (reference.to_string(), namespace.map(str::to_owned));
            if let Ok(Some(image)) = blocking(store, move |store| store.get(&name, namespace.as_deref())).await {
                // Another that waited for the same has brought it.
                return Ok(image);
            }
        }
        let _place = self.places.of(namespace, &reference.registry()).await;
        let transfer = async {
            match &self.puller {
                Some(puller) => puller.pull(self, store, request, reference).await,
                None => self.pull_from_any(Shelf::Store(store), request, reference).await,
            }
        };
        self.limited("pull", reference, transfer).await
    }

    /// From the first of its mirrors that has it, or from the registry itself.
    async fn pull_from_any(
        &self,
        shelf: Shelf<'_>,
        request: &Request,
        reference: &ImageReference,
    ) -> Result<Image, ImageError> {
        let host = self.host(reference, "pull")?;
        let mirrors = self.settings.registry.get(&host).map_or(&[][..], |host| &host.mirrors);
        request.progress.begins();
        let mut failures = Vec::new();
        for host in mirrors.iter().chain([&host]) {
            let pulled = async {
                let mut registry = self.open(host, reference, "pull", &request.access).await?;
                let namespace = request.access.namespace().map(str::to_owned);
                let wanted = pull::Wanted { shelf, reference, namespace, progress: &request.progress };
                pull::pull(&mut registry, wanted).await
            };
            match pulled.await {
                Err(ImageError::Registry { why, .. }) if mirrors.is_empty() => {
                    return Err(ImageError::Registry { action: "pull", reference: reference.to_string(), why });
                }
                Err(ImageError::Registry { why, .. }) => failures.push(format!("{host}: {why}")),
                ended => return ended,
            }
        }
        Err(ImageError::Registry { action: "pull", reference: reference.to_string(), why: failures.join("; ") })
    }

    /// What made an image's component, if an instance of it answers one request alone. Reads the whole of it. Nothing is told of one
    /// that cannot be read.
    pub async fn answers_once(&self, store: &ImageStore, digest: &Digest) -> Option<String> {
        let digest = digest.clone();
        let Some(puller) = &self.puller else {
            let component = blocking(store, move |store| store.component(&digest)).await.ok()?;
            return off_thread(move || Ok(crate::answers_once(&component.bytes))).await.ok()?;
        };
        let file = blocking(store, move |store| store.component_file(&digest)).await.ok()?;
        let _place = self.places.any().await;
        puller.answers_once(&file).await.unwrap_or_else(|why| {
            tracing::warn!(why, "a component could not be looked at for its engine");
            None
        })
    }

    /// Sends the image that the store has under this name to the registry in the name. Gives its digest.
    pub async fn push(&self, store: &ImageStore, reference: &str, progress: &Progress) -> Result<Digest, ImageError> {
        let reference: ImageReference = reference.parse()?;
        let host = self.host(&reference, "push")?;
        let transfer = async {
            let mut registry = self.open(&host, &reference, "push", &Access::of_machine()).await?;
            push::push(&mut registry, store, &reference, progress).await
        };
        self.limited("push", &reference, transfer).await
    }

    /// Asks a registry whether it takes these credentials. Says in its words why it does not.
    pub async fn check_login(&self, host: &str, name: &str, password: &str) -> Result<(), ImageError> {
        let refused = |why| ImageError::Registry { action: "log in to", reference: host.to_owned(), why };
        // Docker Hub answers at another host than it is called by.
        let host = if host == "docker.io" { "index.docker.io" } else { host };
        let endpoint = self.endpoint(host, &Access::of_machine()).await.map_err(refused)?;
        let credentials = Credentials::Password { name: name.to_owned(), password: password.to_owned() };
        Registry::check(endpoint, credentials).await.map_err(refused)
    }

    fn host(&self, reference: &ImageReference, action: &'static str) -> Result<String, ImageError> {
        if reference.names_registry() {
            return Ok(reference.registry());
        }
        let why = "it names no registry: write it as HOST/NAME:TAG, such as `localhost:5000/hello:v1`".to_owned();
        Err(ImageError::Registry { action, reference: reference.to_string(), why })
    }

    async fn endpoint(&self, host: &str, access: &Access) -> Result<Endpoint, String> {
        let settings = self.settings.registry.get(host);
        let clients = match settings {
            Some(RegistryHost { ca_pem: Some(_), .. }) => {
                Arc::new(Clients::new(settings, &self.settings.limits).map_err(|error| error.to_string())?)
            }
            _ => self.clients.clone(),
        };
        Endpoint::find(clients, host, settings, self.settings.limits.tries, self.reach(host, access)).await
    }

    /// How near a registry may be. Users of this machine may send it where they could go themselves, users of a namespace to
    /// nothing that listens to this machine alone: they are strangers here.
    fn reach(&self, host: &str, access: &Access) -> Reach {
        let mut named = self.settings.registry.iter().flat_map(|(name, host)| host.mirrors.iter().chain([name]));
        match access.namespace() {
            None => Reach::Link,
            Some(_) if named.any(|name| name == host) => Reach::Link,
            Some(_) if self.settings.namespaces_reach_loopback.unwrap_or(true) => Reach::Loopback,
            Some(_) => Reach::Private,
        }
    }

    /// Ends a transfer that takes too long.
    async fn limited<T>(
        &self,
        action: &'static str,
        reference: &ImageReference,
        transfer: impl Future<Output = Result<T, ImageError>>,
    ) -> Result<T, ImageError> {
        let limit = self.settings.limits.transfer_timeout;
        tokio::time::timeout(limit, transfer).await.unwrap_or_else(|_| {
            let why =
                format!("it took longer than {} (`transfer-timeout` of registries.toml)", api::format_span(limit));
            Err(ImageError::Registry { action, reference: reference.to_string(), why })
        })
    }

    /// A repository at a host, for all who may ask there.
    async fn open(
        &self,
        host: &str,
        reference: &ImageReference,
        action: &'static str,
        access: &Access,
    ) -> Result<Registry, ImageError> {
        let refused = |why| ImageError::Registry { action, reference: reference.to_string(), why };
        let endpoint = self.endpoint(host, access).await.map_err(refused)?;
        let repository = reference.repository();
        let token = self.settings.registry.get(host).and_then(|host| host.token.clone());
        let identities = Identities::of(access, (host, &repository), token).await.map_err(refused)?;
        let rights = if action == "push" { "pull,push" } else { "pull" };
        Registry::new(endpoint, &repository, rights, identities).map_err(refused)
    }
}

/// Asks the store off the threads that must not block.
async fn blocking<T: Send + 'static>(
    store: &ImageStore,
    ask: impl FnOnce(&ImageStore) -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    let store = store.clone();
    off_thread(move || ask(&store)).await
}

/// Does what blocks off the threads that must not.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(ImageError::Client { why: error.to_string() }))
}
