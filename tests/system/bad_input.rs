//! Bad input ends with a message that names the place and the way out, and changes nothing.

use std::{fs, path::Path};

use crate::sampan::{Sampan, command, guest};

/// Applies a manifest that must be refused; answers what was said.
fn refusal(sampan: &Sampan, manifest: &str) -> String {
    let file = sampan.data_dir.join("bad.yaml");
    fs::write(&file, manifest).expect("a manifest");
    let output = sampan.cli(&["apply", "-f", file.to_str().expect("UTF-8")]);
    assert!(!output.status.success(), "it was accepted:\n{manifest}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const GOOD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: sample }
spec:
  selector: { matchLabels: { app: sample } }
  template:
    metadata: { labels: { app: sample } }
    spec: { containers: [ { name: sample, image: 'sample:v1' } ] }
";

#[test]
fn manifests_that_are_wrong_are_refused_by_the_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    let cases = [
        ("kind: Deployment", "kind: deployment", "Deployment"),
        ("kind: Deployment", "kind: Deploymant", "Deployment"),
        ("apiVersion: apps/v1", "apiVersion: apps/v2", "apps/v1"),
        ("  selector:", "  replica: 3\n  selector:", "spec.replica"),
        ("matchLabels: { app: sample }", "matchLabels: { app: other }", "selector"),
        (", image: 'sample:v1'", "", "spec.template.spec.containers[0].image"),
        ("image: 'sample:v1'", "image: 'sample:v1', command: [sh]", "spec.template.spec.containers[0].command"),
        ("image: 'sample:v1'", "image: 'sample:v1', resources: { limits: { memory: much } }", "memory"),
        ("spec: { containers", "spec: { hostNetwork: true, containers", "hostNetwork"),
        ("spec: { containers", "spec: { volumes: [ { name: a, hostPath: { path: /x } } ], containers", "hostPath"),
        ("name: sample }\nspec", "name: Sample_1 }\nspec", "metadata.name"),
    ];
    for (good, bad, named) in cases {
        assert!(GOOD.contains(good), "{good}");
        let said = refusal(&sampan, &GOOD.replacen(good, bad, 1));
        assert!(said.contains(named), "`{bad}` should name `{named}`:\n{said}");
    }
    assert!(refusal(&sampan, "kind: [").contains("bad.yaml"));
    let listed = sampan.cli(&["get", "deployments"]);
    assert!(!String::from_utf8_lossy(&listed.stdout).contains("sample"), "{listed:?}");
}

#[test]
fn files_that_are_no_component_are_refused_by_what_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let component = fs::read(guest("hello")).expect("a component");
    let cases: [(&str, &[u8], &str); 5] = [
        ("core.wasm", b"\0asm\x01\0\0\0", "core WebAssembly module"),
        ("elf.wasm", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "ELF"),
        ("text.wasm", b"hello, world\n", "text"),
        ("empty.wasm", b"", "empty"),
        ("short.wasm", &component[..component.len() / 2], "cut off"),
    ];
    for (name, bytes, named) in cases {
        let file = folder.path().join(name);
        fs::write(&file, bytes).expect("a file");
        let said = build(folder.path(), &file);
        assert!(said.contains(named), "{name} should be called `{named}`:\n{said}");
    }
}

fn build(data_dir: &Path, file: &Path) -> String {
    let output = command(&["build", file.to_str().expect("UTF-8"), "-t", "bad:v1"])
        .arg("--data-dir")
        .arg(data_dir)
        .output()
        .expect("the sampan program starts");
    assert!(!output.status.success(), "{} was accepted", file.display());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_component_that_imports_what_is_not_granted_is_named_with_its_annotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    let component = guest("probe");
    sampan.cli_ok(&["build", component.to_str().expect("UTF-8"), "-t", "sample:v1"]);
    let file = folder.path().join("ungranted.yaml");
    fs::write(&file, GOOD).expect("a manifest");
    sampan.cli_ok(&["apply", "-f", file.to_str().expect("UTF-8")]);
    crate::sampan::wait_for("the pod says why it does not start", || {
        let pods = sampan.cli_ok(&["get", "pods", "-o", "yaml"]);
        (pods.contains("wasi:keyvalue/") && pods.contains("sampan.dev/key-value")).then_some(())
    });
}

#[test]
fn a_taken_port_and_a_taken_data_directory_are_named_with_the_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    let start = |http: &str, data_dir: &Path| {
        let output = command(&["up", "--http", http, "--api", "127.0.0.1:0", "--data-dir"]).arg(data_dir).output();
        let output = output.expect("the sampan program starts");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let other = tempfile::tempdir().expect("a folder");
    let port_taken = start(&sampan.http, other.path());
    assert!(port_taken.contains(&sampan.http) && port_taken.contains("--http"), "{port_taken}");
    let folder_taken = start("127.0.0.1:0", folder.path());
    assert!(folder_taken.contains(folder.path().to_str().expect("UTF-8")), "{folder_taken}");
    assert!(folder_taken.contains("--data-dir"), "{folder_taken}");
}

#[test]
fn a_corrupt_data_file_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (status, _) = Sampan::up(folder.path()).stop();
    assert!(status.success());
    let store = fs::read_dir(folder.path())
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "redb") && !path.ends_with("keyvalue.redb"))
        .expect("a data file");
    for contents in [&b"this is no database"[..], b""] {
        fs::write(&store, contents).expect("a write");
        let output = command(&["up", "--http", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .output()
            .expect("the sampan program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(store.to_str().expect("UTF-8")), "{said}");
        assert_eq!(fs::read(&store).expect("still there"), contents);
    }
}
