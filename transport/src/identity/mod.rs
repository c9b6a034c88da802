//! Who a process is to the others: a certificate of the installation's own authority, which says its role and its name.

mod authority;
mod certificate;
mod fingerprint;
mod shown;
mod trust;

use std::time::Duration;

use rustls::pki_types::ServerName;

pub use authority::{Asked, Authority, AuthorityCertificate, AuthorityError};
pub use certificate::{Identity, IdentityError, Request, TakenBack};
pub use fingerprint::Fingerprint;
pub use shown::Certificate;
pub use trust::{Revoked, Trust};

pub(crate) use certificate::{Heard, peer};
pub(crate) use trust::{authority_ended, distrusted, ends, revoked};

/// How long the other side may take to show who it is.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(5);
/// What every name in a certificate ends with.
const DOMAIN: &str = "sampan.internal";

/// What a process is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It holds the state and decides.
    ControlPlane,
    /// It runs replicas.
    Worker,
    /// It takes requests.
    Gateway,
}

impl Role {
    /// As it stands in names and in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
            Self::Gateway => "gateway",
        }
    }

    /// The role of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ControlPlane, Self::Worker, Self::Gateway].into_iter().find(|role| role.as_str() == text)
    }

    /// The name that a certificate of `name` in this role carries.
    fn dns_name(self, name: &str) -> String {
        format!("{name}.{}.{DOMAIN}", self.as_str())
    }

    /// What a client asks a server of this role to show, whatever address it has.
    pub(crate) fn server_name(self, name: &str) -> ServerName<'static> {
        let fallback = || ServerName::try_from(format!("unnamed.{DOMAIN}")).expect("a DNS name");
        ServerName::try_from(self.dns_name(name)).unwrap_or_else(|_| fallback())
    }
}

/// Who the other side of a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    /// What it is.
    pub role: Role,
    /// What it is called.
    pub name: String,
}

impl Peer {
    fn of_dns_name(name: &str) -> Option<Self> {
        let (name, role) = name.strip_suffix(DOMAIN)?.strip_suffix('.')?.rsplit_once('.')?;
        Some(Self { role: Role::parse(role)?, name: name.to_owned() })
    }
}

/// The name of the control plane in its certificate: there is one for each installation.
pub(crate) const CONTROL_PLANE: &str = "main";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_certificate_says_role_and_name() {
        for (role, name) in [(Role::Worker, "worker-1"), (Role::Gateway, "a.example.com"), (Role::ControlPlane, "main")]
        {
            let peer = Peer::of_dns_name(&role.dns_name(name)).unwrap();
            assert_eq!((peer.role, &*peer.name), (role, name));
        }
        for other in ["localhost", "a.worker.example.com", "a.pilot.sampan.internal", "sampan.internal"] {
            assert_eq!(Peer::of_dns_name(other), None, "{other}");
        }
    }
}
