//! What becomes of certificates of workers and gateways: these are asked for at the sessions port, which no request of the API says.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    event::{Stage, cut, micros},
    writer::{AuditLog, Entry},
};
use crate::new_uid;

/// The longest name that is written: who joins may call itself anything.
const MAX_NAME_BYTES: usize = 253;

/// Something that became of a certificate.
#[derive(Debug, Clone, Copy)]
pub struct OfCertificate<'a> {
    /// What became of it.
    pub what: Became<'a>,
    /// Of whom it is: `worker`, `gateway` or `control-plane`.
    pub role: &'a str,
    /// What its holder is called.
    pub name: &'a str,
    /// Its serial number; of one that was refused there is none.
    pub serial: Option<&'a str>,
    /// From where it was asked for, if that is known.
    pub source: Option<IpAddr>,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub enum Became<'a> {
    /// It was given for the join token with this public part.
    Joined(&'a str),
    /// It was given to who showed another one that holds.
    Renewed,
    /// An administrator has ended it.
    Revoked,
    /// A join that was refused.
    Refused {
        /// What the asker was told.
        why: &'a str,
        /// The public part of the join token that was shown, if it is known.
        token: Option<&'a str>,
    },
}

impl AuditLog {
    /// Notes what became of a certificate: as creating, updating and deleting an object of `sampan.dev`.
    pub fn certificate(&self, of: &OfCertificate<'_>) {
        self.note(Entry::Written(of.event(Timestamp::now()).to_string()));
    }
}

impl OfCertificate<'_> {
    fn event(&self, at: Timestamp) -> Value {
        let &OfCertificate { what, role, name, serial, source } = self;
        let name = cut(name, MAX_NAME_BYTES);
        let (verb, user, group, code) = match what {
            Became::Joined(token) => ("create", format!("sampan:join-token:{token}"), "sampan:joining", 201),
            Became::Renewed => ("update", format!("sampan:{role}:{name}"), "sampan:joined", 200),
            Became::Revoked => ("delete", "sampan:admin".to_owned(), "system:masters", 200),
            Became::Refused { token: Some(token), .. } => {
                ("create", format!("sampan:join-token:{token}"), "sampan:joining", 403)
            }
            Became::Refused { .. } => ("create", "system:anonymous".to_owned(), "system:unauthenticated", 403),
        };
        let mut event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": new_uid(),
            "stage": format!("{:?}", Stage::ResponseComplete), "requestURI": "/sampan/v1/certificates", "verb": verb,
            "user": { "username": user, "groups": [group] },
            "objectRef": { "resource": "certificates", "apiGroup": "sampan.dev", "apiVersion": "v1" },
            "responseStatus": { "metadata": {}, "code": code },
            "requestReceivedTimestamp": micros(at), "stageTimestamp": micros(at),
            "annotations": { "sampan.dev/role": role, "sampan.dev/name": name },
        });
        if let Some(serial) = serial {
            event["objectRef"]["name"] = json!(serial);
        }
        if let Some(source) = source {
            event["sourceIPs"] = json!([source.to_string()]);
        }
        if let Became::Refused { why, .. } = what {
            event["responseStatus"]["status"] = json!("Failure");
            event["responseStatus"]["message"] = json!(why);
        }
        event
    }
}
