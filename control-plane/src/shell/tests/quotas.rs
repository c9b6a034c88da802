use kube_api::kind::{EVENT, NAMESPACE};
use serde_json::{Value, json};

use super::cluster::{Cluster, eventually};

async fn told(cluster: &Cluster, namespace: &str, quota: &str) -> Option<Value> {
    let mut events = cluster.all(&cluster.live, EVENT).await;
    events.retain(|event| {
        event["metadata"]["namespace"] == namespace && event["message"].as_str().is_some_and(|why| why.contains(quota))
    });
    assert!(events.len() <= 1, "one for each quota: {events:?}");
    events.pop()
}

#[tokio::test(start_paused = true)]
async fn what_a_quota_refuses_is_one_event_of_its_namespace_that_counts_and_says_how_it_stands() {
    let cluster = Cluster::start();
    for name in ["default", "shop"] {
        cluster.put(NAMESPACE, &json!({ "metadata": { "name": name, "uid": format!("uid-of-{name}") } })).await;
    }
    let quotas = cluster.measurements.refusals().quotas().clone();
    // The namespaces are known, or it is told of again.
    let of_shop = eventually("the namespace has the event", async || {
        quotas.note("key-value bytes", "shop", "1001 of 1000 bytes");
        told(&cluster, "shop", "of 1000 bytes").await
    })
    .await;
    assert_eq!((&of_shop["reason"], &of_shop["type"]), (&json!("QuotaExceeded"), &json!("Warning")));
    assert_eq!(of_shop["involvedObject"]["kind"], "Namespace");
    assert_eq!(
        (&of_shop["involvedObject"]["name"], &of_shop["involvedObject"]["uid"]),
        (&json!("shop"), &json!("uid-of-shop"))
    );
    for bytes in 1002..1012 {
        quotas.note("key-value bytes", "shop", &format!("{bytes} of 1000 bytes"));
        quotas.note("registry bytes", &format!("nobody-{bytes}"), &format!("nobody-{bytes} has too much"));
    }
    let again =
        eventually("the same event says what was last", async || told(&cluster, "shop", "1011 of 1000 bytes").await)
            .await;
    assert_eq!(again["metadata"]["name"], of_shop["metadata"]["name"]);
    let count = |event: &Value| event["count"].as_u64().unwrap();
    assert!(count(&again) >= count(&of_shop) + 10, "{again}");
    let of_others = eventually("owners that are no namespace are told of together", async || {
        told(&cluster, "default", "has too much").await.filter(|event| count(event) == 10)
    })
    .await;
    assert!(of_others["message"].as_str().unwrap().contains("nobody-1011"), "{of_others}");
    cluster.stop().await;
}
