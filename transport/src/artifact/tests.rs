use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::OwnedFd,
    sync::Arc,
};

use api::{
    Digest, OpenArtifact,
    replica::{Failure, FailureReason},
};
use futures::future::{BoxFuture, ready};

use super::{ArtifactDesk, AskedArtifacts, Give};
use crate::broker::{Broker, BrokerClient, BrokerSocket, Wanted};

fn image(number: u8) -> Digest {
    Digest::from_sha256([number; 32])
}

/// Has the artifact of one image, and compiles another for ever.
struct HasOne;

impl Give for HasOne {
    fn give(&self, namespace: &str, asked: Digest) -> BoxFuture<'_, Result<File, Failure>> {
        assert_eq!(namespace, "shop");
        if asked == image(2) {
            return Box::pin(std::future::pending());
        }
        let failure = Failure { reason: FailureReason::InvalidImage, message: "it is text".to_owned() };
        let opened = || {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"code").unwrap();
            file.rewind().unwrap();
            file
        };
        Box::pin(ready(if asked == image(1) { Ok(opened()) } else { Err(failure) }))
    }
}

/// Gives nothing but artifacts.
struct Desk(ArtifactDesk);

impl Broker for Desk {
    fn open(&self, wanted: Wanted) -> BoxFuture<'_, io::Result<OwnedFd>> {
        assert_eq!(wanted, Wanted::Artifact);
        Box::pin(self.0.open())
    }
}

#[tokio::test]
async fn who_asks_is_passed_the_file_or_told_why_not_and_waits_for_no_other() {
    let (socket, theirs) = BrokerSocket::pair().unwrap();
    tokio::spawn(socket.serve(Arc::new(Desk(ArtifactDesk::new(Arc::new(HasOne))))));
    let artifacts = AskedArtifacts::new(BrokerClient::over(theirs).unwrap());
    let endless = tokio::spawn(artifacts.open_artifact("shop", "b", &image(2)));
    let mut code = String::new();
    artifacts.open_artifact("shop", "a", &image(1)).await.unwrap().read_to_string(&mut code).unwrap();
    assert_eq!(code, "code");
    let refused = artifacts.open_artifact("shop", "c", &image(3)).await.unwrap_err();
    assert_eq!((refused.reason, refused.message.as_str()), (FailureReason::InvalidImage, "it is text"));
    assert!(!endless.is_finished());
}
