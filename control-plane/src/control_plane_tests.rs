use std::{net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use api::{Bucket, session::in_process};
use bytes::Bytes;
use kube_api::kind::NAMESPACE;
use tokio_util::sync::CancellationToken;

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn open(dir: &Path) -> Result<ControlPlane, OpenError> {
    let api_addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ControlPlaneConfig {
        data_dir: dir.to_owned(),
        api_addr,
        persistence: Persistence::Durable,
        key_value: None,
        key_value_quota: Quota::default(),
        upload_quota: UploadQuota::default(),
        disk_reserve: None,
        encryption: EncryptionKeys::default(),
        collection: CollectionConfig::default(),
        silence: Silence::IN_PROCESS,
        own_workers: Vec::new(),
        join_authority: None,
        api_limits: ApiLimits::default(),
        users: HashMap::new(),
        audit: None,
        on_costly_thread_start: || {},
    };
    let registries = Registries::new(registry_client::RegistrySettings::default()).unwrap();
    let images = ImageStore::open(dir.join("images")).unwrap();
    ControlPlane::open(config, images, registries, Arc::new(transport::DirectConnect))
}

fn carts() -> Bucket {
    Bucket { namespace: "shop".to_owned(), name: "carts".to_owned() }
}

#[tokio::test]
async fn a_second_control_plane_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Files(store::OpenError::Locked { .. })), "{refused}");
    drop(first);
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn it_runs_until_it_is_told_to_end_and_what_it_holds_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let control = open(dir.path()).unwrap();
    let address = control.bind().await.unwrap();
    let kubeconfig = std::fs::read_to_string(control.kubeconfig()).unwrap();
    assert!(kubeconfig.contains(&address.to_string()), "{kubeconfig}");
    let mode = std::fs::metadata(control.kubeconfig()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (_gateway, for_gateway) = in_process();
    control.attach_gateway(for_gateway);
    control.key_value().set(&carts(), vec![("a".to_owned(), Bytes::from("1"))]).await.unwrap();
    let shutdown = CancellationToken::new();
    let stop = async {
        // A connection that is taken shows that it runs.
        let connected = tokio::net::TcpStream::connect(address).await;
        shutdown.cancel();
        connected
    };
    let ran = async { tokio::join!(control.run(shutdown.clone()), stop) };
    let (ended, connected) = tokio::time::timeout(DEADLINE, ran).await.expect("it ends");
    ended.unwrap();
    connected.unwrap();
    assert!(matches!(control.run(shutdown).await, Err(RunError::RunTwice)));
    drop(control);

    let control = open(dir.path()).unwrap();
    for name in ["default", "kube-system"] {
        assert!(control.store.get(&NAMESPACE.cluster_key(name)).await.unwrap().is_some(), "{name}");
    }
    let values = control.key_value().get(&carts(), vec!["a".to_owned()]).await.unwrap();
    assert_eq!(values, [Some(Bytes::from("1"))]);
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut control = open(dir.path()).unwrap();
    control.config.api_addr = taken.local_addr().unwrap();
    let refused = control.bind().await.unwrap_err().to_string();
    assert!(refused.contains(&taken.local_addr().unwrap().to_string()) && refused.contains("--api"), "{refused}");
}
