//! What holds for who makes connections itself, and for who asks for them.

use std::{net::TcpListener, sync::Arc, time::Duration};

use api::outbound::{Connect, ConnectError, Reach};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    DirectConnect,
    tests::{Answered, GUESTS},
};

/// Long enough for a slow machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn conforms(connect: Arc<dyn Connect>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost"] {
        let mut stream = connect.connect(GUESTS, host, port, Reach::Any).await.unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let mut accepted = tokio::net::TcpStream::from_std(accepted).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), accepted.local_addr().unwrap());
        stream.write_all(b"asked").await.unwrap();
        let mut bytes = [0; 5];
        timeout(PATIENCE, accepted.read_exact(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(&bytes, b"asked");
        // Nobody else has it: the end of the one is the end of the other.
        drop(stream);
        assert_eq!(timeout(PATIENCE, accepted.read(&mut bytes)).await.unwrap().unwrap(), 0);
    }
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let refused = connect.connect(GUESTS, host, port, Reach::Public).await.unwrap_err();
        assert_eq!(refused, ConnectError::Prohibited, "{host}");
    }
    drop(listener);
    let refused = connect.connect(GUESTS, "127.0.0.1", port, Reach::Any).await.unwrap_err();
    assert!(matches!(&refused, ConnectError::Refused(why) if why.contains("refused")), "{refused}");
    for nowhere in ["no such host", "a\nb", "", &"x".repeat(1000)] {
        let refused = connect.connect(GUESTS, nowhere, port, Reach::Any).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Name(_)), "{nowhere}: {refused}");
    }
}

#[tokio::test]
async fn who_connects_itself_conforms() {
    conforms(Arc::new(DirectConnect)).await;
}

#[tokio::test]
async fn who_asks_for_connections_conforms() {
    let answered = Answered::by_all();
    conforms(answered.asking()).await;
}
