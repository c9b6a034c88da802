//! The commands of the README and of the book are run, page by page, in their order, by `scripts/run-page`.

use std::{
    env,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{markdown, pages, read, root};

/// Runs the commands of a page with the programs of this checkout. Its output is shown if one fails.
fn run(page: &str) {
    let programs = tempfile::tempdir().expect("a folder");
    let tools = root().join("target/tools");
    let kubectl = env::var_os("SAMPAN_KUBECTL").map_or_else(|| tools.join("kubectl"), PathBuf::from);
    let named = [
        ("sampan", Path::new(env!("CARGO_BIN_EXE_sampan")).to_owned()),
        ("kubectl", kubectl),
        ("helm", tools.join("helm-3")),
    ];
    for (name, program) in named {
        assert!(program.exists(), "{} is missing: run `scripts/setup test`", program.display());
        symlink(program, programs.path().join(name)).expect("a link");
    }
    let guests = env::var_os("SAMPAN_GUESTS").map_or_else(|| root().join("target/guests"), PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(programs.path().to_owned()).chain(env::split_paths(&path));
    let output = Command::new(root().join("scripts/run-page"))
        .arg(root().join(page))
        .env("PATH", env::join_paths(paths).expect("paths without colons"))
        .env("SAMPAN_GUESTS", guests)
        // Crates of the samples are built for release already.
        .env("SAMPAN_RELEASE", "true")
        .output()
        .expect("python3 and unshare are there: run `scripts/setup test`");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}

macro_rules! pages {
    ($($test:ident $page:literal;)*) => {
        $(#[test] fn $test() { run($page); })*
        /// Pages whose commands are run.
        const RUN: &[&str] = &[$($page),*];
    };
}

pages! {
    the_first_page "README.md";
    the_first_service "docs/src/tutorial/first-service.md";
    the_shopping_cart "docs/src/tutorial/shopping-cart.md";
    how_to_install "docs/src/how-to/install.md";
    how_to_begin_a_service "docs/src/how-to/begin-a-service.md";
    how_to_use_kubectl "docs/src/how-to/use-kubectl.md";
    how_to_see_what_runs "docs/src/how-to/see-what-runs.md";
    how_to_complete_commands "docs/src/how-to/complete-commands.md";
    how_to_build_components "docs/src/how-to/build-components.md";
    how_to_reach_services "docs/src/how-to/reach-services.md";
    how_to_push_images "docs/src/how-to/push-images.md";
    how_to_use_registries "docs/src/how-to/use-registries.md";
    how_to_sign_images "docs/src/how-to/sign-images.md";
    how_to_clean_up_images "docs/src/how-to/clean-up-images.md";
    how_to_install_charts "docs/src/how-to/install-charts.md";
    how_to_scale_with_traffic "docs/src/how-to/scale-with-traffic.md";
    how_to_replay_traffic "docs/src/how-to/replay-traffic.md";
    how_to_set_priorities "docs/src/how-to/set-priorities.md";
    how_to_restrict_calls "docs/src/how-to/restrict-calls.md";
    how_to_run_worker_processes "docs/src/how-to/run-worker-processes.md";
    how_to_add_machines "docs/src/how-to/add-machines.md";
    how_to_give_people_access "docs/src/how-to/give-people-access.md";
    how_to_manage_certificates "docs/src/how-to/manage-certificates.md";
    how_to_store_data_in_redis "docs/src/how-to/store-data-in-redis.md";
    how_to_encrypt_data "docs/src/how-to/encrypt-data.md";
    how_to_keep_an_audit_log "docs/src/how-to/audit.md";
}

#[test]
fn every_page_with_commands_is_run() {
    let pages = pages("docs/src").into_iter().chain([PathBuf::from("README.md")]);
    for page in pages {
        let text = read(&page);
        let (blocks, _) = markdown::split(&text);
        let name = page.to_str().expect("a path in UTF-8");
        let has_commands = blocks.iter().any(|block| block.language == "sh");
        assert_eq!(
            has_commands,
            RUN.contains(&name),
            "{name}: list it in tests/book/commands.rs if it has `sh` blocks"
        );
        let is_guide = page.starts_with("docs/src/how-to");
        assert!(!is_guide || has_commands, "{name} is a how-to guide without commands to run");
    }
}

#[test]
fn blocks_say_what_they_are() {
    for page in pages("docs/src") {
        let text = read(&page);
        for block in markdown::split(&text).0 {
            let at = format!("{}:{}", page.display(), block.line);
            assert!(!block.language.is_empty(), "{at}: the block names no language; `text` is for output");
            let is_known = match block.words[..] {
                [] => true,
                ["background"] => block.language == "sh",
                ["printed"] => block.language == "text",
                [file] => file.starts_with("file="),
                _ => false,
            };
            assert!(is_known, "{at}: {:?} after `{}`", block.words, block.language);
        }
    }
}
