use serde_json::Value;

use super::{refusal, with_hello_and_broken};
use crate::{
    kubectl::with_hello,
    sampan::{command, wait_for},
};

#[test]
fn status_says_on_one_screen_that_all_is_well_or_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    let status = sampan.cli_ok(&["status"]);
    for part in
        ["Server ", " at https://", "Workers", "Ready", "Apps", "default     hello", "1/1", "default     broken", "0/2"]
    {
        assert!(status.contains(part), "{part} is missing in:\n{status}");
    }
    assert!(status.contains("default/broken: 0 of 2 replicas ready: ErrImagePull"), "{status}");
    assert!(status.contains("next: sampan describe deployment broken"), "{status}");
    assert!(status.lines().count() < 25, "it is one screen: {status}");
    // The next command is one that runs.
    let next = sampan.cli_ok(&["status", "-o", "jsonpath={.problems[0].next}"]);
    let words: Vec<&str> = next.split(' ').skip(1).collect();
    assert!(sampan.cli_ok(&words).contains("Not ready"));
}

#[test]
fn status_of_a_server_that_is_well_says_so_and_that_of_none_says_how_to_start_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());
    wait_for("all is well", || sampan.cli_ok(&["status"]).contains("All is well.").then_some(()));
    let value: Value = serde_json::from_str(&sampan.cli_ok(&["status", "-o", "json"])).expect("JSON");
    assert_eq!(value["apps"][0]["ready"], 1, "{value}");
    assert_eq!(value["problems"], serde_json::json!([]));
    let data_dir = folder.path().to_str().expect("UTF-8").to_owned();
    sampan.kill();
    let gone = refusal(&command(&["status", "--data-dir", &data_dir]).output().expect("it starts"));
    assert!(gone.contains("no Sampan at https://") && gone.contains("sampan up"), "{gone}");
    let never = refusal(&command(&["status", "--data-dir", "/nonexistent"]).output().expect("it starts"));
    assert!(never.contains("no Sampan has run here") && never.contains("sampan up"), "{never}");
}
