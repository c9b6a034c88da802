//! Guests that fill their stores, clients that fill the registry, and a disk that has little left.

use std::process::Command;

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{Sampan, free_address, succeed, wait_for},
};

const HOST: &str = "probe.default.localhost";

/// The status, and the body, of a request to the registry of an installation.
fn registry(sampan: &Sampan, method: &str, path: &str, body: &str) -> (String, String) {
    let kubeconfig = std::fs::read_to_string(sampan.kubeconfig()).expect("a kubeconfig");
    let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: ")).expect("a server");
    let token = std::fs::read_to_string(sampan.data_dir.join("api/token")).expect("a token");
    let answered = Command::new("curl")
        .args(["-sk", "-w", "\n%{http_code}", "-X", method, "--data-binary", body])
        .args([
            "-H",
            &format!("Authorization: Bearer {}", token.trim()),
            "-H",
            "Content-Type: application/octet-stream",
        ])
        .arg(format!("{server}{path}"))
        .output();
    let text = succeed("curl", answered.expect("curl starts"));
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.to_owned(), body.to_owned())
}

/// Waits until the events of `default` show that a quota refused something of an object, in these words.
fn is_told_of(sampan: &Sampan, object: &str, words: &[&str]) {
    wait_for("an event tells of the quota", || {
        let events = sampan.kubectl_ok(&["get", "events", "--field-selector", "reason=QuotaExceeded"]);
        let is_it = |line: &str| line.contains("Warning") && line.contains(object);
        events.lines().any(|line| is_it(line) && words.iter().all(|word| line.contains(word))).then_some(())
    });
}

#[test]
fn a_guest_that_fills_its_stores_is_told_which_quota_it_met_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["--key-value-namespace-bytes", "1Ki", "--key-value-namespace-keys", "3"];
    let sampan = Sampan::up_with(folder.path(), &flags);
    deploy_probe(&sampan);
    let client = Client::new(&sampan.http, Some(HOST));
    assert_eq!(client.put_text("/kv/default/a", &"x".repeat(1000)).status, 200);
    let refused = client.put_text("/kv/default/b", &"x".repeat(100));
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.body.contains("--key-value-namespace-bytes"), "{refused:?}");
    drop(sampan);

    let offered = free_address();
    let sampan = Sampan::server_with(folder.path(), 1, &[&flags[..], &["--metrics", &offered]].concat());
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("the guest runs again", || {
        client.try_get("/kv/default/a").is_ok_and(|answer| answer.status == 200).then_some(())
    });
    let refused = client.put_text("/kv/default/b", &"x".repeat(100));
    assert!(refused.body.contains("--key-value-namespace-bytes"), "a worker of another process, too: {refused:?}");
    assert_eq!(client.delete("/kv/default/a").status, 200);
    for key in ["b", "c", "d"] {
        assert_eq!(client.put_text(&format!("/kv/default/{key}"), "x").status, 200, "what was deleted is given back");
    }
    let refused = client.put_text("/kv/default/e", "x");
    assert!(refused.body.contains("--key-value-namespace-keys"), "{refused:?}");
    is_told_of(&sampan, "namespace/default", &["keys", "its quota is 3", "--key-value-namespace-keys"]);
    let counted = Client::new(&offered, None).get("/metrics").body;
    for line in [
        "sampan_key_value_refusals_total{reason=\"quota\",namespace=\"default\"} 2",
        "sampan_key_value_used_keys{namespace=\"default\"} 3",
        "sampan_key_value_used_bytes{namespace=\"default\"} 6",
        "sampan_key_value_limit_keys 3",
    ] {
        assert!(counted.lines().any(|counted| counted == line), "{line}: {counted}");
    }
}

#[test]
fn who_fills_the_registry_is_denied_with_the_flag_and_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let offered = free_address();
    let flags = ["--registry-owner-bytes", "100", "--registry-unfinished-bytes", "60", "--metrics", &offered];
    let sampan = Sampan::up_with(folder.path(), &flags);
    let begin = |name: &str| {
        let (status, _) = registry(&sampan, "POST", &format!("/v2/{name}/blobs/uploads/"), "");
        assert_eq!(status, "202");
        let uploads = folder.path().join("images/hosted").join(name).join("_uploads");
        let upload = std::fs::read_dir(uploads).expect("uploads").next().expect("one").expect("it");
        format!("/v2/{name}/blobs/uploads/{}", upload.file_name().to_str().expect("UTF-8"))
    };
    let place = begin("shop/cart");
    let (status, body) = registry(&sampan, "PATCH", &place, &"x".repeat(61));
    assert_eq!(status, "429", "{body}");
    assert!(body.contains("TOOMANYREQUESTS") && body.contains("--registry-unfinished-bytes"), "{body}");
    assert!(
        body.contains("this one alone") && !body.contains("finish or cancel"),
        "nothing else is to be ended: {body}"
    );
    assert_eq!(registry(&sampan, "PATCH", &place, &"x".repeat(60)).0, "202");
    // Sixty bytes `x`.
    let digest = "sha256:".to_owned() + &sha256("x".repeat(60).as_bytes());
    assert_eq!(registry(&sampan, "PUT", &format!("{place}?digest={digest}"), "").0, "201");
    let (status, body) = registry(&sampan, "PATCH", &begin("shop/orders"), &"y".repeat(41));
    assert_eq!(status, "403", "{body}");
    assert!(body.contains("DENIED") && body.contains("--registry-owner-bytes"), "{body}");
    assert_eq!(registry(&sampan, "PATCH", &begin("other/cart"), &"y".repeat(41)).0, "202");
    is_told_of(&sampan, "namespace/default", &["`shop`", "--registry-unfinished-bytes"]);
    is_told_of(&sampan, "namespace/default", &["`shop` would have 101 bytes", "--registry-owner-bytes"]);
    let kubeconfig = std::fs::read_to_string(sampan.kubeconfig()).expect("a kubeconfig");
    let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: ")).expect("a server");
    let wrong =
        Command::new("curl").args(["-sk", "-H", "Authorization: Bearer wrong", &format!("{server}/api")]).output();
    succeed("curl", wrong.expect("curl starts"));
    let counted = Client::new(&offered, None).get("/metrics").body;
    for line in [
        "sampan_registry_refusals_total{reason=\"unfinished_bytes\"} 1",
        "sampan_registry_refusals_total{reason=\"owner_bytes\"} 1",
        "sampan_registry_used_bytes{owner=\"shop\"} 60",
        "sampan_registry_unfinished_bytes{owner=\"other\"} 41",
        "sampan_registry_limit_bytes 100",
        "sampan_wrong_tokens_total{reason=\"wrong\"} 1",
    ] {
        assert!(counted.lines().any(|counted| counted == line), "{line}: {counted}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    use std::io::Write;
    let mut child = Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("sha256sum starts");
    child.stdin.take().expect("its input").write_all(bytes).expect("it reads");
    let text = succeed("sha256sum", child.wait_with_output().expect("it ends"));
    text.split_whitespace().next().expect("a digest").to_owned()
}

#[test]
fn below_the_reserve_of_the_disk_only_objects_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    let client = Client::new(&sampan.http, Some(HOST));
    assert_eq!(client.put_text("/kv/default/a", "1").status, 200);
    drop(sampan);

    // No disk has so much free.
    let sampan = Sampan::up_with(folder.path(), &["--disk-reserve", "1000Ti"]);
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("the guest reads what it has", || {
        client.try_get("/kv/default/a").is_ok_and(|answer| answer.body == "1").then_some(())
    });
    let refused = client.put_text("/kv/default/a", "2");
    assert!(refused.status == 500 && refused.body.contains("--disk-reserve"), "{refused:?}");
    let path = folder.path().to_str().expect("UTF-8");
    assert!(!refused.body.contains(path), "guests are told no path: {refused:?}");
    let (status, body) = registry(&sampan, "POST", "/v2/shop/cart/blobs/uploads/", "");
    assert!(status == "429" && body.contains("--disk-reserve"), "{status}: {body}");
    assert!(!body.contains(path), "clients are told no path: {body}");
    let manifest = folder.path().join("goes-on.yaml");
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: goes-on }\ndata: { a: b }\n";
    std::fs::write(&manifest, text).expect("a manifest");
    sampan.kubectl_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    assert!(sampan.kubectl_ok(&["get", "configmap", "goes-on", "-o", "yaml"]).contains("a: b"));
    assert_eq!(client.delete("/kv/default/a").status, 200, "who deletes makes room");
}
