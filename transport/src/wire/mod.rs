//! The protocol's messages, and how they are made from the language of the roles and read back.

/// As `proto/sampan.proto` says.
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, reason = "generated; the protocol file documents it")]
pub(crate) mod proto {
    tonic::include_proto!("sampan.v1");
}
