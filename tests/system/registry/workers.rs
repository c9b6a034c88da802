use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{Role, Sampan, command, guest, root, wait_for},
};

/// Longer than an image is kept that nothing uses.
const LONG: Duration = Duration::from_secs(2 * 24 * 3600);

/// A worker that shares nothing with the server but its socket, as one of another machine does.
fn start_worker(sampan: &Sampan, dir: &Path) -> Role {
    let mut worker = command(&["worker", "--name", "w", "--image-max-age", "1d", "--data-dir"]);
    worker.arg(dir).arg("--join").arg(format!("unix:{}", sampan.data_dir.join("run/control.sock").display()));
    worker.env("SAMPAN_LOG", "info");
    Role::start(worker)
}

/// All that the worker has of images is as if it had not been used for long.
fn make_old(blobs: &Path) {
    for blob in fs::read_dir(blobs).expect("the worker has images") {
        let file = File::options().write(true).open(blob.expect("a blob").path()).expect("a blob");
        file.set_modified(SystemTime::now() - LONG).expect("its age can be set");
    }
}

fn count(blobs: &Path) -> usize {
    fs::read_dir(blobs).expect("the worker has images").count()
}

#[test]
fn a_worker_removes_images_that_it_fetched_and_no_replica_has_used_for_long() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, own) = (folder.path().join("server"), folder.path().join("w"));
    let sampan = Sampan::server(&server, 0);
    let worker = start_worker(&sampan, &own);
    sampan.wait_for_nodes(1);
    deploy_probe(&sampan);
    let hello = guest("hello");
    sampan.cli_ok(&["build", hello.to_str().expect("UTF-8"), "-t", "hello:dev"]);
    let manifests = root().join("samples/hello/deploy");
    sampan.cli_ok(&["apply", "-f", manifests.to_str().expect("UTF-8")]);
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    let blobs = own.join("images/blobs/sha256");
    let of_both = count(&blobs);
    assert!(of_both >= 4, "a manifest and a component of each");

    sampan.cli_ok(&["delete", "deployment", "hello"]);
    worker.kill();
    make_old(&blobs);
    let worker = start_worker(&sampan, &own);
    wait_for("what nothing uses is removed", || (count(&blobs) < of_both).then_some(()));
    worker.wait_for_output("images that nothing uses were removed");
    assert!(worker.output().contains("hello:dev") && !worker.output().contains("probe:test"), "{}", worker.output());
    assert_eq!(count(&blobs), 2, "those of the other");
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    wait_for("it serves", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    // The server's own are the server's: what was built there stays.
    assert!(sampan.cli_ok(&["images"]).contains("hello:dev"));
    // And what is wanted again is fetched again.
    sampan.cli_ok(&["apply", "-f", manifests.to_str().expect("UTF-8")]);
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    assert_eq!(count(&blobs), of_both);
}
