use std::{collections::HashSet, fs::File};

use futures::future::BoxFuture;

use crate::{Digest, replica::Failure};

/// Where a worker gets the compiled components of images: from who compiles them and holds the key that they are sealed with.
pub trait OpenArtifact: Send + Sync {
    /// What was compiled of the image with a manifest of this digest: a file to be mapped, whose seal has been checked, or why the
    /// image cannot run. `image` is what users call it, for what is said of it; `namespace` is that of the replicas, which waits for
    /// no more than its own share of what is compiled.
    fn open_artifact(&self, namespace: &str, image: &str, digest: &Digest)
    -> BoxFuture<'static, Result<File, Failure>>;

    /// The images that need not be compiled. Blocks. Where another process has them, that one tells of them.
    fn compiled(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// Says of images that they are in use, and so are kept. Where another process has them, that one knows.
    fn are_used(&self, _digests: HashSet<Digest>) {}
}
