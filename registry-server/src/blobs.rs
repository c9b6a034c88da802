use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::stream::try_unfold;
use http::{StatusCode, header};
use registry_client::hosted::{ContentDigest, Verifier};

use super::{Call, bare, error::RegistryError, set};

/// Bytes of a blob that are in memory for each client.
const PIECE_BYTES: usize = 256 << 10;

impl Call {
    /// `GET` and `HEAD` of a blob, or of a range of it.
    pub(super) async fn blob(&self, digest: String) -> Result<Response, RegistryError> {
        let wanted = parse(&digest)?;
        let asked = wanted.clone();
        let found = self.blocking(move |repository| Ok(repository.blob(&asked)?)).await?;
        let (file, size) = found.ok_or(RegistryError::BlobUnknown(digest))?;
        let asked = self.headers.get(header::RANGE).and_then(|range| range.to_str().ok());
        let range = asked.and_then(|range| range.strip_prefix("bytes=")).map(|range| range_of(range, size));
        let (range, status) = match range {
            None => (0..size, StatusCode::OK),
            Some(Some(range)) => (range, StatusCode::PARTIAL_CONTENT),
            Some(None) => return Err(RegistryError::RangeInvalid(size)),
        };
        let mut response =
            Response::new(stream(file, range.clone(), (range == (0..size)).then(|| Verifier::of(&wanted))));
        *response.status_mut() = status;
        set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
        set(&mut response, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
        set(&mut response, header::ACCEPT_RANGES, "bytes");
        set(&mut response, "docker-content-digest", wanted.as_str());
        set(&mut response, header::ETAG, &format!("\"{wanted}\""));
        if status == StatusCode::PARTIAL_CONTENT {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            set(&mut response, header::CONTENT_RANGE, &shown);
        }
        Ok(response)
    }

    pub(super) async fn delete_blob(&self, digest: String) -> Result<Response, RegistryError> {
        let wanted = parse(&digest)?;
        match self.blocking(move |repository| Ok(repository.delete_blob(&wanted)?)).await? {
            true => Ok(bare(StatusCode::ACCEPTED)),
            false => Err(RegistryError::BlobUnknown(digest)),
        }
    }
}

pub(super) fn parse(digest: &str) -> Result<ContentDigest, RegistryError> {
    digest.parse().map_err(|why| RegistryError::DigestInvalid(format!("`{digest}` {why}")))
}

/// `FROM-TO`, `FROM-` or `-LAST`; `None` if the blob does not have these bytes.
fn range_of(text: &str, size: u64) -> Option<Range<u64>> {
    let (from, to) = text.split_once('-')?;
    let range = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) => from..size.min(to.checked_add(1)?),
        (Ok(from), Err(_)) if to.is_empty() => from..size,
        (Err(_), Ok(last)) if from.is_empty() => size.saturating_sub(last)..size,
        _ => return None,
    };
    (range.start < range.end).then_some(range)
}

/// What is read next, and what was read until now.
struct Reading {
    file: File,
    left: u64,
    verifier: Option<Verifier>,
}

/// A blob piece by piece. The last piece of a damaged one is not sent: the client sees it break off.
fn stream(file: File, range: Range<u64>, verifier: Option<Verifier>) -> Body {
    let left = range.end - range.start;
    let reading = (Reading { file, left, verifier }, Some(range.start).filter(|start| *start > 0));
    Body::from_stream(try_unfold(reading, |(mut reading, seek)| async move {
        let read = move || {
            if let Some(start) = seek {
                reading.file.seek(SeekFrom::Start(start))?;
            }
            if reading.left == 0 {
                return Ok(None);
            }
            let mut piece = vec![0; reading.left.min(PIECE_BYTES as u64) as usize];
            reading.file.read_exact(&mut piece)?;
            reading.left -= piece.len() as u64;
            if let Some(verifier) = &mut reading.verifier {
                verifier.update(&piece);
                if reading.left == 0 && !verifier.fits() {
                    tracing::error!("a blob of the registry is damaged, and was not sent as a whole");
                    return Err(std::io::Error::other("the blob is damaged"));
                }
            }
            Ok(Some((Bytes::from(piece), (reading, None))))
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        assert_eq!(range_of("0-4", 10), Some(0..5));
        assert_eq!(range_of("5-", 10), Some(5..10));
        assert_eq!(range_of("-3", 10), Some(7..10));
        assert_eq!(range_of("5-99", 10), Some(5..10));
        for none in ["10-", "5-4", "-0", "x", "0-1,3-4"] {
            assert_eq!(range_of(none, 10), None, "{none}");
        }
    }
}
