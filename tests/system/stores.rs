use std::fs;

use crate::{
    client::Client,
    kubectl::deploy_probe,
    redis::{PASSWORD, Redis},
    sampan::{Sampan, command},
};

const HOST: &str = "probe.default.localhost";

#[test]
fn what_guests_store_is_in_redis_whoever_runs_them_and_its_password_is_shown_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = Redis::start(folder.path());
    let data_dir = folder.path().join("data");
    let flags = ["--key-value-file", redis.url_file()];
    let sampan = Sampan::server_with(&data_dir, 1, &flags);
    deploy_probe(&sampan);
    let client = Client::new(&sampan.http, Some(HOST));
    assert_eq!(client.put_text("/kv/default/greeting", "hello").status, 200);
    assert_eq!(redis.ask(&["HGET", "sampan:{default/default}:values", "greeting"]), "hello");
    assert!(!data_dir.join("keyvalue.redb").exists(), "nothing is kept beside it");
    let shown = command_lines().into_iter().filter(|line| line.contains("sampan") && line.contains(PASSWORD));
    assert_eq!(shown.collect::<Vec<_>>(), Vec::<String>::new());
    assert!(!sampan.output().contains(PASSWORD), "{}", sampan.output());
    drop(sampan);

    let sampan = Sampan::up_with(&data_dir, &flags);
    crate::sampan::wait_for("the guest runs again", || {
        let client = Client::new(&sampan.http, Some(HOST));
        client.try_get("/kv/default/greeting").is_ok_and(|answer| answer.body == "hello").then_some(())
    });
}

fn command_lines() -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("proc").filter_map(Result::ok);
    let line = |process: fs::DirEntry| fs::read(process.path().join("cmdline")).ok();
    processes.filter_map(line).map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
}

#[test]
fn an_address_of_a_store_that_cannot_be_used_ends_the_start_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |flags: &[&str], why: &str| {
        for serve in [&["up"][..], &["server"], &["worker", "--join", "unix:/nowhere"]] {
            let output = command(serve).args(flags).arg("--data-dir").arg(folder.path()).output().expect("it starts");
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && words.contains(why), "{serve:?} {flags:?}: {words}");
            assert!(!words.contains(PASSWORD), "{words}");
        }
    };
    let url = format!("http://:{PASSWORD}@localhost");
    refused(&["--key-value", &url], "redis://[USER:PASSWORD@]HOST");
    refused(&["--key-value-file", "/nonexistent"], "it was named with --key-value-file");
    refused(&["--key-value", "redis://localhost", "--key-value-ca", "/etc/hostname"], "goes with rediss://");
    refused(&["--key-value", "rediss://localhost", "--key-value-ca", "/etc/hostname"], "holds no certificate");
    refused(&["--key-value-ca", "/etc/hostname"], "is for a store that");
    refused(&["--key-value", "redis://localhost", "--key-value-file", "/etc/hostname"], "leave one away");
}
