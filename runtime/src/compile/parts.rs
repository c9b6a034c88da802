//! Compiling the code of a component once, where its builds differ only in what its memory begins with: after an edit of a script
//! in an interpreter, what was compiled before is filled in anew.
//!
//! What is kept is named by the digest of the code as the compiler was given it, as components are. So nobody is given machine
//! code that was made of anything else than what they would have had compiled themselves.

use std::{
    io::{Read, Seek},
    sync::Arc,
};

use api::Digest;
use bytes::Bytes;
use registry_client::{Divided, digest_of};

use super::{Artifacts, blocking, fill::fill, places::Place};
use crate::error::StartError;

impl Artifacts {
    /// The artifact of a component, by its parts where that is possible; and the digest of the code that it is made of, if so.
    pub(super) async fn make(
        &self,
        place: &Arc<Place>,
        image: &str,
        component: Bytes,
    ) -> Result<(Vec<u8>, Option<Digest>), StartError> {
        if self.0.by_parts
            && let Some(divided) = self.0.compiler.divide(place, component.clone()).await
            && let Some(made) = self.made_of(place, image, divided).await?
        {
            return Ok(made);
        }
        Ok((self.0.compiler.compile(place, image, component).await?, None))
    }

    /// `None`: the whole is to be compiled, and whatever is wrong with it is said then.
    async fn made_of(
        &self,
        place: &Arc<Place>,
        image: &str,
        mut divided: Divided,
    ) -> Result<Option<(Vec<u8>, Option<Digest>)>, StartError> {
        let code = Bytes::from(std::mem::take(&mut divided.code));
        let (divided, digested) = (Arc::new(divided), code.clone());
        let digest = blocking(move || digest_of(&digested)).await?;
        let turn = self.turn(&digest);
        let _turn = turn.lock().await;
        let (inner, wanted, parts) = (self.0.clone(), digest.clone(), divided.clone());
        let known = blocking(move || {
            let mut artifact = Vec::new();
            let mut file = inner.cache.find(&wanted)?;
            file.rewind().and_then(|()| file.read_to_end(&mut artifact)).ok()?;
            fill(&mut artifact, &parts)?;
            Some(artifact)
        });
        if let Some(artifact) = known.await? {
            tracing::debug!(image, "the code of a component was compiled before");
            return Ok(Some((artifact, Some(digest))));
        }
        let Ok(mut artifact) = self.0.compiler.compile(place, image, code).await else { return Ok(None) };
        let (inner, kept) = (self.0.clone(), digest.clone());
        let filled = blocking(move || {
            if let Err(error) = inner.cache.store(&kept, &artifact, None) {
                tracing::warn!(%error, "the compiled code of a component cannot be kept");
            }
            fill(&mut artifact, &divided).map(|()| artifact)
        });
        Ok(filled.await?.map(|artifact| (artifact, Some(digest))))
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
            artifacts.open_artifact("default", "script:dev", &image.digest).await.unwrap();
            files(&cache)
        };
        let first = opened(&artifacts, component("one", "i32.const 1")).await;
        assert_eq!(first.len(), 2, "the code, and what was made of it");
        // Also by who comes later.
        let second = opened(&open(Code::Unoptimized), component("two", "i32.const 1")).await;
        assert_eq!(second.len(), 3);
        assert!(first.iter().all(|file| second.get(file.0) == Some(file.1)), "{first:?} {second:?}");
        let third = opened(&artifacts, component("two", "i32.const 2")).await;
        assert_eq!(third.len(), 5, "other code is compiled");
        let whole = opened(&open(Code::Optimized), component("two", "i32.const 1")).await;
        assert_eq!(whole.len(), 6, "where it is to run fast, there are no parts");
    }
}
