//! The registry that every installation has.

use std::{fs, path::Path, process::Command};

use registry_client::hosted::ContentDigest;

use super::{deploy, deploy_as, push, settings};
use crate::{
    client::Client,
    sampan::{Sampan, command, guest, succeed, wait_for},
};

/// Where the registry is: the API's address.
pub(super) fn host(sampan: &Sampan) -> String {
    let kubeconfig = fs::read_to_string(sampan.kubeconfig()).expect("a kubeconfig");
    let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: https://"));
    server.expect("the kubeconfig names the server").trim_matches('"').to_owned()
}

fn token(data_dir: &Path, name: &str) -> String {
    fs::read_to_string(data_dir.join("api").join(name)).expect("a token").trim().to_owned()
}

/// A file of an image: its media type, and what is in it.
type File<'a> = (&'a str, &'a str);

/// Puts an image of this configuration and layer into the registry, under a tag or, without one, its digest alone, with
/// these further fields in its manifest.
pub(crate) fn put_image(
    sampan: &Sampan,
    repository: &str,
    tag: Option<&str>,
    [config, layer]: [File<'_>; 2],
    fields: &serde_json::Value,
) {
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let base = format!("https://{}/v2/{repository}", host(sampan));
    let authorization = format!("Authorization: Bearer {}", token(&sampan.data_dir, "token"));
    let curl = |method: &str, url: &str, kind: &str, body: &str| {
        let kind = format!("Content-Type: {kind}");
        let mut curl = Command::new("curl");
        curl.args(["-sSfk", "-X", method, "-H", &authorization, "-H", &kind, "--data-binary", body, url]);
        succeed("curl", curl.output().expect("curl"))
    };
    let descriptor = |(kind, bytes): File<'_>| {
        let digest = ContentDigest::of(bytes.as_bytes());
        curl("POST", &format!("{base}/blobs/uploads/?digest={digest}"), "application/octet-stream", bytes);
        serde_json::json!({ "mediaType": kind, "digest": digest.as_str(), "size": bytes.len() })
    };
    let mut manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config),
        "layers": [ descriptor(layer) ] });
    for (name, value) in fields.as_object().into_iter().flatten() {
        manifest[name] = value.clone();
    }
    let digest = ContentDigest::of(manifest.to_string().as_bytes()).to_string();
    curl("PUT", &format!("{base}/manifests/{}", tag.unwrap_or(&digest)), MANIFEST, &manifest.to_string());
}

/// Puts a bundle into the registry that refers to the manifest with this digest.
pub(super) fn put_referrer(sampan: &Sampan, repository: &str, subject: &str, bundle: &serde_json::Value) {
    let (bundle, kind) = (bundle.to_string(), "application/vnd.dev.sigstore.bundle.v0.3+json");
    let subject = serde_json::json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": format!("sha256:{subject}"), "size": 1 });
    let fields = serde_json::json!({ "artifactType": kind, "subject": subject });
    put_image(sampan, repository, None, [("application/vnd.oci.empty.v1+json", "{}"), (kind, &bundle)], &fields);
}

fn skopeo(sampan: &Sampan, token_name: &str, args: &[&str]) -> std::process::Output {
    let credentials = format!("any:{}", token(&sampan.data_dir, token_name));
    let trust = sampan.data_dir.join("api/trust").display().to_string();
    let mut skopeo = Command::new("skopeo");
    skopeo.arg(args[0]);
    match args[0] {
        "copy" => skopeo.args(["--src-cert-dir", &trust, "--dest-cert-dir", &trust]).args([
            "--src-creds",
            &credentials,
            "--dest-creds",
            &credentials,
        ]),
        _ => skopeo.args(["--cert-dir", &trust, "--creds", &credentials]),
    };
    skopeo.args(&args[1..]).output().expect("skopeo: run `scripts/setup test`")
}

#[test]
fn what_is_pushed_to_it_runs_by_its_short_name_and_by_its_address() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let sampan = Sampan::up(ours.path());
    let image = format!("{}/shop/hello:v1", host(&sampan));
    // From another machine, as it were: with another store, and the kubeconfig of this installation.
    fs::copy(sampan.kubeconfig(), theirs.path().join("kubeconfig")).expect("a file");
    let pushed = push(theirs.path(), &image);
    for name in [image.as_str(), "shop/hello:v1"] {
        deploy(&sampan, name);
        sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
        assert_eq!(Client::new(&sampan.http, Some("hello.default.localhost")).get("/").status, 200);
    }
    let shown = sampan.kubectl_ok(&["get", "pods", "-o", "jsonpath={.items[0].status.containerStatuses[0].imageID}"]);
    assert!(pushed.contains(shown.rsplit('@').next().unwrap_or_default()), "{shown} is not of {pushed}");
}

#[test]
fn skopeo_inspects_copies_and_deletes_in_it_as_its_token_allows() {
    let (layout, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let sampan = Sampan::up(ours.path());
    let host = host(&sampan);
    let component = guest("hello");
    sampan.cli_ok(&["build", component.to_str().expect("UTF-8"), "-t", "built:v1"]);
    let (built, copied) = (format!("docker://{host}/built:v1"), format!("docker://{host}/deep/copied:v2"));
    let to_layout = format!("oci:{}:x", layout.path().join("layout").display());
    let inspected = succeed("skopeo inspect", skopeo(&sampan, "pull-token", &["inspect", "--raw", &built]));
    assert!(inspected.contains("application/wasm"), "{inspected}");
    succeed("skopeo copy to a layout", skopeo(&sampan, "pull-token", &["copy", &built, &to_layout]));
    let refused = skopeo(&sampan, "pull-token", &["copy", &to_layout, &copied]);
    assert!(!refused.status.success(), "a token for pulling pushes nothing");
    succeed("skopeo copy from a layout", skopeo(&sampan, "push-token", &["copy", &to_layout, &copied]));
    deploy_as(&sampan, "deep/copied:v2", "default", "");
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    let tags = succeed(
        "skopeo list-tags",
        skopeo(&sampan, "pull-token", &["list-tags", &format!("docker://{host}/deep/copied")]),
    );
    assert!(tags.contains("v2"), "{tags}");
    assert!(!skopeo(&sampan, "push-token", &["delete", &copied]).status.success());
    succeed("skopeo delete", skopeo(&sampan, "token", &["delete", &copied]));
    assert!(!skopeo(&sampan, "token", &["inspect", "--raw", &copied]).status.success());
}

#[test]
fn images_are_listed_with_who_uses_them_and_only_the_others_are_pruned() {
    let ours = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(ours.path());
    for (component, name) in [("hello", "used:v1"), ("probe", "idle:v1"), ("shopping-cart", "large:v1")] {
        sampan.cli_ok(&["build", guest(component).to_str().expect("UTF-8"), "-t", name]);
    }
    deploy(&sampan, "used:v1");
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    let listed = sampan.cli_ok(&["images"]);
    let line = |name: &str| listed.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("used:v1").contains("default/hello") && line("used:v1").contains("yes"), "{listed}");
    assert!(!line("idle:v1").contains("hello") && line("large:v1").contains("no"), "{listed}");
    let told = sampan.cli_ok(&["images", "prune", "--all", "--grace", "0s", "--dry-run"]);
    assert!(told.contains("idle:v1") && told.contains("large:v1") && !told.contains("used:v1"), "{told}");
    assert!(sampan.cli_ok(&["images"]).contains("idle:v1"), "nothing is gone yet");
    sampan.cli_ok(&["images", "prune", "--all", "--grace", "0s"]);
    let left = sampan.cli_ok(&["images"]);
    assert!(left.contains("used:v1") && !left.contains("idle:v1") && !left.contains("large:v1"), "{left}");
    sampan.kubectl_ok(&["delete", "pod", "--all"]);
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    wait_for("it answers again", || {
        (Client::new(&sampan.http, Some("hello.default.localhost")).get("/").status == 200).then_some(())
    });
    assert!(
        !command(&["images", "prune", "--data-dir"])
            .arg(ours.path().join("none"))
            .output()
            .expect("starts")
            .status
            .success()
    );
}

#[test]
fn an_upload_goes_on_after_the_server_was_killed_in_the_middle_of_it() {
    let ours = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(ours.path());
    let authorization = format!("Authorization: Bearer {}", token(ours.path(), "token"));
    let curl = |server: &Sampan, args: &[&str], path: &str| {
        let url = format!("https://{}{path}", host(server));
        let mut curl = Command::new("curl");
        curl.args(["-sSk", "-i", "-H", &authorization]).args(args).arg(url);
        succeed("curl", curl.output().expect("curl"))
    };
    let header = |answer: &str, name: &str| {
        let line =
            answer.lines().find_map(|line| line.to_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned));
        line.unwrap_or_default().trim().to_owned()
    };
    let whole = vec![7u8; 6 << 20];
    let (first, rest) = (ours.path().join("first"), ours.path().join("rest"));
    fs::write(&first, &whole[..4 << 20]).expect("a file");
    let begun = curl(&sampan, &["-X", "POST", "-d", ""], "/v2/large/blobs/uploads/");
    let place = header(&begun, "location");
    // The rest of what is announced never comes: the client is stopped, and the server killed.
    let send = format!("https://{}{place}", host(&sampan));
    let mut sending = Command::new("curl");
    sending.args([
        "-sSk",
        "-X",
        "PATCH",
        "-H",
        &authorization,
        "-H",
        "Content-Length: 6291456",
        "--limit-rate",
        "8M",
        "-T",
    ]);
    let mut sending = sending.arg(&first).arg(send).spawn().expect("curl");
    wait_for("a part has come", || (header(&curl(&sampan, &[], &place), "range") != "0-0").then_some(()));
    sampan.kill();
    let _ = sending.kill();
    let _ = sending.wait();
    let sampan = Sampan::up(ours.path());
    let status = curl(&sampan, &[], &place);
    let come: usize = header(&status, "range").trim_start_matches("0-").parse::<usize>().expect("a range") + 1;
    assert!((1..=4 << 20).contains(&come), "{status}");
    fs::write(&rest, &whole[come..]).expect("a file");
    let digest = ContentDigest::of(&whole);
    let done = curl(&sampan, &["-X", "PUT", "-T", rest.to_str().expect("UTF-8")], &format!("{place}?digest={digest}"));
    assert!(done.contains(" 201"), "{done}");
    let head = curl(&sampan, &["-I"], &format!("/v2/large/blobs/{digest}"));
    assert_eq!(header(&head, "content-length"), "6291456", "{head}");
}

#[test]
fn another_installation_pulls_from_it_with_a_token_for_pulling() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let origin = Sampan::up(theirs.path());
    let host = host(&origin);
    let image = format!("{host}/shop/hello:v1");
    push(theirs.path(), &image);
    let ca = theirs.path().join("api/trust/ca.crt").display().to_string();
    let file = settings(ours.path(), &format!("[registry.\"{host}\"]\nca = \"{ca}\"\n"));
    let sampan = Sampan::up_with(ours.path(), &["--registries", &file]);
    let config = serde_json::json!({ "auths": { host.as_str(): { "username": "any", "password": token(theirs.path(), "pull-token") } } });
    let secret = serde_json::json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": { "name": "origin" }, "stringData": { ".dockerconfigjson": config.to_string() } });
    let path = ours.path().join("secret.json");
    fs::write(&path, secret.to_string()).expect("a file");
    sampan.cli_ok(&["apply", "-f", path.to_str().expect("UTF-8")]);
    deploy_as(&sampan, &image, "default", "      imagePullSecrets: [{ name: origin }]\n");
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    assert_eq!(Client::new(&sampan.http, Some("hello.default.localhost")).get("/").status, 200);
}
