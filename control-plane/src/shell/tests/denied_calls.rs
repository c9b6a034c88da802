use api::{
    ObjectKey, Refused,
    session::{Denied, DeniedCalls, GatewaySide, GatewayUp},
};
use kube_api::kind::{DEPLOYMENT, NAMESPACE, SERVICE};
use serde_json::json;

use super::cluster::{Cluster, eventually};
use crate::testing::{deployment, pod_template, service};

async fn says(session: &GatewaySide, calls: Vec<(Denied, u64)>) {
    let calls = calls.into_iter().map(|(to, count)| DeniedCalls { to, count }).collect();
    session.tx.send(GatewayUp::DeniedCalls(calls)).await.unwrap();
}

fn to(service: &str) -> Denied {
    Denied::Service(ObjectKey::new("default", service))
}

fn outside(namespace: &str) -> Denied {
    Denied::Outside { namespace: namespace.to_owned() }
}

#[tokio::test]
async fn denied_calls_are_counted_of_all_processes_and_of_nothing_that_they_were_not_told() {
    let cluster = Cluster::start();
    let counted = || {
        let counts = cluster.measurements.refused(Refused::Call);
        counts.into_iter().map(|count| (count.reason, count.name, count.count)).collect::<Vec<_>>()
    };
    for name in ["default", "shop"] {
        cluster.put(NAMESPACE, &json!({ "metadata": { "name": name, "uid": name } })).await;
    }
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    let mut gateway = cluster.gateway();
    eventually("the gateway knows the Service", async || {
        gateway.take();
        gateway.routes.keys().next().cloned()
    })
    .await;
    let _worker = cluster.worker("worker-0", Vec::new());
    let router = cluster.router("worker-0");
    says(&router, vec![(to("hello"), 100), (outside("default"), 100)]).await;
    eventually("a worker without guests is refused", async || cluster.peers.refused().pop()).await;
    assert_eq!(counted(), [], "nothing of it counts");

    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    gateway.has("hello", 1).await;
    says(&router, vec![(to("nobody"), 7), (outside("shop"), 7), (outside("default"), 2), (to("hello"), 3)]).await;
    let by_worker = [("outside", "default".to_owned(), 2), ("service", "default/hello".to_owned(), 3)];
    eventually("what its guests called is counted", async || (counted() == by_worker).then_some(())).await;

    says(&gateway.side, vec![(outside("nobody"), 7), (to("nobody"), 7), (outside("shop"), 1), (to("hello"), 4)]).await;
    let by_both = [
        ("outside", "default".to_owned(), 2),
        ("outside", "shop".to_owned(), 1),
        ("service", "default/hello".to_owned(), 7),
    ];
    eventually("what a gateway says is added", async || (counted() == by_both).then_some(())).await;
    cluster.stop().await;
}
