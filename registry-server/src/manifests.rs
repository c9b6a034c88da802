use axum::{body::Body, response::Response};
use futures::StreamExt;
use http::{StatusCode, header};
use registry_client::MAX_MANIFEST_BYTES;

use super::{Call, Unread, bare, error::RegistryError, json, set};

/// What a manifest is that is sent without a type and does not say it itself.
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

impl Call {
    /// `GET` and `HEAD` of a manifest, by tag or digest: the bytes that were pushed.
    pub(super) async fn manifest(&self, name: String) -> Result<Response, RegistryError> {
        let asked = name.clone();
        let found = self.blocking(move |repository| Ok(repository.manifest(&asked)?)).await?;
        let manifest = found.ok_or(RegistryError::ManifestUnknown(name))?;
        let length = manifest.bytes.len();
        let mut response = json(StatusCode::OK, &manifest.media_type, manifest.bytes);
        set(&mut response, header::CONTENT_LENGTH, &length.to_string());
        set(&mut response, "docker-content-digest", manifest.digest.as_str());
        set(&mut response, header::ETAG, &format!("\"{}\"", manifest.digest));
        Ok(response)
    }

    pub(super) async fn put_manifest(&self, name: String, body: &mut Unread) -> Result<Response, RegistryError> {
        let bytes = read(body).await?;
        let sent_as = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = sent_as
            .map_or_else(|| inner_type(&bytes), |value| value.split(';').next().unwrap_or(value).trim().to_owned());
        let put = self.blocking(move |repository| Ok(repository.put_manifest(&name, &media_type, &bytes)?)).await?;
        let mut response = bare(StatusCode::CREATED);
        set(&mut response, header::LOCATION, &format!("/v2/{}/manifests/{}", self.repository.name(), put.digest));
        set(&mut response, "docker-content-digest", put.digest.as_str());
        if let Some(subject) = put.subject {
            set(&mut response, "oci-subject", &subject);
        }
        Ok(response)
    }

    pub(super) async fn delete_manifest(&self, name: String) -> Result<Response, RegistryError> {
        let asked = name.clone();
        match self.blocking(move |repository| Ok(repository.delete_manifest(&asked)?)).await? {
            true => Ok(bare(StatusCode::ACCEPTED)),
            false => Err(RegistryError::ManifestUnknown(name)),
        }
    }
}

/// A body of at most the size of a manifest. What is more stays unread.
async fn read(body: &mut Unread) -> Result<Vec<u8>, RegistryError> {
    let mut frames = body.take().into_data_stream();
    let mut bytes = Vec::new();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|error| RegistryError::BodyEnded(format!("the body broke off: {error}")))?;
        if (bytes.len() + frame.len()) as u64 > MAX_MANIFEST_BYTES {
            *body = Unread(Some(Body::from_stream(frames)));
            return Err(RegistryError::ManifestTooLarge(MAX_MANIFEST_BYTES));
        }
        bytes.extend_from_slice(&frame);
    }
    Ok(bytes)
}

fn inner_type(bytes: &[u8]) -> String {
    /// Nothing else of it is kept in memory.
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    let typed: Option<Typed> = serde_json::from_slice(bytes).ok();
    typed.and_then(|manifest| manifest.media_type).unwrap_or_else(|| OCI_MANIFEST.to_owned())
}
