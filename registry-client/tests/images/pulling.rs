//! Images that are pulled by a process of their own: by copies of this program, each of which runs one of the ignored tests below.

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use api::PullPolicy;
use registry_client::{
    Access, DockerConfig, Progress, Puller, Registries, RegistryHost, RegistrySettings, Request, TransferLimits,
    serve_pull,
};

use crate::{
    component,
    fake::{Answer, Fake},
    registries, store,
};

/// Has this test pull.
pub(crate) fn puller(test: &str) -> Puller {
    let name = format!("pulling::{test}");
    Puller::new(env::current_exe().unwrap(), ["--ignored", "--exact", &name])
}

#[test]
#[ignore = "it is what a pull process does, and is started as one"]
fn as_a_pull_process() {
    serve_pull(|_| ()).unwrap();
}

#[test]
#[ignore = "it is what a pull process does that a registry kills, and is started as one"]
fn as_one_that_dies() {
    std::process::abort();
}

#[test]
#[ignore = "it is what a pull process does that hangs, and is started as one"]
fn as_one_that_hangs() {
    std::thread::sleep(Duration::from_secs(600));
}

/// A registry with one image, and its reference.
async fn filled(mark: &str) -> (Fake, String) {
    let fake = Fake::start(|_, usual| usual());
    let image = push_to(&fake, mark).await;
    (fake, image)
}

async fn push_to(fake: &Fake, mark: &str) -> String {
    let (image, (_folder, theirs)) = (fake.image(), store());
    theirs.put_component(&image, component(mark)).unwrap();
    let registries = Registries::new(RegistrySettings::default()).unwrap();
    registries.push(&theirs, &image, &Progress::untold()).await.unwrap();
    image
}

#[tokio::test]
async fn a_process_of_its_own_brings_an_image_into_the_store_and_leaves_nothing_else_there() {
    let ((fake, image), (dir, store)) = (filled("a").await, store());
    let pulled = registries(RegistrySettings::default()).pull(&store, &Request::of_machine(&*image)).await.unwrap();
    assert_eq!(store.component(&pulled.digest).unwrap().bytes, component("a"));
    assert_eq!(store.list().unwrap(), std::slice::from_ref(&pulled));
    let files = std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap();
    assert_eq!(files.count(), 3, "a component, its config and the manifest");
    // What is here is not fetched again, also when the registry is asked.
    let fetched = fake.asked("GET", "/blobs/").len();
    let again = Request { policy: PullPolicy::Always, ..Request::of_machine(&*image) };
    assert_eq!(registries(RegistrySettings::default()).resolve(&store, &again).await.unwrap(), pulled.digest);
    assert_eq!(fake.asked("GET", "/blobs/").len(), fetched);
}

#[tokio::test]
async fn what_a_process_that_died_has_fetched_is_gone_on_from_by_the_next() {
    let broken = AtomicBool::new(true);
    let fake = Fake::start(move |asked, usual| {
        let mut answer = usual();
        if asked.is("GET", "/blobs/") && broken.swap(false, Ordering::SeqCst) {
            answer.breaks_off_at = Some(40);
        }
        answer
    });
    let (image, (_dir, store)) = (push_to(&fake, "a").await, store());
    let once = TransferLimits { tries: 1, ..TransferLimits::default() };
    let registries = registries(RegistrySettings { limits: once, ..RegistrySettings::default() });
    let request = Request::of_machine(&*image);
    assert!(registries.pull(&store, &request).await.is_err());
    let pulled = registries.pull(&store, &request).await.unwrap();
    assert_eq!(store.component(&pulled.digest).unwrap().bytes, component("a"));
    let from: Vec<bool> =
        fake.asked("GET", "/blobs/").iter().map(|asked| asked.headers.contains_key("range")).collect();
    assert_eq!(from, [false, true, false], "the component, the rest of it, and the config");
}

#[tokio::test]
async fn a_process_that_dies_or_hangs_is_an_error_that_says_so_and_harms_no_other_pull() {
    let ((_fake, image), (_dir, store)) = (filled("a").await, store());
    let dying = Registries::new(RegistrySettings::default()).unwrap().pulled_by(puller("as_one_that_dies"));
    let request = Request::of_machine(&*image);
    let limits = TransferLimits { transfer_timeout: Duration::from_secs(2), ..TransferLimits::default() };
    let settings = RegistrySettings { limits, ..RegistrySettings::default() };
    let hanging = Registries::new(settings).unwrap().pulled_by(puller("as_one_that_hangs"));
    let sound = registries(RegistrySettings::default());
    let limits = TransferLimits { idle_timeout: Duration::from_secs(1), ..TransferLimits::default() };
    let settings = RegistrySettings { limits, ..RegistrySettings::default() };
    let silent = Registries::new(settings).unwrap().pulled_by(puller("as_one_that_hangs"));
    let (died, hung, said_nothing, pulled) = tokio::join!(
        dying.pull(&store, &request),
        hanging.pull(&store, &request),
        silent.pull(&store, &request),
        sound.pull(&store, &request)
    );
    let (died, hung) = (died.unwrap_err().to_string(), hung.unwrap_err().to_string());
    assert!(died.contains(&image) && died.contains("ended with signal: 6"), "{died}");
    assert!(hung.contains("it took longer than 2s (`transfer-timeout` of registries.toml)"), "{hung}");
    let said_nothing = said_nothing.unwrap_err().to_string();
    assert!(
        said_nothing.contains(&image) && said_nothing.contains("hangs: it has said nothing for 10s"),
        "{said_nothing}"
    );
    assert_eq!(store.component(&pulled.unwrap().digest).unwrap().bytes, component("a"));
}

#[tokio::test]
async fn a_mirror_that_breaks_off_leaves_the_image_to_the_registry_itself() {
    let mirror = Fake::start(|asked, usual| match asked.is("GET", "/blobs/") {
        true => Answer { breaks_off_at: Some(40), ..usual() },
        false => usual(),
    });
    push_to(&mirror, "a").await;
    let ((fake, image), (dir, store)) = (filled("a").await, store());
    let host = RegistryHost { mirrors: vec![mirror.address.clone()], ..RegistryHost::default() };
    let limits = TransferLimits { tries: 1, ..TransferLimits::default() };
    let registry = [(fake.address.clone(), host)].into();
    let settings = RegistrySettings { registry, limits, ..RegistrySettings::default() };
    let pulled = registries(settings).pull(&store, &Request::of_machine(&*image)).await.unwrap();
    assert_eq!(store.component(&pulled.digest).unwrap().bytes, component("a"));
    assert!(!mirror.asked("GET", "/blobs/").is_empty());
    assert_eq!(std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap().count(), 3, "and nothing partial");
}

#[tokio::test]
async fn who_knows_the_digests_of_an_image_that_another_namespace_pulled_does_not_get_it_by_them() {
    // Who shows these credentials gets it, and nobody else.
    let fake = Fake::start(|asked, usual| match asked.method == "GET" && asked.shown() != Some("Basic YTpi") {
        true => Answer::challenge(&["Basic realm=\"x\""]),
        false => usual(),
    });
    let (image, (_dir, store)) = (push_to(&fake, "a").await, store());
    let registries = registries(RegistrySettings::default());
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"YTpi"}}}}}}"#, fake.address);
    let theirs = Access::of_namespace("a", vec![DockerConfig::parse(config.as_bytes()).unwrap()]);
    registries.pull(&store, &Request { access: theirs, ..Request::of_machine(&*image) }).await.unwrap();
    // This one has the manifest, and none of the blobs.
    let manifest = fake.manifest("v1");
    let hollow = Fake::start(move |asked, _| match asked.is("GET", "/manifests/") {
        true => Answer { body: manifest.clone(), ..Answer::of(200) },
        false => Answer::of(404),
    });
    let access = Access::of_namespace("b", vec![]);
    let request = Request { access, ..Request::of_machine(hollow.image()) };
    let refused = registries.pull(&store, &request).await.unwrap_err();
    assert!(refused.to_string().contains("404"), "{refused}");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named_as_the_reason() {
    let (_dir, store) = store();
    let registries = Registries::new(RegistrySettings::default()).unwrap();
    let registries = registries.pulled_by(Puller::new("/nowhere/sampan", ["pull-process"]));
    let why = registries.pull(&store, &Request::of_machine("127.0.0.1:1/a:b")).await.unwrap_err().to_string();
    assert!(why.contains("cannot be started"), "{why}");
}

#[tokio::test]
async fn a_registry_says_why_not_in_the_same_words_whoever_asks_it() {
    let fake = Fake::start(|_, _| Answer { body: b"{\"errors\":[{\"code\":\"DENIED\"}]}".to_vec(), ..Answer::of(403) });
    let (_dir, store) = store();
    let request = Request::of_machine(fake.image());
    let here = Registries::new(RegistrySettings::default()).unwrap().pull(&store, &request).await.unwrap_err();
    let there = registries(RegistrySettings::default()).pull(&store, &request).await.unwrap_err();
    assert_eq!(here.to_string(), there.to_string());
}

#[tokio::test]
async fn a_component_is_looked_at_for_its_engine_in_a_process_too() {
    let (_dir, store) = store();
    let image = store.put_component("hello:v1", component("a")).unwrap();
    assert_eq!(registries(RegistrySettings::default()).answers_once(&store, &image.digest).await, None);
    let text = r#"(component
        (core module (@producers (processed-by "ComponentizeJS" "0.22.0")))
        (instance $handler)
        (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#;
    let image = store.put_component("js:v1", wat::parse_str(text).unwrap().into()).unwrap();
    let told = registries(RegistrySettings::default()).answers_once(&store, &image.digest).await;
    assert_eq!(told.as_deref(), Some("ComponentizeJS 0.22.0"));
}
