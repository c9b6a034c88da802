//! Who may call whom.

use api::{
    ObjectKey,
    session::{Guard, Leaving, Verdict},
};

use super::{WireError, gateway::port_number, key, proto};

impl From<Guard> for proto::Guard {
    fn from(Guard { port, others, namespaces, revisions, outside }: Guard) -> Self {
        Self {
            port: port.into(),
            others,
            namespaces: to_namespaces(namespaces),
            revisions: to_revisions(revisions),
            outside,
        }
    }
}

impl TryFrom<proto::Guard> for Guard {
    type Error = WireError;

    fn try_from(guard: proto::Guard) -> Result<Self, WireError> {
        Ok(Self {
            port: port_number(guard.port, "guard.port")?,
            others: guard.others,
            namespaces: namespaces(guard.namespaces),
            revisions: revisions(guard.revisions)?,
            outside: guard.outside,
        })
    }
}

impl From<Leaving> for proto::Leaving {
    fn from(Leaving { ports: (first, last), namespaces, revisions }: Leaving) -> Self {
        Self {
            first_port: first.into(),
            last_port: last.into(),
            namespaces: to_namespaces(namespaces),
            revisions: to_revisions(revisions),
        }
    }
}

impl TryFrom<proto::Leaving> for Leaving {
    type Error = WireError;

    fn try_from(leaving: proto::Leaving) -> Result<Self, WireError> {
        let port = |port| port_number(port, "leaving.port");
        Ok(Self {
            ports: (port(leaving.first_port)?, port(leaving.last_port)?),
            namespaces: namespaces(leaving.namespaces),
            revisions: revisions(leaving.revisions)?,
        })
    }
}

fn to_namespaces(verdicts: Vec<(String, Verdict)>) -> Vec<proto::NamespaceVerdict> {
    verdicts.into_iter().map(|(namespace, denied_by)| proto::NamespaceVerdict { namespace, denied_by }).collect()
}

fn to_revisions(verdicts: Vec<(ObjectKey, Verdict)>) -> Vec<proto::RevisionVerdict> {
    let verdict = |(revision, denied_by): (ObjectKey, Verdict)| proto::RevisionVerdict {
        revision: Some(revision.into()),
        denied_by,
    };
    verdicts.into_iter().map(verdict).collect()
}

fn namespaces(verdicts: Vec<proto::NamespaceVerdict>) -> Vec<(String, Verdict)> {
    verdicts.into_iter().map(|verdict| (verdict.namespace, verdict.denied_by)).collect()
}

fn revisions(verdicts: Vec<proto::RevisionVerdict>) -> Result<Vec<(ObjectKey, Verdict)>, WireError> {
    let read = |verdict: proto::RevisionVerdict| Ok((key(verdict.revision, "verdict.revision")?, verdict.denied_by));
    verdicts.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use api::session::GatewayDown;

    use super::*;

    #[test]
    fn guards_arrive_as_they_were_sent() {
        let namespaces = vec![("ops".to_owned(), None), ("lab".to_owned(), Some("NetworkPolicy lab/p".to_owned()))];
        let revisions =
            vec![(ObjectKey::new("shop", "web-1"), None), (ObjectKey::new("lab", "x-1"), Some("p".to_owned()))];
        let guard = Guard {
            port: 80,
            others: Some("NetworkPolicy shop/p".to_owned()),
            namespaces: namespaces.clone(),
            revisions: revisions.clone(),
            outside: None,
        };
        assert_eq!(Guard::try_from(proto::Guard::from(guard.clone())), Ok(guard));
        let leaving = Leaving { ports: (0, 65535), namespaces, revisions };
        let told = proto::GatewayDown::from(GatewayDown::Leaving(vec![leaving.clone()]));
        let Ok(GatewayDown::Leaving(heard)) = GatewayDown::try_from(told) else { panic!("it is another message") };
        assert_eq!(heard, [leaving]);
    }
}
