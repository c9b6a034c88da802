//! HTTP as its specifications say, from real clients to a real guest and back: in one process, and with the gateway and workers
//! apart.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Collected, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::{
    client::Client,
    guests::in_both_shapes,
    kubectl::deploy_probe,
    sampan::{PATIENCE, Sampan, free_address, wait_for},
};

const HOST: &str = "probe.default.localhost";

/// Sends these bytes and reads until the connection is closed.
fn raw(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the answer and its end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request over HTTP/2, without TLS, and its whole answer.
fn http2<B>(address: &str, request: Request<B>) -> Response<Collected<Bytes>>
where
    B: hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let exchange = async {
            let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
            Response::from_parts(head, body.collect().await.expect("a whole answer"))
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await.expect("in time");
        connection.abort();
        answer
    })
}

fn nothing() -> http_body_util::Empty<Bytes> {
    http_body_util::Empty::new()
}

#[test]
fn trailers_of_a_client_reach_a_guest_and_those_of_a_guest_its_client() {
    in_both_shapes("", |sampan| {
        for pause in [0, 50] {
            let path = format!("/trailers?ms={pause}&grpc-status=0&grpc-message=fine");
            let answer = raw(
                &sampan.http,
                &format!(
                    "POST {path} HTTP/1.1\r\nhost: {HOST}\r\nte: trailers\r\nconnection: close\r\n\
                     transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n"
                ),
            );
            assert!(answer.contains("4 bytes\nx-sum: 7\n"), "{answer}");
            assert!(answer.ends_with("\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n"), "{answer}");

            // As gRPC does it.
            let trailers = HeaderMap::from_iter([("x-sum".parse().expect("a name"), HeaderValue::from_static("8"))]);
            let frames = [Frame::data(Bytes::from_static(b"body")), Frame::trailers(trailers)].map(Ok);
            let request = Request::post(format!("http://{HOST}{path}"))
                .header("te", "trailers")
                .header("content-type", "application/grpc")
                .body(StreamBody::new(futures::stream::iter(frames)));
            let answer = http2(&sampan.http, request.expect("a request"));
            let trailers = answer.body().trailers().cloned().unwrap_or_default();
            assert_eq!(trailers["grpc-status"], "0");
            assert_eq!(trailers["grpc-message"], "fine");
            assert_eq!(answer.headers()["content-type"], "application/grpc");
            assert_eq!(answer.into_body().to_bytes(), "4 bytes\nx-sum: 8\n");
        }
    });
}

#[test]
fn an_answer_to_head_has_the_length_that_the_guest_announced_and_an_endless_one_ends() {
    in_both_shapes("        sampan.dev/concurrency: \"1\"\n", |sampan| {
        let head = |path: &str| Request::head(format!("http://{HOST}{path}")).body(nothing()).expect("a request");
        for _ in 0..2 {
            let asked = format!("HEAD /after?ms=0&bytes=5 HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
            let answer = raw(&sampan.http, &asked).to_lowercase();
            assert!(answer.starts_with("http/1.1 200") && answer.contains("content-length: 5\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "nothing follows: {answer}");
            let answer = http2(&sampan.http, head("/after?ms=0&bytes=5"));
            assert_eq!(answer.headers()["content-length"], "5");
            assert!(answer.into_body().to_bytes().is_empty());
        }
        assert_eq!(http2(&sampan.http, head("/endless")).status(), 200);
        wait_for("the guest is ended", || {
            sampan.cli_ok(&["logs", "deployment/probe"]).contains("still wrote a body").then_some(())
        });
        assert_eq!(Client::new(&sampan.http, Some(HOST)).get("/counter").status, 200);
    });
}

#[test]
fn heads_of_many_fields_reach_a_guest_and_its_client() {
    in_both_shapes("", |sampan| {
        let seen_by_the_guest = |answer: &str| {
            let body = answer.split("\r\n\r\n").last().expect("a body");
            let seen: serde_json::Value =
                serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
            let fields = seen["headers"].as_object().expect("headers").clone();
            fields.into_iter().filter(|(name, value)| name.starts_with("x-n-") && *value == "a, 50%").count()
        };
        for count in [85, 95] {
            let fields: String = (0..count).map(|n| format!("x-n-{n}: a, 50%\r\n")).collect();
            // In HTTP/1.0 no answer is chunked, however late a guest on a busy machine ends it.
            let asked = format!("GET /headers HTTP/1.0\r\nhost: {HOST}\r\n{fields}\r\n");
            assert_eq!(seen_by_the_guest(&raw(&sampan.http, &asked)), count);
        }
        let many = (0..300).fold(Request::get(format!("http://{HOST}/headers")), |request, n| {
            request.header(format!("x-n-{n}"), "a, 50%")
        });
        let answer = http2(&sampan.http, many.body(nothing()).expect("a request")).into_body().to_bytes();
        assert_eq!(seen_by_the_guest(&String::from_utf8_lossy(&answer)), 300);

        let path = "/bad-headers?kind=many&count=500";
        let answer = raw(&sampan.http, &format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.matches("\r\nx-").count() == 500, "{answer}");
        assert!(!sampan.output().contains("does not answer"), "{}", sampan.output());
    });
}

#[test]
fn an_upload_that_breaks_off_or_cannot_be_read_is_a_bad_request_and_no_worker_is_lost() {
    in_both_shapes("", |sampan| {
        let chunked = format!("POST /drain HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n");
        for body in ["zz\r\nabc\r\n", "3\r\nabcXX", "FFFFFFFFFFFFFFFFF\r\nabc"] {
            let answer = raw(&sampan.http, &format!("{chunked}{body}"));
            assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
            assert!(answer.contains("the request body could not be read"), "{body:?}: {answer}");
        }
        for head in [format!("{chunked}3\r\nab"), chunked.replace("transfer-encoding: chunked", "content-length: 9")] {
            let mut stream = TcpStream::connect(&sampan.http).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            stream.write_all(head.as_bytes()).expect("sent");
            stream.shutdown(std::net::Shutdown::Write).expect("the end of the input");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("the answer and its end");
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        assert!(!sampan.output().contains("does not answer"), "{}", sampan.output());
    });
}

#[test]
fn a_body_that_its_guest_did_not_read_is_in_the_way_of_no_other_request() {
    in_both_shapes("", |sampan| {
        let mut stream = TcpStream::connect(&sampan.http).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (head, body) = ("transfer-encoding: chunked", "4\r\nsome\r\n5\r\n body\r\n0\r\n\r\n");
        for round in 0..50 {
            let (path, says) = if round % 2 == 0 { ("/status/404", "404\n") } else { ("/drain", "9\n") };
            let request = format!("POST {path} HTTP/1.1\r\nhost: {HOST}\r\n{head}\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("sent");
            for piece in body.split_inclusive("\r\n") {
                stream.write_all(piece.as_bytes()).expect("sent");
            }
            let mut seen = String::new();
            // With or without a length.
            while !seen.ends_with(&format!("\r\n{says}")) && !seen.ends_with(&format!("\r\n{says}\r\n0\r\n\r\n")) {
                let mut piece = [0; 1024];
                let bytes = stream.read(&mut piece).expect("an answer");
                assert!(bytes > 0, "closed after {round} answers and {seen:?}");
                seen += &String::from_utf8_lossy(&piece[..bytes]);
            }
        }
    });
}

#[test]
fn cookies_that_come_in_crumbs_are_one_field_for_a_guest() {
    in_both_shapes("", |sampan| {
        let request = Request::get(format!("http://{HOST}/headers"))
            .header("cookie", "a=1")
            .header("cookie", "b=2; c=3")
            .header("cookie", "d=4")
            .body(nothing());
        let answer = http2(&sampan.http, request.expect("a request")).into_body().to_bytes();
        let seen: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(seen["headers"]["cookie"], "a=1; b=2; c=3; d=4", "{seen}");
    });
}

#[test]
fn a_line_feed_alone_is_refused_at_each_address_that_speaks_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let metrics = free_address();
    let sampan = Sampan::up_with(folder.path(), &["--metrics", &metrics]);
    deploy_probe(&sampan);
    for address in [&sampan.http, &metrics] {
        for request in [
            format!("GET /metrics HTTP/1.1\nhost: {HOST}\n\n"),
            format!("GET /metrics HTTP/1.1\r\nhost: {HOST}\r\nx: 1\n\r\n"),
        ] {
            let answer = raw(address, &request);
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("line feed alone"), "{address}: {answer}");
        }
        let both =
            format!("GET /metrics HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n");
        assert!(raw(address, &both).starts_with("HTTP/1.1 400 "), "{address}");
    }
    assert_eq!(Client::new(&metrics, None).get("/metrics").status, 200);
}

/// What a guest sees of who asked, where a client says that it asks for another. In HTTP/1.0 no answer is chunked.
fn forwarded(sampan: &Sampan) -> String {
    let request = format!(
        "GET /headers HTTP/1.0\r\nhost: {HOST}\r\nx-forwarded-for: 192.0.2.1\r\n\
         x-forwarded-for: 2001:db8::1, 192.0.2.2\r\nx-real-ip: 192.0.2.1\r\n\
         forwarded: for=\"[2001:db8::1]:4711\";proto=https, for=_hidden;by=\"unknown\"\r\n\r\n"
    );
    let answer = raw(&sampan.http, &request);
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let seen: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    ["x-forwarded-for", "x-real-ip", "forwarded"]
        .map(|name| seen["headers"][name].as_str().unwrap_or("none").to_owned())
        .join(" | ")
}

#[test]
fn proxies_that_are_trusted_are_named_on_the_command_line_or_in_the_environment() {
    let replaced = "127.0.0.1 | 127.0.0.1 | for=127.0.0.1;proto=http";
    let passed_on = "192.0.2.1, 2001:db8::1, 192.0.2.2, 127.0.0.1 | 192.0.2.1 | \
                     for=\"[2001:db8::1]:4711\";proto=https, for=_hidden;by=\"unknown\"";
    for (flags, expected) in [
        (&["--trusted-proxies", "10.0.0.0/8,2001:db8::/32"][..], replaced),
        (&["--trusted-proxies", "10.0.0.0/8,127.0.0.1"][..], passed_on),
        (&["--trusted-proxies=::ffff:127.0.0.0/104"][..], passed_on),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let sampan = Sampan::up_with(folder.path(), flags);
        deploy_probe(&sampan);
        assert_eq!(forwarded(&sampan), expected, "{flags:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server_with(folder.path(), 1, &["--trusted-proxies", "127.0.0.0/8"]);
    deploy_probe(&sampan);
    assert_eq!(forwarded(&sampan), passed_on);
    for (start, networks, expected) in [
        (&["up"][..], "10.0.0.0/8, 127.0.0.0/8", passed_on),
        (&["up"], "10.0.0.0/8", replaced),
        (&["server", "--workers", "1"], "::1,127.0.0.1", passed_on),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let variable = [("SAMPAN_TRUSTED_PROXIES", networks.to_owned())];
        let sampan = Sampan::start_with(folder.path(), start, &variable);
        deploy_probe(&sampan);
        assert_eq!(forwarded(&sampan), expected, "{start:?} {networks}");
    }
    let wrong = crate::sampan::command(&["up", "--trusted-proxies", "10.0.0.0/33"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success() && said.contains("--trusted-proxies") && said.contains("10.0.0.0/8"), "{said}");
}
