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
    let page = wait_for("the shop's products are in the browser", || {
        Some(document(&format!("http://localhost:{port}/"), &profile)).filter(|page| page.contains("Add to cart"))
    });
    assert!(page.contains("<form"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    let cart = document(&format!("http://localhost:{port}/cart"), &profile);
    assert!(cart.contains("cart"), "{cart}");
}

/// Where prices are in a page, from its top, in a window of this width.
fn prices(html: &str, width: u32, folder: &std::path::Path) -> String {
    let measured = "<script>parent.document.title = [...document.querySelectorAll('.price')]\
                    .map(price => Math.round(price.getBoundingClientRect().top)).join(' ')</script></body>";
    let inside = html.replace("</body>", measured).replace('&', "&amp;").replace('"', "&quot;");
    let file = folder.join(format!("{width}.html"));
    let frame = format!("<title></title><iframe width=\"{width}\" height=\"900\" srcdoc=\"{inside}\"></iframe>");
    std::fs::write(&file, frame).expect("a write");
    let page = document(&format!("file://{}", file.display()), &folder.join("browser"));
    let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    title.expect("a title").0.to_owned()
}

#[test]
fn no_price_moves_when_something_is_added_and_what_it_is_for_is_changed_in_the_cart() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::dev(folder.path(), &root().join("samples/shopping-cart"));
    let client = Client::new(&sampan.http, Some("localhost"));
    let before = wait_for("the shop is open", || client.try_get("/").ok().filter(|answer| answer.status == 200)).body;
    let post = |path: &str, form: &str| client.post_text(path, "application/x-www-form-urlencoded", form);
    wait_for("carts are served", || {
        let added = post("/cart/items", "product=tea&quantity=1&label=summer+party");
        (added.status == 303).then_some(())
    });
    let after = client.get("/?added=tea").body;
    assert!(after.contains("It is in your cart."), "{after}");
    for width in [390, 1280] {
        let there = prices(&before, width, folder.path());
        assert!(there.split(' ').count() > 1, "{there}");
        assert_eq!(prices(&after, width, folder.path()), there, "{width}");
    }
    let cart = client.get("/cart").body;
    assert!(cart.contains("for summer-party") && !cart.contains("for=summer"), "{cart}");
    let changed = post("/cart/items/1", "action=change&quantity=1&label=Anna");
    assert_eq!(changed.status, 303, "{changed:?}");
    let cart = client.get("/cart").body;
    assert!(cart.contains("for Anna") && !cart.contains("summer-party"), "{cart}");
}
