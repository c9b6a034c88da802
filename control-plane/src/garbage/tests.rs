use std::sync::Arc;

use api::Timestamp;
use bytes::Bytes;
use kube_api::finalizers::{FOREGROUND, ORPHAN, mark_deleted};
use serde_json::{Value, json};
use store::{MemoryStore, Op, Store, StoreError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::run;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

struct World {
    durable: MemoryStore,
    live: MemoryStore,
    stop: CancellationToken,
    collector: JoinHandle<Result<(), StoreError>>,
}

impl World {
    fn start() -> Self {
        let new = || MemoryStore::new(Timestamp::from_secs(1));
        let (durable, live, stop) = (new(), new(), CancellationToken::new());
        let collector = tokio::spawn(run(Arc::new(durable.clone()), Arc::new(live.clone()), stop.clone()));
        Self { durable, live, stop, collector }
    }

    fn put(&self, name: &str, owners: &[Value]) {
        self.durable.put(config_map(name), object(name, owners));
    }

    fn delete(&self, name: &str) {
        self.durable.delete(config_map(name));
    }

    /// Deletes as the API does where it is to wait.
    async fn mark(&self, name: &str, finalizer: &str) {
        self.change(&config_map(name), |value| mark_deleted(value, Some(finalizer), "2026-01-01T00:00:00Z")).await;
    }

    /// Writes the finalizers of an object.
    async fn finalizers(&self, name: &str, finalizers: &[&str]) {
        self.change(&config_map(name), |value| value["metadata"]["finalizers"] = json!(finalizers)).await;
    }

    async fn change(&self, key: &str, change: impl FnOnce(&mut Value)) {
        let held = self.durable.get(key).await.unwrap().unwrap();
        let mut value: Value = serde_json::from_slice(&held.value).unwrap();
        change(&mut value);
        let put = vec![Op::Put(key.to_owned(), Bytes::from(value.to_string()))];
        self.durable.txn(Vec::new(), put).await.unwrap();
    }

    async fn get(&self, name: &str) -> Option<Value> {
        let held = self.durable.get(&config_map(name)).await.unwrap()?;
        Some(serde_json::from_slice(&held.value).unwrap())
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let looks = async {
            while !holds().await {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looks).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    async fn gone(&self, name: &str) {
        self.until(&format!("{name} is gone"), async || self.get(name).await.is_none()).await;
    }

    /// Everything that was told before has been judged: what is made now and owned by nobody is gone.
    async fn caught_up(&self) {
        self.put("probe", &[owner("nobody", true)]);
        self.gone("probe").await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.collector.await.unwrap().unwrap();
    }
}

fn config_map(name: &str) -> String {
    format!("core/configmaps/default/{name}")
}

fn owner(name: &str, blocks: bool) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": format!("uid-{name}"), "blockOwnerDeletion": blocks })
}

fn object(name: &str, owners: &[Value]) -> Bytes {
    let metadata =
        json!({ "name": name, "namespace": "default", "uid": format!("uid-{name}"), "ownerReferences": owners });
    Bytes::from(json!({ "metadata": metadata }).to_string())
}

#[tokio::test]
async fn what_an_object_owned_goes_after_it_and_so_on_down() {
    let world = World::start();
    world.put("a", &[]);
    world.put("b", &[owner("a", false)]);
    world.put("c", &[owner("b", true)]);
    world.caught_up().await;
    assert!(world.get("c").await.is_some());
    world.delete("a");
    world.gone("b").await;
    world.gone("c").await;
    world.end().await;
}

#[tokio::test]
async fn an_object_of_an_owner_that_never_was_or_is_another_is_collected() {
    let world = World::start();
    world.put("a", &[]);
    world.put("never", &[owner("nobody", true)]);
    let mut of_another = owner("a", true);
    of_another["uid"] = json!("uid-of-an-earlier-a");
    world.put("other", &[of_another]);
    world.gone("never").await;
    world.gone("other").await;
    world.delete("a");
    world.caught_up().await;
    world.put("late", &[owner("a", false)]);
    world.gone("late").await;
    world.end().await;
}

#[tokio::test]
async fn an_object_with_an_owner_left_stays_and_forgets_the_others() {
    let world = World::start();
    world.put("a", &[]);
    world.put("b", &[]);
    world.put("c", &[owner("a", false), owner("b", false)]);
    world.delete("a");
    world
        .until("it forgets", async || {
            let owners = world.get("c").await.unwrap()["metadata"]["ownerReferences"].clone();
            owners == json!([owner("b", false)])
        })
        .await;
    world.end().await;
}

#[tokio::test]
async fn an_owner_of_a_kind_that_is_not_served_is_not_missed() {
    let world = World::start();
    world.put("a", &[json!({ "apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "u" })]);
    world.caught_up().await;
    assert!(world.get("a").await.is_some());
    world.end().await;
}

#[tokio::test]
async fn a_deletion_in_the_foreground_waits_for_what_blocks_it() {
    let world = World::start();
    world.put("a", &[]);
    world.put("b", &[owner("a", true)]);
    world.put("c", &[owner("b", true)]);
    let pod = json!({ "metadata": { "name": "p", "namespace": "default", "uid": "uid-p", "ownerReferences": [owner("c", true)] } });
    world.live.put("core/pods/default/p".to_owned(), Bytes::from(pod.to_string()));
    world.caught_up().await;
    world.mark("a", FOREGROUND).await;
    world
        .until("all above the pod wait", async || {
            let closing =
                async |name: &str| world.get(name).await.unwrap()["metadata"]["deletionTimestamp"].is_string();
            closing("b").await && closing("c").await
        })
        .await;
    world.caught_up().await;
    assert!(world.get("a").await.is_some() && world.get("c").await.is_some());
    world.live.delete("core/pods/default/p".to_owned());
    for name in ["c", "b", "a"] {
        world.gone(name).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_deletion_in_the_foreground_waits_also_for_what_its_dependents_left_running() {
    let world = World::start();
    world.put("a", &[]);
    world.put("b", &[owner("a", true)]);
    let pod = json!({ "metadata": { "name": "p", "namespace": "default", "uid": "uid-p", "ownerReferences": [owner("b", true)] } });
    world.live.put("core/pods/default/p".to_owned(), Bytes::from(pod.to_string()));
    world.caught_up().await;
    world.mark("a", FOREGROUND).await;
    world.delete("b");
    world.caught_up().await;
    assert!(world.get("a").await.is_some());
    world.live.delete("core/pods/default/p".to_owned());
    world.gone("a").await;
    world.end().await;
}

#[tokio::test]
async fn orphans_stay_and_name_their_owner_no_more() {
    let world = World::start();
    world.put("a", &[]);
    world.put("b", &[owner("a", true)]);
    world.caught_up().await;
    world.mark("a", ORPHAN).await;
    world.gone("a").await;
    world.caught_up().await;
    assert!(world.get("b").await.unwrap()["metadata"].get("ownerReferences").is_none());
    world.end().await;
}

#[tokio::test]
async fn objects_that_own_each_other_go_in_the_foreground_too() {
    let world = World::start();
    world.put("a", &[owner("c", true)]);
    world.put("b", &[owner("a", true)]);
    world.put("c", &[owner("b", true)]);
    world.put("own", &[owner("own", true)]);
    world.caught_up().await;
    for name in ["a", "own"] {
        world.mark(name, FOREGROUND).await;
    }
    for name in ["a", "b", "c", "own"] {
        world.gone(name).await;
    }
    world.end().await;
}

#[tokio::test]
async fn what_a_finalizer_of_a_user_holds_is_marked_and_goes_once_that_is_taken_away() {
    let world = World::start();
    world.put("a", &[]);
    world.put("b", &[owner("a", false)]);
    world.finalizers("b", &["example.com/b"]).await;
    world.put("c", &[owner("b", true)]);
    world.caught_up().await;
    world.delete("a");
    world
        .until("it is marked", async || world.get("b").await.unwrap()["metadata"]["deletionTimestamp"].is_string())
        .await;
    world.caught_up().await;
    assert!(world.get("c").await.is_some(), "its owner is still there");
    // As the API does when the last one is taken away.
    world.delete("b");
    world.gone("c").await;
    world.end().await;
}

#[tokio::test]
async fn a_deletion_in_the_foreground_ends_after_the_finalizers_of_users() {
    let world = World::start();
    world.put("a", &[]);
    world.finalizers("a", &["example.com/a"]).await;
    world.put("b", &[owner("a", true)]);
    world.caught_up().await;
    world.mark("a", FOREGROUND).await;
    world.gone("b").await;
    world.caught_up().await;
    assert_eq!(world.get("a").await.unwrap()["metadata"]["finalizers"], json!(["example.com/a", FOREGROUND]));
    world.finalizers("a", &[FOREGROUND]).await;
    world.gone("a").await;
    world.end().await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_is_emptied_and_goes_with_the_last_of_what_it_holds() {
    let world = World::start();
    let namespace = "core/namespaces/default";
    world.durable.put(namespace.to_owned(), Bytes::from(json!({ "metadata": { "name": "default" } }).to_string()));
    world.put("held", &[]);
    world.finalizers("held", &["example.com/a"]).await;
    world.put("free", &[]);
    world.caught_up().await;
    world.change(namespace, |value| mark_deleted(value, None, "2026-01-01T00:00:00Z")).await;
    world.gone("free").await;
    world
        .until("it is marked", async || world.get("held").await.unwrap()["metadata"]["deletionTimestamp"].is_string())
        .await;
    assert!(world.durable.get(namespace).await.unwrap().is_some());
    world.delete("held");
    world.until("the namespace is gone", async || world.durable.get(namespace).await.unwrap().is_none()).await;
    world.end().await;
}

#[tokio::test]
async fn the_address_of_a_service_that_is_collected_is_free_again() {
    let world = World::start();
    let (key, record) = ("core/services/default/s", "sampan.dev/cluster-addresses/10.96.1.1");
    let service = json!({ "metadata": { "name": "s", "namespace": "default", "uid": "uid-s", "ownerReferences": [owner("nobody", true)] },
        "spec": { "clusterIP": "10.96.1.1" } });
    let put =
        vec![Op::Put(record.to_owned(), Bytes::from("{}")), Op::Put(key.to_owned(), Bytes::from(service.to_string()))];
    world.durable.txn(Vec::new(), put).await.unwrap();
    world.until("the service is gone", async || world.durable.get(key).await.unwrap().is_none()).await;
    assert_eq!(world.durable.get(record).await.unwrap(), None);
    world.end().await;
}
