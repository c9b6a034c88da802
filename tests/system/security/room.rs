//! What a guest finds that has broken out of its own sandbox: the room of its process, tried from inside by a process that was
//! started, and confined itself, as any other.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{Role, Sampan, command, guest, root, wait_for},
};

#[test]
fn a_process_that_a_guest_has_taken_over_reaches_nothing_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 0);
    // With the server's own directory, and so with the authority's key beside it.
    let mut worker = command(&["worker", "--isolation", "namespace", "--name", "w", "--data-dir"]);
    worker.arg(folder.path()).arg("--join").arg(format!("unix:{}", folder.path().join("run/control.sock").display()));
    worker.env("SAMPAN_HOSTILE", "w.evil").env("SAMPAN_HOSTILE_BUCKET", "default/default");

    // An honest tenant, with something to lose: a store, an image, and what was compiled of it.
    let component = guest("probe");
    sampan.cli_ok(&["build", component.to_str().expect("UTF-8"), "-t", "probe:test"]);
    let images = sampan.cli_ok(&["images"]);
    worker.env("SAMPAN_HOSTILE_IMAGE", digest_of(&sampan, "probe:test"));
    let worker = Role::start(worker);
    sampan.wait_for_nodes(1);
    deploy_probe(&sampan);
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    assert_eq!(client.put_text("/kv/default/greeting", "hello").status, 200);
    let own_cache = folder.path().join("processes/w.default/cache");
    let compiled = files(&folder.path().join("cache"));
    assert_eq!(names(&compiled, "cwasm"), names(&files(&own_cache), "cwasm"), "it is lent what it runs");

    // Another, whose process is taken over.
    let hello = guest("hello");
    sampan.cli_ok(&["build", hello.to_str().expect("UTF-8"), "-t", "hello:dev"]);
    sampan.kubectl_ok(&["create", "namespace", "evil"]);
    let manifests = root().join("samples/hello/deploy");
    sampan.kubectl_ok(&["apply", "-n", "evil", "-f", manifests.to_str().expect("UTF-8")]);
    worker.wait_for_output("hostile: done");
    let printed = worker.output();
    let tried: Vec<&str> = printed.lines().filter(|line| line.starts_with("hostile: ")).collect();
    assert!(tried.contains(&"hostile: a session under its own name: told"), "{printed}");
    assert!(tried.contains(&"hostile: its own artifact: lent"), "{printed}");
    let open: Vec<&&str> = tried.iter().filter(|line| line.ends_with(": open")).collect();
    assert!(open.is_empty(), "open to it: {open:#?}");
    let closed = tried.iter().filter(|line| line.contains(": closed (")).count();
    assert!(closed > 100, "{closed} of {tried:#?}");
    // It was asked, and refused, for what is there: not only for what is missing.
    for (what, why) in [
        ("read another's store", "placed there"),
        ("fetch another's image", "placed there"),
        ("be lent another's artifact", "nothing of this namespace that runs there is of this image"),
    ] {
        let refused = |line: &&&str| line.contains(what) && line.contains(why);
        assert!(tried.iter().any(|line| refused(&line)), "{what}: {tried:#?}");
    }

    // Nobody else was harmed: of the cache, what was there is as it was, and nothing came but its own component as it was compiled.
    let after = files(&folder.path().join("cache"));
    assert!(compiled.iter().all(|(name, bytes)| after.get(name) == Some(bytes)), "{:?}", after.keys());
    assert_eq!(after.len(), compiled.len() + 2, "an artifact and its seal: {:?}", after.keys());
    assert!(after.values().all(|bytes| !bytes.starts_with(b"\x7fELF of its own")));
    let evil_cache = folder.path().join("processes/w.evil/cache");
    assert_eq!(files(&evil_cache).keys().filter(|name| compiled.contains_key(*name)).count(), 0, "not another's");
    for dir in [&own_cache, &evil_cache] {
        let private = std::fs::metadata(dir).expect("its directory").permissions().mode() & 0o777;
        assert_eq!((private, files(dir).len()), (0o700, 1), "{}: one artifact, no seal, no key", dir.display());
    }
    assert_eq!(client.get("/kv/default/greeting").body, "hello");
    assert_eq!(sampan.cli_ok(&["images"]).lines().count(), images.lines().count() + 1);
    wait_for("it serves", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
}

/// The files of a directory, with what is in them.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let read = |path: PathBuf| std::fs::read(path).expect("a file");
    entries.flatten().map(|entry| (entry.file_name().into_string().expect("UTF-8"), read(entry.path()))).collect()
}

fn names(files: &BTreeMap<String, Vec<u8>>, extension: &str) -> Vec<String> {
    files.keys().filter(|name| name.ends_with(extension)).cloned().collect()
}

/// The digest of an image's manifest, as the store's index has it.
fn digest_of(sampan: &Sampan, name: &str) -> String {
    let index = std::fs::read_to_string(sampan.data_dir.join("images/index.json")).expect("an index");
    let (_, digest) = index.rsplit_once("\"digest\":").unwrap_or_else(|| panic!("{name} is not in {index}"));
    digest.split('"').nth(1).expect("a digest").to_owned()
}
