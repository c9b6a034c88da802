//! Images from registries, and to them: the OCI distribution protocol as a client.

mod challenge;
mod credentials;
mod pull;
mod push;
mod registry;

use std::{sync::Arc, time::Duration};

use api::Digest;

use crate::{Image, ImageError, ImageReference, ImageStore};

use registry::Registry;

/// How long a connection to a registry may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a registry may be silent in the middle of an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a whole pull or push may take.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(600);
/// Redirects that are followed. Credentials do not go with them to another host.
const MAX_REDIRECTS: usize = 5;

/// Registries, reached as the Docker configuration of this user says. Clones share connections.
#[derive(Debug, Clone)]
pub struct Registries {
    http: reqwest::Client,
    /// One pull at a time for each name, so that the same image is fetched once however many ask.
    pulling: Arc<pull::Pulling>,
}

impl Registries {
    /// A client that trusts the system's certificate authorities.
    pub fn new() -> Result<Self, ImageError> {
        // reqwest takes the process's provider; whoever installs one first decides, and all here install this.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("sampan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS))
            .build()
            .map_err(|error| ImageError::Client { why: registry::causes(&error) })?;
        Ok(Self { http, pulling: Arc::default() })
    }

    /// The digest that a reference names: of the local store if it is there, else it is pulled from its registry.
    /// A reference that names no registry is of the local store only.
    pub async fn resolve(&self, store: &ImageStore, reference: &str) -> Result<Digest, ImageError> {
        let local = { blocking(store, reference, ImageStore::resolve).await };
        match local {
            Err(ImageError::NotFound { .. } | ImageError::DigestNotFound { .. })
                if reference.parse::<ImageReference>()?.names_registry() =>
            {
                Ok(self.pull(store, reference).await?.digest)
            }
            resolved => resolved,
        }
    }

    /// Brings the image of a reference into the store. Every digest is checked before anything is kept.
    pub async fn pull(&self, store: &ImageStore, reference: &str) -> Result<Image, ImageError> {
        let reference: ImageReference = reference.parse()?;
        let _turn = self.pulling.turn(reference.as_written()).await;
        if let Ok(Some(image)) = blocking(store, reference.as_written(), ImageStore::get).await {
            // Another that waited for the same has brought it.
            return Ok(image);
        }
        let transfer = async { pull::pull(&mut self.open(&reference, "pull").await?, store, &reference).await };
        limited("pull", &reference, transfer).await
    }

    /// Sends the image that the store has under this name to the registry in the name. Gives its digest.
    pub async fn push(&self, store: &ImageStore, reference: &str) -> Result<Digest, ImageError> {
        let reference: ImageReference = reference.parse()?;
        let transfer = async { push::push(&mut self.open(&reference, "push").await?, store, &reference).await };
        limited("push", &reference, transfer).await
    }

    async fn open(&self, reference: &ImageReference, action: &'static str) -> Result<Registry, ImageError> {
        let refused = |why| ImageError::Registry { action, reference: reference.to_string(), why };
        if !reference.names_registry() {
            let why = "it names no registry: write it as HOST/NAME:TAG, such as `localhost:5000/hello:v1`".to_owned();
            return Err(refused(why));
        }
        Registry::open(self.http.clone(), reference, action).await.map_err(refused)
    }
}

/// Ends a transfer that takes too long.
async fn limited<T>(
    action: &'static str,
    reference: &ImageReference,
    transfer: impl Future<Output = Result<T, ImageError>>,
) -> Result<T, ImageError> {
    tokio::time::timeout(TRANSFER_TIMEOUT, transfer).await.unwrap_or_else(|_| {
        let why = format!("it took longer than {} s", TRANSFER_TIMEOUT.as_secs());
        Err(ImageError::Registry { action, reference: reference.to_string(), why })
    })
}

/// Asks the store off the threads that must not block.
async fn blocking<T: Send + 'static>(
    store: &ImageStore,
    reference: &str,
    ask: impl FnOnce(&ImageStore, &str) -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    let (store, text) = (store.clone(), reference.to_owned());
    let asked = tokio::task::spawn_blocking(move || ask(&store, &text)).await;
    asked.unwrap_or_else(|error| Err(ImageError::Client { why: error.to_string() }))
}
