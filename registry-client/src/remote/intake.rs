//! What is believed of a pull process: digests. Whatever else it says of an image is held against them.

use std::fs::File;

use api::Digest;

use super::{Request, blocking, pull::FETCHED_BY_OTHERS_WITHIN};
use crate::{
    Image, ImageError, ImageReference, ImageStore,
    blobs::{MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, digest_of},
    incoming::Incoming,
    manifest::component_layer,
};

/// It says what is not to be said now, or what it was not asked.
pub(super) const OUT_OF_TURN: &str = "the process that reads what the registry sends says what it was not asked";
/// Blobs of an image that are fetched: its component and its configuration.
const BLOBS: usize = 2;

/// What is pulled and for whom, and how far that is.
pub(super) struct Intake<'a> {
    store: &'a ImageStore,
    request: &'a Request,
    reference: &'a ImageReference,
    /// Hosts that may still say what the reference names.
    hosts_left: usize,
    found: Option<Found>,
}

/// What a reference names, as the process says, and as the digests show.
struct Found {
    digest: Digest,
    manifest: Vec<u8>,
    component: Digest,
    size_bytes: u64,
    /// The component was here with this manifest, or has been fetched.
    is_here: bool,
    /// A blob whose file the process has.
    fetching: Option<Fetching>,
    /// Those that it had. They are held until the image has its name: who waits for one of them then finds the image.
    fetched: Vec<Fetching>,
    /// Files that it was lent.
    lent: usize,
}

/// A blob on its way. What came of it goes with this, unless it is to be gone on from.
struct Fetching {
    incoming: Option<Incoming>,
    digest: Digest,
    limit_bytes: u64,
}

impl Fetching {
    /// Has the next process go on from what has come.
    fn keep_for_later(mut self) {
        self.incoming = None;
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            incoming.discard();
        }
    }
}

impl<'a> Intake<'a> {
    /// Of an image that is asked for at this many hosts.
    pub(super) fn new(
        store: &'a ImageStore,
        request: &'a Request,
        reference: &'a ImageReference,
        hosts: usize,
    ) -> Self {
        Self { store, request, reference, hosts_left: hosts, found: None }
    }

    fn namespace(&self) -> Option<String> {
        self.request.access.namespace().map(str::to_owned)
    }

    /// Takes what the process says that the reference names, as far as digests show it. Each host may say it once; what came of the one
    /// before is left for later.
    pub(super) fn found(
        &mut self,
        manifest: Vec<u8>,
        index: Option<Vec<u8>>,
        component: Digest,
        size_bytes: u64,
    ) -> Result<(), String> {
        let too_large = |bytes: &Vec<u8>| bytes.len() as u64 > MAX_MANIFEST_BYTES;
        if too_large(&manifest) || index.as_ref().is_some_and(too_large) || size_bytes > MAX_COMPONENT_BYTES {
            return Err("more came than is asked for".to_owned());
        }
        let digest = digest_of(&manifest);
        let outer = index.as_ref().map_or(digest.clone(), |index| digest_of(index));
        if self.reference.digest().is_some_and(|pinned| *pinned != outer) {
            return Err(format!("the registry sent a manifest with digest {outer}"));
        }
        if index.is_some_and(|index| !names(&index, &digest)) || !names(&manifest, &component) {
            return Err(format!("{outer} does not name what was taken from it"));
        }
        self.hosts_left = self.hosts_left.checked_sub(1).ok_or(OUT_OF_TURN)?;
        self.break_off();
        let (is_here, fetching, fetched, lent) = (false, None, Vec::new(), 0);
        self.found = Some(Found { digest, manifest, component, size_bytes, is_here, fetching, fetched, lent });
        Ok(())
    }

    /// Leaves what has come of a blob for who goes on from it.
    pub(super) fn break_off(&mut self) {
        if let Some(fetching) = self.found.as_mut().and_then(|found| found.fetching.take()) {
            fetching.keep_for_later();
        }
    }

    /// Whether all of it is here, for this namespace.
    pub(super) async fn is_whole(&mut self) -> Result<bool, ImageError> {
        let namespace = self.namespace();
        let Some(found) = &mut self.found else { return Ok(false) };
        let digest = found.digest.clone();
        let whole = blocking(self.store, move |store| store.is_whole_for(&digest, namespace.as_deref())).await?;
        found.is_here |= whole;
        Ok(whole)
    }

    /// Whether a blob is one that the manifest names, within the bounds of such a one.
    pub(super) fn check_wanted(&self, digest: &Digest, limit_bytes: u64) -> Result<(), String> {
        let found = self.found.as_ref().ok_or(OUT_OF_TURN)?;
        let most = if *digest == found.component { found.size_bytes } else { MAX_MANIFEST_BYTES };
        let may_have_more = found.fetching.is_none() && found.lent < BLOBS;
        match names(&found.manifest, digest) && limit_bytes <= most && may_have_more {
            true => Ok(()),
            false => Err(format!("{digest} is not asked for")),
        }
    }

    /// A file for a blob; or `None` if others have brought all of the image meanwhile.
    pub(super) async fn lend(&mut self, digest: Digest, limit_bytes: u64) -> Result<Option<File>, ImageError> {
        let (wanted, namespace) = (digest.clone(), self.namespace());
        let (incoming, lent) = blocking(self.store, move |store| {
            let blobs = store.blobs();
            let incoming = blobs.begin_anew(&wanted, namespace.as_deref(), FETCHED_BY_OTHERS_WITHIN)?;
            blobs.reserve().check(limit_bytes.saturating_sub(incoming.len()))?;
            let lent = incoming.file().try_clone();
            Ok((incoming, lent.map_err(|error| ImageError::Client { why: error.to_string() })?))
        })
        .await?;
        let fetching = Fetching { incoming: Some(incoming), digest, limit_bytes };
        if self.is_whole().await? {
            return Ok(None);
        }
        let Some(found) = &mut self.found else { return Ok(None) };
        found.lent += 1;
        found.fetching = Some(fetching);
        Ok(Some(lent))
    }

    /// Keeps a copy of what the process has written, if it is what it should be. That process may still write to its file.
    pub(super) async fn fetched(&mut self, is_of_use: bool) -> Result<Result<(), String>, ImageError> {
        let Some(found) = &mut self.found else { return Ok(Err(OUT_OF_TURN.to_owned())) };
        let Some(fetching) = found.fetching.take() else { return Ok(Err(OUT_OF_TURN.to_owned())) };
        if !is_of_use {
            return Ok(Ok(()));
        }
        let (fetching, kept) = blocking(self.store, move |store| {
            let Fetching { incoming, digest, limit_bytes } = &fetching;
            let written = incoming.as_ref().map(|incoming| incoming.written(digest, *limit_bytes)).transpose()?;
            let kept = match written {
                Some(Ok(bytes)) => store.blobs().put(&bytes).map(|_| Ok(()))?,
                Some(Err(what)) => Err(format!("the process that reads what the registry sends wrote {what}")),
                None => Err(OUT_OF_TURN.to_owned()),
            };
            Ok((fetching, kept))
        })
        .await?;
        if kept.is_ok() {
            found.is_here |= found.component == fetching.digest;
            found.fetched.push(fetching);
        }
        Ok(kept)
    }

    /// Names the image, if all of it is here.
    pub(super) async fn keep(&mut self, is_private: bool) -> Result<Result<Image, String>, ImageError> {
        let namespace = self.namespace().filter(|_| is_private);
        let Some(Found { digest, manifest, component, size_bytes, is_here: true, fetched, .. }) = self.found.take()
        else {
            return Ok(Err(OUT_OF_TURN.to_owned()));
        };
        let layer = component_layer(&digest, &manifest)?;
        if layer.digest != component || layer.size_bytes != size_bytes {
            return Ok(Err(format!("{digest} does not name what was taken from it")));
        }
        let reference = self.reference.clone();
        let kept = blocking(self.store, move |store| {
            let kept = store.keep(&reference, &manifest, namespace.as_deref());
            drop(fetched);
            kept
        });
        kept.await.map(Ok)
    }
}

/// A pull that ends in any other way leaves what has come for the next.
impl Drop for Intake<'_> {
    fn drop(&mut self) {
        self.break_off();
    }
}

/// Whether a manifest or index names a digest. Nothing of it is parsed: that text is nothing else by chance.
fn names(json: &[u8], digest: &Digest) -> bool {
    let digest = digest.as_str().as_bytes();
    json.windows(digest.len()).any(|text| text == digest)
}
