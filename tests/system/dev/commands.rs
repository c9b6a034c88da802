//! Components that a command makes, and what stands in manifests beside them.

use std::{fs, path::Path};

use super::edit;
use crate::{
    client::Client,
    printed::assert_clean,
    sampan::{Sampan, guest, wait_for},
};

/// A project whose component is the probe, copied by a command which also writes further files. `builds` has a line for
/// each build.
fn project(folder: &Path, command: &str) {
    fs::create_dir_all(folder.join("deploy")).expect("a folder");
    fs::create_dir_all(folder.join("src")).expect("a folder");
    fs::write(folder.join("src/page.js"), "one").expect("a write");
    fs::copy(guest("probe"), folder.join("base.wasm")).expect("a copy");
    let toml = format!(
        "[app]\nname = \"page\"\nmanifests = [\"deploy\"]\n[component.page]\nimage = \"page:dev\"\nartifact = \"dist/page.wasm\"\n\
         command = \"echo build >> ../builds; mkdir -p dist; cp base.wasm dist/page.wasm; {command}\"\n"
    );
    fs::write(folder.join("sampan.toml"), toml).expect("a write");
}

fn builds(folder: &Path) -> usize {
    fs::read_to_string(folder.join("builds")).unwrap_or_default().lines().count()
}

#[test]
fn what_a_build_writes_below_its_folder_is_learnt_and_then_each_edit_is_one_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page");
    // Beside the artifact, a file with a new name each time; and a formatter writes the source again.
    let writes =
        "date +%N > dist/page.map; date > dist/page.$(date +%N).js; cp src/page.js src/x && mv src/x src/page.js";
    project(&page, writes);
    for made in ["node_modules/a", ".git", "target"] {
        fs::create_dir_all(page.join(made)).expect("a folder");
    }
    fs::write(page.join("target/CACHEDIR.TAG"), "").expect("a write");
    let sampan = Sampan::dev(&folder.path().join("data"), &page);
    sampan.wait_for_output("the build itself changes dist/page.map");
    let learnt = builds(folder.path());
    assert!(learnt <= 3, "{learnt}");
    for edits in 1..=3 {
        for (file, text) in
            [("node_modules/a/index.js", edits), (".git/index", edits), ("target/x", edits), ("src/page.js", edits + 1)]
        {
            fs::write(page.join(file), text.to_string()).expect("a write");
        }
        wait_for("the edit is built", || (builds(folder.path()) >= learnt + edits).then_some(()));
        let told = |count| sampan.output().matches("page            is the same").count() >= count;
        wait_for("the build is over", || told(learnt + edits - 1).then_some(()));
    }
    // The next build would be there by now: the one of the last edit is, which came after it.
    assert_eq!(builds(folder.path()), learnt + 3, "{}", sampan.output());
}

#[test]
fn saves_in_a_burst_during_a_build_are_one_more_build_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page");
    // A build waits until it may go on.
    project(&page, "while [ -e ../held ]; do sleep 0.05; done; cat src/page.js >> ../built");
    let built = || fs::read_to_string(folder.path().join("built")).unwrap_or_default();
    let sampan = Sampan::dev(&folder.path().join("data"), &page);
    wait_for("the first build", || (builds(folder.path()) == 1 && !built().is_empty()).then_some(()));
    sampan.wait_for_output("Watching");
    fs::write(folder.path().join("held"), "").expect("a write");
    fs::write(page.join("src/page.js"), "[save 0]").expect("a write");
    wait_for("the build of the first save", || (builds(folder.path()) == 2).then_some(()));
    for save in 1..=5 {
        fs::write(page.join("src/page.js"), format!("[save {save}]")).expect("a write");
    }
    fs::remove_file(folder.path().join("held")).expect("it is there");
    wait_for("the last save is built", || built().ends_with("[save 5]").then_some(()));
    let told = || sampan.output().matches("page            is the same").count() == 2;
    wait_for("the builds are over", || told().then_some(()));
    assert_eq!(builds(folder.path()), 3, "{}", sampan.output());
}

#[test]
fn another_value_of_a_config_map_or_a_secret_rolls_out_what_uses_it_and_an_error_in_it_is_told_and_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page");
    project(&page, "true");
    let manifest = page.join("deploy/page.yaml");
    let text = fs::read_to_string(crate::sampan::root().join("samples/hello/deploy/hello.yaml")).expect("a manifest");
    let variables = [
        "env: [{ name: SECRET, valueFrom: { secretKeyRef: { name: words, key: secret } } }]",
        "envFrom: [{ configMapRef: { name: words } }]",
        "ports:",
    ]
    .join("\n          ");
    let text = text
        .replace("hello", "page")
        .replacen("ports:", &variables, 1)
        .replace("      labels:\n", "      annotations: { sampan.dev/key-value: carts }\n      labels:\n");
    let values = "---
apiVersion: v1
kind: ConfigMap
metadata: { name: words }
data: { GREETING: ahoy }
---
apiVersion: v1
kind: Secret
metadata: { name: words }
stringData: { secret: hush }
";
    fs::write(&manifest, format!("{text}{values}")).expect("a write");
    let sampan = Sampan::dev(&folder.path().join("data"), &page);
    sampan.wait_for_output(&format!("Open http://{}/ first.", sampan.http));
    let client = Client::new(&sampan.http, Some("page.default.localhost"));
    let says = |text: &str| {
        wait_for(text, || {
            client.try_get("/env").ok().filter(|answer| answer.status == 200 && answer.body.contains(text))
        });
    };
    says("ahoy");
    says("hush");
    edit(&manifest, "ahoy", "good morning");
    says("good morning");
    edit(&manifest, "hush", "louder");
    says("louder");
    edit(&manifest, "kind: ConfigMap", "kind: ConfigMop");
    sampan.wait_for_output("not applied; what runs goes on");
    says("good morning");
    edit(&manifest, "kind: ConfigMop", "kind: ConfigMap");
    sampan.wait_for_output("manifests       the error is mended: applied");
    edit(&page.join("sampan.toml"), "[app]", "[app");
    sampan.wait_for_output("unclosed table");
    edit(&page.join("sampan.toml"), "[app", "[app]");
    sampan.wait_for_output("sampan.toml     the error is mended");
    assert_eq!(builds(folder.path()), 1);
}

#[test]
fn a_session_that_is_told_to_end_warns_of_nothing_and_a_build_that_would_never_end_ends_with_it() {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("page");
        project(&page, "cat src/build.sh | sh");
        fs::write(page.join("src/build.sh"), "true\n").expect("a write");
        let sampan = Sampan::dev(&folder.path().join("data"), &page);
        sampan.wait_for_output("Watching ");
        // As a command that watches and builds again by itself does.
        let started = folder.path().join("started");
        let endless = format!("sh -c 'sleep 1000 & echo $! > {}; wait'; true\n", started.display());
        fs::write(page.join("src/build.sh"), endless).expect("a write");
        let process = wait_for("the build has begun", || {
            fs::read_to_string(&started).ok().filter(|text| text.ends_with('\n')).map(|text| text.trim().to_owned())
        });
        assert_clean(signal, &sampan.end(signal));
        wait_for("nothing is left of the build", || {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z ")).then_some(())
        });
    }
}

#[test]
fn what_a_first_build_that_failed_needs_may_be_mended_in_a_package_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = super::editable_sample(folder.path());
    let beside = folder.path().join("beside");
    fs::create_dir_all(beside.join("src")).expect("a folder");
    fs::write(beside.join("Cargo.toml"), "[package]\nname = \"beside\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .expect("a write");
    fs::write(beside.join("src/lib.rs"), "pub const HELLO: &str = \"Hello from beside\"").expect("a write");
    edit(&app.join("Cargo.toml"), "[dependencies]\n", "[dependencies]\nbeside = { path = \"../../beside\" }\n");
    edit(&app.join("src/lib.rs"), "Hello from Sampan! You asked for {}", "{} {}");
    edit(&app.join("src/lib.rs"), "request.uri().path()", "beside::HELLO, include_str!(\"../../../else.txt\")");
    fs::write(folder.path().join("else.txt"), "and elsewhere").expect("a write");
    let sampan = Sampan::dev(&folder.path().join("data"), &app);
    sampan.wait_for_output("cargo build failed");
    fs::write(beside.join("src/lib.rs"), "pub const HELLO: &str = \"Hello from beside\";").expect("a write");
    sampan.wait_for_output("the error is mended");
    let client = Client::new(&sampan.http, Some("hello.default.localhost"));
    let says = |text: &str| {
        wait_for(text, || client.try_get("/").ok().filter(|answer| answer.status == 200 && answer.body.contains(text)));
    };
    says("Hello from beside and elsewhere");
    // What it read elsewhere is followed, and what has not changed since is not built.
    fs::write(folder.path().join("else.txt"), "and further away").expect("a write");
    says("Hello from beside and further away");
    let is_begun = |line: &&str| line.starts_with("hello           building") && !line.contains(" crates, ");
    let builds = sampan.output().lines().filter(is_begun).count();
    assert_eq!(builds, 3, "{}", sampan.output());
}
