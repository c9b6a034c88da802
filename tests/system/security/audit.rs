//! The audit log: who asked for what, when, and how it ended, and nothing of what is secret.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::Value;

use crate::sampan::{Sampan, succeed, wait_for};

/// The fields of an `Event` of `audit.k8s.io/v1`.
const FIELDS: [&str; 16] = [
    "kind",
    "apiVersion",
    "level",
    "auditID",
    "stage",
    "requestURI",
    "verb",
    "user",
    "sourceIPs",
    "userAgent",
    "objectRef",
    "responseStatus",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "annotations",
    "authenticationMetadata",
];

fn events(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("an audit log");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Waits for an event of this verb, resource, stage and user.
fn event(file: &Path, verb: &str, resource: &str, stage: &str, user: &str) -> Value {
    wait_for(&format!("{verb} {resource} {stage} by {user}"), || {
        events(file).into_iter().find(|event| {
            let about =
                event["objectRef"]["resource"].as_str().unwrap_or_else(|| event["requestURI"].as_str().expect("a URI"));
            event["verb"] == verb && about == resource && event["stage"] == stage && event["user"]["username"] == user
        })
    })
}

#[test]
fn who_asks_the_api_and_the_registry_for_what_is_written_without_what_is_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data_dir, log) = (folder.path().join("data"), folder.path().join("audit.log"));
    let log_flag = log.to_str().expect("a path in UTF-8");
    let sampan = Sampan::up_with(&data_dir, &["--audit-log", log_flag, "--audit-log-maxsize", "1"]);
    let made = ["api/pull-token", "api/push-token"].map(|name| data_dir.join(name));
    wait_for("all of it is set up", || made.iter().all(|file| file.exists()).then_some(()));
    let token = |name: &str| fs::read_to_string(data_dir.join("api").join(name)).expect("a token").trim().to_owned();
    let kubeconfig = fs::read_to_string(sampan.kubeconfig()).expect("a kubeconfig");
    let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: "));
    let server = server.expect("the server").trim_matches('"').to_owned();
    let curl = |token: &str, args: &[&str], path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "-H", &format!("Authorization: Bearer {token}"), "-A", "curl/test"]).args(args);
        succeed("curl", curl.arg(format!("{server}{path}")).output().expect("curl"))
    };

    sampan.kubectl_ok(&["create", "secret", "generic", "sesame", "--from-literal=key=opensesame"]);
    sampan.kubectl_ok(&["get", "secret", "sesame", "-o", "yaml"]);
    let wrong = "{\"metadata\":{\"name\":\"other\"},\"stringData\":{\"key\":{\"opensesame\":[\"opensesame\"]}}}";
    curl(
        &token("token"),
        &["-X", "POST", "-d", wrong, "-H", "Content-Type: application/json"],
        "/api/v1/namespaces/default/secrets",
    );
    sampan.kubectl_ok(&["delete", "secret", "sesame"]);
    curl(&token("token"), &[], "/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=1");
    curl(&"0".repeat(64), &[], &format!("/api/v1/nodes?access_token={}", token("token")));
    curl(&token("pull-token"), &[], "/v2/shop/cart/manifests/v1");
    curl(&token("pull-token"), &["-X", "DELETE"], "/v2/shop/cart/manifests/v1");
    let made = sampan.cli_ok(&["token", "create"]);

    let admin = "sampan:admin";
    let created = event(&log, "create", "secrets", "ResponseComplete", admin);
    assert_eq!(created["objectRef"]["name"], "sesame");
    assert_eq!(
        (&created["objectRef"]["namespace"], &created["responseStatus"]["code"]),
        (&"default".into(), &201.into())
    );
    assert_eq!(created["annotations"]["authorization.k8s.io/decision"], "allow");
    assert_eq!(created["sourceIPs"][0], "127.0.0.1");
    assert!(created["userAgent"].as_str().expect("an agent").contains("kubectl"), "{created}");
    let received = event(&log, "create", "secrets", "RequestReceived", admin);
    assert_eq!(received["auditID"], created["auditID"]);
    assert!(received["responseStatus"].is_null());
    event(&log, "get", "secrets", "ResponseComplete", admin);
    event(&log, "delete", "secrets", "ResponseComplete", admin);
    let started = event(&log, "watch", "pods", "ResponseStarted", admin);
    let watched = event(&log, "watch", "pods", "ResponseComplete", admin);
    assert_eq!(started["auditID"], watched["auditID"]);
    let denied = event(&log, "list", "nodes", "ResponseComplete", "system:anonymous");
    assert_eq!(
        (&denied["responseStatus"]["code"], &denied["responseStatus"]["reason"]),
        (&401.into(), &"Unauthorized".into())
    );
    assert_eq!(denied["requestURI"], "/api/v1/nodes?access_token=REDACTED");
    let pulled = event(&log, "get", "repositories", "ResponseComplete", "sampan:pull");
    assert_eq!(
        (&pulled["objectRef"]["name"], &pulled["objectRef"]["subresource"]),
        (&"shop/cart".into(), &"manifests".into())
    );
    let forbidden = event(&log, "delete", "repositories", "ResponseComplete", "sampan:pull");
    assert_eq!(forbidden["annotations"]["authorization.k8s.io/decision"], "forbid");
    let made_by = event(&log, "create", "tokens", "ResponseComplete", admin);
    assert_eq!(made_by["objectRef"]["name"], made.split('.').nth(1).expect("a token"));

    for event in events(&log) {
        let fields = event.as_object().expect("an object");
        assert!(fields.keys().all(|key| FIELDS.contains(&key.as_str())), "{event}");
        assert_eq!((&event["kind"], &event["apiVersion"]), (&"Event".into(), &"audit.k8s.io/v1".into()));
        assert_eq!(event["level"], "Metadata");
        for time in ["requestReceivedTimestamp", "stageTimestamp"] {
            let time = event[time].as_str().expect("a time");
            assert!(time.len() == "2026-01-31T23:59:59.123456Z".len() && time.ends_with('Z'), "{event}");
        }
    }
    let text = fs::read_to_string(&log).expect("an audit log");
    assert!(!text.contains("opensesame"), "a Secret's content is in the audit log");
    for name in ["token", "pull-token", "push-token"] {
        assert!(!text.contains(&token(name)), "the {name} is in the audit log");
    }
    assert_eq!(fs::metadata(&log).expect("a file").permissions().mode() & 0o777, 0o600);

    // A megabyte further, there are two files.
    let long = "x".repeat(3000);
    for _ in 0..200 {
        curl(&token("token"), &[], &format!("/version?a={long}"));
    }
    wait_for("the log is rotated", || {
        let names = fs::read_dir(folder.path()).expect("the folder");
        let rotated = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let rotated: Vec<_> = rotated.filter(|name| name.starts_with("audit-") && name.ends_with(".log")).collect();
        (!rotated.is_empty()).then_some(())
    });
    drop(sampan.end("TERM"));
    assert!(fs::read_to_string(&log).expect("an audit log").ends_with('\n'));
}

#[test]
fn a_file_that_cannot_be_written_keeps_the_server_from_starting_and_says_which() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command =
        crate::sampan::command(&["up", "--audit-log", "/dev/full", "--http", &crate::sampan::free_address()]);
    command.args(["--api", &crate::sampan::free_address(), "--data-dir"]).arg(folder.path().join("data"));
    let output = command.output().expect("the sampan program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("/dev/full"), "{said}");
}

#[test]
fn who_joined_was_refused_and_was_revoked_is_noted_and_what_is_lost_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (logs, offered) = (folder.join("logs"), crate::sampan::free_address());
    fs::create_dir(&logs).expect("a folder");
    let log = logs.join("audit.log");
    let flags = ["--audit-log", log.to_str().expect("UTF-8"), "--metrics", &offered];
    let cluster = crate::failures::Cluster::start(folder, 1, &flags);
    let text = fs::read_to_string(folder.join("token")).expect("a token");
    let parts: Vec<_> = text.trim().split('.').collect();
    let by = format!("sampan:join-token:{}", parts[1]);
    let joined = wait_for("the join is noted", || {
        let all = events(&log);
        all.into_iter().find(|it| it["user"]["username"] == *by && it["annotations"]["sampan.dev/name"] == "w1")
    });
    assert_eq!(
        (joined["verb"].as_str(), joined["objectRef"]["resource"].as_str()),
        (Some("create"), Some("certificates"))
    );
    assert_eq!(joined["annotations"]["sampan.dev/role"], "worker");
    assert_eq!(joined["sourceIPs"][0], "127.0.0.1");
    for field in joined.as_object().expect("an object").keys() {
        assert!(FIELDS.contains(&field.as_str()), "{field}");
    }
    let serial = joined["objectRef"]["name"].as_str().expect("a serial number").to_owned();

    // A token that is used up lets nobody in.
    let mut late = crate::sampan::Role::start(crate::failures::worker_command(folder, &cluster.sessions, "late"));
    assert!(!late.ended().success());
    let refused = wait_for("the refused join is noted, with its token", || {
        let all = events(&log);
        all.into_iter().find(|it| it["user"]["username"] == *by && it["responseStatus"]["code"] == 403)
    });
    assert_eq!(
        (refused["responseStatus"]["code"].as_u64(), &refused["annotations"]["sampan.dev/name"]),
        (Some(403), &"late".into())
    );
    cluster.cli(&["certificate", "rotate"]);
    let renewed = event(&log, "update", "certificates", "ResponseComplete", "sampan:worker:w1");
    assert_ne!(renewed["objectRef"]["name"], *serial);
    cluster.cli(&["certificate", "revoke", "worker/w1"]);
    let revoked = wait_for("it is noted who was revoked", || {
        events(&log).into_iter().find(|it| it["verb"] == "delete" && it["objectRef"]["name"] == *serial)
    });
    assert_eq!(revoked["user"]["username"], "sampan:admin");
    assert!(!fs::read_to_string(&log).expect("an audit log").contains(parts[2]), "the token's secret is not in it");

    let lost = || {
        let text = crate::client::Client::new(&offered, None).get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix("sampan_audit_events_lost_total "));
        line.expect("it is counted").parse::<u64>().expect("a number")
    };
    assert_eq!(lost(), 0);
    fs::remove_dir_all(&logs).expect("it is removed");
    wait_for("what is lost is counted", || {
        cluster.cli(&["get", "nodes"]);
        (lost() > 0).then_some(())
    });
}
