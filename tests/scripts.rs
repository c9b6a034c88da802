//! `scripts/demo`, with a cargo that only says that it compiles.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

const CARGO: &str = r#"#!/bin/sh
printf '   Compiling one v1\n    Building [=>  ] 5/10: one\r' >&2
if [ -n "$FAILS" ]; then printf 'error: could not compile `one`\n' >&2; exit 101; fi
mkdir -p "$CARGO_TARGET_DIR/demo"
printf '#!/bin/sh\necho "served: $@"\n' >"$CARGO_TARGET_DIR/demo/sampan"
chmod +x "$CARGO_TARGET_DIR/demo/sampan"
printf '    Finished in 1s\n' >&2
"#;

/// Runs it. With `fails`, nothing can be compiled.
fn demo(fails: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let cargo = folder.path().join("cargo");
    fs::write(&cargo, CARGO).expect("a write");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = [folder.path().to_owned()].into_iter().chain(env::split_paths(&path));
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo"))
        .args(["--http", "127.0.0.1:0"])
        .env("PATH", env::join_paths(paths).expect("paths without colons"))
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .env("FAILS", fails)
        .output()
        .expect("bash is there")
}

#[test]
fn the_demo_says_how_far_it_is_and_serves_what_it_compiled() {
    let output = demo("");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("demo: 5 of 10 crates, "), "{said}");
    assert!(said.ends_with("served: dev samples/shopping-cart --http 127.0.0.1:0\n"), "{said}");
    assert!(!said.contains("Compiling") && !said.contains("Finished"), "{said}");
}

#[test]
fn the_demo_ends_with_what_could_not_be_compiled() {
    let output = demo("yes");
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("error: could not compile `one`") && !said.contains("served"), "{said}");
}
