//! What refers to what: signatures and other attachments to what they are about, indexes to what they contain.

use std::collections::{BTreeMap, BTreeSet};

use super::{ContentDigest, Repositories, Repository, listing, parsed::contained};
use crate::{ImageError, ImageReference, index::Entry};

/// By each manifest, the manifests that refer to it.
#[derive(Debug, Default)]
pub(super) struct Referring {
    /// Signatures, attestations and what else is about it: by a `subject`, or by a tag.
    attached: BTreeMap<ContentDigest, BTreeSet<ContentDigest>>,
    /// Indexes that have it.
    indexes: BTreeMap<ContentDigest, BTreeSet<ContentDigest>>,
}

impl Referring {
    /// Looks at all repositories and names of a store.
    pub(super) fn read(
        store: &Repositories,
        repositories: &[Repository],
        entries: &[Entry],
    ) -> Result<Self, ImageError> {
        let mut referring = Self::default();
        let mut manifests: BTreeSet<ContentDigest> = entries.iter().map(|entry| (&entry.manifest).into()).collect();
        for repository in repositories {
            manifests.extend(repository.links("_manifests").all()?);
            for subject in listing(&repository.dir.join("_referrers"))? {
                let links = repository.links(&format!("_referrers/{subject}"));
                if let Some(subject) = ContentDigest::of_file_name(&subject) {
                    referring.attached.entry(subject).or_default().extend(links.all()?);
                }
            }
        }
        for entry in entries {
            if let Some(subject) = subject_of_tag(&entry.written) {
                referring.attached.entry(subject).or_default().insert((&entry.manifest).into());
            }
        }
        for manifest in manifests {
            let json = store.store.small_blob(&manifest).unwrap_or_default();
            for inner in contained(&json) {
                referring.indexes.entry(inner).or_default().insert(manifest.clone());
            }
        }
        Ok(referring)
    }

    /// What is attached to a manifest.
    pub(super) fn attached_to(&self, manifest: &ContentDigest) -> impl Iterator<Item = &ContentDigest> {
        self.attached.get(manifest).into_iter().flatten()
    }

    /// These, and all that refers to them, over any number of steps.
    pub(super) fn with_all(&self, manifests: BTreeSet<ContentDigest>) -> BTreeSet<ContentDigest> {
        let (mut found, mut open) = (BTreeSet::new(), Vec::from_iter(manifests));
        while let Some(manifest) = open.pop() {
            if found.contains(&manifest) {
                continue;
            }
            open.extend(self.attached_to(&manifest).cloned());
            open.extend(self.indexes.get(&manifest).into_iter().flatten().cloned());
            found.insert(manifest);
        }
        found
    }
}

/// What a tag such as `sha256-HEX.sig` is about: cosign's for signatures, attestations and bills of materials, and the one by which
/// registries without a list of referrers keep it.
pub(crate) fn subject_of_tag(written: &str) -> Option<ContentDigest> {
    let reference: ImageReference = written.parse().ok()?;
    let tag = reference.tag();
    let digest = tag.split_once('.').map_or(tag.as_str(), |(digest, _)| digest);
    ContentDigest::of_file_name(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tag_is_about_is_told_from_its_name() {
        let hex = "a".repeat(64);
        for tag in [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha256-{hex}.att")] {
            let subject = subject_of_tag(&format!("127.0.0.1:5000/team/hello:{tag}")).unwrap();
            assert_eq!(subject.as_str(), format!("sha256:{hex}"));
        }
        for tag in ["v1", "sha256-aa.sig", "latest.sig", &format!("x-sha256-{hex}.sig")] {
            assert_eq!(subject_of_tag(&format!("hello:{tag}")), None, "{tag}");
        }
    }
}
