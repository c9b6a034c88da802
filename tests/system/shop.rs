//! The shopping cart sample, through its public API, as `sampan dev` serves it.

use std::thread;

use serde_json::{Value, json};

use crate::{
    client::Client,
    sampan::{Sampan, root, wait_for},
};

const CART: &str = "shopping-cart.default.localhost";
const PARALLEL_CLIENTS: usize = 64;

fn serve(data_dir: &std::path::Path) -> Sampan {
    let sampan = Sampan::dev(data_dir, &root().join("samples/shopping-cart"));
    let page = Client::new(&sampan.http, Some("localhost"));
    wait_for("the shop is open", || page.try_get("/").ok().filter(|answer| answer.status == 200));
    let cart = Client::new(&sampan.http, Some(CART));
    wait_for("carts are served", || cart.try_get("/cart").ok().filter(|answer| answer.status == 200));
    sampan
}

#[test]
fn a_cart_is_filled_changed_filtered_and_kept_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = serve(folder.path());

    let products = Client::new(&sampan.http, Some("products.default.localhost"));
    let listed = products.get("/products").json();
    let all = listed.as_array().or_else(|| listed["products"].as_array()).expect("a list");
    let id = all[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(products.get(&format!("/products/{id}")).json()["id"], json!(id));
    let none = products.get("/products/no-such-thing");
    assert_eq!((none.status, none.json()["error"]["status"].clone()), (404, json!(404)));

    let shopper = Client::new(&sampan.http, Some(CART));
    let new = |quantity: u32, labels: Value| json!({"product": id, "quantity": quantity, "labels": labels});
    let first = shopper.post_json("/cart/items", &new(2, json!({"for": "party"})));
    assert_eq!(first.status, 201, "{first:?}");
    let second = shopper.post_json("/cart/items", &new(3, json!({"for": "home"})));
    assert_eq!(second.status, 201, "{second:?}");
    let path = format!("/cart/items/{}", second.json()["id"].as_str().expect("an id"));
    assert_eq!(shopper.patch_json(&path, &json!({"quantity": 5})).json()["quantity"], 5);

    let price = first.json()["price_cents"].as_u64().expect("a price");
    let filtered = shopper.get("/cart?label=for=party").json();
    assert_eq!((filtered["items"].as_array().map(Vec::len), &filtered["total_cents"]), (Some(1), &json!(2 * price)));
    let totals = shopper.get("/cart").json()["labels"].clone();
    let home = totals.as_array().and_then(|all| all.iter().find(|total| total["label"] == "for=home"));
    assert_eq!(home.expect("a total")["total_cents"], json!(5 * price));
    assert!(Client::new(&sampan.http, Some(CART)).get("/cart").json()["items"].as_array().expect("items").is_empty());

    for (status, body) in [
        (400, "{"),
        (422, r#"{"product":"PRODUCT","quantity":0}"#),
        (422, r#"{"product":"PRODUCT","colour":"red"}"#),
        (422, r#"{"product":"no-such-thing"}"#),
    ] {
        let refused = shopper.post_text("/cart/items", "application/json", &body.replace("PRODUCT", &id));
        assert!((400..500).contains(&refused.status), "{status} expected: {refused:?}");
        assert!(refused.json()["error"]["message"].is_string(), "{refused:?}");
    }
    assert_eq!(shopper.post_text("/cart/items", "text/plain", "x").status, 415);

    let before = shopper.get("/cart").json();
    let cookies = shopper.cookies();
    let (status, _) = sampan.stop();
    assert!(status.success(), "{status}");
    let sampan = serve(folder.path());
    let returned = Client::with_cookies(&sampan.http, Some(CART), cookies);
    assert_eq!(returned.get("/cart").json(), before);
    assert_eq!(returned.delete(&path).status, 204);
    assert_eq!(returned.get("/cart").json()["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn additions_of_many_clients_to_one_cart_are_all_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = serve(folder.path());
    let shopper = Client::new(&sampan.http, Some(CART));
    let listed = Client::new(&sampan.http, Some("products.default.localhost")).get("/products").json();
    let id = listed.as_array().or_else(|| listed["products"].as_array()).expect("a list")[0]["id"].clone();
    let add = |label: usize| {
        shopper.post_json("/cart/items", &json!({"product": id, "labels": {"client": label.to_string()}}))
    };
    assert_eq!(add(0).status, 201);
    thread::scope(|scope| {
        let clients: Vec<_> = (1..=PARALLEL_CLIENTS).map(|number| scope.spawn(move || add(number))).collect();
        for client in clients {
            let answer = client.join().expect("an answer");
            assert_eq!(answer.status, 201, "{answer:?}");
        }
    });
    assert_eq!(shopper.get("/cart").json()["items"].as_array().map(Vec::len), Some(PARALLEL_CLIENTS + 1));
}

#[test]
fn the_load_balancer_service_listens_on_its_own_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = serve(folder.path());
    let said = wait_for("the outcome is in the status", || {
        let service = sampan.kubectl_ok(&["get", "service", "shopping-cart", "-o", "yaml"]);
        service.contains("loadBalancer:").then_some(service).filter(|s| s.contains("ingress:") || s.contains("reason:"))
    });
    if said.contains("ingress:") {
        let direct = Client::new(&format!("{}:80", sampan.load_balancer_ip), None);
        assert_eq!(direct.get("/cart").status, 200);
    }
}
