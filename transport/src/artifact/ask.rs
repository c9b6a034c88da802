use std::{fs::File, io, sync::Arc};

use api::{
    Digest, OpenArtifact, Seats,
    replica::{Failure, FailureReason},
};
use futures::future::BoxFuture;

use super::{AT_ONCE, AT_ONCE_OF_NAMESPACE, MAX_ANSWER_BYTES, asked, parse_answer};
use crate::{
    broker::{BrokerClient, Wanted},
    descriptor,
};

/// Artifacts from the process that started this one.
#[derive(Clone)]
pub struct AskedArtifacts {
    broker: BrokerClient,
    seats: Arc<Seats<String>>,
}

impl AskedArtifacts {
    /// Asks nothing yet.
    pub fn new(broker: BrokerClient) -> Self {
        Self { broker, seats: Arc::new(Seats::new(AT_ONCE, AT_ONCE_OF_NAMESPACE)) }
    }
}

impl OpenArtifact for AskedArtifacts {
    /// Who is asked knows what users call the image.
    fn open_artifact(
        &self,
        namespace: &str,
        _image: &str,
        digest: &Digest,
    ) -> BoxFuture<'static, Result<File, Failure>> {
        let (asking, asked, namespace) = (self.clone(), asked(namespace, digest), namespace.to_owned());
        Box::pin(async move {
            let _seat = asking.seats.take(namespace).await;
            let unanswered = |error: io::Error| {
                let message = format!("who compiles components does not answer: {error}");
                Err(Failure { reason: FailureReason::Error, message })
            };
            ask(&asking.broker, &asked).await.unwrap_or_else(unanswered)
        })
    }
}

async fn ask(broker: &BrokerClient, asked: &str) -> io::Result<Result<File, Failure>> {
    let stream = broker.connection(Wanted::Artifact).await?;
    descriptor::send(&stream, asked.as_bytes(), None).await?;
    let mut answer = vec![0; MAX_ANSWER_BYTES];
    let (length, file) = descriptor::receive(&stream, &mut answer).await?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(parse_answer(&String::from_utf8_lossy(&answer[..length]), file.map(File::from)))
}
