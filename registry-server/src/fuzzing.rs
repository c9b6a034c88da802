//! What the registry reads of strangers, as the fuzzer calls it.

use std::sync::LazyLock;

use registry_client::{
    ImageStore,
    hosted::{ContentDigest, Repositories},
};

use super::target::{Place, Target};

/// Repositories without anything in them: which names they may have is theirs to say.
static REPOSITORIES: LazyLock<Repositories> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("sampan-fuzz-{}", std::process::id()));
    Repositories::open(ImageStore::open(folder).expect("a store")).expect("repositories")
});

/// The path of a request. A name or digest that is taken leads nowhere else.
pub fn registry_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(Target::In { name, place }) = Target::parse(&format!("/v2/{text}")) else { return };
    if REPOSITORIES.repository(&name).is_ok() {
        assert!(name.split('/').all(|word| !word.is_empty() && !word.starts_with(['.', '_', '-'])), "{name:?}");
    }
    if let Place::Blob(digest) | Place::Manifest(digest) | Place::Referrers(digest) = place
        && let Ok(digest) = digest.parse::<ContentDigest>()
    {
        assert!(!digest.as_str().contains(['/', '\\', '\0']), "{digest}");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn seeds_of_the_fuzzer_are_read_or_refused() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/registry-path");
        let files: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty());
        for file in files {
            super::registry_path(&fs::read(file).unwrap());
        }
    }
}
