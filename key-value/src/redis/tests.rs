use std::{fs, path::Path, sync::Arc, time::Duration};

use api::{Bucket, KeyValue, KeyValueError};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use transport::DirectConnect;

use super::{Quota, RedisKeyValue, RedisSettings, link::ANSWER, server::Server};

fn carts() -> Bucket {
    Bucket { namespace: "shop".to_owned(), name: "carts".to_owned() }
}

fn store(url: &str) -> RedisKeyValue {
    RedisKeyValue::new(RedisSettings::parse(url, None).unwrap(), Arc::new(DirectConnect), Quota::default())
}

async fn set(store: &RedisKeyValue, key: &str) -> Result<(), KeyValueError> {
    store.set(&carts(), vec![(key.to_owned(), Bytes::from("1"))]).await
}

async fn is_there(store: &RedisKeyValue, key: &str) -> Result<bool, KeyValueError> {
    Ok(store.get(&carts(), vec![key.to_owned()]).await?[0].is_some())
}

/// A free port, which redis-server cannot choose by itself.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_and_the_store_is_used_again_once_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let store = store(&server.url());
    set(&store, "a").await.unwrap();
    server.kill();
    let refused = set(&store, "b").await.unwrap_err().to_string();
    assert!(!refused.contains(dir.path().to_str().unwrap()), "guests are not told where it is: {refused}");
    let refused = is_there(&store, "a").await.unwrap_err().to_string();
    assert!(refused.contains("is not reached"), "{refused}");
    server.restart();
    assert!(is_there(&store, "a").await.unwrap());
    set(&store, "c").await.unwrap();
    // A Redis that was restarted meanwhile is no matter for who did not ask anything then.
    server.kill();
    server.restart();
    assert!(is_there(&store, "c").await.unwrap());
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_waited_for_a_bounded_time_and_used_again_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let store = store(&server.url());
    set(&store, "a").await.unwrap();
    server.signal(Signal::STOP);
    let refused = is_there(&store, "a").await.unwrap_err().to_string();
    assert!(refused.contains(&format!("does not answer within {}", api::format_span(ANSWER))), "{refused}");
    // Connections that are made now get no answer either.
    let waits = tokio::time::timeout(ANSWER + Duration::from_secs(20), is_there(&store, "a"));
    let refused = waits.await.expect("it is bounded").unwrap_err().to_string();
    assert!(refused.contains("is not reached"), "{refused}");
    server.signal(Signal::CONT);
    assert!(is_there(&store, "a").await.unwrap());
}

#[tokio::test]
async fn a_password_opens_the_store_and_is_in_no_message() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let _server = Server::start_with(dir.path(), &["--port", &port, "--requirepass", "s3cret"]);
    set(&store(&format!("redis://:s3cret@127.0.0.1:{port}/3")), "a").await.unwrap();
    for (login, why) in [("", "NOAUTH"), (":wr0ng@", "WRONGPASS")] {
        let refused = set(&store(&format!("redis://{login}127.0.0.1:{port}")), "a").await.unwrap_err().to_string();
        assert!(!refused.contains(&port), "guests are not told where it is: {refused}");
        assert!(refused.contains(why) || refused.to_lowercase().contains("password"), "{refused}");
        assert!(!refused.contains("wr0ng"), "{refused}");
    }
}

#[tokio::test]
async fn over_tls_the_store_shows_a_certificate_of_the_authority_that_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority();
    certificate(&authority, dir.path());
    let port = free_port().to_string();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    let flags = ["--tls-port", &port, "--tls-auth-clients", "no", "--tls-cert-file", &certificate];
    let _server = Server::start_with(dir.path(), &[&flags[..], &["--tls-key-file", &key]].concat());
    let url = format!("rediss://localhost:{port}");
    let store = |pem: &str| {
        let settings = RedisSettings::parse(&url, Some(pem.as_bytes())).unwrap();
        RedisKeyValue::new(settings, Arc::new(DirectConnect), Quota::default())
    };
    set(&store(&authority.0), "a").await.unwrap();
    let refused = set(&store(&self::authority().0), "a").await.unwrap_err().to_string();
    assert!(refused.contains("is not reached: invalid peer certificate"), "{refused}");
    let plain = self::store(&format!("redis://localhost:{port}"));
    let refused = set(&plain, "a").await.unwrap_err().to_string();
    assert!(refused.contains("is not reached"), "{refused}");
}

/// In PEM, and what it signs with.
fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
}

fn certificate((_, authority): &(String, Issuer<'static, KeyPair>), dir: &Path) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    fs::write(dir.join("certificate.pem"), certificate.pem()).unwrap();
    fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn a_store_that_is_full_refuses_writes_whole_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), &["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let store = store(&server.url());
    for refused in [
        set(&store, "a").await.unwrap_err(),
        store.increment(&carts(), "n".to_owned(), 1).await.unwrap_err(),
        store.swap(&carts(), "a".to_owned(), None, "1".into()).await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains("OOM"), "{refused}");
    }
    assert!(!is_there(&store, "a").await.unwrap());
    assert_eq!(store.list(&carts(), None, 10).await.unwrap().keys.len(), 0);
}

#[tokio::test]
async fn a_store_that_is_full_still_deletes_and_what_was_deleted_counts_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let settings = RedisSettings::parse(&server.url(), None).unwrap();
    let quota = Quota { bytes: 1 << 20, keys: 2 };
    let store = RedisKeyValue::new(settings.clone(), Arc::new(DirectConnect), quota);
    set(&store, "a").await.unwrap();
    set(&store, "b").await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut limit = |bytes: u64| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query::<()>(&mut connection).unwrap();
    };
    limit(1);
    store.delete(&carts(), vec!["a".to_owned()]).await.unwrap();
    limit(0);
    set(&store, "c").await.unwrap();
    let refused = set(&store, "d").await.unwrap_err().to_string();
    assert!(refused.contains("would have 3 keys"), "{refused}");
}

#[tokio::test]
async fn a_bucket_that_nobody_has_counted_is_counted_when_it_is_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let settings = RedisSettings::parse(&server.url(), None).unwrap();
    let store = RedisKeyValue::new(settings, Arc::new(DirectConnect), Quota { bytes: 1 << 20, keys: 2 });
    set(&store, "a").await.unwrap();
    set(&store, "b").await.unwrap();
    // As a version that did not count has left it.
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    redis::cmd("DEL").arg("sampan:{shop}:usage").query::<()>(&mut connection).unwrap();
    let refused = set(&store, "c").await.unwrap_err().to_string();
    assert!(refused.contains("would have 3 keys"), "{refused}");
    set(&store, "a").await.unwrap();
}
