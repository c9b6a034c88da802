//! Blobs from a registry, in as many tries as it takes.

use reqwest::{
    Method, RequestBuilder, StatusCode, Url,
    header::{self, HeaderMap},
};

use super::{
    refusal::refusal,
    registry::{Registry, causes, is_passing, is_plain, pause},
};
use crate::{ImageError, incoming::Incoming};

impl Registry {
    /// Fetches a blob to its file, from where an earlier try ended. It has at most `limit_bytes`.
    pub(super) async fn download(
        &mut self,
        url: Url,
        limit_bytes: u64,
        into: &mut Incoming,
        told: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Download> {
        for tries in 1.. {
            match self.download_once(&url, limit_bytes, into, told).await {
                Err(Download::Broken(_)) if tries < self.endpoint.tries => tokio::time::sleep(pause(tries)).await,
                ended => return ended,
            }
        }
        unreachable!("the last try ends it")
    }

    async fn download_once(
        &mut self,
        url: &Url,
        limit_bytes: u64,
        into: &mut Incoming,
        told: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Download> {
        let from = into.len();
        if from > limit_bytes {
            into.restart().map_err(Download::Disk)?;
        }
        let ranged = |request: RequestBuilder| match from {
            0 => request,
            _ => request.header(header::RANGE, format!("bytes={from}-")),
        };
        let mut answer = self.send(Method::GET, url.clone(), ranged).await.map_err(Download::Busy)?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(answer.headers(), from) => {}
            StatusCode::PARTIAL_CONTENT if starts_at(answer.headers(), 0) => into.restart().map_err(Download::Disk)?,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                into.restart().map_err(Download::Disk)?;
                return Err(Download::Broken("the registry does not go on where a transfer broke off".to_owned()));
            }
            status if status.is_success() => into.restart().map_err(Download::Disk)?,
            status if is_passing(status) => return Err(Download::Busy(refusal(answer).await)),
            _ => return Err(Download::Refused(refusal(answer).await)),
        }
        is_plain(&answer).map_err(Download::Refused)?;
        loop {
            let chunk = answer.chunk().await.map_err(|error| Download::Broken(causes(&error)))?;
            let Some(chunk) = chunk else { return Ok(()) };
            if into.len() + chunk.len() as u64 > limit_bytes {
                into.restart().map_err(Download::Disk)?;
                let why = format!("the blob is larger than the limit of {limit_bytes} bytes");
                return Err(Download::Refused(why));
            }
            // The page cache takes it: a write of one chunk is shorter than handing it to another thread.
            into.append(&chunk).map_err(Download::Disk)?;
            told(into.len());
        }
    }
}

/// Why a blob did not come.
pub(super) enum Download {
    /// On the way: what has come is kept, and gone on from.
    Broken(String),
    /// The registry was asked as often as it is, by [`Registry::send`]. What has come is kept.
    Busy(String),
    /// The registry does not have it or give it, or it is not what it should be.
    Refused(String),
    /// This machine cannot keep it.
    Disk(ImageError),
}

/// Whether `Content-Range` says that the body starts at this byte.
fn starts_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    // Units are the same in capitals (RFC 9110, section 14.1).
    let first = range.and_then(|range| range.split_once(' ').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes")));
    first.and_then(|(_, range)| range.split('-').next()) == Some(from.to_string().as_str())
}
