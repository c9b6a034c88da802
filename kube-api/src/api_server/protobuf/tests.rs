use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::{Member, Shape};

/// A body as kubectl writes it: the magic, `runtime.Unknown` with the kind, then the object.
fn body(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let mut type_meta = Vec::new();
    put(&mut type_meta, 1, api_version.as_bytes());
    put(&mut type_meta, 2, kind.as_bytes());
    let mut body = MAGIC.to_vec();
    put(&mut body, 1, &type_meta);
    put(&mut body, 2, object);
    put(&mut body, 3, b"");
    body
}

fn put(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.extend([field << 3 | 2, u8::try_from(bytes.len()).expect("short")]);
    message.extend(bytes);
}

#[test]
fn what_kubectl_autoscale_sends_is_read() {
    // Of `kubectl autoscale deployment hello --min=1 --max=5 --cpu-percent=50`, version 1.33.
    let sent = hex::decode(concat!(
        "6b3873000a290a0e6175746f7363616c696e672f76321217486f72697a6f6e74616c506f644175746f7363616c6572126",
        "50a150a0568656c6c6f12001a0022002a003200380042001246",
        "0a1c0a0a4465706c6f796d656e74120568656c6c6f1a07617070732f763110011805",
        "22220a085265736f7572636522160a03637075120f0a0b5574696c697a6174696f6e2032",
        "1a04180020001a002200",
    ))
    .unwrap();
    let target = json!({ "type": "Utilization", "averageUtilization": 50 });
    assert_eq!(
        parse(&sent),
        Ok(Some(json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "hello" },
            "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "hello" },
                "minReplicas": 1, "maxReplicas": 5,
                "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": target } }],
            },
            // Go writes it in JSON too, though it was never set.
            "status": { "desiredReplicas": 0 },
        })))
    );
}

#[test]
fn a_zero_is_kept_where_it_was_set_and_dropped_where_go_always_writes_it() {
    // `replicas` is a pointer in Go, `minReadySeconds` is not.
    let deployment = [&[2 << 3 | 2, 4][..], &[1 << 3, 0, 5 << 3, 0]].concat();
    let read = parse(&body("apps/v1", "Deployment", &deployment)).unwrap().unwrap();
    assert_eq!(read["spec"], json!({ "replicas": 0 }));
    let class = [&[2 << 3][..], &[0xff; 9], &[1]].concat();
    let read = parse(&body("scheduling.k8s.io/v1", "PriorityClass", &class)).unwrap().unwrap();
    assert_eq!(read["value"], -1);
}

#[test]
fn maps_hold_texts_bytes_and_empty_values() {
    let mut entry = Vec::new();
    put(&mut entry, 1, b"key");
    put(&mut entry, 2, b"\xff\x00");
    let mut secret = Vec::new();
    put(&mut secret, 2, &entry);
    put(&mut secret, 2, b"\x0a\x05empty");
    let read = parse(&body("v1", "Secret", &secret)).unwrap().unwrap();
    assert_eq!(read["data"], json!({ "key": "/wA=", "empty": "" }));
}

#[test]
fn what_no_schema_has_is_not_dropped_in_silence() {
    assert_eq!(parse(b"{}"), Ok(None));
    assert_eq!(parse(&body("v1", "Other", b"")), Ok(None));
    assert_eq!(parse(&body("v2", "Pod", b"")), Ok(None));
    let mut unset = Vec::new();
    put(&mut unset, 9, b"");
    assert!(parse(&body("v1", "Secret", &unset)).unwrap().is_some());
    let mut set = Vec::new();
    put(&mut set, 9, b"x");
    assert_eq!(parse(&body("v1", "Secret", &set)), Ok(None));
}

#[test]
fn bytes_that_are_no_protobuf_are_said_to_be_none() {
    for object in
        [&b"\x0a\x05ab"[..], b"\x0a", b"\x0b", b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x18\x05"]
    {
        assert!(parse(&body("v1", "Secret", object)).is_err(), "{object:?}");
    }
    let mut not_utf8 = Vec::new();
    put(&mut not_utf8, 3, b"\xff");
    assert!(parse(&body("v1", "Secret", &not_utf8)).is_err());
}

fn any_kind() -> impl Strategy<Value = Gvk> {
    let kinds: Vec<_> = served().kinds().map(|(gvk, _)| gvk.clone()).collect();
    prop::sample::select(kinds)
}

/// A value that says something, and that Go writes as this.
fn any_value(shape: &Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Text => "[a-zä\"]{1,6}".prop_map(Value::from).boxed(),
        Shape::Bytes => {
            prop::collection::vec(any::<u8>(), 1..5).prop_map(|bytes| json!(BASE64_STANDARD.encode(bytes))).boxed()
        }
        Shape::Flag => Just(json!(true)).boxed(),
        Shape::Int32 => prop_oneof![1..i32::MAX, i32::MIN..0].prop_map(Value::from).boxed(),
        Shape::Int64 => prop_oneof![1..i64::MAX, i64::MIN..0].prop_map(Value::from).boxed(),
        Shape::Double => (1..1000).prop_map(|number| json!(f64::from(number) / 8.0)).boxed(),
        Shape::Quantity => Just(json!("250m")).boxed(),
        Shape::IntOrString => prop_oneof![Just(json!(-3)), Just(json!(0)), Just(json!("25%"))].boxed(),
        Shape::Time => Just(json!("2026-03-01T12:00:00Z")).boxed(),
        Shape::MicroTime => Just(json!("2026-03-01T12:00:00.000250Z")).boxed(),
        Shape::Duration => Just(json!("1m30s")).boxed(),
        Shape::Any => Just(json!({ "f:a": {}, "b": [1, "c", null] })).boxed(),
        Shape::Message(id) => any_message(served().message(*id)),
        Shape::List(of, _) => prop::collection::vec(any_value(of), 1..3).prop_map(Value::from).boxed(),
        Shape::Map(of) => {
            let entries = prop::collection::vec(("[a-z]{1,3}", any_value(of)), 1..3);
            entries.prop_map(|entries| Value::Object(entries.into_iter().collect())).boxed()
        }
    }
}

/// Of some of its fields.
fn any_message(schema: &Message) -> BoxedStrategy<Value> {
    let fields: Vec<_> = schema
        .fields
        .iter()
        .filter(|(_, field)| field.number > 0)
        .map(|(name, field)| (name.clone(), field.shape.clone()))
        .collect();
    let some = prop::sample::subsequence(fields.clone(), fields.len().min(1)..=fields.len().min(3));
    some.prop_flat_map(|some| {
        let values: Vec<_> = some
            .into_iter()
            .map(|(name, shape)| any_value(&shape).prop_map(move |value| (name.clone(), value)))
            .collect();
        values.prop_map(|fields| Value::Object(fields.into_iter().collect()))
    })
    .boxed()
}

fn any_object() -> impl Strategy<Value = Value> {
    any_kind().prop_flat_map(|gvk| {
        any_message(served().kind(&gvk).unwrap()).prop_map(move |mut object| {
            object["apiVersion"] = json!(gvk.api_version());
            object["kind"] = json!(gvk.kind);
            object
        })
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(gvk in any_kind(), object in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse(&body(&gvk.api_version(), &gvk.kind, &object));
    }

    #[test]
    fn what_is_written_of_any_kind_is_read_again(object in any_object()) {
        let mut read = parse(&write(&object).unwrap()).unwrap().unwrap();
        if object.get("metadata").is_none() {
            read.as_object_mut().unwrap().remove("metadata");
        }
        prop_assert_eq!(read, object);
    }
}

#[test]
fn each_kind_can_be_written_and_read() {
    for (gvk, _) in served().kinds() {
        let object = json!({ "apiVersion": gvk.api_version(), "kind": gvk.kind, "metadata": {} });
        assert_eq!(parse(&write(&object).unwrap()), Ok(Some(object)));
    }
}

#[test]
fn numbers_of_a_message_stand_once() {
    for (gvk, id) in served().kinds() {
        let mut next = vec![id];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            let schema = served().message(id);
            let numbers: Vec<_> = schema
                .members
                .iter()
                .map(|member| match member {
                    Member::Field { number, .. } | Member::Inlined { number, .. } => *number,
                })
                .filter(|number| *number > 0)
                .collect();
            let once: std::collections::BTreeSet<_> = numbers.iter().collect();
            assert_eq!(once.len(), numbers.len(), "{} of {}", schema.name, gvk.kind);
            next.extend(schema.fields.values().filter_map(|field| field.shape.inner()));
        }
    }
}

#[test]
fn a_list_and_an_event_of_a_watch_are_written_as_go_reads_them() {
    let settings = json!({ "kind": "ConfigMap", "apiVersion": "v1", "metadata": { "name": "a" } });
    let list = json!({ "kind": "ConfigMapList", "apiVersion": "v1", "metadata": { "resourceVersion": "7" },
        "items": [settings] });
    let item = one(1, &one(1, b"a"));
    let raw = [one(1, &one(2, b"7")), one(2, &item)].concat();
    assert_eq!(write(&list).unwrap(), [body("v1", "ConfigMapList", &raw), one(4, b"")].concat());
    let object = [body("v1", "ConfigMap", &item), one(4, b"")].concat();
    let event = [one(1, b"ADDED"), one(2, &one(1, &object))].concat();
    assert_eq!(write_event("ADDED", &settings).unwrap(), [&[0, 0, 0, event.len() as u8][..], &event].concat());
    assert_eq!(write(&json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1" })), None);
}

/// A message of one field.
fn one(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    put(&mut message, field, bytes);
    message
}

#[test]
fn options_of_a_deletion_are_read_in_whichever_version_a_client_names() {
    let options = [&[1 << 3, 0][..], &one(4, b"Foreground")].concat();
    for version in ["v1", "apps/v1", "meta.k8s.io/v1"] {
        let read = parse(&body(version, "DeleteOptions", &options)).unwrap().unwrap();
        assert_eq!(read["gracePeriodSeconds"], 0);
        assert_eq!(read["propagationPolicy"], "Foreground");
    }
}

#[test]
fn ports_are_numbers_or_names() {
    // `type` is 0 for a number and 1 for a name.
    let number = one(1, &[&[3 << 3, 80][..], &one(4, &[1 << 3, 0, 2 << 3, 90])].concat());
    let name = one(1, &[&[3 << 3, 81][..], &one(4, &[&[1 << 3, 1][..], &one(3, b"web")].concat())].concat());
    let service = one(2, &[number, name, one(3, b"10.96.1.2")].concat());
    let read = parse(&body("v1", "Service", &service)).unwrap().unwrap();
    assert_eq!(
        read["spec"],
        json!({ "clusterIP": "10.96.1.2", "ports": [
            { "port": 80, "targetPort": 90 }, { "port": 81, "targetPort": "web" } ] })
    );
}

#[test]
fn rules_of_an_ingress_stand_beside_their_hosts() {
    let backend = one(4, &[one(1, b"shop"), one(2, &[2 << 3, 80])].concat());
    let path = [one(1, b"/a"), one(2, &backend), one(3, b"Prefix")].concat();
    let rule = [one(1, b"a.example"), one(2, &one(1, &one(1, &path)))].concat();
    let ingress = one(2, &[one(3, &rule), one(4, b"sampan")].concat());
    let read = parse(&body("networking.k8s.io/v1", "Ingress", &ingress)).unwrap().unwrap();
    let backend = json!({ "service": { "name": "shop", "port": { "number": 80 } } });
    assert_eq!(
        read["spec"],
        json!({ "ingressClassName": "sampan", "rules": [ { "host": "a.example",
            "http": { "paths": [ { "path": "/a", "pathType": "Prefix", "backend": backend } ] } } ] })
    );
}

#[test]
fn peers_and_ports_of_a_policy_are_read_and_an_empty_selector_is_one() {
    let label = one(1, &[one(1, b"app"), one(2, b"db")].concat());
    let port = [one(1, b"TCP"), one(2, &[1 << 3, 0, 2 << 3, 80]), vec![3 << 3, 90]].concat();
    let rule = [one(1, &port), one(2, &one(2, b""))].concat();
    let policy = one(2, &[one(1, &label), one(2, &rule), one(4, b"Ingress")].concat());
    let read = parse(&body("networking.k8s.io/v1", "NetworkPolicy", &policy)).unwrap().unwrap();
    assert_eq!(
        read["spec"],
        json!({ "podSelector": { "matchLabels": { "app": "db" } }, "policyTypes": ["Ingress"], "ingress": [
            { "from": [ { "namespaceSelector": {} } ], "ports": [ { "protocol": "TCP", "port": 80, "endPort": 90 } ] } ] })
    );
}

#[test]
fn moments_are_written_as_kubernetes_does_and_unset_ones_left_away() {
    let renewed = one(4, &[1 << 3, 60, 2 << 3, 0xc0, 0x84, 0x3d]);
    let meta = one(1, &[one(1, b"leader"), one(8, b"")].concat());
    let lease = [meta, one(2, &[one(1, b"me"), renewed].concat())].concat();
    let read = parse(&body("coordination.k8s.io/v1", "Lease", &lease)).unwrap().unwrap();
    assert_eq!(read["spec"], json!({ "holderIdentity": "me", "renewTime": "1970-01-01T00:01:00.001000Z" }));
    assert_eq!(read["metadata"], json!({ "name": "leader" }));
}

#[test]
fn a_body_of_few_bytes_that_stands_for_much_memory_is_refused() {
    // A rule of a Role with one verb is four bytes here, and a mapping with a list in memory.
    let rule = one(2, &one(1, b""));
    assert!(parse(&body_of_any_length("rbac.authorization.k8s.io/v1", "Role", &rule.repeat(1000))).unwrap().is_some());
    for (kind, api_version, part) in [
        ("Role", "rbac.authorization.k8s.io/v1", rule),
        ("Secret", "v1", one(2, &[one(1, b"k"), one(2, &[0xff; 100])].concat())),
        ("NetworkPolicy", "networking.k8s.io/v1", one(2, &one(2, b""))),
    ] {
        let repeated = part.repeat((2 << 20) / part.len());
        let read = parse(&body_of_any_length(api_version, kind, &repeated));
        if kind == "Secret" {
            assert!(read.is_ok(), "one key, given again and again, is one key");
        } else {
            assert!(read.unwrap_err().to_string().contains("bytes of memory"), "{kind}");
        }
    }
}

/// As [`body`], for objects of more than 127 bytes.
fn body_of_any_length(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let mut body = body(api_version, kind, b"");
    // The empty object and what comes after it.
    body.truncate(body.len() - 4);
    body.push(2 << 3 | 2);
    let mut length = object.len();
    while length >= 0x80 {
        body.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    body.push(u8::try_from(length).unwrap());
    body.extend(object);
    body
}
