//! The API attacked by its clients: what a small body costs, and what a client holds that does not read.

use std::{
    fs,
    io::Read,
    process::{Child, Command, Stdio},
};

use serde_json::json;

use crate::sampan::{PATIENCE, Sampan, succeed, wait_for};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Watchers that do not read.
const STALLED: usize = 40;
/// Objects that each of them was to be told of, of nearly the largest size.
const OBJECTS: usize = 12;
/// What all of them together may hold. Copies would be 40 times 12 MB.
const MAX_HELD_BYTES: u64 = 160 << 20;

/// The API's address and the token that opens it.
fn api(sampan: &Sampan) -> (String, String) {
    let kubeconfig = fs::read_to_string(sampan.kubeconfig()).expect("a kubeconfig");
    let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: "));
    let token = fs::read_to_string(sampan.data_dir.join("api/token")).expect("a token");
    (server.expect("the server").trim_matches('"').to_owned(), token.trim().to_owned())
}

fn curl(sampan: &Sampan, path: &str) -> Command {
    let (server, token) = api(sampan);
    let mut curl = Command::new("curl");
    curl.args(["-sk", "-N", "-H", &format!("Authorization: Bearer {token}"), &format!("{server}{path}")]);
    curl
}

/// Sends a body from a file; answers the status.
fn send(sampan: &Sampan, method: &str, media_type: &str, path: &str, body: &str) -> u16 {
    let file = sampan.data_dir.join("body");
    fs::write(&file, body).expect("a file");
    let mut curl = curl(sampan, path);
    curl.args(["-X", method, "-H", &format!("Content-Type: {media_type}"), "-o", "/dev/null", "-w", "%{http_code}"]);
    curl.args(["--data-binary", &format!("@{}", file.display()), "-m", &PATIENCE.as_secs().to_string()]);
    succeed("curl", curl.output().expect("curl")).parse().expect("a status")
}

/// Bytes that a process has in memory.
fn resident_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

struct Stalled(Vec<Child>);

impl Drop for Stalled {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn watchers_that_do_not_read_hold_no_copies_of_what_they_were_to_be_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(&folder.path().join("data"));
    for n in 0..OBJECTS {
        let object = json!({ "metadata": { "name": format!("c{n}") }, "data": { "a": "x".repeat(1_000_000) } });
        assert_eq!(send(&sampan, "POST", "application/json", CONFIG_MAPS, &object.to_string()), 201);
    }
    let before = resident_bytes(sampan.id());
    let mut stalled = Stalled(Vec::new());
    for n in 0..STALLED {
        let path = format!("{CONFIG_MAPS}{}", if n % 4 == 0 { "" } else { "?watch=true" });
        let mut child = curl(&sampan, &path).stdout(Stdio::piped()).spawn().expect("curl");
        // It was answered, and nobody reads on.
        child.stdout.as_mut().expect("its output").read_exact(&mut [0; 1024]).expect("an answer");
        stalled.0.push(child);
    }
    let held = resident_bytes(sampan.id()).saturating_sub(before);
    assert!(held < MAX_HELD_BYTES, "{held} bytes are held for {STALLED} clients");
    // Others are served meanwhile, with all of it.
    let listed = succeed("curl", curl(&sampan, CONFIG_MAPS).output().expect("curl"));
    assert!(listed.len() > OBJECTS * 1_000_000 && listed.ends_with("]}"), "{} bytes", listed.len());
}

#[test]
fn bodies_that_cost_much_for_their_length_are_refused_or_done_and_others_answered_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(&folder.path().join("data"));
    let object = json!({ "metadata": { "name": "c" }, "data": { "a": "x".repeat(100_000) } });
    assert_eq!(send(&sampan, "POST", "application/json", CONFIG_MAPS, &object.to_string()), 201);
    let path = format!("{CONFIG_MAPS}/c?fieldManager=a");
    let copies: Vec<_> =
        (0..9000).map(|n| json!({ "op": "copy", "from": "/data/a", "path": format!("/data/b{n}") })).collect();
    let finalizers: Vec<_> = (0..25_000).map(|n| format!("a.example/{n:08}")).collect();
    let merged = json!({ "metadata": { "finalizers": finalizers, "$setElementOrder/finalizers": finalizers } });
    let deep = format!("{{\"data\":{{\"a\":{}1{}}}}}", "[".repeat(500_000), "]".repeat(500_000));
    let many = format!("{{\"data\":[{}0]}}", "{\"\":0},".repeat(200_000));
    let aliases = format!("a: &a [{}1]\nb: [{}1]\n", "1,".repeat(10_000), "*a,".repeat(10_000));
    let owners = format!("{{\"metadata\":{{\"ownerReferences\":[{}{{}}]}}}}", "{},".repeat(600_000));
    for (media_type, body, statuses) in [
        ("application/json-patch+json", json!(copies).to_string(), [422, 422]),
        ("application/strategic-merge-patch+json", merged.to_string(), [200, 413]),
        ("application/merge-patch+json", deep.clone(), [400, 400]),
        ("application/strategic-merge-patch+json", deep.clone(), [400, 400]),
        ("application/apply-patch+yaml", deep, [400, 400]),
        ("application/merge-patch+json", many, [400, 400]),
        ("application/apply-patch+yaml", aliases, [400, 400]),
        ("application/merge-patch+json", owners, [413, 413]),
    ] {
        let status = send(&sampan, "PATCH", media_type, &path, &body);
        assert!(statuses.contains(&status), "{media_type} {}: {status}", &body[..40]);
        sampan.kubectl_ok(&["get", "configmap", "c"]);
    }
    wait_for("the memory for them is given back, or was never taken", || {
        (resident_bytes(sampan.id()) < 1 << 30).then_some(())
    });
}
