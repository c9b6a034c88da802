//! Joins roles of different processes: sessions over gRPC, requests over pooled HTTP, and the identities behind both. It
//! also makes connections to hosts outside, for this process or for one that may not.
//!
//! Either side of a session or of a request is what it is in one process: a pair of channels, a `Serve`. It decides
//! nothing about what is sent.

mod artifact;
mod broker;
mod descriptor;
mod handles;
mod identity;
mod machine;
mod outbound;
mod peer;
mod request;
mod session;
mod strangers;
mod wire;

pub use artifact::{ArtifactDesk, AskedArtifacts, Give};
pub use broker::{Broker, BrokerClient, BrokerSocket, Wanted};
pub use handles::{JoinError, RemoteImages, RemoteKeyValue, ask_for_trust, join, renew};
pub use identity::{
    Asked, Authority, AuthorityCertificate, AuthorityError, Certificate, Fingerprint, Identity, IdentityError, Peer,
    Request, Revoked, Role, TakenBack, Trust,
};
pub use machine::machine;
pub use outbound::{AskedConnect, ConnectDesk, DirectConnect, Permit};
pub use request::{
    CheckedAddresses, RemoteDialer, RequestLimits, RequestListener, ServingThreads, bind_for_another,
    connect_for_another, serve_requests,
};
#[cfg(any(fuzzing, test))]
pub use session::fuzzing;
pub use session::{
    Admission, Applicant, ControlPlaneClient, ControlPlaneWay, Offer, PROTOCOL, SessionEntry, SessionListener,
    serve_sessions,
};
pub use strangers::StrangerLimits;
