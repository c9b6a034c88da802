use std::{io, sync::Arc};

use api::outbound::{CONNECT_TIMEOUT, Connect, ConnectError, Reach};
use futures::future::BoxFuture;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{
    CONNECTS, CONNECTS_PER_NAMESPACE,
    message::{Asked, MAX_ANSWER_BYTES, parse_answer},
    parts::Parts,
};
use crate::{
    broker::{BrokerClient, Wanted},
    descriptor,
};

/// Has connections made by the process that started this one, which may make none itself.
#[derive(Clone)]
pub struct AskedConnect {
    broker: BrokerClient,
    seats: Arc<Parts>,
}

impl AskedConnect {
    /// Asks nothing yet.
    pub fn new(broker: BrokerClient) -> Self {
        Self { broker, seats: Arc::new(Parts::new(CONNECTS, CONNECTS_PER_NAMESPACE)) }
    }
}

impl Connect for AskedConnect {
    fn connect(
        &self,
        guests: Option<&str>,
        host: &str,
        port: u16,
        reach: Reach,
    ) -> BoxFuture<'static, Result<TcpStream, ConnectError>> {
        let asked = Asked { reach, port, guests: guests.map(str::to_owned), host: host.to_owned() };
        let asking = self.clone();
        Box::pin(async move {
            let answered = async {
                let _seat = asking.seats.take(asked.guests.as_deref()).await;
                ask(&asking.broker, &asked).await
            };
            timeout(CONNECT_TIMEOUT, answered).await.unwrap_or(Err(ConnectError::Timeout))
        })
    }
}

async fn ask(broker: &BrokerClient, asked: &Asked) -> Result<TcpStream, ConnectError> {
    let unanswered = |error: io::Error| ConnectError::Unanswered(error.to_string());
    let line = asked.line().ok_or_else(|| ConnectError::Name("it is no host name".to_owned()))?;
    let mut stream = broker.connection(Wanted::Connect).await.map_err(unanswered)?;
    stream.write_all(line.as_bytes()).await.map_err(unanswered)?;
    let mut answer = [0; MAX_ANSWER_BYTES];
    let (length, connection) = descriptor::receive(&stream, &mut answer).await.map_err(unanswered)?;
    let connection = parse_answer(&String::from_utf8_lossy(&answer[..length]), connection)?;
    let connection = std::net::TcpStream::from(connection);
    connection.set_nonblocking(true).and_then(|()| TcpStream::from_std(connection)).map_err(unanswered)
}
