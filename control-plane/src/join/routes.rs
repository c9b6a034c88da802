use axum::{
    Json, Router,
    extract::{Path, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use http::StatusCode;
use serde_json::json;

use super::{
    JoinTokens,
    tokens::{JoinToken, NewToken},
};
use crate::{
    api_server::{Token, require_token},
    identity::{now, rfc3339},
};

/// The longest that a token may hold.
const MAX_TTL_SECONDS: u64 = 30 * 24 * 3600;

/// What `sampan token` asks.
pub(crate) fn router(tokens: JoinTokens, token: Token) -> Router {
    Router::new()
        .route("/sampan/v1/tokens", get(list).post(create))
        .route("/sampan/v1/tokens/{id}", delete(revoke))
        .with_state(tokens)
        .layer(middleware::from_fn_with_state(token, require_token))
}

async fn create(State(tokens): State<JoinTokens>, Json(new): Json<NewToken>) -> Response {
    if let Some(role) = new.role.as_deref().filter(|role| !matches!(*role, "worker" | "gateway")) {
        return refused(StatusCode::BAD_REQUEST, &format!("role: `{role}` is none: use worker or gateway"));
    }
    if new.ttl_seconds == 0 || new.ttl_seconds > MAX_TTL_SECONDS {
        let message = format!("ttlSeconds: {} is not between 1 and {MAX_TTL_SECONDS}", new.ttl_seconds);
        return refused(StatusCode::BAD_REQUEST, &message);
    }
    if new.uses == 0 {
        return refused(StatusCode::BAD_REQUEST, "uses: a token has to let somebody in");
    }
    match tokens.create(&new).await {
        Ok((made, text)) => {
            let mut shown = shown(&made);
            shown["token"] = text.into();
            (StatusCode::CREATED, Json(shown)).into_response()
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn list(State(tokens): State<JoinTokens>) -> Response {
    match tokens.list().await {
        Ok(all) => Json(json!({ "items": all.iter().map(shown).collect::<Vec<_>>() })).into_response(),
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn revoke(State(tokens): State<JoinTokens>, Path(id): Path<String>) -> Response {
    match tokens.revoke(&id).await {
        Ok(true) => Json(json!({ "id": id })).into_response(),
        Ok(false) => refused(StatusCode::NOT_FOUND, &format!("there is no join token `{id}`: see `sampan token list`")),
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

fn shown(token: &JoinToken) -> serde_json::Value {
    json!({
        "id": token.id,
        "role": token.role,
        "created": rfc3339(token.created),
        "ends": rfc3339(token.ends),
        "secondsLeft": token.ends.since(now()).as_secs(),
        "usesLeft": token.uses_left,
        "usedBy": token.used_by,
    })
}

fn refused(status: StatusCode, message: &str) -> Response {
    let status_object = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": status.as_u16() });
    (status, Json(status_object)).into_response()
}
