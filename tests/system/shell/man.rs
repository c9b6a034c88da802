use std::process::Command;

use crate::sampan::{command, succeed};

#[test]
fn every_command_has_a_man_page_that_man_can_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("new/man1");
    let made = command(&["man", "--out", out.to_str().expect("UTF-8")]).output().expect("it starts");
    succeed("sampan man", made);
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    for name in ["sampan.1", "sampan-get.1", "sampan-rollout-undo.1", "sampan-completion.1", "sampan-images-prune.1"] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("compile-server") || name.contains("pull-process")), "{names:?}");
    if Command::new("man").arg("--version").output().is_err() {
        eprintln!("man is not installed: the pages are not shown");
        return;
    }
    for name in names {
        let shown = Command::new("man").env("MANWIDTH", "80").arg("--warnings").arg(out.join(&name)).output();
        let shown = shown.expect("man starts");
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.status.success() && text.contains("SYNOPSIS"), "{name}: {shown:?}");
        assert_eq!(String::from_utf8_lossy(&shown.stderr), "", "{name} has no warnings");
    }
}
