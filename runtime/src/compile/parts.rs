//! Compiling the code of a component once, where its builds differ only in what its memory begins with: after an edit of a script
//! in an interpreter, what was compiled before is filled in anew.
//!
//! What is kept is named by the digest of the code as the compiler was given it, as components are. So nobody is given machine
//! code that was made of anything else than what they would have had compiled themselves.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use api::{Digest, Seat};
use bytes::Bytes;
use registry_client::{Component, Divided};

use super::{Artifacts, blocking, exchange, fill::Marks};
use crate::error::StartError;

/// Codes of which it is known where their marks are.
const MAX_KNOWN: usize = 64;

/// Of one code, where its marks are; `None`: they are not found, and what it is of is compiled as a whole.
pub(super) type Known = Option<Arc<Marks>>;

/// What a component is filled in of.
type Parts = Arc<(Bytes, Divided)>;

impl Artifacts {
    /// The artifact of an image by the parts of its component, in memory; `None`: the whole is to be compiled, and whatever is
    /// wrong with it is said then.
    pub(super) async fn by_parts(
        &self,
        seat: &Arc<Seat>,
        image: &str,
        component: Component,
    ) -> Result<Option<File>, StartError> {
        let whole = component.bytes;
        let Some(divided) = self.0.compiler.divide(seat, whole.clone()).await else { return Ok(None) };
        let parts: Parts = Arc::new((whole, divided));
        let of = parts.clone();
        let Some(digest) = blocking(move || of.1.code.digest(&of.0)).await? else { return Ok(None) };
        let turn = self.turn(&digest);
        let _turn = turn.lock().await;
        let (inner, wanted, of) = (self.clone(), digest.clone(), parts.clone());
        let found = match blocking(move || inner.found(&wanted, &of.1)).await? {
            Some(found) => {
                tracing::debug!(image, "the code of a component was compiled before");
                Some(found)
            }
            None => self.compiled_code(seat, image, digest, &parts).await?,
        };
        let Some((Some(marks), code)) = found else { return Ok(None) };
        let filled = blocking(move || marks.fill(&code, &parts.0, &parts.1)).await?;
        filled.map_err(|error| StartError::Cache(format!("it cannot be put together in memory: {error}")))
    }

    /// The artifact of code that was compiled before.
    fn found(&self, digest: &Digest, taken: &Divided) -> Option<(Known, File)> {
        let mut code = self.0.cache.find(digest)?;
        if let Some(known) = self.0.known.lock().get(digest) {
            return Some((known.clone(), code));
        }
        let mut artifact = Vec::new();
        code.read_to_end(&mut artifact).ok()?;
        Some((self.know(digest, &artifact, taken), code))
    }

    /// Compiles code, and keeps what comes of it.
    async fn compiled_code(
        &self,
        seat: &Arc<Seat>,
        image: &str,
        digest: Digest,
        parts: &Parts,
    ) -> Result<Option<(Known, File)>, StartError> {
        let of = parts.clone();
        let Some(code) = blocking(move || of.1.code.bytes(&of.0)).await? else { return Ok(None) };
        let Ok(artifact) = self.0.compiler.compile(seat, image, code.into()).await else { return Ok(None) };
        let (artifacts, of) = (self.clone(), parts.clone());
        let kept = blocking(move || {
            let known = artifacts.know(&digest, &artifact, &of.1);
            let code = artifacts.0.cache.store(&digest, &artifact).or_else(|error| {
                tracing::warn!(%error, "the compiled code of a component cannot be kept");
                exchange::memory(&artifact)
            })?;
            Ok::<_, io::Error>((known, code))
        });
        Ok(kept.await?.ok())
    }

    fn know(&self, digest: &Digest, artifact: &[u8], taken: &Divided) -> Known {
        let known = Marks::find(artifact, taken).map(Arc::new);
        let mut all = self.0.known.lock();
        if all.len() >= MAX_KNOWN {
            all.clear();
        }
        all.insert(digest.clone(), known.clone());
        known
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path};

    use api::{FetchImage, ImageBytes, OpenArtifact};
    use futures::future::{BoxFuture, ready};
    use registry_client::ImageStore;

    use super::*;
    use crate::{Code, Compile};

    struct NoImages;

    impl FetchImage for NoImages {
        fn fetch(&self, _: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
            Box::pin(ready(Err("there are none".to_owned())))
        }
    }

    fn component(script: &str, code: &str) -> Bytes {
        let script = script.repeat(300_000 / script.len());
        let text = format!(
            "(component
                (core module (memory 10) (func (export \"f\") (result i32) {code}) (data (i32.const 1000) \"{script}\"))
                (instance $i) (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))"
        );
        wat::parse_str(text).unwrap().into()
    }

    /// The compiled files, by what tells one from another under the same name.
    fn files(dir: &Path) -> BTreeMap<String, u64> {
        let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
        let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino()));
        named.filter(|(name, _)| name.ends_with(".cwasm")).collect()
    }

    #[tokio::test]
    async fn after_an_edit_of_a_script_its_interpreter_is_not_compiled_again() {
        let dir = tempfile::tempdir().unwrap();
        let (images, cache) = (ImageStore::open(dir.path().join("images")).unwrap(), dir.path().join("cache"));
        let open =
            |code| Artifacts::open(images.clone(), Arc::new(NoImages), &cache, Compile::InThreads, code).unwrap();
        let artifacts = open(Code::Unoptimized);
        let opened = async |artifacts: &Artifacts, component| {
            let image = images.put_component("script:dev", component).unwrap();
            let file = artifacts.open_artifact("default", "script:dev", &image.digest).await.unwrap();
            (files(&cache), file.metadata().unwrap().ino())
        };
        let (first, one) = opened(&artifacts, component("one", "i32.const 1")).await;
        assert_eq!(first.len(), 1, "the code alone is kept");
        assert_eq!(opened(&artifacts, component("one", "i32.const 1")).await, (first.clone(), one));
        // Also by who comes later.
        for artifacts in [&artifacts, &open(Code::Unoptimized)] {
            let (second, two) = opened(artifacts, component("two", "i32.const 1")).await;
            assert_eq!(second, first, "nothing was compiled");
            assert_ne!(two, one);
        }
        let (third, _) = opened(&artifacts, component("two", "i32.const 2")).await;
        assert_eq!(third.len(), 2, "other code is compiled");
        let (whole, _) = opened(&open(Code::Optimized), component("two", "i32.const 1")).await;
        assert_eq!(whole.len(), 3, "where it is to run fast, there are no parts");
    }
}
