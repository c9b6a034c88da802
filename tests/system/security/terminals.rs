//! What guests and others write is shown on a terminal without being obeyed by it.

use std::process::{Command, Stdio};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{Sampan, command, succeed, wait_for},
};

/// What the command prints when its standard output and error are a terminal.
fn on_a_terminal(sampan: &Sampan, args: &[&str]) -> String {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
    let plain = command(args);
    let words =
        std::iter::once(plain.get_program()).chain(plain.get_args()).map(|word| quoted(&word.to_string_lossy()));
    let line = words.chain(["--data-dir".to_owned(), quoted(&sampan.data_dir.to_string_lossy())]);
    let mut terminal = Command::new("script");
    terminal.args(["-q", "-e", "-c", &line.collect::<Vec<_>>().join(" "), "/dev/null"]);
    let shown = terminal.env_remove("KUBECONFIG").stdin(Stdio::null()).output().expect("script(1) starts");
    String::from_utf8(shown.stdout).expect("a terminal is sent whole characters")
}

#[test]
fn controls_that_guests_write_are_escaped_on_a_terminal_and_left_to_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    // Clears the screen, by two ways; turns text around; sets the title; ends in half a character.
    let message = "%1b%5b2Jforged%c2%9b2J%e2%80%aetxt.exe%1b%5d0;title%07%7f%e2%82";
    assert_eq!(client.get(&format!("/stdout?msg={message}")).status, 200);
    let raw = wait_for("the line is in the log", || {
        let logs = sampan.kubectl_ok(&["logs", "-l", "app=probe", "--tail=-1"]);
        logs.contains("forged").then_some(logs)
    });
    assert!(raw.contains("\u{1b}[2Jforged\u{9b}2J\u{202e}txt.exe\u{1b}]0;title\u{7}\u{7f}"), "{raw:?}");

    let logs = ["logs", "-l", "app=probe"];
    let shown = on_a_terminal(&sampan, &logs);
    let escaped = "\\u001b[2Jforged\\u009b2J\\u202etxt.exe\\u001b]0;title\\u0007\\u007f";
    assert!(shown.contains(escaped), "{shown:?}");
    let obeyed = |c: &char| !matches!(c, '\r' | '\n' | '\t') && (c.is_control() || *c == '\u{202e}');
    assert_eq!(shown.chars().find(obeyed), None, "{shown:?}");
    // A pipe is read by a program, which wants the bytes.
    assert!(succeed("sampan logs", sampan.cli(&logs)).contains("\u{1b}[2Jforged"));

    // Errors quote what is not theirs, too.
    let shown = on_a_terminal(&sampan, &["inspect", "\u{1b}[2J\u{202e}.wasm"]);
    assert!(shown.contains("\\u001b[2J\\u202e.wasm") && !shown.chars().any(|c| obeyed(&c)), "{shown:?}");
}
