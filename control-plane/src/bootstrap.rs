use api::{ObjectKey, Timestamp};
use bytes::Bytes;
use kube_api::{
    access::default_roles,
    cluster_ip::{self, Address, NoAddress},
    identity::{derived_uid, rfc3339},
    kind::{NAMESPACE, PRIORITY_CLASS, SERVICE, SERVICE_ACCOUNT},
    resources::{DEFAULT_ACCOUNT, SYSTEM_CLASSES, default_account},
};
use serde_json::{Value, json};
use store::{Compare, Op, Revision, Store, StoreError};

/// Namespaces that exist in every installation.
const NAMESPACES: [&str; 2] = ["default", "kube-system"];

/// Objects read from the store at a time.
const PAGE: usize = 500;

/// Makes the Namespaces, PriorityClasses and roles that clients take for granted, where they are missing, the ServiceAccount
/// of each namespace, and gives Services of before their addresses.
pub(crate) async fn ensure_objects(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let namespaces = NAMESPACES.map(|name| (NAMESPACE.cluster_key(name), namespace(name, now)));
    let classes = SYSTEM_CLASSES.map(|(name, value, description)| {
        (PRIORITY_CLASS.cluster_key(name), priority_class(name, value, description, now))
    });
    for (key, object) in namespaces.into_iter().chain(classes).chain(default_roles(now)) {
        let object = Bytes::from(object.to_string());
        match store.txn(vec![Compare::Absent(key.clone())], vec![Op::Put(key, object)]).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    give_accounts(store, now).await?;
    give_addresses(store).await
}

/// Gives its ServiceAccount to each namespace that has none: of before, or because somebody deleted it.
async fn give_accounts(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let (prefix, mut after) = (NAMESPACE.prefix(), None);
    loop {
        let page = store.list(&prefix, PAGE, after.as_deref()).await?;
        for item in &page.items {
            let Some(name) = item.key.strip_prefix(&prefix) else { continue };
            let key = SERVICE_ACCOUNT.key(&ObjectKey::new(name, DEFAULT_ACCOUNT));
            let uid = derived_uid(&["serviceaccount", name, &now.micros.to_string()]);
            let account = Bytes::from(default_account(name, &uid, &rfc3339(now)).to_string());
            let stands = Compare::At(item.key.to_string(), item.revision);
            match store.txn(vec![stands, Compare::Absent(key.clone())], vec![Op::Put(key, account)]).await {
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        after = page.items.last().map(|item| item.key.clone());
        if page.remaining == 0 {
            return Ok(());
        }
    }
}

/// Gives an address to each Service that was stored when Services had none.
async fn give_addresses(store: &dyn Store) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.list(&SERVICE.prefix(), PAGE, after.as_deref()).await?;
        for item in &page.items {
            if let (Some(key), Ok(service)) = (SERVICE.object(&item.key), serde_json::from_slice(&item.value)) {
                give_address(store, &key, service, item.revision).await?;
            }
        }
        after = page.items.last().map(|item| item.key.clone());
        if page.remaining == 0 {
            return Ok(());
        }
    }
}

async fn give_address(
    store: &dyn Store,
    key: &ObjectKey,
    mut service: Value,
    revision: Revision,
) -> Result<(), StoreError> {
    if service["spec"]["clusterIP"].is_string() || !service["spec"].is_object() {
        return Ok(());
    }
    match cluster_ip::find(store, key, None).await {
        Ok(Address { ip, compare, put }) => {
            service["spec"]["clusterIP"] = json!(ip.to_string());
            service["spec"]["clusterIPs"] = json!([ip.to_string()]);
            let key = SERVICE.key(key);
            let write = Op::Put(key.clone(), Bytes::from(service.to_string()));
            store.txn(vec![compare, Compare::At(key, revision)], vec![put, write]).await.map(|_| ())
        }
        Err(NoAddress::Store(error)) => Err(error),
        Err(why) => {
            tracing::warn!(service = %key, %why, "a Service of before stays without an address");
            Ok(())
        }
    }
}

fn namespace(name: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "uid": derived_uid(&["namespace", name, &now.micros.to_string()]),
            "creationTimestamp": rfc3339(now),
            "labels": { "kubernetes.io/metadata.name": name },
        },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    })
}

fn priority_class(name: &str, value: i64, description: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {
            "name": name,
            "uid": derived_uid(&["priorityclass", name, &now.micros.to_string()]),
            "creationTimestamp": rfc3339(now),
        },
        "value": value,
        "description": description,
        "preemptionPolicy": "PreemptLowerPriority",
    })
}
