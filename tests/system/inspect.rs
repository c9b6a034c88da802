//! `sampan inspect`: what is told of a component without running it.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{
    registry::put_image,
    sampan::{Sampan, command, guest, root, succeed},
};

fn inspect(data_dir: &Path, what: &str, flags: &[&str]) -> Output {
    command(&["inspect", what]).args(flags).arg("--data-dir").arg(data_dir).output().expect("the sampan program starts")
}

/// What a refusal says.
fn refused(data_dir: &Path, what: &str) -> String {
    let output = inspect(data_dir, what, &[]);
    assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_component_is_shown_with_what_it_needs_as_a_file_an_image_or_from_a_pipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let probe = guest("probe").display().to_string();
    let shown = succeed("sampan inspect", inspect(folder.path(), &probe, &[]));
    for part in [
        "exports\n  wasi:http/incoming-handler@0.2.",
        "  wasi:keyvalue/store@0.2.0-draft2\n",
        "initial memory   ",
        "to grant, by annotations of the pod template\n  sampan.dev/key-value: ",
        "\n  sampan.dev/outbound: ",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    let size = fs::metadata(&probe).expect("a file").len();
    let json = succeed("sampan inspect", inspect(folder.path(), &probe, &["-o", "json"]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["sizeBytes"], size);
    assert!(json["initialMemoryBytes"].as_u64().is_some_and(|bytes| bytes >= 65536), "{json}");
    assert_eq!((&json["refusedImports"], &json["missingExport"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(json["grants"].as_array().map(Vec::len), Some(2));

    let built = command(&["build", &probe, "-t", "probe:v1", "--data-dir"]).arg(folder.path()).output();
    succeed("sampan build", built.expect("the sampan program starts"));
    assert_eq!(succeed("sampan inspect", inspect(folder.path(), "probe:v1", &[])), shown);
    let piped = command(&["inspect", "/dev/stdin"]).stdin(fs::File::open(&probe).expect("a file")).output();
    assert_eq!(succeed("sampan inspect", piped.expect("the sampan program starts")), shown);
}

#[test]
fn the_language_is_told_where_the_toolchain_left_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path().join("package");
    fs::create_dir_all(package.join("src")).expect("a folder");
    // Not stripped, as by default. It exports nothing, which is told beside the rest.
    let toml = "[package]\nname = \"bare\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n";
    fs::write(package.join("Cargo.toml"), toml).expect("a write");
    fs::write(package.join("src/lib.rs"), "#[unsafe(no_mangle)]\nextern \"C\" fn f() {}\n").expect("a write");
    let target = folder.path().join("target");
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(&package)
        .stderr(Stdio::inherit())
        .status();
    assert!(built.expect("cargo starts").success(), "rustup target add wasm32-wasip2");
    let component = target.join("wasm32-wasip2/release/bare.wasm").display().to_string();
    let shown = succeed("sampan inspect", inspect(folder.path(), &component, &[]));
    assert!(shown.contains("language         Rust\n"), "{shown}");
    assert!(shown.contains("does not run: it does not export `wasi:http/incoming-handler@0.2`"), "{shown}");
}

#[test]
fn what_is_no_component_is_named_for_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).expect("a write");
        file.display().to_string()
    };
    // A type of a component, exported under the name of an interface.
    let wit = b"\0asm\x0d\0\x01\0\x07\x03\x01\x41\0\x0b\x0b\x01\0\x05a:b/c\x03\0\0";
    for (file, said) in [
        (write("module.wasm", b"\0asm\x01\0\0\0"), "a core WebAssembly module, not a component"),
        (write("text.txt", b"hello"), "this is text, beginning with `hello`"),
        (write("empty.wasm", b""), "the file is empty"),
        (write("cut.wasm", &fs::read(guest("hello")).expect("a guest")[..1000]), "cut off after 1000 bytes"),
        (write("huge.wasm", &vec![0; (64 << 20) + 1]), "which is the limit of a component"),
        (write("wit.wasm", wit), "a WIT package"),
        (folder.path().join("none.wasm").display().to_string(), "there is no file"),
        (root().join("samples/hello").display().to_string(), "is a folder"),
        ("none:v1".to_owned(), "neither a file none:v1 nor an image"),
    ] {
        let told = refused(folder.path(), &file);
        assert!(told.contains(said), "{file}: {told}");
    }
}

#[test]
fn an_image_that_is_a_container_is_named_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    let config = ("application/vnd.oci.image.config.v1+json", r#"{"architecture":"amd64","os":"linux"}"#);
    let layer = ("application/vnd.oci.image.layer.v1.tar", "a root file system");
    put_image(&sampan, "debian", Some("v1"), [config, layer], &serde_json::Value::Null);
    let told = refused(folder.path(), "debian:v1");
    assert!(told.contains("it is a container image") && told.contains("build a component"), "{told}");
    assert!(!told.contains("no file"), "{told}");
}
