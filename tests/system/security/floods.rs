//! Clients that keep a server busy with little effort of their own, over HTTP/2 and HTTP/1.1. Loads are bounded.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{PATIENCE, Sampan, wait_for},
};

const HOST: &str = "probe.default.localhost";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types and flags of HTTP/2 frames (RFC 9113, section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field that no table indexes (RFC 7541, section 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// The head of a request that takes its guest a second.
fn head() -> Vec<u8> {
    [(":method", "GET"), (":scheme", "http"), (":path", "/sleep?ms=1000"), (":authority", HOST)]
        .into_iter()
        .flat_map(|(name, value)| literal(name, value))
        .collect()
}

/// Sends all of it as far as it is taken, and returns what comes back until the connection ends.
fn send(address: &str, frames: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let mut reading = stream.try_clone().expect("the same connection");
    let reader = thread::spawn(move || {
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = reading.read_to_end(&mut answer);
        answer
    });
    let opening = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])];
    for bytes in opening.into_iter().chain(frames) {
        if stream.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    reader.join().expect("what came back")
}

/// The types of the frames in what a server sent.
fn kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    kinds
}

/// Bytes of memory that the server's process holds.
fn resident(sampan: &Sampan) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sampan.id())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}

/// Runs an attack beside a neighbour, who is answered all the time; what it brought is given back, but for some MiB.
fn beside_a_neighbour(attack: impl Fn(&str) + Sync) {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    let neighbour = Client::new(&sampan.http, Some(HOST));
    assert_eq!(neighbour.get("/env").status, 200);
    let before = resident(&sampan);
    thread::scope(|scope| {
        let attackers: Vec<_> = (0..4).map(|_| scope.spawn(|| attack(&sampan.http))).collect();
        while attackers.iter().any(|attacker| !attacker.is_finished()) {
            assert_eq!(neighbour.get("/env").status, 200);
        }
        for attacker in attackers {
            attacker.join().expect("an end of the attack");
        }
    });
    wait_for("the memory is given back", || (resident(&sampan) < before + (64 << 20)).then_some(()));
    assert_eq!(neighbour.get("/env").status, 200);
}

#[test]
fn streams_that_are_reset_as_fast_as_they_are_opened_end_their_connection_and_hold_up_nobody() {
    beside_a_neighbour(|address| {
        let head = head();
        let reset = |stream| {
            let opened = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
            [opened, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        };
        let answer = send(address, (0..20_000).map(|index| reset(2 * index + 1)));
        assert!(kinds(&answer).contains(&GOAWAY), "{} frames", kinds(&answer).len());
    });
}

#[test]
fn heads_that_go_on_for_ever_end_their_connection_and_hold_up_nobody() {
    beside_a_neighbour(|address| {
        let opening = frame(HEADERS, END_STREAM, 1, &head());
        let more: Vec<u8> = (0..100).flat_map(|_| literal("x-more", &"a".repeat(120))).collect();
        let endless = (0..10_000).map(|_| frame(CONTINUATION, 0, 1, &more));
        let answer = send(address, std::iter::once(opening).chain(endless));
        assert!(kinds(&answer).iter().any(|kind| [GOAWAY, RST_STREAM].contains(kind)), "{:?}", kinds(&answer));
    });
}

#[test]
fn small_heads_that_stand_for_large_ones_are_refused_and_hold_up_nobody() {
    beside_a_neighbour(|address| {
        // One entry of nearly 4 KiB in the dynamic table, and then a byte for each time that it is meant.
        let value = "a".repeat(3900);
        let mut block = head();
        block.extend([0x40, 1, b'x']);
        // 3900 as an integer with a prefix of seven bits.
        block.extend([0x7f, 0xbd, 0x1d]);
        block.extend(value.as_bytes());
        block.extend(std::iter::repeat_n(0xbe, 12_000));
        let bomb = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
        let answer = send(address, (0..50).map(|index| bomb(2 * index + 1)));
        let ended = kinds(&answer);
        assert!(ended.iter().any(|kind| [GOAWAY, RST_STREAM, HEADERS].contains(kind)), "{ended:?}");
    });
}

#[test]
fn settings_and_pings_without_end_are_answered_in_bounds_and_hold_up_nobody() {
    beside_a_neighbour(|address| {
        let pair = [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, &[7; 8])].concat();
        let answer = send(address, (0..50_000).map(|_| pair.clone()));
        // Each is at most acknowledged.
        assert!(answer.len() < 50_000 * (9 + 17) + 1024, "{}", answer.len());
    });
}

#[test]
fn clients_that_send_their_heads_or_read_their_answers_a_byte_at_a_time_hold_up_nobody() {
    beside_a_neighbour(|address| {
        let mut slow: Vec<_> = (0..100).map(|_| TcpStream::connect(address).expect("a connection")).collect();
        let head = format!("GET /env HTTP/1.1\r\nhost: {HOST}\r\nx-long: ");
        for byte in head.as_bytes().chunks(8) {
            for stream in &mut slow {
                // One that was turned away is what the server may do with it.
                let _ = stream.write_all(byte);
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
}
