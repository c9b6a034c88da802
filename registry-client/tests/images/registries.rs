//! Registries that misbehave: each ends in a clear error, and nothing of it is kept.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use registry_client::{ImageStore, Registries, RegistrySettings, Request};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{component, store};

/// A request as the registry saw it.
#[derive(Debug, Clone)]
struct Seen {
    path: String,
    authorization: Option<String>,
}

type Respond = dyn Fn(&Seen, usize) -> Answer + Send + Sync;

/// A status, headers and a body; or bytes without end.
enum Answer {
    Whole(u16, BTreeMap<&'static str, String>, Vec<u8>),
    Endless,
}

fn ok(body: impl Into<Vec<u8>>) -> Answer {
    Answer::Whole(200, BTreeMap::new(), body.into())
}

fn status(code: u16) -> Answer {
    Answer::Whole(code, BTreeMap::new(), Vec::new())
}

/// A registry on a port of its own that answers as `respond` says, by the request and how many came before.
fn registry(respond: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let (all, respond): (_, Arc<Respond>) = (seen.clone(), Arc::new(respond));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (all, respond) = (all.clone(), respond.clone());
            thread::spawn(move || converse(stream, &all, &*respond));
        }
    });
    (address, seen)
}

fn converse(mut stream: TcpStream, all: &Mutex<Vec<Seen>>, respond: &Respond) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let authorization = headers.iter().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned));
    let request = Seen { path, authorization };
    let before = {
        let mut all = all.lock().unwrap();
        all.push(request.clone());
        all.len() - 1
    };
    match respond(&request, before) {
        Answer::Whole(code, headers, body) => {
            let mut head = format!("HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
            let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(&body));
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read(&mut [0; 1]);
        }
        Answer::Endless => {
            let head = "HTTP/1.1 200 X\r\nconnection: close\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes());
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 1 << 16]);
            }
        }
    }
}

/// The files of an image that is fine, by the last part of their path.
fn image() -> BTreeMap<String, Vec<u8>> {
    let (dir, store) = store();
    let image = store.put_component("hello:v1", component("remote")).unwrap();
    let blob = |digest: &api::Digest| std::fs::read(dir.path().join("blobs/sha256").join(digest.hex())).unwrap();
    let manifest = blob(&image.digest);
    let config: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let config: api::Digest = config["config"]["digest"].as_str().unwrap().parse().unwrap();
    BTreeMap::from([
        (image.component_digest.to_string(), blob(&image.component_digest)),
        (config.to_string(), blob(&config)),
        (image.digest.to_string(), manifest.clone()),
        ("v1".to_owned(), manifest),
    ])
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn serve(files: BTreeMap<String, Vec<u8>>) -> impl Fn(&Seen, usize) -> Answer {
    move |request, _| files.get(last(&request.path)).map_or_else(|| status(404), |file| ok(file.clone()))
}

async fn pull(store: &ImageStore, address: &str) -> Result<registry_client::Image, String> {
    let pulled = Registries::new(RegistrySettings::default())
        .unwrap()
        .pull(store, &Request::of_machine(format!("{address}/hello:v1")))
        .await;
    pulled.map_err(|error| error.to_string())
}

async fn refused(respond: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static, says: &str) {
    let ((_dir, store), (address, _)) = (store(), registry(respond));
    let error = pull(&store, &address).await.unwrap_err();
    assert!(error.contains(says), "{error}");
    assert_eq!(store.list().unwrap(), []);
}

#[tokio::test]
async fn an_image_is_pulled_once_however_many_ask_and_then_not_again() {
    let ((_dir, store), (address, seen)) = (store(), registry(serve(image())));
    let (registries, name) = (Registries::new(RegistrySettings::default()).unwrap(), format!("{address}/hello:v1"));
    let request = Request::of_machine(name);
    let asked = futures::future::join_all((0..20).map(|_| registries.resolve(&store, &request))).await;
    assert!(asked.iter().all(|digest| digest.as_ref().unwrap() == asked[0].as_ref().unwrap()));
    registries.resolve(&store, &request).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 3, "a manifest, a component, a config: {seen:?}");
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_digest_are_refused() {
    let wrong = image().into_iter().map(|(name, file)| match name.as_str() {
        "v1" => (name, file),
        _ => (name, component("other").to_vec()),
    });
    refused(serve(wrong.collect()), "with digest").await;
}

#[tokio::test]
async fn a_truncated_manifest_is_refused() {
    let mut files = image();
    files.get_mut("v1").unwrap().truncate(60);
    refused(serve(files), "not an OCI image manifest").await;
}

#[tokio::test]
async fn an_endless_manifest_ends_at_its_limit() {
    refused(|_, _| Answer::Endless, "the manifest is larger than the limit").await;
}

#[tokio::test]
async fn an_endless_component_ends_at_its_announced_size() {
    let manifest = image().remove("v1").unwrap();
    let respond = move |request: &Seen, _| match last(&request.path) {
        "v1" => ok(manifest.clone()),
        _ => Answer::Endless,
    };
    refused(respond, "the blob is larger than the limit").await;
}

#[tokio::test]
async fn a_redirect_in_a_circle_ends() {
    refused(|request, _| Answer::Whole(302, BTreeMap::from([("location", request.path.clone())]), vec![]), "redirect")
        .await;
}

#[tokio::test]
async fn an_index_of_indexes_is_refused() {
    let index = |digest: &str| {
        let platform = json!({"architecture": "wasm", "os": "wasip2"});
        let entry = json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": 1,
            "platform": platform});
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]})
    };
    let inner = index(&format!("sha256:{}", "0".repeat(64))).to_string();
    let digest = api::Digest::from_sha256(Sha256::digest(&inner).into()).to_string();
    let outer = index(&digest).to_string();
    let files = BTreeMap::from([("v1".to_owned(), outer.into_bytes()), (digest, inner.into_bytes())]);
    refused(serve(files), "an index of several images").await;
}

#[tokio::test]
async fn a_registry_that_is_busy_for_a_moment_is_asked_again() {
    let files = image();
    let respond = move |request: &Seen, before: usize| match before {
        0 => status(503),
        1 => Answer::Whole(429, BTreeMap::from([("retry-after", "0".to_owned())]), vec![]),
        _ => serve(files.clone())(request, before),
    };
    let ((_dir, store), (address, _)) = (store(), registry(respond));
    pull(&store, &address).await.unwrap();
}

#[tokio::test]
async fn a_token_is_fetched_where_the_registry_says_and_shown_to_it_alone() {
    let (files, tokens) = (image(), registry(|_, _| ok(r#"{"token":"secret"}"#)));
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"shop\"", tokens.0);
    let respond = move |request: &Seen, before: usize| match request.authorization.as_deref() {
        Some("Bearer secret") => serve(files.clone())(request, before),
        _ => Answer::Whole(401, BTreeMap::from([("www-authenticate", realm.clone())]), vec![]),
    };
    let ((_dir, store), (address, _)) = (store(), registry(respond));
    pull(&store, &address).await.unwrap();
    let asked = tokens.1.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].path.contains("service=shop&scope=repository%3Ahello%3Apull"), "{asked:?}");
    assert_eq!(asked[0].authorization, None);
}
