use std::collections::VecDeque;

use crate::access::{Access, Credentials, Machine};

/// Who we may be at a registry: one after the other, until it takes one.
#[derive(Debug)]
pub(super) struct Identities {
    current: Identity,
    waiting: VecDeque<Identity>,
    /// The machine's credentials are still to be asked for, for this host.
    machine: Option<(Machine, String)>,
}

#[derive(Debug)]
struct Identity {
    credentials: Credentials,
    /// Of one namespace: what it brings is not for others.
    is_private: bool,
}

impl Identities {
    /// One alone.
    pub(super) fn one(credentials: Credentials) -> Self {
        Self { current: Identity { credentials, is_private: false }, waiting: VecDeque::new(), machine: None }
    }

    /// Those of a namespace's secrets in their order, and then the machine's: the token that it has for this registry,
    /// or what its Docker configuration says. That is asked only once it is needed, since it may run a program.
    pub(super) async fn of(
        access: &Access,
        (host, repository): (&str, &str),
        token: Option<String>,
    ) -> Result<Self, String> {
        let private =
            access.find(host, repository).into_iter().map(|credentials| Identity { credentials, is_private: true });
        let token = token.map(|token| Identity { credentials: Credentials::Bearer(token), is_private: false });
        let machine = token.is_none().then(|| (access.machine().clone(), host.to_owned()));
        let mut waiting: VecDeque<_> = private.chain(token).collect();
        match waiting.pop_front() {
            Some(current) => Ok(Self { current, waiting, machine }),
            None => Ok(Self::one(access.machine().credentials(host).await?)),
        }
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.current.credentials
    }

    pub(super) fn is_private(&self) -> bool {
        self.current.is_private
    }

    /// The token server has given another identity token in place of this one.
    pub(super) fn renew(&mut self, token: String) {
        self.current.credentials = Credentials::Identity(token);
    }

    /// The registry does not take this one. Says whether there is another.
    pub(super) async fn next(&mut self) -> Result<bool, String> {
        if let Some(next) = self.waiting.pop_front() {
            self.current = next;
            return Ok(true);
        }
        let Some((machine, host)) = self.machine.take() else { return Ok(false) };
        let credentials = machine.credentials(&host).await?;
        // Who was known and not let in is not let in as nobody.
        let is_somebody = credentials != Credentials::Anonymous;
        if is_somebody {
            self.current = Identity { credentials, is_private: false };
        }
        Ok(is_somebody)
    }
}
