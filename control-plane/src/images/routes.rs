use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Query, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use kube_api::api_server::{Guard, authorized};
use registry_client::{
    ImageStore,
    hosted::{Collected, Keep, Unused},
};
use serde::Deserialize;
use serde_json::json;

use super::{Images, usage::Usage};

/// How images are to be removed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Prune {
    /// Those too that have a name and that nothing uses.
    #[serde(default)]
    all: bool,
    #[serde(default)]
    dry_run: bool,
    /// What is younger stays.
    grace_seconds: u64,
}

/// What `sampan images` asks.
pub(crate) fn router(images: Images, kept: ImageStore, guard: Guard) -> Router {
    Router::new()
        .route("/sampan/v1/images", get(list))
        .route("/sampan/v1/images/prune", post(prune))
        .with_state((images, kept))
        .layer(middleware::from_fn_with_state(guard, authorized))
}

async fn list(State((images, kept)): State<(Images, ImageStore)>) -> Response {
    let usage = match Usage::read(&*images.store).await {
        Ok(usage) => usage,
        Err(error) => return failed(&error),
    };
    let images = tokio::task::spawn_blocking(move || kept.list()).await;
    let images = match images {
        Ok(Ok(images)) => images,
        Ok(Err(error)) => return failed(&error),
        Err(error) => return failed(&error),
    };
    let shown = images.into_iter().map(|image| {
        let users: Vec<_> = usage.digests.get(&image.digest).into_iter().flatten().collect();
        json!({ "reference": image.reference, "digest": image.digest, "componentDigest": image.component_digest,
            "sizeBytes": image.size_bytes, "usedBy": users })
    });
    Json(json!({ "items": shown.collect::<Vec<_>>() })).into_response()
}

async fn prune(State((images, _)): State<(Images, ImageStore)>, Query(prune): Query<Prune>) -> Response {
    let unused = if prune.all { Unused::All } else { Unused::Kept };
    let grace = Duration::from_secs(prune.grace_seconds);
    let keep = Keep { grace, unused, dry_run: prune.dry_run, ..Keep::default() };
    let pruned = async {
        let collected = images.collect(keep.clone()).await?;
        let kept = images.kept_by_grace(keep).await?;
        Ok::<_, String>((collected, kept))
    };
    let shown = |Collected { names, blobs, bytes }| json!({ "names": names, "blobs": blobs, "bytes": bytes });
    match pruned.await {
        Ok((collected, kept)) => {
            let mut body = shown(collected);
            body["keptByGrace"] = shown(kept);
            Json(body).into_response()
        }
        Err(why) => failed(&why),
    }
}

/// As the Kubernetes API says it, which clients know how to show.
fn failed(why: &dyn std::fmt::Display) -> Response {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": why.to_string(), "reason": "InternalError", "code": 500 });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(status)).into_response()
}
