//! Names and digests in URLs that would lead out of where they are kept.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::sampan::{Sampan, succeed, wait_for};

/// All files below a folder, but for databases' own, which come and go.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("its type").is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path());
        }
    }
    found
}

/// Paths of the registry and of the API that mean something elsewhere, each with a method.
const LEADING_OUT: [(&str, &str); 22] = [
    ("GET", "/v2/../api/token"),
    ("GET", "/v2/a/../../../api/token"),
    ("GET", "/v2/a/blobs/../../../../api/token"),
    ("GET", "/v2/a/blobs/sha256:../../../api/token"),
    ("GET", "/v2/a/blobs/sha256:..%2f..%2f..%2fapi%2ftoken"),
    ("GET", "/v2/a/manifests/..%2f..%2f..%2fapi%2ftoken"),
    ("GET", "/v2/a/manifests/../../../api/token"),
    ("GET", "/v2/a/referrers/sha256:..%2f..%2f"),
    ("GET", "/v2/..%2f..%2fapi/tags/list"),
    ("GET", "/v2/%2e%2e/%2e%2e/api/tags/list"),
    ("GET", "/v2/a/blobs/uploads/..%2f..%2f..%2fapi%2ftoken"),
    ("POST", "/v2/../../out/blobs/uploads/"),
    ("POST", "/v2/%2e%2e/%2e%2e/out/blobs/uploads/"),
    ("POST", "/v2/..%2f..%2fout/blobs/uploads/"),
    ("POST", "/v2/_uploads/blobs/uploads/"),
    ("POST", "/v2/a/_uploads/blobs/uploads/"),
    ("PUT", "/v2/a/manifests/..%2f..%2fout"),
    ("PUT", "/v2/a/blobs/uploads/..%2f..%2fout?digest=sha256:x"),
    ("DELETE", "/v2/a/blobs/sha256:..%2f..%2f..%2fapi%2ftoken"),
    ("DELETE", "/v2/a/manifests/..%2f..%2f..%2fapi%2ftoken"),
    ("GET", "/api/v1/namespaces/..%2f..%2f/secrets/x"),
    ("GET", "/api/v1/../../api/token"),
];

#[test]
fn names_and_digests_that_would_lead_out_of_their_folder_are_refused_and_touch_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let sampan = Sampan::up(&data_dir);
    let made = ["api/pull-token", "images/index.json"].map(|name| data_dir.join(name));
    wait_for("all of it is set up", || made.iter().all(|file| file.exists()).then_some(()));
    let kubeconfig = fs::read_to_string(sampan.kubeconfig()).expect("a kubeconfig");
    let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: "));
    let server = server.expect("the server").trim_matches('"').to_owned();
    let token = fs::read_to_string(data_dir.join("api/token")).expect("a token").trim().to_owned();
    let before = files(folder.path());
    for (method, path) in LEADING_OUT {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--path-as-is", "-X", method, "-w", "\n%{http_code}", "--data-binary", "x"]);
        curl.args(["-H", &format!("Authorization: Bearer {token}"), &format!("{server}{path}")]);
        let answer = succeed("curl", curl.output().expect("curl"));
        let (body, status) = answer.rsplit_once('\n').expect("a status");
        assert!(status.starts_with('4'), "{method} {path}: {answer}");
        assert!(!body.contains(&token), "{method} {path}: {answer}");
    }
    assert_eq!(files(folder.path()), before);
}
