use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
};

use api::{
    Digest, OpenArtifact,
    replica::{Failure, FailureReason},
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use runtime::Artifacts;
use transport::Give;

use super::Granted;
use crate::paths::DataDir;

/// What was compiled of the images that run in one process: it is lent the files, and compiles, seals and keeps none itself. They
/// are links in a directory of its own, which is all that it sees of the data directory, and which it cannot change.
pub(in crate::compose) struct Lent {
    artifacts: Artifacts,
    granted: Arc<Granted>,
    /// All that is the process' alone.
    dir: DataDir,
    links: Mutex<HashMap<Digest, PathBuf>>,
}

impl Lent {
    pub(super) fn new(artifacts: Artifacts, granted: Arc<Granted>, dir: DataDir) -> Self {
        Self { artifacts, granted, dir, links: Mutex::default() }
    }

    /// Another process begins, which has been lent nothing yet. Blocks.
    pub(in crate::compose) fn began(&self) -> io::Result<()> {
        let mut links = self.links.lock();
        links.clear();
        match fs::remove_dir_all(self.dir.root()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        private_files::create_dir(&self.dir.compile_cache())
    }

    /// Says which images are in use, again and again.
    pub(in crate::compose) async fn keep_used(&self) {
        loop {
            tokio::time::sleep(Artifacts::USED_EVERY).await;
            self.artifacts.are_used(self.granted.images());
        }
    }

    async fn lend(&self, namespace: String, digest: Digest) -> Result<File, Failure> {
        let Some(image) = self.granted.image(&namespace, &digest) else {
            tracing::warn!(%digest, "a worker's process asked for what was compiled of an image that nothing in it is of: refused");
            let message = "nothing of this namespace that runs there is of this image".to_owned();
            return Err(Failure { reason: FailureReason::Error, message });
        };
        let (file, path) = self.artifacts.lend(&namespace, &image, &digest, self.dir.compile_cache()).await?;
        self.take_back(&self.granted.images(), (digest, path));
        Ok(file)
    }

    /// Removes links of images of which nothing runs any more. What has been mapped stays so.
    fn take_back(&self, used: &HashSet<Digest>, (digest, path): (Digest, PathBuf)) {
        let mut links = self.links.lock();
        links.insert(digest, path);
        let unused: Vec<PathBuf> = links.extract_if(|image, _| !used.contains(image)).map(|(_, path)| path).collect();
        // Images may share a component.
        let kept: HashSet<&PathBuf> = links.values().collect();
        unused.iter().filter(|path| !kept.contains(path)).for_each(|path| drop(fs::remove_file(path)));
    }
}

impl Give for Lent {
    fn give(&self, namespace: &str, image: Digest) -> BoxFuture<'_, Result<File, Failure>> {
        Box::pin(self.lend(namespace.to_owned(), image))
    }
}
