use kube_api::kind::{DEPLOYMENT, EVENT, POD, PRIORITY_CLASS, REPLICA_SET};
use serde_json::{Value, json};

use super::cluster::{Cluster, eventually};
use crate::testing::{deployment, pod_template};

fn class(name: &str, value: i32) -> Value {
    json!({ "metadata": { "name": name }, "value": value, "preemptionPolicy": "PreemptLowerPriority" })
}

/// A Deployment of one replica that takes all of a worker, or what is left of it.
fn filling(name: &str, class: Option<&str>, cpu: &str) -> Value {
    let mut template = pod_template(name);
    template["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": cpu } });
    if let Some(class) = class {
        template["spec"]["priorityClassName"] = json!(class);
    }
    deployment(name, 1, 1, template)
}

async fn pod_of(cluster: &Cluster, name: &str) -> Option<Value> {
    let pods = cluster.all(&cluster.live, POD).await;
    pods.into_iter().find(|pod| pod["metadata"]["labels"]["app"] == name)
}

async fn priority_of(cluster: &Cluster, name: &str) -> Value {
    let pod = eventually("its pod is there", async || pod_of(cluster, name).await).await;
    json!([pod["spec"]["priorityClassName"], pod["spec"]["priority"], pod["spec"]["preemptionPolicy"]])
}

#[tokio::test]
async fn a_pod_says_the_priority_of_its_class() {
    let cluster = Cluster::start();
    cluster.put(PRIORITY_CLASS, &class("high", 1000)).await;
    let mut never = class("patient", 7);
    never["preemptionPolicy"] = json!("Never");
    cluster.put(PRIORITY_CLASS, &never).await;
    cluster.put(DEPLOYMENT, &filling("a", Some("high"), "1")).await;
    cluster.put(DEPLOYMENT, &filling("b", Some("patient"), "1")).await;
    cluster.put(DEPLOYMENT, &filling("c", None, "1")).await;
    assert_eq!(priority_of(&cluster, "a").await, json!(["high", 1000, "PreemptLowerPriority"]));
    assert_eq!(priority_of(&cluster, "b").await, json!(["patient", 7, "Never"]));
    assert_eq!(priority_of(&cluster, "c").await, json!([null, 0, "PreemptLowerPriority"]));
    cluster.stop().await;
}

#[tokio::test]
async fn a_default_class_is_for_what_comes_after_it_also_over_a_restart() {
    let cluster = Cluster::start();
    cluster.put(DEPLOYMENT, &filling("before", None, "1")).await;
    assert_eq!(priority_of(&cluster, "before").await[1], 0);
    let mut default = class("usual", 10);
    default["globalDefault"] = json!(true);
    cluster.put(PRIORITY_CLASS, &default).await;
    cluster.put(DEPLOYMENT, &filling("after", None, "1")).await;
    assert_eq!(priority_of(&cluster, "after").await, json!(["usual", 10, "PreemptLowerPriority"]));
    eventually("both revisions are stored", async || {
        (cluster.all(&cluster.store, REPLICA_SET).await.len() == 2).then_some(())
    })
    .await;
    let store = cluster.stop().await;
    store.delete(PRIORITY_CLASS.cluster_key("usual"));
    let cluster = Cluster::over(store);
    let _worker = cluster.worker("worker-0", Vec::new());
    assert_eq!(priority_of(&cluster, "before").await[1], 0);
    assert_eq!(priority_of(&cluster, "after").await, json!(["usual", 10, "PreemptLowerPriority"]));
    cluster.stop().await;
}

#[tokio::test]
async fn a_pod_of_a_higher_class_takes_the_room_of_a_lower_one_and_events_say_so() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    cluster.put(PRIORITY_CLASS, &class("high", 1000)).await;
    cluster.put(DEPLOYMENT, &filling("low", None, "40")).await;
    let is_ready = |pod: &Value| pod["status"]["conditions"][3]["status"] == "True";
    let ready = async |name: &str| pod_of(&cluster, name).await.filter(is_ready);
    let low = eventually("the first runs", async || ready("low").await).await;
    cluster.put(DEPLOYMENT, &filling("high", Some("high"), "40")).await;
    let high = eventually("the second runs in its room", async || ready("high").await).await;
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(worker.running().len(), 1);
    let events = cluster.all(&cluster.live, EVENT).await;
    let said = |of: &str, reason: &str| {
        let found = events.iter().find(|event| event["involvedObject"]["name"] == of && event["reason"] == reason);
        found.unwrap_or_else(|| panic!("{reason} of {of}: {events:?}"))["message"].as_str().unwrap().to_owned()
    };
    let preempted = format!("Preempted by default/{} on worker worker-0", name(&high));
    assert_eq!(said(&name(&low), "Preempted"), preempted);
    assert_eq!(said("low", "Preempted"), format!("Pod {}: {preempted}", name(&low)));
    assert!(said(&name(&high), "Preempting").contains(&name(&low)));
    cluster.stop().await;
}
