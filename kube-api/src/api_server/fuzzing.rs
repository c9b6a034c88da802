//! What the API reads of strangers, as the fuzzer calls it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Uri, header::CONTENT_TYPE};
use serde_json::Value;

use super::{params::Params, patch::Patch, path, selector::Selector, strictness::Strictness};
use crate::resources::ALL;

/// The forms of a patch, chosen by the first byte.
const FORMS: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// An object in Kubernetes' protobuf.
pub fn protobuf(bytes: &[u8]) {
    let _ = super::protobuf::parse(bytes);
}

/// A patch, and the object that it is for: a byte for the form of the patch, a line of JSON with the object, and the patch.
pub fn patch(bytes: &[u8]) {
    let Some((form, rest)) = bytes.split_first() else { return };
    let mut lines = rest.splitn(2, |byte| *byte == b'\n');
    let (object, patch) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let Ok(object @ Value::Object(_)) = serde_json::from_slice(object) else { return };
    let form = FORMS[usize::from(*form) % FORMS.len()];
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(form))]);
    let (parts, ()) = Request::patch("/").body(()).expect("a request").into_parts();
    let strictness = Strictness::of(&Params::default(), &parts, None).expect("nothing is asked");
    if let Ok(patch) = Patch::parse(&headers, &Bytes::copy_from_slice(patch), &strictness) {
        for resource in ALL {
            let _ = patch.apply(resource, "fuzzed", &object);
        }
    }
}

/// The query and the path of a request: selectors among them.
pub fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = path::Target::parse(text);
    let queried = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
    let uri = format!("/?labelSelector={queried}&fieldSelector={queried}").parse::<Uri>();
    for uri in uri.into_iter().chain(format!("/?{text}").parse()) {
        let Ok(params) = Params::of(&uri) else { continue };
        for resource in ALL {
            if let Ok(selector) = Selector::of(&params, resource) {
                selector.matches(&serde_json::json!({ "metadata": { "name": text, "labels": { "app": text } } }));
            }
        }
    }
}
