//! The shop in a real browser.

use std::process::Command;

use crate::{
    client::Client,
    sampan::{Sampan, root, wait_for},
};

/// What the browser made of a page: its document after loading.
fn document(address: &str, profile: &std::path::Path) -> String {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(address)
        .output()
        .expect("chromium starts: run `scripts/setup test`");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_shop_opens_in_a_browser_and_needs_no_scripts() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::dev(folder.path(), &root().join("samples/shopping-cart"));
    let port = sampan.http.rsplit(':').next().expect("a port");
    let client = Client::new(&sampan.http, Some("localhost"));
    wait_for("the shop is open", || client.try_get("/").ok().filter(|answer| answer.status == 200));

    let profile = folder.path().join("browser");
    let page = document(&format!("http://localhost:{port}/"), &profile);
    assert!(page.contains("<form") && page.contains("Add to cart"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    let cart = document(&format!("http://localhost:{port}/cart"), &profile);
    assert!(cart.contains("cart"), "{cart}");
}
