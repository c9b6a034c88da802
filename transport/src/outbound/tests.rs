use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::Arc,
    time::Duration,
};

use api::outbound::{Connect, ConnectError, OutboundGrants, Reach};
use futures::future::{BoxFuture, join_all, pending};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle, time::timeout};

use super::{
    AskedConnect, CONNECTS, CONNECTS_PER_NAMESPACE, ConnectDesk, DirectConnect, Permit,
    message::{Asked, MAX_ANSWER_BYTES, answer, parse_answer},
};
use crate::broker::{Broker, BrokerClient, BrokerSocket, Wanted};

/// Long enough for a slow machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// For whom connections are made.
pub(super) const GUESTS: Option<&str> = Some("shop");

/// What a process may have; `None`: everything.
struct Fixed(Option<OutboundGrants>);

impl Permit for Fixed {
    fn allow(&self, _: Option<&str>, host: &str, port: u16) -> Option<Reach> {
        self.0.as_ref().map_or(Some(Reach::Any), |grants| grants.allow(host, port))
    }
}

/// Who answers requests for connections.
#[derive(Clone)]
pub(super) struct Answered(ConnectDesk);

impl Broker for Answered {
    fn open(&self, wanted: Wanted) -> BoxFuture<'_, io::Result<OwnedFd>> {
        assert_eq!(wanted, Wanted::Connect);
        Box::pin(self.0.open())
    }
}

impl Answered {
    /// Everything is granted.
    pub(super) fn by_all() -> Self {
        Self::by(Fixed(None), Arc::new(DirectConnect))
    }

    fn by(permit: Fixed, connect: Arc<dyn Connect>) -> Self {
        Self(ConnectDesk::new(Arc::new(permit), connect))
    }

    fn to(grants: &[&str]) -> Self {
        let grants: Vec<String> = grants.iter().map(|&grant| grant.to_owned()).collect();
        Self::by(Fixed(Some(OutboundGrants::parse(&grants).unwrap())), Arc::new(DirectConnect))
    }

    /// Until what this gives is dropped.
    pub(super) fn asking(&self) -> Arc<dyn Connect> {
        let (socket, theirs) = BrokerSocket::pair().unwrap();
        tokio::spawn(socket.serve(Arc::new(self.clone())));
        Arc::new(AskedConnect::new(BrokerClient::over(theirs).unwrap()))
    }
}

#[tokio::test]
async fn what_is_not_granted_is_refused_and_what_is_goes_where_its_grant_may_lead() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answered = Answered::to(&[&format!("127.0.0.1:{port}"), "localhost"]);
    let asking = answered.asking();
    asking.connect(GUESTS, "127.0.0.1", port, Reach::Any).await.unwrap();
    asking.connect(GUESTS, "localhost", port, Reach::Any).await.unwrap();
    for (host, port) in [("127.0.0.1", port ^ 1), ("127.0.0.2", port), ("[::1]", port), ("example.com", port)] {
        assert_eq!(
            asking.connect(GUESTS, host, port, Reach::Any).await.unwrap_err(),
            ConnectError::NotGranted,
            "{host}"
        );
    }
    // It may ask for less than it has.
    assert_eq!(asking.connect(GUESTS, "localhost", port, Reach::Public).await.unwrap_err(), ConnectError::Prohibited);
}

#[tokio::test]
async fn a_granted_name_leads_to_public_addresses_alone_whatever_the_process_asks_for() {
    let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname") else { return };
    let name = name.trim().to_owned();
    // Where the machine's own name leads nowhere, there is nothing to see.
    if tokio::net::lookup_host((name.as_str(), 80)).await.is_err() {
        return;
    }
    let answered = Answered::to(&[&name]);
    assert_eq!(answered.asking().connect(GUESTS, &name, 80, Reach::Any).await.unwrap_err(), ConnectError::Prohibited);
}

#[tokio::test]
async fn where_nobody_answers_it_is_said() {
    let (socket, theirs) = BrokerSocket::pair().unwrap();
    drop(socket);
    let asking = AskedConnect::new(BrokerClient::over(theirs).unwrap());
    let refused = asking.connect(GUESTS, "127.0.0.1", 80, Reach::Any).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Unanswered(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_not_answered_and_the_next_one_is() {
    let answered = Answered::by_all();
    for nonsense in
        ["any 80\n", "any 80 shop\n", "all 80 shop 127.0.0.1\n", "any x shop 127.0.0.1\n", "\n", &"x".repeat(4096)]
    {
        let opened = answered.0.open().await.unwrap();
        let nonsense = nonsense.to_owned();
        let unanswered = tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::from(opened);
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            // It may be closed before all of it is there.
            let _ = stream.write_all(nonsense.as_bytes());
            !matches!(stream.read(&mut [0; 64]), Ok(1..))
        });
        assert!(unanswered.await.unwrap());
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    answered.asking().connect(GUESTS, "127.0.0.1", listener.local_addr().unwrap().port(), Reach::Any).await.unwrap();
}

/// Says that it was asked, and never connects.
struct Waits(mpsc::UnboundedSender<()>);

impl Connect for Waits {
    fn connect(
        &self,
        _: Option<&str>,
        _: &str,
        _: u16,
        _: Reach,
    ) -> BoxFuture<'static, Result<TcpStream, ConnectError>> {
        self.0.send(()).unwrap();
        Box::pin(pending())
    }
}

#[tokio::test]
async fn so_many_are_made_at_a_time_and_who_leaves_makes_room() {
    let (asked, mut heard) = mpsc::unbounded_channel();
    let answered = Answered::by(Fixed(None), Arc::new(Waits(asked)));
    // The ones are limited by who asks, the others by who answers.
    let (ones, others) = (answered.asking(), answered.asking());
    let ask =
        |asking: &Arc<dyn Connect>, guests| tokio::spawn(asking.connect(Some(guests), "127.0.0.1", 80, Reach::Any));
    let mut all = Vec::new();
    for namespace in ["a", "b", "c", "d"] {
        all.extend((0..CONNECTS_PER_NAMESPACE).map(|_| ask(&ones, namespace)));
        for _ in 0..CONNECTS_PER_NAMESPACE {
            timeout(PATIENCE, heard.recv()).await.expect("it is asked").unwrap();
        }
        if all.len() < CONNECTS {
            let beyond = ask(&ones, namespace);
            assert!(
                timeout(Duration::from_millis(50), heard.recv()).await.is_err(),
                "one more of this namespace is made"
            );
            beyond.abort();
        }
    }
    assert_eq!(all.len(), CONNECTS);
    let further = [ask(&ones, "e"), ask(&others, "e")];
    assert!(timeout(Duration::from_millis(200), heard.recv()).await.is_err(), "one more is made");
    all.iter().for_each(JoinHandle::abort);
    join_all(all).await;
    for _ in &further {
        timeout(PATIENCE, heard.recv()).await.expect("there is room again").unwrap();
    }
}

#[test]
fn what_is_asked_and_answered_is_read_as_it_was_said() {
    let asked = |guests: Option<&str>, host: &str| Asked {
        reach: Reach::Public,
        port: 65535,
        guests: guests.map(str::to_owned),
        host: host.to_owned(),
    };
    for guests in [None, GUESTS] {
        let asked = asked(guests, "[2606:4700::1111]");
        assert_eq!(Asked::parse(asked.line().unwrap().trim_end()), Some(asked));
    }
    assert!(asked(Some(&"x".repeat(63)), &"x".repeat(253)).line().is_some());
    for host in ["", "a b", "a\n", "ä", &"x".repeat(400)] {
        assert_eq!(asked(GUESTS, host).line(), None);
    }
    for guests in ["", "a b", "a\n"] {
        assert_eq!(asked(Some(guests), "host").line(), None);
    }
    for error in [
        ConnectError::NotGranted,
        ConnectError::Prohibited,
        ConnectError::Timeout,
        ConnectError::Name("no such name".to_owned()),
        ConnectError::Refused("by them".to_owned()),
        ConnectError::Unanswered("gone".to_owned()),
    ] {
        assert_eq!(parse_answer::<()>(&answer::<()>(&Err(error.clone())), None), Err(error));
    }
    assert_eq!(parse_answer(&answer(&Ok(())), Some(())), Ok(()));
    assert!(parse_answer::<()>(&answer(&Ok(())), None).is_err(), "a connection that did not come");
    assert!(answer::<()>(&Err(ConnectError::Name("ä".repeat(MAX_ANSWER_BYTES)))).len() <= MAX_ANSWER_BYTES);
}
