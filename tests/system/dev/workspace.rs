//! Components of one workspace: what they share, and how they are built.

use std::{fs, path::Path};

use super::{edit, with_cargo};
use crate::{
    client::Client,
    sampan::{Sampan, command, root, wait_for},
};

const MAIN: &str = "\
use wstd::http::{Body, Request, Response, Result};

#[wstd::http_server]
async fn main(_: Request<Body>) -> Result<Response<Body>> {
    Ok(Response::new(TEXT.into()))
}
";

/// A project of a workspace with two components, `wsapp` and `wscart`, which use a crate beside them, and one that lies
/// outside of the workspace. Its folder has a blank and an umlaut in its name.
fn project(folder: &Path) -> std::path::PathBuf {
    let shop = folder.join("my läden");
    let write = |path: &str, text: &str| {
        let file = shop.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("a write");
    };
    // With the profile and the versions of the samples, whose dependencies are compiled already.
    let samples = fs::read_to_string(root().join("samples/Cargo.toml")).expect("a manifest");
    let profile = samples.split_once("[profile.release]").expect("a profile").1;
    let members = "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"cart\", \"shared\"]\nexclude = [\"outside\"]\n";
    write("Cargo.toml", &format!("{members}[profile.release]{profile}"));
    fs::copy(root().join("samples/Cargo.lock"), shop.join("Cargo.lock")).expect("a copy");
    let head = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    let guest = "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nwstd = { version = \"0.6.8\", default-features = false }\n\
                 wsshared = { path = \"../shared\" }\n";
    write("app/Cargo.toml", &format!("{}{guest}wsoutside = {{ path = \"../outside\" }}\n", head("wsapp")));
    write("cart/Cargo.toml", &format!("{}{guest}", head("wscart")));
    write("shared/Cargo.toml", &head("wsshared"));
    write("outside/Cargo.toml", &head("wsoutside"));
    write("shared/src/lib.rs", "pub const SHARED: &str = \"shared-0\";");
    write("outside/src/lib.rs", "pub const OUTSIDE: &str = \"outside-0\";");
    write("app/page.html", "page-0");
    write("app/data/word", "word-0");
    let script = "fn main() {\n    println!(\"cargo::rerun-if-changed=data\");\n    let word = std::fs::read_to_string(\"data/word\");\n    \
                  println!(\"cargo::rustc-env=WORD={}\", word.unwrap());\n}\n";
    write("app/build.rs", script);
    let texts = "format!(\"app-0 {} {} {} {}\", wsshared::SHARED, wsoutside::OUTSIDE, include_str!(\"../page.html\"), env!(\"WORD\"))";
    write("app/src/lib.rs", &MAIN.replace("TEXT", texts));
    write("cart/src/lib.rs", &MAIN.replace("TEXT", "format!(\"cart-0 {}\", wsshared::SHARED)"));
    let mut toml = "[app]\nname = \"shop\"\nmanifests = [\"deploy\"]\n".to_owned();
    let manifest = fs::read_to_string(root().join("samples/hello/deploy/hello.yaml")).expect("a manifest");
    for name in ["app", "cart"] {
        toml.push_str(&format!("[component.{name}]\nimage = \"{name}:dev\"\npath = \"{name}\"\n"));
        write(&format!("deploy/{name}.yaml"), &manifest.replace("hello", name));
    }
    write("sampan.toml", &toml);
    shop
}

/// The builds that Cargo was called for, each with its arguments.
fn calls(folder: &Path) -> Vec<String> {
    let calls = fs::read_to_string(folder.join("calls")).unwrap_or_default();
    calls.lines().filter(|call| call.starts_with("build ")).map(str::to_owned).collect()
}

#[test]
fn components_of_a_workspace_are_built_by_one_call_for_each_change_and_follow_all_that_their_build_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = project(folder.path());
    let script = format!("echo \"$*\" >> '{}'\nexec \"$CARGO\" \"$@\"", folder.path().join("calls").display());
    let path = with_cargo(&folder.path().join("bin"), &script);
    let sampan = Sampan::dev_with(&folder.path().join("data"), &shop, std::slice::from_ref(&path));
    let says = |name: &str, text: &str| {
        let client = Client::new(&sampan.http, Some(&format!("{name}.default.localhost")));
        let says = || client.try_get("/").ok().filter(|answer| answer.status == 200 && answer.body == text);
        wait_for(text, says);
    };
    let mut builds = 0;
    let mut then = |app: &str, cart: &str| {
        says("app", app);
        says("cart", cart);
        builds += 1;
        assert_eq!(calls(folder.path()).len(), builds, "{}", sampan.output());
    };
    then("app-0 shared-0 outside-0 page-0 word-0", "cart-0 shared-0");
    edit(&shop.join("shared/src/lib.rs"), "shared-0", "shared-1");
    then("app-0 shared-1 outside-0 page-0 word-0", "cart-0 shared-1");
    edit(&shop.join("app/page.html"), "page-0", "page-1");
    then("app-0 shared-1 outside-0 page-1 word-0", "cart-0 shared-1");
    edit(&shop.join("app/data/word"), "word-0", "word-1");
    then("app-0 shared-1 outside-0 page-1 word-1", "cart-0 shared-1");
    edit(&shop.join("outside/src/lib.rs"), "outside-0", "outside-1");
    then("app-0 shared-1 outside-1 page-1 word-1", "cart-0 shared-1");

    // An error of one keeps nothing from the other.
    edit(&shop.join("app/src/lib.rs"), "async fn main", "async fn main((");
    edit(&shop.join("cart/src/lib.rs"), "cart-0", "cart-1");
    sampan.wait_for_output("cargo build failed; what runs goes on");
    then("app-0 shared-1 outside-1 page-1 word-1", "cart-1 shared-1");
    edit(&shop.join("app/src/lib.rs"), "async fn main((", "async fn main");
    sampan.wait_for_output("the error is mended");
    edit(&shop.join("app/src/lib.rs"), "app-0", "app-1");
    says("app", "app-1 shared-1 outside-1 page-1 word-1");

    let built = command(&["build", shop.to_str().expect("UTF-8"), "--data-dir"])
        .arg(folder.path().join("other"))
        .env(path.0, path.1)
        .output()
        .expect("the sampan program starts");
    let printed = String::from_utf8_lossy(&built.stdout).into_owned();
    assert!(printed.contains("app:dev") && printed.contains("cart:dev"), "{printed}");
    let calls = calls(folder.path());
    let last = calls.last().expect("a call");
    assert!(last.contains("--keep-going") && last.matches("--package").count() == 2, "{last}");
}
