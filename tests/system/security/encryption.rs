//! What is kept is encrypted where it is kept: whoever has the disk alone reads no Secret and no guest's entry.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    redis::Redis,
    sampan::{Sampan, command, wait_for},
};

const KEY_1: &str = "key-1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";
const KEY_2: &str = "key-2 AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";
const WRONG_2: &str = "key-2 AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\n";
const SECRET: &str = "a-password-that-is-to-be-found-nowhere";
const ENTRY: &str = "an-entry-that-is-to-be-found-nowhere";

/// Where a text stands in the files below a folder.
fn found(folder: &Path, text: &str) -> Vec<PathBuf> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    // Secrets are in Base64 in their JSON; of three ways to begin, this one is that of a value by itself.
    let forms = [text.to_owned(), BASE64_STANDARD.encode(text)];
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(found(&path, text));
        } else if let Ok(bytes) = fs::read(&path)
            && forms.iter().any(|form| bytes.windows(form.len()).any(|part| part == form.as_bytes()))
        {
            files.push(path);
        }
    }
    files
}

fn write_keys(file: &Path, text: &str) {
    fs::write(file, text).expect("a write");
    fs::set_permissions(file, Permissions::from_mode(0o600)).expect("a mode");
}

fn secret(sampan: &Sampan) -> String {
    sampan.kubectl_ok(&["get", "secret", "s", "-o", "go-template={{.data.password | base64decode}}"])
}

#[test]
fn secrets_and_entries_are_on_no_disk_as_they_are_and_are_read_with_their_keys_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data_dir, keys) = (folder.path().join("data"), folder.path().join("keys"));
    let file = keys.to_str().expect("UTF-8").to_owned();
    let up = |with: &str| {
        write_keys(&keys, with);
        Sampan::up_with(&data_dir, &["--encryption-key-file", &file])
    };
    let probe = |sampan: &Sampan, path: &str| {
        let client = Client::new(&sampan.http, Some("probe.default.localhost"));
        let answer = || client.try_get(path).ok().filter(|answer| answer.status == 200).map(|answer| answer.body);
        wait_for("the guest answers", answer)
    };

    // What was written before there was a key is encrypted with the first start that has one.
    let sampan = Sampan::up(&data_dir);
    let literal = format!("--from-literal=password={SECRET}");
    sampan.kubectl_ok(&["create", "secret", "generic", "s", &literal]);
    deploy_probe(&sampan);
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    assert_eq!(client.put_text("/kv/default/k", ENTRY).status, 200);
    assert_eq!((found(&data_dir, SECRET).len(), found(&data_dir, ENTRY).len()), (1, 1));
    sampan.kill();

    for with in [KEY_1.to_owned(), format!("{KEY_2}{KEY_1}"), KEY_2.to_owned()] {
        let sampan = up(&with);
        assert_eq!(secret(&sampan), SECRET);
        assert_eq!(probe(&sampan, "/kv/default/k"), ENTRY);
        // What is written from now on, too.
        sampan.kubectl_ok(&["annotate", "--overwrite", "secret", "s", &format!("seen={SECRET}")]);
        sampan.kill();
        assert_eq!((found(&data_dir, SECRET), found(&data_dir, ENTRY)), (Vec::new(), Vec::new()));
    }

    let refused = |with: Option<&str>| {
        let mut args = vec!["up", "--http", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data-dir"];
        args.push(data_dir.to_str().expect("UTF-8"));
        if let Some(with) = with {
            write_keys(&keys, with);
            args.extend(["--encryption-key-file", &file]);
        }
        let output = command(&args).output().expect("the sampan program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains("`key-2`") && said.contains("store.redb"),
            "{with:?}: {said}"
        );
        assert!(!said.contains("what tells its key"), "it says what to do: {said}");
    };
    for with in [None, Some(KEY_1), Some(WRONG_2)] {
        refused(with);
    }
    let sampan = up(KEY_2);
    assert_eq!(secret(&sampan), SECRET);
    sampan.kill();
    // And back.
    let sampan = up(&format!("identity\n{KEY_2}"));
    assert_eq!(secret(&sampan), SECRET);
    sampan.kill();
    assert_eq!(secret(&Sampan::up(&data_dir)), SECRET);
}

#[test]
fn a_file_of_keys_that_others_can_read_is_refused_with_the_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    write_keys(&keys, KEY_1);
    fs::set_permissions(&keys, Permissions::from_mode(0o644)).expect("a mode");
    let mut up = command(&["up", "--http", "127.0.0.1:0", "--api", "127.0.0.1:0", "--encryption-key-file"]);
    let output = up.arg(&keys).arg("--data-dir").arg(folder.path().join("data")).output().expect("sampan starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let command = format!("chmod 600 {}", keys.display());
    assert!(!output.status.success() && said.contains(&command), "{said}");
}

#[test]
fn entries_in_redis_are_encrypted_and_counted_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = Redis::start(folder.path());
    let (data_dir, keys) = (folder.path().join("data"), folder.path().join("keys"));
    write_keys(&keys, KEY_1);
    let flags = ["--key-value-file", redis.url_file(), "--encryption-key-file", keys.to_str().expect("UTF-8")];
    let sampan = Sampan::server_with(&data_dir, 1, &flags);
    deploy_probe(&sampan);
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    assert_eq!(client.put_text("/kv/default/k", ENTRY).status, 200);
    assert_eq!(client.get("/kv/default/k").body, ENTRY);
    let kept = redis.ask(&["HGET", "sampan:{default/default}:values", "k"]);
    assert!(kept.starts_with("sampan:enc:v1:key-1:") && !kept.contains(ENTRY), "{kept}");
    for counted in ["1", "2", "3"] {
        assert_eq!(client.get("/kv-incr/default/n").body.trim(), counted);
    }
    let kept = |key: &str| redis.ask(&["HGET", "sampan:{default/default}:values", key]);
    assert!(kept("n").starts_with("sampan:enc:v1:key-1:"), "{}", kept("n"));
    sampan.kill();

    // With another first key all of it is written anew while guests go on, and then the former is not needed any more.
    write_keys(&keys, &format!("{KEY_2}{KEY_1}"));
    let sampan = Sampan::server_with(&data_dir, 1, &flags);
    sampan.wait_for_output("all entries in Redis are kept by the first key");
    for key in ["k", "n"] {
        assert!(kept(key).starts_with("sampan:enc:v1:key-2:"), "{}", kept(key));
    }
    sampan.kill();
    write_keys(&keys, KEY_2);
    let sampan = Sampan::server_with(&data_dir, 1, &flags);
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    let read = || client.try_get("/kv/default/k").ok().filter(|answer| answer.status == 200);
    assert_eq!(wait_for("the guest answers", read).body, ENTRY);
}
