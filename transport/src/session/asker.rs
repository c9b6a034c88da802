use std::{fmt, sync::Arc};

use api::{Address, Authorize, WorkerName, session::WorkerUp};
use tonic::{Request, Status, metadata::MetadataValue};

use super::listener::{Shown, Who};
use crate::{
    identity::{Peer, Role},
    machine::machine,
};

/// What a client of the same machine calls itself, as a worker. It takes rights away, and gives none.
const WORKER: &str = "x-sampan-worker";

/// Of how many replicas a worker may say in one session that it runs them, each of which is compared with what is known. It says so
/// once.
const MAX_SAID: usize = 100_000;

/// Who asks something, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asker {
    /// A worker: of this machine, or of another.
    Worker { name: WorkerName, remote: bool },
    /// A gateway that has joined.
    Gateway(String),
    /// A process of this machine that nobody here has started: what the user may, it may.
    User,
}

impl Asker {
    /// Who is at the other end of the connection that a request came over.
    pub(super) fn of<T>(request: &Request<T>, rules: &dyn Authorize) -> Result<Self, Status> {
        match request.extensions().get::<Who>() {
            Some(who @ (Who::Started(_) | Who::Local(_))) => {
                let started = match who {
                    Who::Started(name) => Some(WorkerName(name.as_str().into())),
                    _ => None,
                };
                let says = request.metadata().get(WORKER).and_then(|name| name.to_str().ok());
                let says = says.map(|name| WorkerName(name.into()));
                let name = rules.local(started.as_ref(), says.as_ref()).map_err(Status::permission_denied)?;
                Ok(name.map_or(Self::User, |name| Self::Worker { name, remote: false }))
            }
            Some(Who::Peer(shown)) => {
                let peer = &shown.holds()?.peer;
                match peer.role {
                    Role::Worker => Ok(Self::Worker { name: WorkerName(peer.name.as_str().into()), remote: true }),
                    Role::Gateway => Ok(Self::Gateway(peer.name.clone())),
                    Role::ControlPlane => Err(Status::permission_denied("a control plane asks nothing of another")),
                }
            }
            Some(Who::Stranger(_)) | None => {
                Err(Status::unauthenticated("no certificate was shown: join with a token"))
            }
        }
    }

    /// The worker that it is; `None`: the machine's user. A gateway is refused.
    pub(super) fn worker(self) -> Result<Option<(WorkerName, bool)>, Status> {
        match self {
            Self::Worker { name, remote } => Ok(Some((name, remote))),
            Self::User => Ok(None),
            Self::Gateway(_) => Err(Status::permission_denied("a gateway is no worker: join with a token of its own")),
        }
    }
}

/// Whose a session is: who else knows its number cannot go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// Of the process that was started here by this name.
    Started(String),
    /// Of a process of this machine, as a worker of this name or for the user. Where processes have no numbers, all are one.
    Local(Option<i32>, Option<WorkerName>),
    /// Of who has this key, whatever certificate it shows for it, as this peer.
    Key(Peer, String),
    /// Of nobody.
    Nobody,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(name) => write!(f, "worker `{name}`"),
            Self::Local(_, Some(name)) => write!(f, "worker `{name}`"),
            Self::Local(Some(process), None) => write!(f, "process {process} of this machine"),
            Self::Local(None, None) => f.write_str("a process of this machine"),
            Self::Key(peer, _) => write!(f, "{} `{}`", peer.role.as_str(), peer.name),
            Self::Nobody => f.write_str("nobody that is known"),
        }
    }
}

impl Who {
    /// Whose the sessions are that it begins.
    pub(super) fn owner(&self, asker: &Asker) -> Owner {
        match self {
            Self::Started(name) => Owner::Started(name.clone()),
            Self::Local(process) => Owner::Local(
                *process,
                match asker {
                    Asker::Worker { name, .. } => Some(name.clone()),
                    Asker::Gateway(_) | Asker::User => None,
                },
            ),
            Self::Peer(Shown { certificate, .. }) => Owner::Key(certificate.peer.clone(), certificate.key.clone()),
            Self::Stranger(_) => Owner::Nobody,
        }
    }
}

/// Adds to a request the name that a client of the same machine has as a worker.
pub(super) fn say_name<T>(request: &mut Request<T>, name: &str) {
    if let Ok(name) = MetadataValue::try_from(name) {
        request.metadata_mut().insert(WORKER, name);
    }
}

/// Where a worker is reached, by what it says: over the network where it says, since each connection there is shown its
/// name; on this machine where its name says.
pub(super) fn reached_at(said: Option<Address>, socket: Option<String>, remote: bool) -> Option<Address> {
    match remote {
        true => Some(Address { machine: String::new(), socket: None, tcp: said.and_then(|said| said.tcp) }),
        false => said.map(|_| Address { machine: machine().to_owned(), socket, tcp: None }),
    }
}

/// What counts of a worker's messages, in one session.
pub(super) struct Hearing {
    rules: Arc<dyn Authorize>,
    /// The name that it is bound to: by who it is, or by its first message.
    bound: Option<WorkerName>,
    remote: bool,
    /// How many replicas it has said that it runs, and one for each time.
    said: usize,
}

impl Hearing {
    pub(super) fn new(rules: Arc<dyn Authorize>, worker: Option<(WorkerName, bool)>) -> Self {
        let remote = worker.as_ref().is_some_and(|(_, remote)| *remote);
        Self { rules, bound: worker.map(|(name, _)| name), remote, said: 0 }
    }

    /// What is left of a message; nothing, or why the session ends with it.
    pub(super) fn hear(&mut self, mut message: WorkerUp) -> Result<Option<WorkerUp>, String> {
        if let WorkerUp::Hello(hello) = &mut message {
            self.said += 1 + hello.running.len();
            if self.said > MAX_SAID {
                return Err(format!("worker `{}` said of more than {MAX_SAID} replicas that it runs them", hello.name));
            }
            // Paths and files are named after it.
            api::check_dns_subdomain(&hello.name.0).map_err(|error| error.to_string())?;
            if self.bound.is_none() {
                // Who comes by itself and has not said a name before is not one that was started here.
                self.bound = self.rules.local(None, Some(&hello.name))?;
            }
            let name = self.bound.get_or_insert_with(|| hello.name.clone());
            if hello.name != *name {
                return Err(format!("worker `{name}` called itself `{}`", hello.name));
            }
            hello.address = reached_at(hello.address.take(), self.rules.socket(name), self.remote);
        }
        match &self.bound {
            Some(name) => Ok(self.rules.hear(name, message)),
            // The machine's user, who has not said a name. Nobody is spoken for.
            None => Ok(Some(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_that_is_believed_which_the_way_proves() {
        let said = |tcp: Option<&str>| {
            let (machine, socket) = (machine().to_owned(), Some("/run/docker.sock".to_owned()));
            Some(Address { machine, socket, tcp: tcp.map(str::to_owned) })
        };
        let own = || Some("/run/w.sock".to_owned());
        let remote = reached_at(said(Some("10.0.0.2:7500")), own(), true).unwrap();
        assert_eq!(remote, Address { tcp: Some("10.0.0.2:7500".to_owned()), ..Address::default() });
        assert_eq!(reached_at(said(None), own(), true), Some(Address::default()));
        assert_eq!(reached_at(None, own(), true), Some(Address::default()));
        let local = reached_at(said(Some("10.0.0.2:7500")), own(), false).unwrap();
        assert_eq!(local, Address { machine: machine().to_owned(), socket: own(), tcp: None });
    }
}
