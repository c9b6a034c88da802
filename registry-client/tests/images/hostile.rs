//! Registries that send this machine where it should not go, and ask it to show there what is not theirs.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use registry_client::{Access, DockerConfig, Progress, Registries, RegistrySettings, Request};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::{
    component,
    fake::{Answer, Asked, Fake},
    registries, store,
};

/// What the registries' file says.
fn settings(toml: &str) -> RegistrySettings {
    let (folder, file) = (tempfile::tempdir().unwrap(), "registries.toml");
    std::fs::write(folder.path().join(file), toml).unwrap();
    RegistrySettings::read(&folder.path().join(file)).unwrap()
}

/// As a registry of the public internet is treated: what it names must be public too.
fn as_public(fake: &Fake) -> RegistrySettings {
    settings(&format!("[registry.\"{}\"]\nprivate-network = false\n", fake.address))
}

fn of_namespace(reference: &str, auths: serde_json::Value) -> Request {
    let keys = DockerConfig::parse(json!({ "auths": auths }).to_string().as_bytes()).unwrap();
    Request { access: Access::of_namespace("shop", vec![keys]), ..Request::of_machine(reference) }
}

async fn pull(settings: RegistrySettings, request: &Request) -> Result<(), String> {
    let pulled = registries(settings).pull(&store().1, request).await;
    pulled.map(|_| ()).map_err(|error| error.to_string())
}

async fn push(settings: RegistrySettings, reference: &str) -> Result<(), String> {
    let (_folder, store) = store();
    store.put_component(reference, component("a")).unwrap();
    let pushed = Registries::new(settings).unwrap().push(&store, reference, &Progress::untold()).await;
    pushed.map(|_| ()).map_err(|error| error.to_string())
}

fn redirect(status: u16, to: String) -> Answer {
    Answer { headers: vec![("location", to)], ..Answer::of(status) }
}

/// A service that nobody should ask.
fn bait() -> Fake {
    Fake::start(|_, _| Answer::json("{\"token\": \"t\", \"errors\": [{\"message\": \"inner secrets\"}]}"))
}

/// What it is that is sent on, whether it is seen in a push, and the answers.
type Way = (&'static str, bool, Box<dyn Fn(&Asked, &dyn Fn() -> Answer) -> Answer + Send + Sync>);

/// Each way in which a registry can send somebody on, to a base URL.
fn ways(to: &str) -> Vec<Way> {
    let all = |to: &str| to.to_owned();
    let (manifest, blob, realm, upload, put) = (all(to), all(to), all(to), all(to), all(to));
    vec![
        ("a manifest", false, Box::new(move |_, _| redirect(302, format!("{manifest}/m")))),
        (
            "a blob",
            true,
            Box::new(move |asked, usual| match asked.is("HEAD", "/blobs/") {
                true => redirect(307, format!("{blob}/b")),
                false => usual(),
            }),
        ),
        ("a token server", false, Box::new(move |_, _| Answer::challenge(&[&format!("Bearer realm=\"{realm}/t\"")]))),
        (
            "the place of an upload",
            true,
            Box::new(move |asked, usual| match asked.is("POST", "/uploads/") {
                true => redirect(202, format!("{upload}/u")),
                false => usual(),
            }),
        ),
        (
            "an upload",
            true,
            Box::new(move |asked, usual| match asked.is("PUT", "/uploads/") {
                true => redirect(308, format!("{put}/p")),
                false => usual(),
            }),
        ),
    ]
}

#[tokio::test]
async fn a_public_registry_sends_nobody_to_a_private_address_in_any_way_by_number_or_by_name() {
    let bait = bait();
    let port = bait.address.rsplit(':').next().unwrap();
    for host in [
        &*bait.address,
        &format!("localhost:{port}"),
        &format!("[::ffff:127.0.0.1]:{port}"),
        &format!("2130706433:{port}"),
    ] {
        for (way, pushes, respond) in ways(&format!("http://{host}")) {
            let hostile = Fake::start(respond);
            let image = hostile.image();
            let why = match pushes {
                true => push(as_public(&hostile), &image).await,
                false => pull(as_public(&hostile), &of_namespace(&image, json!({}))).await,
            };
            let why = why.expect_err(way);
            // Who has a literal for this machine that is not plainly one is refused for its want of TLS already.
            if way == "a token server" && why.contains("not reached by TLS") {
                continue;
            }
            // Their own line is why, and not the want of one.
            for named in [&*hostile.address, "127.0.0.1", "since `private-network = false`", "--registries"] {
                assert!(why.contains(named), "{way} to {host}: {why}");
            }
            assert!(!why.contains("inner secrets"), "{way}: {why}");
        }
    }
    let asked = bait.asked("GET", "").len() + bait.asked("HEAD", "").len() + bait.asked("PUT", "").len();
    assert_eq!(asked, 0, "{:?}", bait.asked("GET", ""));
}

#[tokio::test]
async fn what_a_token_server_sends_on_to_is_checked_as_well() {
    let bait = bait();
    let to = format!("http://{}/t", bait.address);
    let hostile = Fake::start(move |asked, _| match asked.path() {
        "/token" => redirect(302, to.clone()),
        _ => Answer::challenge(&["Bearer realm=\"/token\""]),
    });
    let why = pull(as_public(&hostile), &of_namespace(&hostile.image(), json!({}))).await.unwrap_err();
    assert!(why.contains("private-network"), "{why}");
    assert_eq!(bait.asked("GET", "").len(), 0);
}

#[tokio::test]
async fn a_registry_that_wants_ever_more_to_be_shown_is_let_go_of() {
    for endless in
        ["realm=\"/token\",service=\"{}\"", "realm=\"/token/{}\"", "realm=\"/token\",scope=\"repository:a{}:pull\""]
    {
        let asked = Mutex::new(0);
        let hostile = Fake::start(move |request, _| match request.path().starts_with("/token") {
            true => Answer::json("{\"token\":\"t\"}"),
            false => {
                let mut asked = asked.lock().unwrap();
                *asked += 1;
                Answer::challenge(&[&format!("Bearer {}", endless.replace("{}", &asked.to_string()))])
            }
        });
        let request = of_namespace(&hostile.image(), json!({}));
        let pulled = pull(settings(""), &request);
        let why = tokio::time::timeout(std::time::Duration::from_secs(20), pulled).await.expect("it ends").unwrap_err();
        assert!(why.contains("wants yet another"), "{why}");
        assert!(hostile.asked("GET", "/token").len() <= 32);
    }
}

#[tokio::test]
async fn what_a_registry_says_is_told_in_few_words_without_controls() {
    let long = "long words ".repeat(80_000);
    let error = format!("{{\"errors\":[{{\"code\":\"DENIED\",\"message\":\"\\u001b[31m{long}\"}}]}}");
    let realm = format!("Bearer realm=\"http://192.0.2.1/{}\"", "r".repeat(20_000));
    for answer in [Answer { body: error.into(), ..Answer::of(403) }, Answer::challenge(&[&realm])] {
        let hostile = Fake::start(move |_, _| answer.clone());
        let why = pull(settings(""), &of_namespace(&hostile.image(), json!({}))).await.unwrap_err();
        assert!(why.len() < 1000 && !why.contains('\u{1b}'), "{} bytes", why.len());
    }
}

#[tokio::test]
async fn nobody_is_sent_to_where_clouds_keep_credentials_also_by_a_private_registry() {
    for address in ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"] {
        for (way, pushes, respond) in ways(&format!("http://{address}")) {
            let hostile = Fake::start(respond);
            let image = hostile.image();
            for text in [String::new(), format!("[registry.\"{}\"]\nprivate-network = true\n", hostile.address)] {
                let why = match pushes {
                    true => push(settings(&text), &image).await,
                    false => pull(settings(&text), &of_namespace(&image, json!({}))).await,
                };
                let why = why.expect_err(way);
                let is_never = why.contains("credentials") && why.contains("never followed");
                assert!(is_never || way == "a token server", "{way} to {address}: {why}");
                assert!(!why.contains("private-network"), "nothing that is written there would help: {why}");
            }
        }
    }
}

#[tokio::test]
async fn a_private_registry_is_followed_to_others_and_these_are_shown_nothing() {
    let blobs = Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default();
    let kept = blobs.clone();
    let storage = Fake::start(move |asked, _| match kept.lock().unwrap().get(asked.last()) {
        Some(blob) => Answer { body: blob.clone(), ..Answer::of(200) },
        None => Answer::of(404),
    });
    let to = format!("http://{}", storage.address);
    let registry = Fake::start(move |asked, usual| match asked {
        _ if asked.method == "GET" && asked.shown().is_none() => Answer::challenge(&["Basic realm=\"shop\""]),
        _ if asked.is("GET", "/blobs/") => redirect(307, format!("{to}/blobs/{}", asked.last())),
        _ => {
            if asked.is("PUT", "/uploads/") {
                blobs.lock().unwrap().insert(asked.values("digest").join(""), asked.body.clone());
            }
            usual()
        }
    });
    push(settings(""), &registry.image()).await.unwrap();
    let auths = json!({ registry.address.as_str(): { "username": "cook", "password": "secret" } });
    pull(settings(""), &of_namespace(&registry.image(), auths)).await.unwrap();
    let asked = storage.asked("GET", "/blobs/");
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.shown().is_none()), "{asked:?}");
}

#[tokio::test]
async fn an_identity_token_goes_to_the_token_server_that_was_named_and_is_not_sent_on() {
    let elsewhere = bait();
    let to = format!("http://{}/t", elsewhere.address);
    let hostile = Fake::start(move |asked, _| match asked.path() {
        "/token" => redirect(307, to.clone()),
        _ => Answer::challenge(&["Bearer realm=\"/token\""]),
    });
    let auths = json!({ hostile.address.as_str(): { "identitytoken": "refresh" } });
    let why = pull(settings(""), &of_namespace(&hostile.image(), auths)).await.unwrap_err();
    assert!(why.contains("is not given it"), "{why}");
    assert_eq!(hostile.asked("POST", "/token").len(), 1);
    assert_eq!(elsewhere.asked("POST", "").len(), 0);
    // A password neither.
    let auths = json!({ hostile.address.as_str(): { "username": "cook", "password": "secret" } });
    let _ = pull(settings(""), &of_namespace(&hostile.image(), auths)).await;
    assert!(hostile.asked("GET", "/token").iter().all(|asked| asked.shown().is_some()));
    assert!(elsewhere.asked("GET", "").iter().all(|asked| asked.shown().is_none()));
}

#[tokio::test]
async fn users_of_a_namespace_send_a_server_to_nothing_that_listens_to_its_machine_alone() {
    let inner = bait();
    let port = inner.address.rsplit(':').next().unwrap();
    let strict = || settings("namespaces-reach-loopback = false\n");
    for host in [inner.address.clone(), format!("localhost:{port}"), "169.254.169.254".to_owned()] {
        let request = of_namespace(&format!("{host}/team/hello:v1"), json!({}));
        let why = pull(strict(), &request).await.unwrap_err();
        assert!(why.contains(&format!("[registry.\"{host}\"]")) && why.contains("--registries"), "{why}");
    }
    let why = pull(settings(""), &of_namespace("169.254.169.254/team/hello:v1", json!({}))).await.unwrap_err();
    assert!(why.contains("credentials"), "{why}");
    assert_eq!(inner.asked("GET", "").len(), 0);
    // What the administrator lists is a registry.
    let listed = settings(&format!("namespaces-reach-loopback = false\n[registry.\"{}\"]\n", inner.address));
    let _ = pull(listed, &of_namespace(&inner.image(), json!({}))).await;
    assert!(!inner.asked("GET", "/v2/team/hello").is_empty());
}

/// A registry with TLS, whose every answer to a request is this head. Gives its address and its authority's certificate.
fn with_tls(head: impl Fn(&str) -> String + Send + 'static) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, stream));
            let mut first = String::new();
            let mut line = String::from("-");
            if stream.read_line(&mut first).is_err() {
                continue;
            }
            while !line.trim().is_empty() {
                line.clear();
                if stream.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
            }
            let answer = format!("HTTP/1.1 {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", head(&first));
            let _ = stream.get_mut().write_all(answer.as_bytes());
            stream.get_mut().conn.send_close_notify();
            let _ = stream.get_mut().flush();
        }
    });
    (address, certificate.pem())
}

#[tokio::test]
async fn a_registry_with_tls_is_followed_to_none_without_and_shows_no_password_there() {
    let elsewhere = bait();
    for way in ["redirect", "realm", "upload"] {
        let to = format!("http://{}", elsewhere.address);
        let (address, authority) = with_tls(move |first| match (way, first) {
            ("redirect", _) => format!("302 Found\r\nlocation: {to}/m"),
            ("realm", _) => format!("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"{to}/t\""),
            (_, post) if post.starts_with("POST") => {
                format!("202 Accepted\r\nlocation: {}/u", to.replace("127.0.0.1", "localhost"))
            }
            _ => "404 Not Found".to_owned(),
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &authority).unwrap();
        let file = folder.path().join("registries.toml");
        std::fs::write(&file, format!("[registry.\"{address}\"]\nca = \"ca.pem\"\n")).unwrap();
        let settings = RegistrySettings::read(&file).unwrap();
        let image = format!("{address}/team/hello:v1");
        let auths = json!({ address.as_str(): { "username": "cook", "password": "secret" } });
        let why = match way {
            "upload" => push(settings, &image).await,
            _ => pull(settings, &of_namespace(&image, auths)).await,
        };
        let why = why.expect_err(way);
        assert!(why.contains("TLS") && why.contains("plain-http") && why.contains(&address), "{way}: {why}");
    }
    assert_eq!(elsewhere.asked("GET", "").len() + elsewhere.asked("PUT", "").len(), 0);
}
