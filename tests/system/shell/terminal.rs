use std::{path::Path, process::Command};

use super::with_hello_and_broken;
use crate::sampan::command;

/// What a command prints on a terminal of so many columns, with these variables.
fn on_terminal(data_dir: &Path, columns: u16, variables: &[(&str, &str)], args: &[&str]) -> String {
    let program = command(args);
    let words: Vec<String> = std::iter::once(program.get_program())
        .chain(program.get_args())
        .map(|word| format!("'{}'", word.to_str().expect("UTF-8")))
        .collect();
    // A shell that looks at the terminal's size sets COLUMNS itself.
    let set: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let line = format!(
        "stty rows 24 cols {columns} && env -u COLUMNS {} {} --data-dir '{}'",
        set.join(" "),
        words.join(" "),
        data_dir.display()
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env_remove("NO_COLOR").env_remove("CLICOLOR");
    script.env("TERM", "xterm").env_remove("KUBECONFIG");
    let output = script.output().expect("`script` of util-linux starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

#[test]
fn what_is_shown_fits_in_eighty_columns_and_has_colours_only_where_they_are_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    // Words that are longer than a line stay whole: an address may be copied.
    let is_one_word = |line: &str| !line.trim().contains(' ');
    for args in [&["events"][..], &["get", "events"], &["status"], &["describe", "deployment", "broken"], &["images"]] {
        for (columns, variables) in [(80, &[][..]), (200, &[("COLUMNS", "80")])] {
            let shown = on_terminal(folder.path(), columns, &[&[("NO_COLOR", "1")], variables].concat(), args);
            let wide: Vec<&str> =
                shown.lines().filter(|line| line.chars().count() > 80 && !is_one_word(line)).collect();
            assert!(wide.is_empty(), "{args:?} at {columns}:\n{}", wide.join("\n"));
        }
    }
    let coloured =
        |variables: &[(&str, &str)]| on_terminal(folder.path(), 80, variables, &["status"]).contains('\u{1b}');
    assert!(coloured(&[]), "a terminal has colours");
    for variables in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        assert!(!coloured(&[variables]), "{variables:?}");
    }
    assert!(!sampan.cli_ok(&["status"]).contains('\u{1b}'), "a pipe has none");
}

#[test]
fn help_fits_in_eighty_columns() {
    for words in [
        &["help"][..],
        &["help", "top"],
        &["help", "get"],
        &["help", "describe"],
        &["help", "events"],
        &["help", "status"],
    ] {
        let output = command(words).env("COLUMNS", "80").output().expect("it starts");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && help.contains("EXAMPLES:"), "{words:?}");
        let (before, _) = help.split_once("EXAMPLES:").expect("examples");
        assert!(before.lines().all(|line| line.chars().count() <= 80), "{words:?}:\n{before}");
    }
}
