use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use registry_client::ImageStore;

use crate::{component, store};

const WRITERS: usize = 6;
const IMAGES: usize = 5;
const DIR: &str = "SAMPAN_TEST_IMAGES";
const WRITER: &str = "SAMPAN_TEST_WRITER";

/// Puts images of its own, and one that all others put too.
fn put_many(dir: &Path, writer: &str) {
    let store = ImageStore::open(dir).unwrap();
    for n in 0..IMAGES {
        store.put_component(&format!("image-{writer}-{n}"), component(&format!("{writer} {n}"))).unwrap();
        store.put_component("shared", component(&n.to_string())).unwrap();
    }
}

fn check(store: &ImageStore) {
    let images = store.list().unwrap();
    assert_eq!(images.len(), WRITERS * IMAGES + 1, "{images:?}");
    for image in images {
        assert_eq!(store.component(&image.digest).unwrap().digest, image.component_digest);
    }
}

#[test]
fn threads_lose_nothing_of_each_other() {
    let (dir, store) = store();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn({
                let dir = dir.path();
                move || put_many(dir, &format!("t{writer}"))
            });
        }
    });
    check(&store);
}

#[test]
fn processes_lose_nothing_of_each_other() {
    // In a child, this test is the writer.
    if let (Some(dir), Ok(writer)) = (env::var_os(DIR), env::var(WRITER)) {
        return put_many(&PathBuf::from(dir), &writer);
    }
    let (dir, store) = store();
    let children: Vec<Child> = (0..WRITERS).map(|writer| spawn(dir.path(), writer)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    check(&store);
}

fn spawn(dir: &Path, writer: usize) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "concurrency::processes_lose_nothing_of_each_other"])
        .env(DIR, dir)
        .env(WRITER, format!("p{writer}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
