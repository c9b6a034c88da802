//! A second installation on one machine, as `sampan help up` shows it.

use std::process::Stdio;

use crate::{
    client::Client,
    sampan::{Role, Sampan, command, free_address, guest, root, succeed, wait_for},
};

#[test]
fn the_example_of_a_second_installation_runs_beside_the_first_one_and_each_has_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Sampan::up(&folder.path().join("first"));
    let help = succeed("sampan help up", command(&["help", "up"]).output().expect("the sampan program starts"));
    let example = help.lines().find(|line| line.contains("--data-dir ./state")).expect("an example");
    let (http, api) = (free_address(), free_address());
    // Other tests and users of the machine may have its ports, which stand for any that are free.
    let example = example.trim().replace("127.0.0.1:8081", &http).replace("127.0.0.1:7444", &api);
    let words: Vec<&str> = example.split("   ").next().unwrap_or_default().split(' ').skip(1).collect();
    assert_eq!(words.first(), Some(&"up"), "{example}");
    let mut second = command(&words);
    second.current_dir(folder.path()).stderr(Stdio::piped());
    let second = Role::start(second);
    second.wait_for_output("is up");
    let of_second = |args: &[&str]| {
        let mut command = command(args);
        command.current_dir(folder.path()).args(["--data-dir", "./state"]);
        succeed(&args.join(" "), command.output().expect("the sampan program starts"))
    };
    let (component, manifest) = (guest("hello").display().to_string(), root().join("samples/hello/deploy"));
    of_second(&["build", &component, "-t", "hello:dev"]);
    of_second(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    of_second(&["rollout", "status", "deployment/hello"]);
    let asked =
        |http: &str| Client::new(http, Some("hello.default.localhost")).try_get("/").map(|answer| answer.status);
    wait_for("the second one serves", || asked(&http).is_ok_and(|status| status == 200).then_some(()));
    assert!(asked(&first.http).is_ok_and(|status| status == 404));
    assert!(!first.cli_ok(&["get", "deployments"]).contains("hello"));
}
