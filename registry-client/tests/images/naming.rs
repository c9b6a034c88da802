use crate::{component, store};

#[test]
fn an_unknown_image_is_told_with_those_that_are_near_and_how_to_build_it() {
    let (_dir, store) = store();
    store.put_component("shopping-cart/products:dev", component("a")).unwrap();
    store.put_component("unrelated", component("b")).unwrap();
    let message = store.resolve("shopping-cart/product:dev").unwrap_err().to_string();
    assert!(message.contains("`shopping-cart/product:dev`"), "{message}");
    assert!(message.contains("(near: shopping-cart/products:dev)"), "{message}");
    assert!(message.contains("containers do not"), "{message}");
    assert!(message.contains("sampan build PATH -t shopping-cart/product:dev"), "{message}");
}

#[test]
fn an_unknown_digest_is_said_to_be_unknown() {
    let (_dir, store) = store();
    let reference = format!("hello@sha256:{}", "0".repeat(64));
    let message = store.resolve(&reference).unwrap_err().to_string();
    assert!(message.contains(&reference) && message.contains("digest"), "{message}");
    let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    assert!(store.component(&digest).is_err());
}

#[test]
fn a_component_digest_is_not_taken_for_an_image() {
    let (_dir, store) = store();
    let image = store.put_component("hello", component("a")).unwrap();
    let message = store.resolve(&format!("hello@{}", image.component_digest)).unwrap_err().to_string();
    assert!(message.contains("not an OCI image manifest"), "{message}");
}

#[test]
fn a_digest_cannot_be_chosen() {
    let (_dir, store) = store();
    let reference = format!("hello@sha256:{}", "0".repeat(64));
    assert!(store.put_component(&reference, component("a")).is_err());
    assert!(store.put_component("Hello World", component("a")).is_err());
    assert!(store.list().unwrap().is_empty());
}
