//! What a pull process could say that a registry has taken over. Copies of this program say it: one way for each tag.

use std::{
    io::{self, Write},
    os::fd::AsFd,
};

use p256::pkcs8::{EncodePrivateKey, LineEnding};
use tempfile::TempDir;

use super::*;
use crate::{
    RegistrySettings, SigningKey,
    access::DockerConfig,
    blobs::digest_of,
    manifest::manifest_json,
    remote::exchange::Text,
    signature::{Form, payload},
};

const REGISTRY: &str = "registry.example";

fn component(mark: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (@custom "mark" "{mark}")
            (instance $handler)
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    );
    wat::parse_str(text).unwrap()
}

fn hostile() -> Registries {
    let args = ["--ignored", "--exact", "remote::puller::tests::as_a_hostile_pull_process"];
    let puller = Puller::new(env::current_exe().unwrap(), args);
    Registries::new(RegistrySettings::default()).unwrap().pulled_by(puller)
}

fn store() -> (TempDir, ImageStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    (dir, store)
}

/// The manifest of an image of this component.
fn manifest(component: &[u8]) -> Vec<u8> {
    manifest_json((&digest_of(b"{}"), 2), (&digest_of(component), component.len()))
}

#[test]
#[ignore = "it is what a hostile pull process does, and is started as one"]
fn as_a_hostile_pull_process() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(lie());
}

async fn lie() {
    let stream = BlockingStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    let mut raw = stream.try_clone().unwrap();
    let line = Line::new(stream).unwrap();
    let (task, _) = line.receive::<Task>().await.unwrap().unwrap();
    let (reference, digest) = match &task.work {
        Work::Pull { reference } => (reference.to_string(), None),
        Work::Verify { reference, digest, .. } => (reference.to_string(), Some(digest.clone())),
        Work::AnswersOnce => (String::new(), None),
    };
    let way = reference.rsplit_once(':').unwrap().1;
    let bytes = component("told");
    let found = |bytes: &[u8]| Said::Found {
        manifest: Text(manifest(bytes)),
        index: None,
        component: digest_of(bytes),
        size_bytes: bytes.len() as u64,
    };
    let wants = |bytes: &[u8]| Said::Wants { digest: digest_of(bytes), limit_bytes: bytes.len() as u64 };
    let ask = async |said: Said| {
        line.send(&said, None).await.unwrap();
        line.receive::<Answer>().await.unwrap().unwrap()
    };
    match way {
        "wrong-bytes" | "too-many-bytes" => {
            ask(found(&bytes)).await;
            let mut file = ask(wants(&bytes)).await.1.unwrap();
            let written = if way == "wrong-bytes" { vec![7; bytes.len()] } else { vec![7; 1 << 20] };
            file.write_all(&written).unwrap();
            ask(Said::Fetched { is_of_use: true }).await;
        }
        "changes-it-later" => {
            ask(found(&bytes)).await;
            let mut file = ask(wants(&bytes)).await.1.unwrap();
            file.write_all(&bytes).unwrap();
            ask(Said::Fetched { is_of_use: true }).await;
            file.set_len(0).unwrap();
            file.write_all(b"something else").unwrap();
            ask(Said::Whole { is_private: false }).await;
        }
        "fills-the-disk" => {
            ask(found(&bytes)).await;
            let mut file = ask(wants(&bytes)).await.1.unwrap();
            while file.write_all(&[7; 1 << 20]).is_ok() {}
        }
        "asks-for-many-files" => {
            ask(found(&bytes)).await;
            loop {
                ask(wants(&bytes)).await;
                ask(Said::Fetched { is_of_use: false }).await;
            }
        }
        "names-what-it-has-not" => {
            ask(found(&component("secret"))).await;
            ask(Said::Whole { is_private: false }).await;
        }
        "wants-what-it-did-not-name" => {
            ask(found(&bytes)).await;
            ask(wants(&component("secret"))).await;
        }
        "says-other-than-its-manifest" => {
            let other = component("other");
            let (component, size_bytes) = (digest_of(&other), other.len() as u64);
            ask(Said::Found { manifest: Text(manifest(&bytes)), index: None, component, size_bytes }).await;
        }
        "wants-before-it-has-found" => _ = ask(wants(&bytes)).await,
        "passes-a-file" => {
            let file = tempfile::tempfile().unwrap();
            line.send(&found(&bytes), Some(&file)).await.unwrap();
        }
        "asks-for-others-credentials" => {
            let (Answer::Credentials(answer), _) = ask(Said::WhoIs { host: "other.example".to_owned() }).await else {
                panic!("it is answered something else")
            };
            line.send(&Said::Failed(answer.unwrap_err()), None).await.unwrap();
        }
        "shows-its-credentials" => {
            line.send(&Said::Failed(format!("{:?}", task.credentials)), None).await.unwrap();
        }
        "steers-the-terminal" => {
            let words = format!("\x1b[2J\x07{}", "x".repeat(100_000));
            line.send(&Said::Failed(words), None).await.unwrap();
        }
        "talks-on" => while line.send(&Said::Transferred { bytes: 1, total: 1 }, None).await.is_ok() {},
        "garbage" => raw.write_all(&[0xff; 100]).unwrap(),
        "forges-a-signature" => {
            let image = digest.unwrap();
            let signed = payload("registry.example/a", image.as_str());
            let signature = key(2).sign(&signed);
            let evidence = serde_json::json!({
                "form": "Tag", "signed": Text(signed), "signature": Text(signature), "index": null,
            });
            line.send(&Said::Signed(serde_json::from_value(evidence).unwrap()), None).await.unwrap();
        }
        other => panic!("no way of lying is called {other}"),
    }
    // It stays until it is ended, which nobody else is to wait for.
    while let Ok(Some(_)) = line.receive::<Answer>().await {}
}

/// A key of the namespace (1), or of whoever took the process over (2).
fn key(of: u8) -> SigningKey {
    let secret = p256::SecretKey::from_slice(&[of; 32]).unwrap();
    SigningKey::parse(&secret.to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap()
}

async fn pulled(way: &str, store: &ImageStore) -> Result<Image, String> {
    let keys = r#"{"auths":{"registry.example":{"auth":"b3duOnBhc3M="},"other.example":{"auth":"b3RoZXI6c2VjcmV0"}}}"#;
    let access = Access::of_namespace("shop", vec![DockerConfig::parse(keys.as_bytes()).unwrap()]);
    let request = Request { access, ..Request::of_machine(format!("{REGISTRY}/a:{way}")) };
    hostile().pull(store, &request).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_is_not_as_its_digest_says_is_not_kept_whatever_a_process_says_of_it() {
    for (way, why) in [
        ("wrong-bytes", "bytes with the digest"),
        ("too-many-bytes", "wrote more than"),
        ("fills-the-disk", "ended with signal: 25"),
        ("asks-for-many-files", "is not asked for"),
        ("names-what-it-has-not", OUT_OF_TURN),
        ("wants-what-it-did-not-name", "is not asked for"),
        ("says-other-than-its-manifest", "does not name what was taken from it"),
        ("wants-before-it-has-found", OUT_OF_TURN),
        ("passes-a-file", OUT_OF_TURN),
        ("talks-on", "says too much"),
        ("garbage", "cannot be understood"),
    ] {
        let (dir, store) = store();
        // Of another namespace, and known to the process by its digest.
        let secret = store.put_component("secret:v1", component("secret").into()).unwrap();
        let error = pulled(way, &store).await.expect_err(way);
        assert!(error.contains(why), "{way}: {error}");
        assert_eq!(store.list().unwrap(), std::slice::from_ref(&secret), "{way}");
        assert_eq!(&store.component(&secret.digest).unwrap().bytes[..], component("secret"), "{way}");
        let blobs = std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap().flatten();
        let whole = blobs.filter(|file| !file.file_name().to_string_lossy().starts_with('.')).count();
        assert_eq!(whole, 3, "{way}: only what was there");
    }
}

#[tokio::test]
async fn what_was_kept_is_not_changed_by_the_process_that_brought_it() {
    let (_dir, store) = store();
    let image = pulled("changes-it-later", &store).await.unwrap();
    assert_eq!(&store.component(&image.digest).unwrap().bytes[..], component("told"));
}

#[tokio::test]
async fn a_process_has_the_credentials_of_its_own_registry_alone() {
    let (_dir, store) = store();
    let shown = pulled("shows-its-credentials", &store).await.unwrap_err();
    assert!(shown.contains("own") && shown.contains("pass") && !shown.contains("secret"), "{shown}");
    let refused = pulled("asks-for-others-credentials", &store).await.unwrap_err();
    assert!(refused.contains("other.example is not the image's registry"), "{refused}");
}

#[tokio::test]
async fn what_a_process_says_is_short_and_steers_no_terminal() {
    let (_dir, store) = store();
    let said = pulled("steers-the-terminal", &store).await.unwrap_err();
    assert!(said.starts_with("\\u{1b}[2J\\u{7}xxx") && said.len() < 20_000, "{}", &said[..40]);
}

#[tokio::test]
async fn a_signature_counts_by_the_keys_and_not_by_what_a_process_says() {
    let (_dir, store) = store();
    let keys = key(1).verifying();
    let reference = format!("{REGISTRY}/a:forges-a-signature");
    let image = digest_of(b"an image");
    let access = Access::of_machine();
    let refused = hostile().verify_as(&store, &reference, &image, &keys, &access).await.unwrap_err().to_string();
    assert!(refused.contains("found none that holds"), "{refused}");
    // By its own key it would count.
    let forged = key(2).verifying();
    assert_eq!(hostile().verify_as(&store, &reference, &image, &forged, &access).await.unwrap(), Form::Tag);
}
