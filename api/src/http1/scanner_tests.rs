use super::*;

/// What becomes of a stream, in all ways to cut it in two, and byte by byte: each says the same.
fn scanned(stream: &str) -> Result<(), Violation> {
    let bytes = stream.as_bytes();
    let whole = RequestScanner::default().scan(bytes).map_err(|refusal| refusal.violation);
    for cut in 0..=bytes.len() {
        let mut scanner = RequestScanner::default();
        let (before, after) = bytes.split_at(cut);
        let both = scanner.scan(before).and_then(|()| scanner.scan(after)).map_err(|refusal| refusal.violation);
        assert_eq!(both, whole, "cut after {cut} of {stream:?}");
    }
    let mut scanner = RequestScanner::default();
    let single = bytes.chunks(1).try_for_each(|byte| scanner.scan(byte)).map_err(|refusal| refusal.violation);
    assert_eq!(single, whole, "byte by byte, {stream:?}");
    whole
}

#[test]
fn requests_whose_lines_end_with_cr_lf_pass_one_after_another() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 4\r\nContent-Length: 4\r\n\r\n\n\n\n\n";
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding:\tChunked \r\n\r\n4;a=b\r\n\n\n\n\n\r\n0A \r\n0123456789\r\n0\r\nT: 1\r\n\r\n";
    let empty = "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(scanned(&[get, post, get, chunked, "\r\n", empty, get, chunked, post].concat()), Ok(()));
}

#[test]
fn a_line_feed_alone_is_refused_wherever_a_line_ends() {
    let heads = [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\nGET / HTTP/1.1\r\n\r\n",
    ];
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = ["1\na\r\n0\r\n\r\n", "1;a\n\r\na\r\n", "1\r\na\r\n0\n\r\n", "0\r\nT: 1\n\r\n", "0\r\nT: 1\r\n\n"];
    let before = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n\n\n\n";
    for head in heads {
        assert_eq!(scanned(head), Err(Violation::BareLineFeed), "{head:?}");
        assert_eq!(scanned(&format!("{before}{head}")), Err(Violation::BareLineFeed), "{head:?}");
    }
    for body in bodies {
        assert_eq!(scanned(&format!("{chunked}{body}")), Err(Violation::BareLineFeed), "{body:?}");
    }
}

#[test]
fn framing_that_can_be_read_in_two_ways_is_refused() {
    for (fields, violation) in [
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", Violation::LengthAndCoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", Violation::LengthAndCoding),
        ("Content-Length: 1\r\nContent-Length: 2", Violation::TwoLengths),
        ("Content-Length: +5", Violation::InvalidLength),
        ("Content-Length: -5", Violation::InvalidLength),
        ("Content-Length: 5, 5", Violation::InvalidLength),
        ("Content-Length: 0x5", Violation::InvalidLength),
        ("Content-Length:", Violation::InvalidLength),
        ("Content-Length: 18446744073709551616", Violation::InvalidLength),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Violation::NotChunkedOnce),
        ("Transfer-Encoding: chunked, chunked", Violation::NotChunkedOnce),
        ("Transfer-Encoding: xchunked", Violation::NotChunkedOnce),
        ("Transfer-Encoding: chunked, identity", Violation::NotChunkedOnce),
        ("Transfer-Encoding: \"chunked\"", Violation::NotChunkedOnce),
        ("Transfer-Encoding:", Violation::NotChunkedOnce),
        ("Transfer-Encoding: gzip, chunked", Violation::UnknownCoding),
        ("X: a\r\n b", Violation::FoldedLine),
        ("X: a\r\n\tTransfer-Encoding: chunked", Violation::FoldedLine),
    ] {
        assert_eq!(scanned(&format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n")), Err(violation), "{fields:?}");
    }
}

#[test]
fn sizes_of_chunks_are_hexadecimal_digits() {
    for line in ["", " 5", "+5", "0x5", "5,", "g", "-1", "11111111111111111"] {
        let stream = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{line}\r\n");
        assert_eq!(scanned(&stream), Err(Violation::ChunkSize), "{line:?}");
    }
}

#[test]
fn what_comes_before_the_wrong_line_may_be_passed_on() {
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let refusal = RequestScanner::default().scan(format!("{good}GET / HTTP/1.1\n").as_bytes());
    assert_eq!(refusal.map_err(|refusal| (refusal.good_bytes, refusal.in_body)), Err((good.len(), false)));
}

#[test]
fn another_protocol_is_not_looked_at() {
    assert_eq!(scanned("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\n\n\n"), Ok(()));
}

#[test]
fn a_first_line_that_is_none_of_a_request_is_refused() {
    for line in [
        "hello",
        "GET /",
        "GET / HTTP/1.1 ",
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "/ HTTP/1.1",
        "GET / http/1.1",
        "G",
    ] {
        assert_eq!(scanned(&format!("{line}\r\n\r\n")), Err(Violation::RequestLine), "{line:?}");
    }
    for version in ["0.9", "1.2", "2.0", "3.0"] {
        assert_eq!(scanned(&format!("GET / HTTP/{version}\r\n\r\n")), Err(Violation::Version), "{version}");
    }
    assert_eq!(scanned("GET / HTTP/1.0\r\n\r\n"), Ok(()));
    assert_eq!(scanned("\x16\x03\x01\x02"), Err(Violation::Tls));
}
