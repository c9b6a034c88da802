//! What other users of the machine can read: nothing of Sampan's, whichever command made it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::sampan::{Sampan, command, guest, succeed, wait_for};

/// As a user whose umask lets everybody read and write.
fn with_open_umask(args: &[&str]) -> Command {
    let plain = command(args);
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

fn run(args: &[&str]) -> Output {
    with_open_umask(args).output().expect("the sampan program starts")
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap_or_else(|why| panic!("{}: {why}", path.display())).mode() & 0o7777
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// All that others than the owner could do something with, of a folder and what is in it.
fn open_to_others(path: &Path) -> Vec<(PathBuf, u32)> {
    // What goes away meanwhile is open to nobody.
    let Ok(metadata) = fs::symlink_metadata(path) else { return Vec::new() };
    let is_open = !metadata.is_symlink() && metadata.mode() & 0o077 != 0;
    let mut found: Vec<_> = is_open.then(|| (path.to_owned(), metadata.mode() & 0o7777)).into_iter().collect();
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            found.extend(open_to_others(&entry.path()));
        }
    }
    found
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn build(data_dir: &Path) {
    let probe = guest("probe");
    succeed("sampan build", run(&["build", text(&probe), "-t", "probe:v1", "--data-dir", text(data_dir)]));
}

const SECRET: &str =
    r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "x"}}"#;

#[test]
fn a_build_before_the_first_start_leaves_nothing_of_the_data_directory_open_to_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("share/data");
    build(&data_dir);
    assert_eq!(open_to_others(&folder.path().join("share")), []);
    let sampan = Sampan::server(&data_dir, 1);
    let secret = folder.path().join("secret.json");
    fs::write(&secret, SECRET).expect("a write");
    sampan.cli_ok(&["apply", "-f", text(&secret)]);
    wait_for("all of it is set up", || data_dir.join("api/pull-token").exists().then_some(()));
    assert_eq!(open_to_others(&folder.path().join("share")), []);
}

#[test]
fn a_data_directory_that_an_earlier_version_left_open_is_tightened_with_all_in_it_by_any_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data_dir, link) = (folder.path().join("data"), folder.path().join("link"));
    build(&data_dir);
    symlink(&data_dir, &link).expect("a link");
    let open_again = || {
        let opened = Command::new("chmod").args(["-R", "a+rwX", text(&data_dir)]).status();
        assert!(opened.expect("chmod").success());
        assert!(open_to_others(&data_dir).len() > 3);
    };
    for args in [&["build", text(&guest("probe")), "-t", "probe:v1"][..], &["inspect", "probe:v1"]] {
        for dir in [&data_dir, &link] {
            open_again();
            succeed(args[0], run(&[args, &["--data-dir", text(dir)]].concat()));
            assert_eq!(open_to_others(&data_dir), [], "after `sampan {}` in {}", args[0], dir.display());
        }
    }
    open_again();
    let _sampan = Sampan::up(&link);
    assert_eq!(open_to_others(&data_dir), []);
}

#[test]
fn a_data_directory_that_is_shared_or_of_another_user_is_refused_with_the_command_to_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |dir: &Path, says: &str| {
        for args in [&["up", "--http", "127.0.0.1:0", "--api", "127.0.0.1:0"][..], &["inspect", "probe:v1"]] {
            let output = run(&[args, &["--data-dir", text(dir)]].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(says) && said.contains("--data-dir"), "{says}: {said}");
        }
    };
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).expect("a folder");
    set(&shared, 0o1777);
    refused(&shared, &format!("mkdir -m 700 {}/sampan", shared.display()));
    assert_eq!((mode(&shared), fs::read_dir(&shared).expect("it is there").count()), (0o1777, 0));

    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nothing"), &dangling).expect("a link");
    refused(&dangling, &format!("mkdir -m 700 {}/nothing", folder.path().display()));

    // Only root can give a folder away, and anybody but root finds one of another user in `/usr`.
    let is_root = fs::metadata("/proc/self").expect("proc").uid() == 0;
    let foreign = if is_root { folder.path().join("foreign") } else { PathBuf::from("/usr") };
    if is_root {
        fs::create_dir(&foreign).expect("a folder");
        std::os::unix::fs::chown(&foreign, Some(65534), None).expect("it is given away");
    }
    refused(&foreign, &format!("chmod -R go= {}", foreign.display()));
}

#[test]
fn what_the_user_asks_for_and_what_compilers_write_has_the_users_own_umask() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page");
    fs::create_dir(&page).expect("a folder");
    fs::copy(guest("probe"), page.join("base.wasm")).expect("a copy");
    let toml = "[app]\nname = \"page\"\n[component.page]\nimage = \"page:dev\"\nartifact = \"dist/page.wasm\"\n\
                command = \"umask > umask; mkdir -p dist; cat base.wasm > dist/page.wasm\"\n";
    fs::write(page.join("sampan.toml"), toml).expect("a write");
    let data_dir = folder.path().join("data");
    succeed("sampan build", run(&["build", text(&page), "--data-dir", text(&data_dir)]));
    assert_eq!(fs::read_to_string(page.join("umask")).expect("it was built").trim(), "0000");
    assert_eq!((mode(&page.join("dist")), mode(&page.join("dist/page.wasm"))), (0o777, 0o666));
    assert_eq!(open_to_others(&data_dir), []);

    let (trace, plot) = (folder.path().join("trace.csv"), folder.path().join("trace.svg"));
    fs::write(&trace, "app,func,end_timestamp,duration\na,f,1.5,0.5\na,f,2.5,0.5\n").expect("a write");
    let replayed = run(&["autoscale", "replay", text(&trace), "--plot", text(&plot)]);
    succeed("sampan autoscale replay", replayed);
    assert_eq!(mode(&plot), 0o666);
}

#[test]
fn a_token_goes_into_a_file_for_its_owner_alone_and_not_to_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let _sampan = Sampan::server(&data_dir, 0);
    let out = folder.path().join("token");
    // Also where a wider file is there already.
    fs::write(&out, "").expect("a write");
    set(&out, 0o666);
    let create = |out: &Path| run(&["token", "create", "--out", text(out), "--data-dir", text(&data_dir)]);
    let printed = succeed("sampan token create", create(&out));
    let token = fs::read_to_string(&out).expect("the token");
    assert_eq!((mode(&out), token.trim().split('.').count()), (0o600, 4), "{token}");
    assert!(!printed.contains(token.trim()) && printed.contains(text(&out)), "{printed}");
    // A token that nobody would see is not made.
    let before = succeed("sampan token list", run(&["token", "list", "--data-dir", text(&data_dir)]));
    for nowhere in [folder.path().join("no/such/folder"), PathBuf::from("/dev/null"), folder.path().to_owned()] {
        let refused = create(&nowhere);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("--out"), "{}: {said}", nowhere.display());
    }
    let after = succeed("sampan token list", run(&["token", "list", "--data-dir", text(&data_dir)]));
    assert_eq!(before.lines().count(), after.lines().count());
    assert!(Path::new("/dev/null").metadata().is_ok_and(|null| !null.is_file()));
}
