//! Signatures in registries: fetched, and pushed.

use api::{Digest, PullPolicy};
use oci_distribution::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageIndex, OciImageManifest, OciManifest};
use reqwest::{Method, StatusCode};

use super::{
    Registries, Request,
    exchange::Text,
    push::{push_blob, push_manifest},
    refusal::refusal,
    registry::{Registry, read},
};
use crate::{
    Access, ImageError, ImageReference, ImageStore, Progress,
    blobs::{MAX_MANIFEST_BYTES, digest_of},
    hosted::{ContentDigest, Repositories},
    manifest::of_index,
    signature::{
        self, Evidence, Form, SIGNATURE_ANNOTATION, SIMPLE_SIGNING, SigningKey, VerifyingKeys, payload, signature_tag,
    },
};

/// A config that says nothing.
const EMPTY_CONFIG: (&str, &[u8]) = ("application/vnd.oci.image.config.v1+json", b"{}");

impl Registries {
    /// Looks for a signature of what a reference names, by one of these keys. Says where it was.
    pub async fn verify(&self, store: &ImageStore, reference: &str, keys: &VerifyingKeys) -> Result<Form, ImageError> {
        let request = Request::of_machine(reference);
        let digest = self.resolve_unverified(store, &Request { policy: PullPolicy::Always, ..request }).await?;
        self.verify_as(store, reference, &digest, keys, &Access::of_machine()).await
    }

    pub(super) async fn verify_as(
        &self,
        store: &ImageStore,
        reference: &str,
        digest: &Digest,
        keys: &VerifyingKeys,
        access: &Access,
    ) -> Result<Form, ImageError> {
        let written: ImageReference = reference.parse()?;
        let denied = |why| ImageError::Unsigned { reference: reference.to_owned(), digest: digest.clone(), why };
        let own = written.without_host(&self.own_hosts.read());
        if own.is_some() || !written.names_registry() {
            let found = verify_here(store, own.as_ref().unwrap_or(&written), digest, keys).await;
            return found.map(|evidence| evidence.form).map_err(denied);
        }
        let Some(puller) = &self.puller else {
            let found = self.find_signature(&written, digest, keys, access).await;
            return found.map(|evidence| evidence.form).map_err(denied);
        };
        let _place = self.places.of(access.namespace(), &written.registry()).await;
        let found = puller.find_signature(self, (&written, digest, keys), access);
        let evidence = self.limited("verify", &written, found).await.map_err(|error| denied(error.to_string()))?;
        match evidence.shows(digest, keys) {
            true => Ok(evidence.form),
            false => Err(denied("the process that looked for it found none that holds".to_owned())),
        }
    }

    /// What shows that an image of a registry is signed.
    pub(super) async fn find_signature(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        keys: &VerifyingKeys,
        access: &Access,
    ) -> Result<Evidence, String> {
        let host = self.host(reference, "verify").map_err(|error| error.to_string())?;
        let opened = self.open(&host, reference, "pull", access).await;
        let mut registry = opened.map_err(|error| error.to_string())?;
        let tagged = match reference.digest() {
            None => registry.find_manifest(&reference.tag()).await?,
            Some(pinned) => registry.find_manifest(pinned.as_str()).await?,
        };
        let manifests = of_image(digest, tagged.as_deref());
        let mut evidence = signature::verify(&mut signature::Source::Remote(&mut registry), &manifests, keys).await?;
        if !evidence.is_of(&ContentDigest::from(digest), keys) {
            evidence.index = tagged.map(Text);
        }
        Ok(evidence)
    }

    /// Signs what a reference names in its registry, and puts the signature there. Gives the digest that was signed.
    pub async fn sign(&self, reference: &str, key: &SigningKey) -> Result<ContentDigest, ImageError> {
        let reference: ImageReference = reference.parse()?;
        let refused = |why| ImageError::Registry { action: "sign", reference: reference.to_string(), why };
        let host = self.host(&reference, "sign")?;
        let mut registry = self.open(&host, &reference, "push", &Access::of_machine()).await?;
        let name = reference.digest().map_or_else(|| reference.tag(), ToString::to_string);
        let manifest = registry.find_manifest(&name).await.map_err(refused)?;
        let manifest = manifest.ok_or_else(|| refused("the registry does not have it: push it first".to_owned()))?;
        let digest = ContentDigest::of(&manifest);
        let repository = format!("{host}/{}", reference.repository());
        registry.sign(&repository, &digest, key).await.map_err(refused)?;
        Ok(digest)
    }
}

impl Evidence {
    /// Whether one of the keys has signed an image, or an index that has it.
    fn shows(&self, image: &Digest, keys: &VerifyingKeys) -> bool {
        match &self.index {
            None => self.is_of(&ContentDigest::from(image), keys),
            Some(Text(index)) => {
                self.is_of(&ContentDigest::of(index), keys)
                    && of_index(index).is_some_and(|entry| entry.as_ref() == Ok(image))
            }
        }
    }
}

/// What shows that an image of the local store is signed.
async fn verify_here(
    store: &ImageStore,
    reference: &ImageReference,
    digest: &Digest,
    keys: &VerifyingKeys,
) -> Result<Evidence, String> {
    let repositories = Repositories::open(store.clone()).map_err(|error| error.to_string())?;
    let repository = repositories.repository(&reference.written_repository()).map_err(|error| error.to_string())?;
    let tagged = match reference.digest() {
        None => repository.manifest(&reference.tag()),
        Some(pinned) => repository.manifest(pinned.as_str()),
    };
    let tagged = tagged.map_err(|error| error.to_string())?.map(|manifest| manifest.bytes);
    let manifests = of_image(digest, tagged.as_deref());
    signature::verify(&mut signature::Source::Local(repository), &manifests, keys).await
}

/// The manifests of which a signature counts: the image's, and that of an index that has it.
fn of_image(digest: &Digest, tagged: Option<&[u8]>) -> Vec<ContentDigest> {
    let index = tagged.filter(|json| of_index(json).is_some_and(|entry| entry.as_ref() == Ok(digest)));
    index.map(ContentDigest::of).into_iter().chain([ContentDigest::from(digest)]).collect()
}

impl Registry {
    /// The digests of what refers to a manifest, also in registries that know only the tag for it.
    pub(crate) async fn referrers(&mut self, manifest: &ContentDigest) -> Result<Vec<String>, String> {
        let url = self.url(&format!("referrers/{manifest}"))?;
        let answer = self.send(Method::GET, url, |request| request).await?;
        let index = match answer.status() {
            status if status.is_success() => Some(read(answer, MAX_MANIFEST_BYTES, "the list of referrers").await?),
            // As the specification has it for registries without the list.
            StatusCode::NOT_FOUND => self.find_manifest(&manifest.as_str().replacen(':', "-", 1)).await?,
            _ => return Err(refusal(answer).await),
        };
        let Some(index) = index else { return Ok(Vec::new()) };
        let index: OciImageIndex =
            serde_json::from_slice(&index).map_err(|error| format!("the list of referrers is none: {error}"))?;
        Ok(index.manifests.into_iter().map(|entry| entry.digest).collect())
    }

    /// A blob that must be small.
    pub(crate) async fn small_blob(&mut self, digest: &str, limit_bytes: u64) -> Result<Vec<u8>, String> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let answer = self.send(Method::GET, url, |request| request).await?;
        match answer.status() {
            status if status.is_success() => read(answer, limit_bytes, "the signature").await,
            _ => Err(refusal(answer).await),
        }
    }

    /// Adds a signature to those under the image's `.sig` tag.
    pub(super) async fn sign(
        &mut self,
        repository: &str,
        image: &ContentDigest,
        key: &SigningKey,
    ) -> Result<(), String> {
        let tag = signature_tag(image);
        let payload = payload(repository, image.as_str());
        let signature = key.sign(&payload);
        let mut layers = match self.find_manifest(&tag).await?.map(|json| serde_json::from_slice(&json)) {
            Some(Ok(OciManifest::Image(manifest))) => manifest.layers,
            Some(_) => return Err(format!("{tag} is there, and is not what cosign keeps: delete it")),
            None => Vec::new(),
        };
        let mut layer = descriptor(SIMPLE_SIGNING, &payload);
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
        layer.annotations = Some([(SIGNATURE_ANNOTATION.to_owned(), encoded)].into());
        layers.push(layer);
        let config = EMPTY_CONFIG;
        let manifest = OciImageManifest {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: descriptor(config.0, config.1),
            layers,
            ..Default::default()
        };
        let manifest = serde_json::to_vec(&manifest).expect("a manifest has only text keys");
        push_blob(self, &digest_of(&payload), payload.into(), &Progress::untold()).await?;
        push_blob(self, &digest_of(config.1), bytes::Bytes::from_static(config.1), &Progress::untold()).await?;
        push_manifest(self, &tag, manifest.into()).await
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest_of(bytes).to_string(),
        size: bytes.len() as i64,
        ..Default::default()
    }
}
