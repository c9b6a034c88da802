use std::os::unix::fs::PermissionsExt;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

pub(super) async fn connect(
    server: &Server,
    authority_pem: &str,
    name: &'static str,
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(&server.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), stream).await
}

async fn get(server: &Server, name: &'static str, token: &str) -> String {
    let mut stream = connect(server, &server.authority_pem, name).await.unwrap();
    let request =
        format!("GET /version HTTP/1.1\r\nHost: {name}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_certificate_is_good_for_local_names_and_the_token_opens() {
    let server = Server::start().await;
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(get(&server, name, server.token.as_str()).await.starts_with("HTTP/1.1 200"), "{name}");
    }
    assert!(get(&server, "localhost", "wrong").await.starts_with("HTTP/1.1 401"));
    let other = Server::start().await;
    assert!(connect(&server, &other.authority_pem, "localhost").await.is_err());
    other.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn keys_and_kubeconfig_are_private_and_survive_a_restart() {
    let server = Server::start().await;
    let folder = server.folder.path();
    for file in ["ca.key", "token", "kubeconfig"] {
        let mode = std::fs::metadata(folder.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let again = Certificates::open(folder, &["api.example.com".to_owned(), "0.0.0.0".to_owned()]).unwrap();
    assert_eq!(again.authority_pem, server.authority_pem);
    let token = Token::load_or_create(&folder.join("token")).unwrap();
    assert_eq!(token.as_str(), server.token.as_str());
    std::fs::write(folder.join("ca.key"), "nothing").unwrap();
    let damaged = Certificates::open(folder, &[]).unwrap_err().to_string();
    assert!(damaged.contains("ca.key") && damaged.contains("remove `ca.key`"), "{damaged}");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_stopped_ends_its_watches() {
    let server = Server::start().await;
    let mut stream = connect(&server, &server.authority_pem, "localhost").await.unwrap();
    let token = server.token.as_str().to_owned();
    let request = format!(
        "GET /api/v1/namespaces?watch=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut seen = String::new();
    while !seen.contains("ADDED") {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    server.stop().await;
}

/// Reads one answer with a Content-Length; gives its head.
async fn head_of_answer(stream: &mut TlsStream<tokio::net::TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    head
}

#[tokio::test]
async fn a_refusal_that_reads_no_body_keeps_the_connection_for_the_next_request() {
    let server = Server::start().await;
    let mut stream = connect(&server, &server.authority_pem, "localhost").await.unwrap();
    let body = vec![b' '; 1 << 20];
    for (path, token, status) in [
        ("/api/v1/namespaces/default/nothings", server.token.as_str(), "404"),
        ("/api/v1/namespaces", "wrong", "401"),
        ("/version", server.token.as_str(), "405"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The answer is there before the body is sent, and the body is taken nevertheless.
        let answer = head_of_answer(&mut stream).await;
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{path}: {answer}");
        tokio::time::timeout(PATIENCE, stream.write_all(&body)).await.unwrap().unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn lines_that_end_with_a_line_feed_alone_and_ambiguous_framing_are_refused() {
    let server = Server::start().await;
    let token = server.token.as_str().to_owned();
    let whole = format!("GET /version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n");
    for (request, why) in [
        ("GET /version HTTP/1.1\nHost: localhost\n\n".to_owned(), "line feed alone"),
        (format!("{whole}X: 1\n\r\n"), "line feed alone"),
        (format!("{whole}\r\n{whole}X: 1\n\r\n"), "line feed alone"),
        (format!("{whole}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), "send one of them"),
        (format!("{whole}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), "that differ"),
    ] {
        let mut stream = connect(&server, &server.authority_pem, "localhost").await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed");
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(
            answer.matches("HTTP/1.1 200").count(),
            request.matches("\r\n\r\nGET").count(),
            "{request:?}: {answer}"
        );
        assert!(answer.contains("HTTP/1.1 400 Bad Request") && answer.contains(why), "{request:?}: {answer}");
        assert!(answer.contains(r#""kind":"Status""#), "{answer}");
    }
    server.stop().await;
}
