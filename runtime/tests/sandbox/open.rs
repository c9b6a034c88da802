use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs},
    thread,
};

use crate::{
    fleet::{ask, get},
    inside::{Inside, block_on},
};

/// Answers one connection, and then no longer listens.
fn answer_once() -> (u16, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 7\r\n\r\noutside").unwrap();
        // Closed with something unread, it would be reset.
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (port, answering)
}

pub(crate) fn basics(_: &Inside) {
    let (port, answering) = answer_once();
    let addresses: Vec<_> =
        ("localhost", port).to_socket_addrs().unwrap().filter(|address| address.is_ipv4()).collect();
    let mut stream = TcpStream::connect(addresses.as_slice()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("outside"), "{answer}");
    drop(stream);
    answering.join().unwrap();
}

pub(crate) fn guest(inside: &Inside) {
    block_on(async {
        let mut fleet = inside.fleet().await;
        let probe = fleet.probe(|_| {}).await;
        for _ in 0..3 {
            assert_eq!(ask(&probe, get("/counter")).await.unwrap(), (200, "1\n".into()));
        }
        fleet.shut_down().await;
    });
    // What was compiled is kept, and loaded without the server.
    block_on(async {
        let mut fleet = inside.fleet_by(inside.dead_server.clone()).await;
        let probe = fleet.probe(|_| {}).await;
        assert_eq!(ask(&probe, get("/counter")).await.unwrap(), (200, "1\n".into()));
    });
}

pub(crate) fn outbound(inside: &Inside) {
    let (port, answering) = answer_once();
    let path = format!("/fetch?url=http://127.0.0.1:{port}/");
    block_on(async {
        let mut fleet = inside.fleet().await;
        let probe = fleet.probe(|spec| spec.grants.outbound = vec!["127.0.0.1:1".into()]).await;
        let (status, why) = ask(&probe, get(&path)).await.unwrap();
        assert!(status == 502 && why.contains("Denied"), "{status} {why}");
        fleet.wait_for_line("is not granted").await;
        fleet.shut_down().await;
        assert!(!answering.is_finished(), "nobody came");

        let mut fleet = inside.fleet().await;
        let probe = fleet.probe(|spec| spec.grants.outbound = vec![format!("127.0.0.1:{port}")]).await;
        assert_eq!(ask(&probe, get(&path)).await.unwrap(), (200, "outside".into()));
    });
    answering.join().unwrap();
}
