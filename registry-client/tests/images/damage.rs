use std::{
    fs::{self, File},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use api::Digest;
use registry_client::{ImageError, ImageStore};
use tempfile::TempDir;

use crate::{component, store};

fn blob(dir: &TempDir, digest: &Digest) -> PathBuf {
    dir.path().join("blobs/sha256").join(digest.hex())
}

#[test]
fn a_changed_byte_is_noticed_and_putting_the_image_again_repairs_it() {
    let (dir, store) = store();
    let image = store.put_component("hello", component("a")).unwrap();
    let path = blob(&dir, &image.component_digest);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();

    let error = store.component(&image.digest).unwrap_err();
    assert!(matches!(&error, ImageError::Damaged { path: named, .. } if *named == path), "{error}");
    assert!(error.to_string().contains("build or pull the image again"), "{error}");

    store.put_component("hello", component("a")).unwrap();
    assert_eq!(store.component(&image.digest).unwrap().bytes, component("a"));
}

#[test]
fn an_edit_that_did_not_survive_a_crash_is_put_again_and_is_the_same_image() {
    let (dir, store) = store();
    let image = store.put_edited("hello", component("a")).unwrap();
    assert_eq!(store.component(&image.digest).unwrap().bytes, component("a"));
    for put in [ImageStore::put_edited, ImageStore::put_component] {
        for digest in [&image.component_digest, &image.digest] {
            fs::write(blob(&dir, digest), "").unwrap();
        }
        let store = ImageStore::open(dir.path()).unwrap();
        assert!(store.component(&image.digest).is_err());
        assert_eq!(put(&store, "hello", component("a")).unwrap(), image);
        assert_eq!(store.component(&image.digest).unwrap().bytes, component("a"));
    }
}

#[test]
fn what_was_edited_is_read_from_the_disk_and_checked_but_for_the_first_time() {
    let (dir, store) = store();
    let image = store.put_edited("hello", component("a")).unwrap();
    let path = blob(&dir, &image.component_digest);
    fs::write(&path, "").unwrap();
    let other = store.put_component("other", component("b")).unwrap();
    assert_eq!(store.component(&other.digest).unwrap().bytes, component("b"));
    assert_eq!(store.component(&image.digest).unwrap().bytes, component("a"), "it is still held");
    assert!(matches!(store.component(&image.digest), Err(ImageError::Damaged { .. })));
}

#[test]
fn a_cut_off_or_missing_file_is_noticed() {
    let (dir, store) = store();
    let image = store.put_component("hello", component("a")).unwrap();
    let path = blob(&dir, &image.component_digest);
    fs::write(&path, &component("a")[..20]).unwrap();
    assert!(matches!(store.component(&image.digest), Err(ImageError::Damaged { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(store.component(&image.digest), Err(ImageError::Damaged { .. })));
}

#[test]
fn a_damaged_manifest_spoils_only_its_own_image() {
    let (dir, store) = store();
    let bad = store.put_component("bad", component("a")).unwrap();
    let good = store.put_component("good", component("b")).unwrap();
    fs::write(blob(&dir, &bad.digest), "{}").unwrap();
    assert!(matches!(store.component(&bad.digest), Err(ImageError::Damaged { .. })));
    assert_eq!(store.list().unwrap(), [good]);
}

#[test]
fn a_garbage_index_is_refused_and_kept() {
    for garbage in ["", "{", "[]", "{\"manifests\":7}", "\u{0}"] {
        let (dir, store) = store();
        store.put_component("hello", component("a")).unwrap();
        let index = dir.path().join("index.json");
        fs::write(&index, garbage).unwrap();

        for error in [
            store.put_component("other", component("b")).unwrap_err(),
            store.resolve("hello").unwrap_err(),
            ImageStore::open(dir.path()).unwrap_err(),
        ] {
            assert!(matches!(&error, ImageError::Layout { path, .. } if *path == index), "{garbage:?}: {error}");
        }
        assert_eq!(fs::read_to_string(&index).unwrap(), garbage);
    }
}

#[test]
fn a_layout_of_an_unknown_version_is_refused() {
    for (text, says) in [(r#"{"imageLayoutVersion":"2.0.0"}"#, "version 2.0.0"), ("nonsense", "version")] {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("oci-layout"), text).unwrap();
        let message = ImageStore::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn what_a_dead_writer_left_behind_is_removed_and_what_a_live_one_writes_is_not() {
    let (dir, _store) = store();
    let incoming = |name: &str, age: Duration| {
        let path = dir.path().join("blobs/sha256").join(name);
        File::create(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        path
    };
    let dead = incoming(".incoming-dead", Duration::from_secs(25 * 3600));
    let live = incoming(".incoming-live", Duration::from_secs(60));
    ImageStore::open(dir.path()).unwrap();
    assert_eq!((dead.exists(), live.exists()), (false, true));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let message = ImageStore::open(file.join("images")).unwrap_err().to_string();
    assert!(message.contains("file/images"), "{message}");
}

#[test]
fn what_is_too_large_is_refused_unwritten() {
    let (_dir, store) = store();
    let bytes = vec![0; registry_client::MAX_COMPONENT_BYTES as usize + 1];
    let error = store.put_component("big", bytes.into()).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    assert!(store.list().unwrap().is_empty());
}
