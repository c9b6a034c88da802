//! What `sampan dev` shows of builds, where it is read from a pipe and on a terminal.

use std::{fs, path::Path};

use super::with_cargo;
use crate::sampan::{Role, Sampan, command, free_address, guest, wait_for};

/// A project with one package, and a Cargo that stands at three of seven crates until the file `go` is there, and then gives
/// the hello sample.
fn project(folder: &Path) -> (&'static str, String) {
    fs::create_dir_all(folder.join("shop/src")).expect("a folder");
    fs::write(folder.join("shop/Cargo.toml"), "[package]\nname = \"shop\"\n").expect("a write");
    let toml = "[app]\nname = \"shop\"\n[component.shop]\nimage = \"shop:dev\"\npath = \".\"\n";
    fs::write(folder.join("shop/sampan.toml"), toml).expect("a write");
    let (go, made) = (folder.join("go"), guest("hello"));
    with_cargo(
        &folder.join("bin"),
        &format!(
            r#"[ "$1" = build ] || exit 1
printf '    Building [====>      ] 3/7: serde, http\r' >&2
while [ ! -e '{}' ]; do sleep 0.05; done
printf '{{"reason":"compiler-artifact","manifest_path":"%s/Cargo.toml","filenames":["{}"]}}\n' "$PWD""#,
            go.display(),
            made.display(),
        ),
    )
}

#[test]
fn a_pipe_is_told_every_ten_seconds_how_far_a_build_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = project(folder.path());
    let sampan = Sampan::dev_with(&folder.path().join("data"), &folder.path().join("shop"), &[path]);
    sampan.wait_for_output("building: 3 of 7 crates, at serde, 10 s");
    fs::write(folder.path().join("go"), "").expect("a write");
    sampan.wait_for_output("shop            built ");
}

#[test]
fn a_terminal_has_a_bar_that_is_gone_when_the_build_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, path) = project(folder.path());
    let typescript = folder.path().join("typescript");
    let quoted = |path: &Path| format!("'{}'", path.display());
    let line = format!(
        "stty cols 120 rows 40; exec {} dev {} --data-dir {} --http {} --api {}",
        quoted(Path::new(command(&[]).get_program())),
        quoted(&folder.path().join("shop")),
        quoted(&folder.path().join("data")),
        free_address(),
        free_address(),
    );
    // It runs the line on a terminal of its own, and writes down what that shows.
    let mut script = std::process::Command::new("script");
    script.args(["--quiet", "--flush", "--return", "--command", &line]).arg(&typescript).env("PATH", path);
    let _script = Role::start(script);
    let shown = || fs::read(&typescript).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    wait_for("the bar", || shown().contains("3 of 7 crates").then_some(()));
    fs::write(folder.path().join("go"), "").expect("a write");
    wait_for("the build is over", || {
        let shown = shown();
        let (_, after) = shown.rsplit_once("3 of 7 crates")?;
        // The line of the bar is cleared before another stands there.
        (after.contains("\u{1b}[2K") && after.contains("built")).then_some(())
    });
}
