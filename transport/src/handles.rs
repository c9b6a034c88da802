//! What roles of other processes reach of the control plane beside sessions: images, the key-value store, certificates.

use api::{Bucket, Digest, FetchImage, ImageBytes, KeyValue, KeyValueError, Listing};
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use tonic::{Status, transport::Channel};

use crate::{
    identity::{Identity, IdentityError, Peer, Request, Trust},
    session::{ControlPlaneClient, Naming, explain, is_of_unknown_authority},
    wire::{
        key_value_outcome, key_value_result,
        proto::{
            CertifyRequest, Empty, Entries, Entry, ImageChunk, ImageRequest, Increment, KeyValueAnswer,
            KeyValueRequest, Keys, ListKeys, Swap, Values, control_plane_client::ControlPlaneClient as Grpc,
            key_value_answer::Outcome, key_value_request::Operation,
        },
    },
};

/// Bytes of one piece of a component.
const PIECE: usize = 1 << 20;
/// Bytes of the keys of one page of a listing: no store gives more.
const MAX_LISTING: usize = 1 << 20;

/// Which image is asked for.
pub(crate) fn digest(asked: &str) -> Result<Digest, Status> {
    asked.parse().map_err(|error| Status::invalid_argument(format!("{error}")))
}

/// What the server sends for an image. Of the component one piece at a time is copied.
pub(crate) async fn image_chunks(
    images: &dyn FetchImage,
    digest: Digest,
) -> Result<impl Iterator<Item = ImageChunk> + Send + use<>, Status> {
    let ImageBytes { manifest, mut component } = images.fetch(digest).await.map_err(Status::not_found)?;
    let first = ImageChunk { manifest: manifest.into(), component: Vec::new() };
    let pieces = std::iter::from_fn(move || {
        let piece = component.split_to(component.len().min(PIECE));
        (!piece.is_empty()).then(|| ImageChunk { manifest: Vec::new(), component: piece.to_vec() })
    });
    Ok(std::iter::once(first).chain(pieces))
}

/// Bytes of keys and values that the answer to a request has at most.
pub(crate) fn most_bytes(request: &KeyValueRequest) -> usize {
    match &request.operation {
        Some(Operation::Get(Keys { limit_bytes, .. })) => limit_of(*limit_bytes),
        Some(Operation::Swap(Swap { without_current: false, .. })) => api::MAX_VALUE_BYTES,
        Some(Operation::List(_)) => MAX_LISTING,
        _ => 0,
    }
}

fn limit_of(asked: Option<u64>) -> usize {
    let asked = asked.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    asked.min(api::MAX_BATCH_BYTES)
}

/// Takes from a request which bucket it is for.
pub(crate) fn bucket(request: &mut KeyValueRequest) -> Bucket {
    Bucket { namespace: std::mem::take(&mut request.namespace), name: std::mem::take(&mut request.bucket) }
}

/// Carries out one operation for a worker.
pub(crate) async fn key_value_answer(
    store: &dyn KeyValue,
    bucket: &Bucket,
    request: KeyValueRequest,
) -> Result<KeyValueAnswer, Status> {
    let operation = request.operation.ok_or_else(|| Status::unimplemented("an operation that is not known"))?;
    let result = match operation {
        Operation::Get(Keys { keys, limit_bytes }) => {
            let got = store.get_within(bucket, keys, limit_of(limit_bytes)).await;
            got.map(|values| Outcome::Values(Values { values: values.into_iter().map(Into::into).collect() }))
        }
        Operation::Set(Entries { entries }) => {
            let entries = entries.into_iter().map(|entry| (entry.key, entry.value.into())).collect();
            store.set(bucket, entries).await.map(|()| Outcome::Done(Empty {}))
        }
        Operation::Delete(Keys { keys, .. }) => store.delete(bucket, keys).await.map(|()| Outcome::Done(Empty {})),
        Operation::List(ListKeys { cursor, limit }) => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            store.list(bucket, cursor, limit).await.map(|listing| Outcome::Listing(listing.into()))
        }
        Operation::Increment(Increment { key, delta }) => store.increment(bucket, key, delta).await.map(Outcome::Sum),
        Operation::Swap(Swap { key, expected, value, without_current }) => {
            match store.swap(bucket, key.clone(), expected.map(Into::into), value.into()).await {
                Ok(true) => Ok(Outcome::Done(Empty {})),
                Ok(false) if without_current => Ok(Outcome::Current(None.into())),
                // A worker of a version before this one goes on with what is there.
                Ok(false) => {
                    store.get(bucket, vec![key]).await.map(|mut there| Outcome::Current(there.pop().flatten().into()))
                }
                Err(error) => Err(error),
            }
        }
    };
    Ok(key_value_outcome(result))
}

/// The control plane's images, for a worker of another process.
pub struct RemoteImages(Grpc<Channel>, Naming);

impl RemoteImages {
    /// Through this client.
    pub fn new(client: &ControlPlaneClient) -> Self {
        Self(client.grpc(), client.naming())
    }
}

impl FetchImage for RemoteImages {
    fn fetch(&self, digest: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        let (mut grpc, naming) = (self.0.clone(), self.1.clone());
        Box::pin(async move {
            let failed =
                |status: Status| format!("the control plane does not give image {digest}: {}", status.message());
            let request = ImageRequest { digest: digest.to_string() };
            let mut chunks = grpc.fetch_image(naming.request(request)).await.map_err(failed)?.into_inner();
            let (mut manifest, mut component) = (Vec::new(), BytesMut::new());
            while let Some(chunk) = chunks.message().await.map_err(failed)? {
                manifest.extend(chunk.manifest);
                component.extend_from_slice(&chunk.component);
            }
            Ok(ImageBytes { manifest: manifest.into(), component: component.freeze() })
        })
    }
}

/// The control plane's key-value store, for a worker of another process.
pub struct RemoteKeyValue(Grpc<Channel>, Naming);

impl RemoteKeyValue {
    /// Through this client.
    pub fn new(client: &ControlPlaneClient) -> Self {
        Self(client.grpc(), client.naming())
    }

    fn ask(&self, bucket: &Bucket, operation: Operation) -> BoxFuture<'static, Result<Outcome, KeyValueError>> {
        let (mut grpc, bucket) = (self.0.clone(), bucket.clone());
        let request = KeyValueRequest { namespace: bucket.namespace, bucket: bucket.name, operation: Some(operation) };
        let request = self.1.request(request);
        Box::pin(async move {
            let answer = grpc.key_value(request).await;
            key_value_result(answer.map_err(|status| KeyValueError::Store(status.message().to_owned()))?.into_inner())
        })
    }
}

fn unexpected<T>(_: Outcome) -> Result<T, KeyValueError> {
    Err(KeyValueError::Store("the answer was for another operation".to_owned()))
}

impl KeyValue for RemoteKeyValue {
    fn get_within(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
        limit_bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        let asked = self.ask(bucket, Operation::Get(Keys { keys, limit_bytes: Some(limit_bytes as u64) }));
        Box::pin(async move {
            match asked.await? {
                Outcome::Values(Values { values }) => Ok(values.into_iter().map(Into::into).collect()),
                other => unexpected(other),
            }
        })
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        let entries = entries.into_iter().map(|(key, value)| Entry { key, value: value.into() }).collect();
        let asked = self.ask(bucket, Operation::Set(Entries { entries }));
        Box::pin(async move { asked.await.map(drop) })
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        let asked = self.ask(bucket, Operation::Delete(Keys { keys, limit_bytes: None }));
        Box::pin(async move { asked.await.map(drop) })
    }

    fn list(
        &self,
        bucket: &Bucket,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        let asked = self.ask(bucket, Operation::List(ListKeys { cursor, limit: limit as u64 }));
        Box::pin(async move {
            match asked.await? {
                Outcome::Listing(listing) => Ok(listing.into()),
                other => unexpected(other),
            }
        })
    }

    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        let asked = self.ask(bucket, Operation::Increment(Increment { key, delta }));
        Box::pin(async move {
            match asked.await? {
                Outcome::Sum(sum) => Ok(sum),
                other => unexpected(other),
            }
        })
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        let swap = Swap { key, expected: expected.map(Into::into), value: value.into(), without_current: true };
        let asked = self.ask(bucket, Operation::Swap(swap));
        Box::pin(async move {
            match asked.await? {
                Outcome::Done(_) => Ok(true),
                Outcome::Current(_) => Ok(false),
                other => unexpected(other),
            }
        })
    }
}

/// Why a process has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The control plane refused, and says why.
    #[error("the control plane refuses `{name}`: {why}")]
    Refused {
        /// Who asked.
        name: String,
        /// For people.
        why: String,
    },
    /// The control plane was not reached.
    #[error("the control plane is not reached: {0}")]
    Unreached(String),
    /// What was reached shows a certificate of an authority that is not known here.
    #[error("the control plane is not trusted: {0}")]
    UnknownAuthority(String),
    /// What it gave cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Asks for a certificate, with a join token. Who was here before, and still has its key, asks for one of that.
pub async fn join(
    client: &ControlPlaneClient,
    token: &str,
    peer: &Peer,
    before: Option<&Identity>,
) -> Result<Identity, JoinError> {
    let request = before.map_or_else(Request::new, Identity::request)?;
    let certificate = certify(client, token, peer, &request).await?;
    Ok(Identity::of(request, &certificate)?)
}

/// Asks whom to trust, and does so. A control plane of a version before this one is not asked again: it cannot say.
pub async fn ask_for_trust(client: &ControlPlaneClient, identity: &Identity) -> Result<(), JoinError> {
    match client.grpc().get_trust(Empty {}).await {
        Ok(answer) => Ok(identity.set_trust(Trust::from(answer.into_inner()))?),
        Err(status) if status.code() == tonic::Code::Unimplemented => Ok(()),
        Err(status) if is_of_unknown_authority(&status) => Err(JoinError::UnknownAuthority(explain(&status))),
        Err(status) => Err(JoinError::Unreached(explain(&status))),
    }
}

/// Asks for another certificate of the same key, with the one that holds.
pub async fn renew(client: &ControlPlaneClient, identity: &Identity, peer: &Peer) -> Result<(), JoinError> {
    let request = identity.request()?;
    let certificate = certify(client, "", peer, &request).await?;
    Ok(identity.renew(request, &certificate)?)
}

async fn certify(
    client: &ControlPlaneClient,
    token: &str,
    peer: &Peer,
    request: &Request,
) -> Result<String, JoinError> {
    let asked = CertifyRequest {
        token: token.to_owned(),
        role: peer.role.as_str().to_owned(),
        name: peer.name.clone(),
        request: request.der().to_vec(),
    };
    let answer = client.grpc().certify(asked).await.map_err(|status| match status.code() {
        tonic::Code::PermissionDenied | tonic::Code::InvalidArgument | tonic::Code::Unauthenticated => {
            JoinError::Refused { name: peer.name.clone(), why: status.message().to_owned() }
        }
        _ => JoinError::Unreached(explain(&status)),
    })?;
    Ok(answer.into_inner().certificate)
}
