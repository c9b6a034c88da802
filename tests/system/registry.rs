//! Images go to a real registry and come from it: Debian's `docker-registry`, and `skopeo` as another's client.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    client::Client,
    sampan::{Sampan, command, guest, succeed, wait_for},
};

/// A registry with its data in a folder. Killed when dropped.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket").to_string();
        drop(listener);
        let (config, data) = (folder.join("registry.yml"), folder.join("registry"));
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            data.display()
        );
        std::fs::write(&config, text).expect("a configuration");
        let mut serve = Command::new("docker-registry");
        serve.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = serve.spawn().expect("docker-registry starts: run `scripts/setup test`");
        wait_for("the registry listens", || TcpStream::connect(&address).ok());
        Self { child, address }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn push(folder: &Path, image: &str) -> String {
    let component = guest("hello");
    let pushed = command(&["push", component.to_str().expect("UTF-8"), image]).arg("--data-dir").arg(folder).output();
    succeed("sampan push", pushed.expect("the sampan program starts"))
}

fn deploy(sampan: &Sampan, image: &str) {
    let manifest = sampan.data_dir.join("hello.yaml");
    let probe = include_str!("probe.yaml").replace("probe:test", image).replace("probe", "hello");
    std::fs::write(&manifest, probe).expect("a manifest");
    sampan.cli_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
}

#[test]
fn an_image_that_was_pushed_is_pulled_where_it_is_deployed_and_shown_by_its_digest() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Registry::start(theirs.path());
    let image = format!("{}/shop/hello:v1", registry.address);
    let pushed = push(theirs.path(), &image);
    let copied = format!("docker://{}/copied:v2", registry.address);
    let copy = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &format!("docker://{image}"), &copied];
    succeed("skopeo copy", Command::new("skopeo").args(copy).output().expect("skopeo: run `scripts/setup test`"));

    let sampan = Sampan::up(ours.path());
    deploy(&sampan, &format!("{}/copied:v2", registry.address));
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    assert_eq!(Client::new(&sampan.http, Some("hello.default.localhost")).get("/").status, 200);
    let shown = sampan.kubectl_ok(&["get", "pods", "-o", "jsonpath={.items[0].status.containerStatuses[0].imageID}"]);
    let digest = shown.rsplit('@').next().unwrap_or_default();
    assert!(digest.starts_with("sha256:") && pushed.contains(digest), "{shown} is not of {pushed}");
}

#[test]
fn an_image_that_no_registry_has_is_an_image_pull_error_in_the_registrys_own_words() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Registry::start(theirs.path());
    let sampan = Sampan::up(ours.path());
    deploy(&sampan, &format!("{}/nothing:v1", registry.address));
    wait_for("the registry's words are shown", || {
        sampan.kubectl_ok(&["get", "events"]).contains("MANIFEST_UNKNOWN").then_some(())
    });
    assert!(sampan.kubectl_ok(&["get", "pods"]).contains("ErrImagePull"), "{}", sampan.kubectl_ok(&["get", "pods"]));
}
