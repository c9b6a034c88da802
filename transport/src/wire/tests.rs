//! Every message, there and back; and as an earlier version wrote it.

use std::{collections::BTreeMap, fmt::Debug, path::Path, sync::Arc, time::Duration};

use api::{
    Address, Digest, KeyValueError, ObjectKey, ReplicaId, Taint, TaintEffect, Timestamp, WorkerName,
    replica::{
        Failure, FailureReason, Grants, HttpProbe, Isolation, Limits, LogLevel, LogLine, LogSource, Probes,
        ReplicaPhase, ReplicaSpec, Reserves,
    },
    session::{
        Capacity, CpuUsage, Denied, DeniedCalls, Endpoint, GatewayDown, GatewayUp, Ingress, IngressRule, PathMatch,
        Routes, RunningReplica, ServicePort, ServiceRoute, ServiceSample, WorkerDown, WorkerHello, WorkerUp,
    },
};
use prost::Message;

use super::{WireError, key_value_outcome, key_value_result, proto};
use crate::PROTOCOL;

fn id() -> ReplicaId {
    ReplicaId(service())
}

fn service() -> ObjectKey {
    ObjectKey::new("shop", "cart")
}

fn digest() -> Digest {
    Digest::from_sha256([7; 32])
}

fn address() -> Address {
    Address { machine: "m 1".into(), socket: Some("/run/w.sock".into()), tcp: Some("10.0.0.2:7500".into()) }
}

fn probe(path: &str) -> HttpProbe {
    HttpProbe {
        path: path.into(),
        headers: vec![("x-a".into(), "b".into())],
        initial_delay: Duration::from_millis(1500),
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        failure_threshold: 3,
        success_threshold: 1,
    }
}

fn spec() -> ReplicaSpec {
    ReplicaSpec {
        id: id(),
        revision: "cart-1".into(),
        created: Timestamp::from_secs(1_700_000_000),
        image: "ghcr.io/a/cart:v1".into(),
        digest: digest(),
        environment: BTreeMap::from([("A".into(), "1".into())]),
        grants: Grants { outbound: vec!["products".into()], key_value: vec!["default".into()] },
        limits: Limits {
            memory_bytes: 64 << 20,
            cpu_millis: Some(500),
            concurrency: 10,
            request_deadline: Duration::from_secs(5),
            isolation: Isolation::Replica { max_reuse: 100 },
        },
        reserves: Reserves::default(),
        probes: Probes { startup: Some(probe("/s")), readiness: Some(probe("/r")), liveness: None },
        seal: Vec::new(),
    }
}

/// What protocol 2 added is in samples of their own, so that those of protocol 1 stay what they were.
fn reserving() -> ReplicaSpec {
    ReplicaSpec { reserves: Reserves { cpu_millis: 100, memory_bytes: 32 << 20 }, ..spec() }
}

fn failed() -> ReplicaPhase {
    ReplicaPhase::Failed(Failure { reason: FailureReason::OomKilled, message: "too much".into() })
}

fn worker_up() -> Vec<(&'static str, WorkerUp)> {
    let line = |source| LogLine { at: Timestamp::from_secs(1), source, text: "said".into() };
    let sources = [LogSource::Stdout, LogSource::Stderr, LogSource::Sampan, LogSource::Logging(LogLevel::Critical)];
    vec![
        (
            "hello",
            WorkerUp::Hello(WorkerHello {
                name: WorkerName("w1".into()),
                capacity: Capacity { cpu_millis: 2000, memory_bytes: 8 << 30, replicas: 10_000 },
                labels: BTreeMap::from([("zone".into(), "a".into())]),
                taints: vec![Taint { key: "gpu".into(), value: "yes".into(), effect: TaintEffect::NoExecute }],
                address: Some(address()),
                running: vec![RunningReplica { spec: spec(), phase: ReplicaPhase::Ready }],
                cached: vec![digest()],
            }),
        ),
        ("phase", WorkerUp::Phase { id: id(), phase: failed() }),
        ("traps", WorkerUp::Traps { id: id(), count: 3, last: "unreachable".into() }),
        ("log", WorkerUp::Log { id: id(), lines: sources.map(line).to_vec() }),
        ("cached", WorkerUp::Cached { digest: digest() }),
        ("heartbeat", WorkerUp::Heartbeat),
        ("leaving", WorkerUp::Leaving),
        ("standing-by", WorkerUp::Phase { id: id(), phase: ReplicaPhase::Standby }),
        ("usage", WorkerUp::Usage(vec![CpuUsage { id: id(), used: Duration::from_millis(1234) }])),
        ("slots", WorkerUp::Slots { id: id(), slots: 16 }),
    ]
}

fn worker_down() -> Vec<(&'static str, WorkerDown)> {
    vec![
        ("start", WorkerDown::Start(Arc::new(spec()))),
        ("stop", WorkerDown::Stop { id: id(), grace: Duration::from_secs(30) }),
        ("standby", WorkerDown::Standby(Arc::new(reserving()))),
    ]
}

fn gateway_up() -> Vec<(&'static str, GatewayUp)> {
    let sample = ServiceSample {
        service: service(),
        window: Duration::from_secs(1),
        arrivals: 5,
        completed: 4,
        failed: 1,
        in_flight: 2,
        queued: 3,
        latency_sum: Duration::from_millis(12),
        served: 0,
        service_sum: Duration::ZERO,
        presence: Duration::ZERO,
    };
    let served = ServiceSample {
        served: 4,
        service_sum: Duration::from_millis(10),
        presence: Duration::from_millis(150),
        ..sample.clone()
    };
    vec![
        ("listening", GatewayUp::Listener { service: service(), port: 80, outcome: Ok("127.0.0.1:80".into()) }),
        ("not-listening", GatewayUp::Listener { service: service(), port: 80, outcome: Err("taken".into()) }),
        ("samples", GatewayUp::Samples(vec![sample])),
        ("served", GatewayUp::Samples(vec![served])),
        ("wake", GatewayUp::Wake { service: service(), queued: 1, in_flight: 0 }),
        ("waiting", GatewayUp::Wake { service: service(), queued: 40, in_flight: 100 }),
        (
            "denied-calls",
            GatewayUp::DeniedCalls(vec![
                DeniedCalls { to: Denied::Service(service()), count: 3 },
                DeniedCalls { to: Denied::Outside { namespace: "shop".into() }, count: 1 },
            ]),
        ),
    ]
}

fn gateway_down() -> Vec<(&'static str, GatewayDown)> {
    let ports = vec![ServicePort { name: Some("http".into()), port: 80 }, ServicePort { name: None, port: 81 }];
    let rule = |path| IngressRule { host: Some("*.example.com".into()), path, service: service() };
    let route = ServiceRoute { key: service(), ports, load_balancer: true, guards: Vec::new() };
    let rules = vec![rule(PathMatch::Exact("/a".into())), rule(PathMatch::Prefix("/b".into()))];
    let ingress = Ingress { key: ObjectKey::new("default", "shop"), rules };
    let routes = |ingress| Arc::new(Routes { services: vec![route.clone()], ingresses: vec![ingress] });
    // As earlier protocols have it: rules do not say which Ingress they are of.
    let unnamed = Ingress { key: ObjectKey::new("", ""), rules: ingress.rules.clone() };
    let endpoint = Endpoint {
        replica: id(),
        worker: WorkerName("w1".into()),
        concurrency: 100,
        request_deadline: Duration::from_secs(30),
        address: Some(address()),
        standby: false,
    };
    let endpoints = |endpoints, reason: Option<&str>, hopeless| GatewayDown::Endpoints {
        service: service(),
        endpoints,
        reason: reason.map(str::to_owned),
        hopeless,
    };
    vec![
        ("routes", GatewayDown::Routes(routes(unnamed))),
        ("routes-by-ingress", GatewayDown::Routes(routes(ingress.clone()))),
        ("service", GatewayDown::Service(route.clone())),
        ("service-gone", GatewayDown::ServiceGone(service())),
        ("ingress", GatewayDown::Ingress(ingress)),
        ("endpoints", endpoints(vec![endpoint.clone()], Some("starting"), false)),
        ("on-demand", endpoints(vec![Endpoint { standby: true, ..endpoint }], None, false)),
        ("hopeless", endpoints(Vec::new(), Some("it does not compile"), true)),
    ]
}

/// As it is written now: a name, the bytes, and what they are read as.
struct Sample {
    name: &'static str,
    bytes: Vec<u8>,
    read: fn(&[u8]) -> Result<String, WireError>,
    expected: String,
}

fn samples_of<T, P>(messages: Vec<(&'static str, T)>) -> impl Iterator<Item = Sample>
where
    T: Debug + Clone + TryFrom<P, Error = WireError>,
    P: Message + Default + From<T>,
{
    messages.into_iter().map(|(name, message)| Sample {
        name,
        expected: format!("{message:?}"),
        bytes: P::from(message).encode_to_vec(),
        read: |bytes| T::try_from(P::decode(bytes).expect("protobuf")).map(|message| format!("{message:?}")),
    })
}

fn samples() -> Vec<Sample> {
    samples_of::<_, proto::WorkerUp>(worker_up())
        .chain(samples_of::<_, proto::WorkerDown>(worker_down()))
        .chain(samples_of::<_, proto::GatewayUp>(gateway_up()))
        .chain(samples_of::<_, proto::GatewayDown>(gateway_down()))
        .collect()
}

#[test]
fn every_message_is_read_back_as_it_was_written() {
    for sample in samples() {
        assert_eq!((sample.read)(&sample.bytes).unwrap(), sample.expected, "{}", sample.name);
    }
}

#[test]
fn fields_that_a_later_version_adds_are_skipped() {
    for sample in samples() {
        // Field 1000, a text.
        let later = [&sample.bytes[..], &[0xc2, 0x3e, 3, b'n', b'e', b'w']].concat();
        assert_eq!((sample.read)(&later).unwrap(), sample.expected, "{}", sample.name);
    }
}

#[test]
fn a_message_of_a_later_version_is_known_to_be_one() {
    let later = proto::WorkerUp::decode(&[0xc2, 0x3e, 0][..]).unwrap();
    assert!(matches!(WorkerUp::try_from(later), Err(WireError::Unknown { .. })));
}

/// Each protocol as it was when it was recorded. A new one gets a file beside the others, which stay as they are.
#[test]
fn what_this_and_the_previous_protocol_wrote_is_still_read() {
    let file =
        |protocol: u32| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/protocol-{protocol}.txt"));
    let samples = samples();
    if std::env::var_os("SAMPAN_RECORD_PROTOCOL").is_some() {
        // Maps have no order, so that what is recorded has one entry in each.
        let lines = samples.iter().map(|sample| format!("{} {}\n", sample.name, hex::encode(&sample.bytes)));
        std::fs::write(file(PROTOCOL), lines.collect::<String>()).unwrap();
    }
    for protocol in PROTOCOL - 1..=PROTOCOL {
        let recorded = std::fs::read_to_string(file(protocol)).unwrap();
        assert!(protocol < PROTOCOL || recorded.lines().count() == samples.len(), "record the new messages");
        for line in recorded.lines() {
            let (name, bytes) = line.split_once(' ').unwrap();
            let sample = samples.iter().find(|sample| sample.name == name).unwrap();
            assert_eq!((sample.read)(&hex::decode(bytes).unwrap()).unwrap(), sample.expected, "{protocol}: {name}");
        }
    }
}

#[test]
fn reasons_that_are_not_known_are_errors_like_any_other() {
    let mut phase = proto::ReplicaPhase::from(failed());
    phase.reason = "Evaporated".into();
    let ReplicaPhase::Failed(failure) = phase.try_into().unwrap() else { panic!("it failed") };
    assert_eq!(failure.reason, FailureReason::Error);
}

#[test]
fn messages_without_what_they_need_are_refused_by_the_field() {
    let phase =
        proto::WorkerUp { content: Some(proto::worker_up::Content::Phase(proto::Phase { id: None, phase: None })) };
    assert_eq!(WorkerUp::try_from(phase).unwrap_err(), WireError::Invalid { field: "phase.id" });
}

#[test]
fn failures_of_the_key_value_store_arrive_as_what_they_were() {
    let failures = [
        KeyValueError::TooLarge { what: "key", bytes: 9, limit_bytes: 8 },
        KeyValueError::TooMany { count: 513, limit: 512 },
        KeyValueError::NotANumber { key: "k".into() },
        KeyValueError::NoRoom("over its quota".into()),
        KeyValueError::Store("full".into()),
    ];
    for failure in failures {
        let expected = failure.to_string();
        let arrived = key_value_result(key_value_outcome(Err(failure)));
        assert_eq!(arrived.unwrap_err().to_string(), expected);
    }
}
