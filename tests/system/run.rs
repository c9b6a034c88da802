//! `sampan run`: one component, and nothing that stays.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use crate::{
    client::Client,
    sampan::{Role, command, free_address, guest, wait_for},
};

/// The probe, once it answers; what it keeps meanwhile is in `folder`.
fn run(folder: &Path, flags: &[&str]) -> (Role, String) {
    let http = free_address();
    let mut program = command(&["run", guest("probe").to_str().expect("a path"), "--http", &http]);
    program.args(flags).env("TMPDIR", folder).env("HOME", folder).env("SAMPAN_DATA_DIR", folder.join("data"));
    let role = Role::start(program);
    role.wait_for_output("Ctrl-C ends");
    (role, http)
}

fn refused(file: &Path) -> String {
    let output: Output = command(&["run", file.to_str().expect("a path")]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_component_is_served_with_what_it_is_granted_and_nothing_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    // What a process has left that was killed goes too.
    let left = folder.path().join("sampan-run-left");
    fs::create_dir(&left).expect("a folder");
    fs::write(left.join("lock"), "").expect("a file");
    let (role, http) = run(folder.path(), &["--env", "GREETING=hello=you", "--store", "default", "--memory", "128Mi"]);
    let client = Client::new(&http, None);
    assert_eq!(client.get("/").body, "probe\n");
    assert_eq!(client.get("/config/GREETING").body.trim_end(), "hello=you");
    assert!(client.get("/env").body.contains("hello=you"));
    assert_eq!(client.put_text("/kv/default/a", "kept").status / 100, 2);
    assert_eq!(client.get("/kv/default/a").body, "kept");
    assert_ne!(client.put_text("/kv/other/a", "kept").status / 100, 2, "it was granted one store");
    let trapped = client.get("/trap");
    assert_eq!(trapped.status, 502);
    assert_eq!(trapped.json()["error"]["reason"], "GuestTrapped");
    role.wait_for_output("trapped");
    assert_eq!(client.get("/").status, 200, "others go on");
    role.end("INT");
    let there: Vec<PathBuf> =
        fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.unwrap().path()).collect();
    assert!(there.is_empty(), "{there:?} are left");
}

#[test]
fn limits_hold_and_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_role, http) =
        run(folder.path(), &["--store", "default", "--request-deadline", "300ms", "--max-body-bytes", "1Ki"]);
    let client = Client::new(&http, None);
    let late = client.get("/loop");
    assert_eq!((late.status, late.json()["error"]["reason"].as_str()), (504, Some("DeadlineExceeded")));
    assert_eq!(client.put_text("/echo", &"x".repeat(2000)).status, 413);
    assert_eq!(client.get("/fetch?url=http://127.0.0.1:1/").status / 100, 5, "no host is granted");
}

/// A component that traps while it is instantiated.
const TRAPS_AT_ITS_START: &str = r#"(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))
  (core module $module
    (func $trap unreachable)
    (start $trap)
    (func (export "handle") (param i32 i32)))
  (core instance $instance (instantiate $module))
  (func $handle (param "request" (own $request)) (param "response-out" (own $out))
    (canon lift (core func $instance "handle")))
  (instance $exported (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $exported)))"#;

#[test]
fn what_fails_as_it_starts_ends_the_command_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("traps.wasm");
    fs::write(&file, wat::parse_str(TRAPS_AT_ITS_START).expect("a component")).expect("a write");
    // Which part of the program notices first is chance.
    for _ in 0..5 {
        let output = command(&["run", file.to_str().expect("a path"), "--http", &free_address()]).output();
        let output = output.expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("the component cannot run") && said.contains("unreachable"), "{output:?}");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
}

#[test]
fn a_guest_that_computes_at_the_end_of_the_program_leaves_no_trace_on_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (role, http) = run(folder.path(), &["--store", "default"]);
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", role.id())).expect("it runs");
        let of_user = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(11));
        of_user.and_then(|ticks| ticks.parse::<u64>().ok()).expect("its CPU time")
    };
    let before = ticks();
    let asking = std::thread::spawn(move || Client::new(&http, None).try_get("/loop"));
    wait_for("the guest computes, in the background by now", || (ticks() > before + 50).then_some(()));
    let said = role.end("INT");
    assert!(!said.contains("panicked"), "{said}");
    let _ = asking.join();
}

#[test]
fn a_name_that_is_not_this_machines_is_let_in_only_if_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_role, http) = run(folder.path(), &["--store", "default", "--host", "shop.example"]);
    let status = |host: &str| Client::new(&http, Some(host)).get("/").status;
    for own in ["localhost", "127.0.0.1", "[::1]:8080", "LOCALHOST", "shop.example", "probe.run.localhost"] {
        assert_eq!(status(own), 200, "{own}");
    }
    for foreign in ["evil.example", "localhost.evil.example", "192.0.2.1", "127.0.0.1.evil.example"] {
        assert_eq!(status(foreign), 404, "{foreign}");
    }
    let refused = Client::new(&http, Some("evil.example")).get("/").json();
    assert!(refused["error"]["message"].as_str().unwrap().contains("`--host NAME`"), "{refused}");
    assert!(refused.get("answering").is_none(), "{refused}");
}

#[test]
fn what_cannot_be_served_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).expect("a write");
        file
    };
    let core = refused(&file("core.wasm", b"\0asm\x01\0\0\0"));
    assert!(core.contains("core.wasm cannot be run") && core.contains("a core WebAssembly module"), "{core}");
    let command_component =
        wat::parse_str(r#"(component (instance $run) (export "wasi:cli/run@0.2.0" (instance $run)))"#);
    let other = refused(&file("command.wasm", &command_component.expect("a component")));
    assert!(other.contains("wasi:http/incoming-handler") && other.contains("wasi:cli/run"), "{other}");
    let text = refused(&file("page.wasm", b"<!doctype html>"));
    assert!(text.contains("this is text"), "{text}");
    let none = refused(&folder.path().join("none.wasm"));
    assert!(none.contains("there is no file") && none.contains("sampan dev"), "{none}");
    let a_folder = refused(folder.path());
    assert!(a_folder.contains("is a folder") && a_folder.contains("`sampan dev "), "{a_folder}");
    let stores = wait_for("a refusal", || {
        let output = command(&["run", guest("probe").to_str().expect("a path"), "--http", &free_address()]).output();
        Some(output.expect("the program starts"))
    });
    let said = String::from_utf8_lossy(&stores.stderr);
    assert!(said.contains("wasi:keyvalue") && said.contains("--store"), "{said}");
}
