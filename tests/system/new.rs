//! `sampan new`: what it writes is built, served, edited and tested, in a folder far from the repository.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{
    client::Client,
    dev::edit,
    sampan::{Sampan, command, root, succeed, wait_for},
};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = command(arguments);
    command.env_remove("SAMPAN_TEMPLATE").current_dir(folder).stdin(Stdio::null()).output().expect("it starts")
}

/// Makes a project, and checks what is said of it.
fn made(folder: &Path, arguments: &[&str]) -> String {
    let said = succeed("sampan new", run(folder, &[&["new"], arguments].concat()));
    assert!(said.lines().count() < 12 && said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(said.contains("\n  cd ") && said.contains("\n  sampan dev "), "{said}");
    said
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// What `scripts/setup test` has installed for a language, where this machine can have it.
fn toolchain(language: &str, file: &str) -> Option<PathBuf> {
    let found = root().join("target/languages").join(language).join(file);
    if !found.exists() {
        eprintln!("left out: {} is not here, so {language} cannot be built: scripts/setup test", found.display());
    }
    found.exists().then_some(found)
}

fn works(folder: &Path, line: &str) {
    let output = Command::new("sh").args(["-c", line]).current_dir(folder).output().expect("sh");
    succeed(line, output);
}

/// Has a project named `hello` answer `/ask` by what the service says to `/world`, which its manifests then allow it to ask.
fn asks_itself(folder: &Path, source: &str, edits: &[(&str, &str)]) {
    let project = folder.join("hello");
    succeed("manifests", run(&project, &["dev", "--write-manifests"]));
    let commented = "      # annotations:\n      #   sampan.dev/key-value: default           # stores of wasi:keyvalue\n      #   \
                     sampan.dev/outbound: api.example.com";
    edit(&project.join("deploy/hello.yaml"), commented, "      annotations:\n        sampan.dev/outbound: hello");
    for (from, to) in edits {
        edit(&project.join(source), from, to);
    }
}

/// Serves a project named `hello` that [`asks_itself`], if it does, edits `source`, and sees that served too.
fn is_served_and_edited(folder: &Path, language: &str, source: &str) {
    let project = folder.join("hello");
    let sampan = Sampan::dev(&folder.join("data"), &project);
    let client = Client::new(&sampan.http, Some("hello.default.localhost"));
    let says = |text: &str| {
        wait_for(text, || client.try_get("/world").ok().filter(|answer| answer.status == 200 && answer.body == text));
    };
    // An engine of megabytes takes its time to be built and to be compiled: each is waited for by itself.
    let is_built = |times: usize| {
        wait_for("it is built", || (sampan.output().matches(" built ").count() >= times).then_some(()));
    };
    is_built(1);
    let greeting = format!("Hello from {language}! You asked for /world\n");
    says(&greeting);
    if project.join("deploy").exists() {
        wait_for("it has asked", || client.try_get("/ask").ok().filter(|answer| answer.body == greeting));
    }
    edit(&project.join(source), "Hello from", "Good morning from");
    is_built(2);
    says(&format!("Good morning from {language}! You asked for /world\n"));
    wait_for("the request is in the log", || {
        sampan.kubectl_ok(&["logs", "deployment/hello"]).contains("GET /world").then_some(())
    });
}

#[test]
fn a_service_in_rust_is_made_tested_served_and_edited() {
    let folder = tempfile::tempdir().expect("a folder");
    // Cargo takes every package below a workspace for one of its members, unless the package says otherwise.
    fs::write(folder.path().join("Cargo.toml"), "[workspace]\nmembers = []\n").expect("a workspace around it");
    let said = made(folder.path(), &["hello", "--template", "rust"]);
    assert!(said.contains("\n  cargo test "), "{said}");
    let project = folder.path().join("hello");
    // The lock is whole: nothing is asked of a network.
    works(&project, "cargo test --locked --offline");
    is_served_and_edited(folder.path(), "Rust", "src/lib.rs");
}

#[test]
fn a_service_in_javascript_is_made_tested_served_and_edited() {
    let Some(modules) = toolchain("new-typescript", "node_modules") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let said = made(folder.path(), &["hello", "--template", "javascript"]);
    assert!(said.contains("\n  npm ci ") && said.contains("\n  npm test "), "{said}");
    let project = folder.path().join("hello");
    let lacking = refused(folder.path(), &["build", "hello", "--data-dir", "data"]);
    assert!(lacking.contains("run `npm ci` in"), "{lacking}");
    // That of TypeScript holds what JavaScript needs.
    symlink(modules, project.join("node_modules")).expect("a link");
    works(&project, "npm test");
    is_served_and_edited(folder.path(), "JavaScript", "src/app.js");
}

#[test]
fn a_service_in_typescript_is_made_tested_served_and_edited() {
    let Some(modules) = toolchain("new-typescript", "node_modules") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    made(folder.path(), &["hello", "--template", "typescript"]);
    let project = folder.path().join("hello");
    symlink(modules, project.join("node_modules")).expect("a link");
    works(&project, "npm test");
    is_served_and_edited(folder.path(), "TypeScript", "src/app.ts");
}

#[test]
fn a_service_in_python_is_made_tested_served_and_edited() {
    let Some(venv) = toolchain("new-python", "venv") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let said = made(folder.path(), &["hello", "--template", "python"]);
    assert!(said.contains("pip install -r requirements.txt"), "{said}");
    let project = folder.path().join("hello");
    symlink(venv, project.join(".venv")).expect("a link");
    works(&project, "python3 -m unittest");
    let ask = "    if request.path == \"/ask\":\n        return Response(fetch(\"http://hello/world\").body)\n    return Response(f";
    let edits =
        [("from service import", "from client import fetch\nfrom service import"), ("    return Response(f", ask)];
    asks_itself(folder.path(), "app.py", &edits);
    works(&project, "python3 -m unittest");
    is_served_and_edited(folder.path(), "Python", "app.py");
}

#[test]
fn a_service_in_go_is_made_tested_served_and_edited() {
    if Command::new("go").arg("version").output().is_err() {
        eprintln!("left out: there is no Go here");
        return;
    }
    let Some(venv) = toolchain("new-go", "venv") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    made(folder.path(), &["hello", "--template", "go"]);
    let project = folder.path().join("hello");
    symlink(venv, project.join(".venv")).expect("a link");
    works(&project, "GOPROXY=off go test ./...");
    let ask = "\tif request.URL.Path == \"/ask\" {\n\t\tasked, err := wasi.Client.Get(\"http://hello/world\")\n\t\tif err != nil {\n\
               \t\t\tpanic(err)\n\t\t}\n\t\tdefer asked.Body.Close()\n\t\tio.Copy(response, asked.Body)\n\t\treturn\n\t}\n\tfmt.Fprintf(";
    asks_itself(folder.path(), "main.go", &[("\"fmt\"\n", "\"fmt\"\n\t\"io\"\n"), ("\tfmt.Fprintf(", ask)]);
    works(&project, "GOPROXY=off go test ./...");
    is_served_and_edited(folder.path(), "Go", "main.go");
}

#[test]
fn the_shopping_cart_is_made_anywhere_and_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    made(folder.path(), &["--from", "cart"]);
    let shop = folder.path().join("shopping-cart");
    let sampan = Sampan::dev(&folder.path().join("data"), &shop);
    let page = Client::new(&sampan.http, Some("localhost"));
    wait_for("the shop is open", || page.try_get("/").ok().filter(|answer| answer.status == 200));
    let cart = Client::new(&sampan.http, Some("shopping-cart.default.localhost"));
    wait_for("carts are served", || cart.try_get("/cart").ok().filter(|answer| answer.status == 200));
    assert!(!String::from_utf8_lossy(&run(&shop, &["wit", "update"]).stdout).contains("written"));
}

#[test]
fn the_sample_hello_is_made_anywhere_with_its_manifests() {
    let folder = tempfile::tempdir().expect("a folder");
    made(folder.path(), &["greeter", "--from", "hello"]);
    let project = folder.path().join("greeter");
    assert!(project.join("deploy/hello.yaml").is_file());
    succeed("sampan build", run(&project, &["build", "--data-dir", "../data"]));
}

#[test]
fn what_cannot_be_begun_is_refused_and_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let said = refused(folder, &["new", "hello"]);
    assert!(said.contains("add --template with one of rust, javascript, typescript, python, go"), "{said}");
    let said = refused(folder, &["new", "hello", "--template", "cobol"]);
    assert!(said.contains("[possible values: rust, javascript, typescript, python, go]"), "{said}");
    for name in ["Hello", "my_service", "1st", "a.b", "a b"] {
        let said = refused(folder, &["new", name, "-t", "rust"]);
        assert!(said.contains("hint: a name begins with a lower-case letter"), "{said}");
    }
    assert_eq!(fs::read_dir(folder).expect("a folder").count(), 0);
    made(folder, &["hello", "-t", "python"]);
    fs::write(folder.join("hello/app.py"), "mine").expect("a write");
    let said = refused(folder, &["new", "hello", "-t", "rust"]);
    assert!(said.contains("hello is there already, and it is not empty"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("hello/app.py")).expect("a text"), "mine");
    assert!(!folder.join("hello/Cargo.toml").exists());
}

#[test]
fn interfaces_that_a_world_names_are_brought_at_the_versions_of_its_toolchain() {
    let folder = tempfile::tempdir().expect("a folder");
    for (language, version) in [("javascript", "0.2.10"), ("python", "0.2.12")] {
        made(folder.path(), &[language, "--template", language]);
        let project = folder.path().join(language);
        let update = || succeed("sampan wit update", run(&project, &["wit", "update"]));
        assert!(update().contains("wit  is up to date"), "{language}");
        let export = format!("  export wasi:http/incoming-handler@{version};\n");
        let more = format!("{export}  import wasi:keyvalue/store@0.2.0-draft2;\n  import wasi:random/random@0.2.0;\n");
        edit(&project.join("wit/world.wit"), &export, &more);
        edit(&project.join("wit/deps/io.wit"), version, "0.2.1");
        let said = update();
        for written in ["world.wit", "deps/io.wit", "deps/random.wit", "deps/keyvalue-draft2/store.wit"] {
            assert!(said.contains(&format!("wit/{written}  written")), "{written}: {said}");
        }
        let random = fs::read_to_string(project.join("wit/deps/random.wit")).expect("a text");
        assert!(random.starts_with(&format!("package wasi:random@{version};")), "{random}");
        assert!(update().contains("is up to date"), "{language}");
    }
}
