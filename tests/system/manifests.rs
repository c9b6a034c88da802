//! Manifests in the shape of well-known ones, by the real kubectl, with only their image changed.

use serde_json::Value;

use crate::{
    client::Client,
    sampan::{Sampan, guest, root, wait_for},
};

/// What is in a file of the samples, the Deployments that it makes, and a Service that answers.
const SETS: [(&str, usize, &str); 4] =
    [("guestbook", 3, "frontend"), ("boutique", 11, "frontend"), ("autoscaling", 1, "busy"), ("canary", 2, "shop")];

#[test]
fn manifests_in_the_shape_of_well_known_ones_run_and_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    sampan.cli_ok(&["build", guest("hello").to_str().expect("UTF-8"), "-t", "hello:dev"]);
    for (set, count, service) in SETS {
        let file = root().join(format!("samples/kubernetes/{set}.yaml"));
        sampan.kubectl_ok(&["create", "namespace", set]);
        sampan.kubectl_ok(&["apply", "-n", set, "-f", file.to_str().expect("UTF-8")]);
        wait_for(&format!("all of {set} is ready"), || {
            let listed = sampan.kubectl_ok(&["get", "deployments", "-n", set, "-o", "json"]);
            let listed: Value = serde_json::from_str(&listed).expect("JSON");
            let deployments = listed["items"].as_array().expect("a list");
            let is_ready = |one: &&Value| one["status"]["readyReplicas"] == one["spec"]["replicas"];
            (deployments.iter().filter(is_ready).count() == count).then_some(())
        });
        let client = Client::new(&sampan.http, Some(&format!("{service}.{set}.localhost")));
        wait_for(&format!("{service} of {set} answers"), || (client.get("/").status == 200).then_some(()));
        // Applied again, nothing of it is otherwise than it was.
        let again = sampan.kubectl_ok(&["apply", "-n", set, "-f", file.to_str().expect("UTF-8")]);
        assert!(!again.contains("configured") && !again.contains("created"), "{again}");
        sampan.kubectl_ok(&["delete", "namespace", set, "--timeout=120s"]);
    }
}
