use std::time::Duration;

use axum::{body::Body, response::Response};
use futures::StreamExt;
use http::{StatusCode, header};
use registry_client::hosted::{ContentDigest, Upload};

use super::{Call, Unread, bare, blobs::parse, blocking, error::RegistryError, set};

/// Bytes of an upload that are in memory for each client.
const PIECE_BYTES: usize = 1 << 20;
/// How long a client may send nothing in the middle of a body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest blob. Bodies stream, so that only the disk bounds what can be kept.
const MAX_BLOB_BYTES: u64 = 16 << 30;

impl Call {
    /// `POST`: mounts a blob, takes a whole one, or begins an upload.
    pub(super) async fn begin_upload(&self, body: &mut Unread) -> Result<Response, RegistryError> {
        if let Some(mount) = self.query("mount") {
            let digest = parse(&mount)?;
            // A repository that cannot be has nothing to mount from.
            let from = self.query("from").map(|name| self.repositories.repository(&name));
            let wanted = digest.clone();
            let mounted = match from {
                Some(Err(_)) => false,
                from => {
                    let from = from.and_then(Result::ok);
                    self.blocking(move |repository| Ok(repository.mount(&wanted, from.as_ref())?)).await?
                }
            };
            if mounted {
                return Ok(self.created(&digest));
            }
        }
        let whole = self.query("digest").map(|digest| parse(&digest)).transpose()?;
        let upload = self.blocking(|repository| Ok(repository.begin_upload()?)).await?;
        match whole {
            Some(digest) => {
                let upload = self.receive(upload, body).await?;
                self.finish(upload, digest).await
            }
            None => Ok(self.progress(StatusCode::ACCEPTED, upload.id(), 0)),
        }
    }

    /// `GET`: how much has come.
    pub(super) async fn upload_status(&self, id: String) -> Result<Response, RegistryError> {
        let asked = id.clone();
        let len = self.blocking(move |repository| Ok(repository.upload_len(&asked)?)).await?;
        Ok(self.progress(StatusCode::NO_CONTENT, &id, len))
    }

    /// `PATCH`: a part.
    pub(super) async fn send_part(&self, id: String, body: &mut Unread) -> Result<Response, RegistryError> {
        let upload = self.go_on(id).await?;
        let upload = self.receive(upload, body).await?;
        Ok(self.progress(StatusCode::ACCEPTED, upload.id(), upload.bytes()))
    }

    /// `PUT`: perhaps a last part, and the digest of all.
    pub(super) async fn end_upload(&self, id: String, body: &mut Unread) -> Result<Response, RegistryError> {
        let why = "an upload ends with `?digest=`, the digest of all of it";
        let digest = self.query("digest").ok_or_else(|| RegistryError::DigestInvalid(why.to_owned()))?;
        let digest = parse(&digest)?;
        let upload = self.go_on(id).await?;
        let upload = self.receive(upload, body).await?;
        self.finish(upload, digest).await
    }

    pub(super) async fn cancel_upload(&self, id: String) -> Result<Response, RegistryError> {
        self.blocking(move |repository| Ok(repository.cancel_upload(&id)?)).await?;
        Ok(bare(StatusCode::NO_CONTENT))
    }

    /// An upload, if the part that comes begins where it ends.
    async fn go_on(&self, id: String) -> Result<Upload, RegistryError> {
        let upload = self.blocking(move |repository| Ok(repository.upload(&id)?)).await?;
        let Some(range) = self.headers.get(header::CONTENT_RANGE) else { return Ok(upload) };
        let range = range.to_str().unwrap_or_default();
        let bounds = range.trim_start_matches("bytes ").split('/').next().and_then(|range| range.split_once('-'));
        let bounds = bounds.and_then(|(from, to)| Some((from.parse::<u64>().ok()?, to.parse::<u64>().ok()?)));
        let Some((from, to)) = bounds.filter(|(from, to)| from <= to) else {
            return Err(RegistryError::UploadInvalid(format!("Content-Range `{range}` is not FROM-TO")));
        };
        let announced = self.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length != to - from + 1) {
            return Err(RegistryError::UploadInvalid("Content-Range and Content-Length do not fit".to_owned()));
        }
        if from != upload.bytes() {
            let (location, len) = (self.location(upload.id()), upload.bytes());
            return Err(RegistryError::OutOfOrder { location, len });
        }
        Ok(upload)
    }

    /// Takes a body, if there is room for what it says that it has.
    async fn receive(&self, upload: Upload, body: &mut Unread) -> Result<Upload, RegistryError> {
        let announced = self.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let upload = blocking(move || {
            upload.check_room(announced.unwrap_or(0))?;
            Ok(upload)
        });
        receive(upload.await?, body).await
    }

    async fn finish(&self, upload: Upload, digest: ContentDigest) -> Result<Response, RegistryError> {
        let wanted = digest.clone();
        self.blocking(move |repository| Ok(repository.finish_upload(upload, &wanted)?)).await?;
        Ok(self.created(&digest))
    }

    fn created(&self, digest: &ContentDigest) -> Response {
        let mut response = bare(StatusCode::CREATED);
        set(&mut response, header::LOCATION, &format!("/v2/{}/blobs/{digest}", self.repository.name()));
        set(&mut response, "docker-content-digest", digest.as_str());
        response
    }

    fn progress(&self, status: StatusCode, id: &str, len: u64) -> Response {
        let mut response = bare(status);
        set(&mut response, header::LOCATION, &self.location(id));
        set(&mut response, header::RANGE, &received(len));
        set(&mut response, "docker-upload-uuid", id);
        response
    }

    fn location(&self, id: &str) -> String {
        format!("/v2/{}/blobs/uploads/{id}", self.repository.name())
    }
}

/// What has come, as the specification has it: the first and the last byte.
pub(super) fn received(len: u64) -> String {
    format!("0-{}", len.saturating_sub(1))
}

/// Takes a body, piece by piece. What came before it broke off is kept, for the client to go on from. What is refused stays
/// unread.
async fn receive(mut upload: Upload, body: &mut Unread) -> Result<Upload, RegistryError> {
    let mut frames = body.take().into_data_stream();
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    loop {
        let frame = tokio::time::timeout(IDLE_TIMEOUT, frames.next()).await;
        let ended = match frame {
            Ok(Some(Ok(bytes))) => {
                piece.extend_from_slice(&bytes);
                None
            }
            Ok(None) => Some(Ok(())),
            Ok(Some(Err(error))) => Some(Err(RegistryError::BodyEnded(format!("the body broke off: {error}")))),
            Err(_) => {
                let why = format!("nothing came for {} s", IDLE_TIMEOUT.as_secs());
                Some(Err(RegistryError::BodyEnded(why)))
            }
        };
        if upload.bytes() + piece.len() as u64 > MAX_BLOB_BYTES {
            *body = Unread(Some(Body::from_stream(frames)));
            return Err(RegistryError::BlobTooLarge(MAX_BLOB_BYTES));
        }
        if piece.len() >= PIECE_BYTES || (ended.is_some() && !piece.is_empty()) {
            let full = std::mem::replace(&mut piece, Vec::with_capacity(if ended.is_some() { 0 } else { PIECE_BYTES }));
            let appended = blocking(move || {
                upload.append(&full)?;
                Ok(upload)
            });
            upload = match appended.await {
                Ok(upload) => upload,
                Err(refused) => {
                    *body = Unread(Some(Body::from_stream(frames)));
                    return Err(refused);
                }
            };
        }
        match ended {
            Some(Ok(())) => return Ok(upload),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
}
