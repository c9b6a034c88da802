//! Registries that misbehave: each ends in a clear error, and nothing of it is kept.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use api::PullPolicy;
use registry_client::{
    Access, DockerConfig, ImageStore, RegistrySettings, Request, TransferLimits,
    hosted::{Collected, Keep, Repositories, Unused},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{component, registries, store};

/// A request as the registry saw it.
#[derive(Debug, Clone)]
struct Seen {
    path: String,
    authorization: Option<String>,
    /// The first byte that is asked for.
    from: Option<usize>,
}

type Respond = dyn Fn(&Seen, usize) -> Answer + Send + Sync;

/// A status, headers and a body; or bytes without end.
enum Answer {
    Whole(u16, BTreeMap<&'static str, String>, Vec<u8>),
    Endless,
    /// A byte now and then, without end.
    Drip,
    /// So many bytes of the body that is announced.
    Broken(Vec<u8>, usize),
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
    let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes="));
    let from = range.and_then(|range| range.trim_end_matches('-').parse().ok());
    let request = Seen { path, authorization, from };
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
        Answer::Drip => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n");
            while sent.is_ok() {
                thread::sleep(Duration::from_millis(20));
                sent = stream.write_all(b"x");
            }
        }
        Answer::Broken(body, sent) => {
            let head = format!("HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
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
    let pulled =
        registries(RegistrySettings::default()).pull(store, &Request::of_machine(format!("{address}/hello:v1"))).await;
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
    let (registries, name) = (registries(RegistrySettings::default()), format!("{address}/hello:v1"));
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

/// The component breaks off at its first tries; later ones get what they ask for, if `ranges`, or all of it.
fn breaking_off(ranges: bool) -> impl Fn(&Seen, usize) -> Answer {
    let (files, tries) = (image(), Mutex::new(0));
    move |request, _| {
        let name = last(&request.path);
        let Some(file) = files.get(name) else { return status(404) };
        let mut tries = tries.lock().unwrap();
        if !file.starts_with(b"\0asm") {
            return ok(file.clone());
        }
        *tries += 1;
        match request.from {
            None if *tries == 1 => Answer::Broken(file.clone(), file.len() / 2),
            Some(from) if ranges => {
                let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
                Answer::Whole(206, BTreeMap::from([("content-range", range)]), file[from..].to_vec())
            }
            _ => ok(file.clone()),
        }
    }
}

#[tokio::test]
async fn a_download_that_broke_off_goes_on_from_there_or_from_its_start() {
    for ranges in [true, false] {
        let ((_dir, store), (address, seen)) = (store(), registry(breaking_off(ranges)));
        pull(&store, &address).await.unwrap();
        let asked: Vec<_> = seen.lock().unwrap().iter().filter_map(|request| request.from).collect();
        assert!(matches!(asked.as_slice(), [from] if *from > 0), "{asked:?}");
    }
}

#[tokio::test]
async fn what_has_come_is_kept_for_the_next_process() {
    let files = image();
    let half = |request: &Seen, files: &BTreeMap<String, Vec<u8>>| match files.get(last(&request.path)) {
        Some(file) if last(&request.path) != "v1" && request.from.is_none() => {
            Answer::Broken(file.clone(), file.len() / 2)
        }
        Some(_) if last(&request.path) != "v1" => status(503),
        Some(file) => ok(file.clone()),
        None => status(404),
    };
    let ((dir, store), again) = (store(), files.clone());
    let (address, _) = registry(move |request, _| half(request, &again));
    pull(&store, &address).await.unwrap_err();
    drop(store);
    let store = ImageStore::open(dir.path()).unwrap();
    let (address, seen) = registry(serve(files));
    pull(&store, &address).await.unwrap();
    assert!(seen.lock().unwrap().iter().any(|request| request.from.is_some()), "{seen:?}");
}

#[tokio::test]
async fn what_one_namespace_pulled_with_its_own_credentials_is_asked_for_again_by_another() {
    let files = image();
    let ((_dir, store), (address, seen)) = (
        store(),
        registry(move |request, _| match &request.authorization {
            Some(shown) if shown == "Basic YTpi" => serve(files.clone())(request, 0),
            _ => Answer::Whole(401, BTreeMap::from([("www-authenticate", "Basic realm=\"x\"".to_owned())]), vec![]),
        }),
    );
    let registries = registries(RegistrySettings::default());
    let config = json!({ "auths": { address.as_str(): { "auth": "YTpi" } } }).to_string();
    let keys = vec![DockerConfig::parse(config.as_bytes()).unwrap()];
    let by = |access: Access| Request { access, ..Request::of_machine(format!("{address}/hello:v1")) };
    let digest = registries.resolve(&store, &by(Access::of_namespace("a", keys.clone()))).await.unwrap();
    let before = seen.lock().unwrap().len();
    registries.resolve(&store, &by(Access::of_namespace("a", vec![]))).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), before, "it is the namespace's own");
    for name in [format!("{address}/hello:v1"), format!("{address}/hello@{digest}")] {
        let request = |keys| Request { reference: name.clone(), ..by(Access::of_namespace("b", keys)) };
        let refused = registries.resolve(&store, &request(vec![])).await.unwrap_err().to_string();
        assert!(refused.contains("401"), "{refused}");
    }
    // Nor by a name that no registry is asked for.
    let bare = Request { reference: format!("any@{digest}"), ..by(Access::of_namespace("b", vec![])) };
    assert!(registries.resolve(&store, &bare).await.unwrap_err().to_string().contains("not in the local store"));
    registries.resolve(&store, &by(Access::of_namespace("b", keys))).await.unwrap();
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

#[tokio::test]
async fn the_policy_says_when_the_registry_is_asked() {
    let ((_dir, store), files) = (store(), image());
    let (address, seen) = registry(serve(files));
    let registries = registries(RegistrySettings::default());
    let by = |policy| Request { policy, ..Request::of_machine(format!("{address}/hello:v1")) };
    let asked = || {
        std::mem::take(&mut *seen.lock().unwrap())
            .into_iter()
            .map(|request| last(&request.path).to_owned())
            .collect::<Vec<_>>()
    };
    let never = registries.resolve(&store, &by(PullPolicy::Never)).await.unwrap_err().to_string();
    assert!(never.contains("imagePullPolicy") && asked().is_empty(), "{never}");
    let digest = registries.resolve(&store, &by(PullPolicy::IfNotPresent)).await.unwrap();
    assert_eq!(asked().len(), 3);
    for policy in [PullPolicy::Never, PullPolicy::IfNotPresent] {
        assert_eq!(registries.resolve(&store, &by(policy)).await.unwrap(), digest);
    }
    assert_eq!(asked(), [""; 0]);
    assert_eq!(registries.resolve(&store, &by(PullPolicy::Always)).await.unwrap(), digest);
    assert_eq!(asked(), ["v1"], "the manifest alone: its blobs are here");
}

#[tokio::test]
async fn a_registry_that_drips_ends_with_the_time_for_a_whole_transfer() {
    let manifest = image().remove("v1").unwrap();
    let respond =
        move |request: &Seen, _| if last(&request.path) == "v1" { ok(manifest.clone()) } else { Answer::Drip };
    let ((_dir, store), (address, _)) = (store(), registry(respond));
    let limits = TransferLimits { transfer_timeout: Duration::from_millis(300), ..TransferLimits::default() };
    let registries = registries(RegistrySettings { limits, ..RegistrySettings::default() });
    let error = registries.pull(&store, &Request::of_machine(format!("{address}/hello:v1"))).await.unwrap_err();
    assert!(error.to_string().contains("longer than 300ms"), "{error}");
    assert_eq!(store.list().unwrap(), []);
}

#[tokio::test]
async fn what_was_pulled_and_is_not_used_goes_by_age_and_by_size_and_what_was_built_stays() {
    for unused in [Unused::PulledBefore(Duration::ZERO), Unused::PulledAbove(0)] {
        let ((_dir, store), (address, _)) = (store(), registry(serve(image())));
        let name = format!("{address}/built:v1");
        store.put_component(&name, component("built")).unwrap();
        let pulled = pull(&store, &address).await.unwrap();
        let repositories = Repositories::open(store.clone()).unwrap();
        let grace = Keep { unused, grace: Duration::from_secs(60), ..Keep::default() };
        assert_eq!(repositories.collect(&grace).unwrap(), Collected::default(), "it was used just now");
        let used = Keep { manifests: [pulled.digest].into(), grace: Duration::ZERO, ..grace };
        assert_eq!(repositories.collect(&used).unwrap().names, [""; 0]);
        let keep = Keep { manifests: [].into(), ..used };
        assert_eq!(repositories.collect(&keep).unwrap().names, [format!("{address}/hello:v1")]);
        let left: Vec<_> = store.list().unwrap().into_iter().map(|image| image.reference).collect();
        assert_eq!(left, [name]);
    }
}

#[tokio::test]
async fn processes_that_share_a_store_fetch_a_blob_once() {
    let (dir, _) = store();
    let (address, seen) = registry(serve(image()));
    // What processes share is the directory: each has its own store and its own client.
    let pulls = (0..6).map(|_| {
        let (store, address) = (ImageStore::open(dir.path()).unwrap(), address.clone());
        async move { pull(&store, &address).await.unwrap().digest }
    });
    let digests = futures::future::join_all(pulls).await;
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
    let blobs = seen.lock().unwrap().iter().filter(|request| request.path.contains("/blobs/")).count();
    assert_eq!(blobs, 2, "a component and a config: {seen:?}");
}
