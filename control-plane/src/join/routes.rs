use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use http::StatusCode;
use http_server::audit::Named;
use kube_api::{
    api_server::{Guard, authorized},
    identity::{now, rfc3339},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Authorities, IssuedCertificate, Register, TrustedAuthority, Which,
    register::wall,
    tokens::{JoinToken, NewToken},
};

/// The longest that a token may hold.
const MAX_TTL_SECONDS: u64 = 30 * 24 * 3600;

/// What `sampan token` and `sampan certificate` ask.
pub(crate) fn router(register: Register, guard: Guard) -> Router {
    Router::new()
        .route("/sampan/v1/tokens", get(list).post(create))
        .route("/sampan/v1/tokens/{id}", delete(revoke))
        .route("/sampan/v1/certificates", get(list_certificates).delete(revoke_certificates))
        .route("/sampan/v1/authorities", get(list_authorities).post(rotate).delete(finish))
        .with_state(register)
        .layer(middleware::from_fn_with_state(guard, authorized))
}

async fn create(State(register): State<Register>, Json(new): Json<NewToken>) -> Response {
    if let Some(role) = new.role.as_deref().filter(|role| !matches!(*role, "worker" | "gateway")) {
        return refused(StatusCode::BAD_REQUEST, &format!("role: `{role}` is none: use worker or gateway"));
    }
    if new.ttl_seconds == 0 || new.ttl_seconds > MAX_TTL_SECONDS {
        let (days, asked) = (MAX_TTL_SECONDS / (24 * 3600), new.ttl_seconds);
        let message =
            format!("ttlSeconds: {asked} is not between 1 and {MAX_TTL_SECONDS}: a token holds at most {days}d");
        return refused(StatusCode::BAD_REQUEST, &message);
    }
    if new.uses == 0 {
        return refused(StatusCode::BAD_REQUEST, "uses: 0 would let nobody in: ask for 1 or more");
    }
    if let Some(name) = &new.name {
        if let Err(why) = api::check_dns_subdomain(name) {
            return refused(StatusCode::BAD_REQUEST, &format!("name: {why}"));
        }
        if new.uses > 1 {
            return refused(StatusCode::BAD_REQUEST, "uses: a token with a name lets one in, whose name it is");
        }
    }
    match register.tokens().create(&new).await {
        Ok((made, text)) => {
            let mut shown = shown(&made, trusted(&register).as_deref());
            shown["token"] = text.into();
            (StatusCode::CREATED, Extension(Named(made.id)), Json(shown)).into_response()
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn list(State(register): State<Register>) -> Response {
    match register.tokens().list().await {
        Ok(all) => {
            let trusted = trusted(&register);
            let all = all.iter().map(|token| shown(token, trusted.as_deref()));
            Json(json!({ "items": all.collect::<Vec<_>>() })).into_response()
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

/// What goes with a token that is taken back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RevokeToken {
    /// The certificates of who joined with it, too.
    #[serde(default)]
    certificates: bool,
}

async fn revoke(
    State(register): State<Register>,
    Path(id): Path<String>,
    Query(options): Query<RevokeToken>,
) -> Response {
    // First the token: who would join meanwhile would keep a certificate.
    let token = match register.tokens().revoke(&id).await {
        Ok(there) => there,
        Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    let certificates = match options.certificates {
        true => match register.revoke(&Which::Token(id.clone())).await {
            Ok((revoked, _)) => revoked,
            Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        },
        false => Vec::new(),
    };
    if !token && certificates.is_empty() {
        return refused(StatusCode::NOT_FOUND, &format!("there is no join token `{id}`: see `sampan token list`"));
    }
    let certificates = shown_certificates(&certificates, &register);
    Json(json!({ "id": id, "certificates": certificates })).into_response()
}

async fn list_certificates(State(register): State<Register>) -> Response {
    let items = shown_certificates(&register.list(), &register);
    Json(json!({ "kind": "List", "apiVersion": "v1", "items": items })).into_response()
}

async fn list_authorities(State(register): State<Register>) -> Response {
    let Some(authorities) = register.authorities() else { return none_here() };
    let items: Vec<_> = authorities.list().iter().map(shown_authority).collect();
    Json(json!({ "kind": "List", "apiVersion": "v1", "items": items })).into_response()
}

async fn rotate(State(register): State<Register>) -> Response {
    change_authorities(&register, |authorities| authorities.rotate()).await
}

async fn finish(State(register): State<Register>) -> Response {
    change_authorities(&register, |authorities| authorities.finish()).await
}

/// It blocks on the disk, where the keys are.
async fn change_authorities(
    register: &Register,
    change: impl FnOnce(&dyn Authorities) -> Result<(), String> + Send + 'static,
) -> Response {
    let Some(authorities) = register.authorities().cloned() else { return none_here() };
    let changed = tokio::task::spawn_blocking(move || change(&*authorities)).await;
    register.name_authority();
    match changed {
        Ok(Ok(())) => list_authorities(State(register.clone())).await,
        Ok(Err(why)) => refused(StatusCode::CONFLICT, &why),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn none_here() -> Response {
    refused(StatusCode::NOT_FOUND, "nobody joins this server, and it signs nothing: `sampan server` does")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeCertificates {
    /// A serial number, a name, or a role and a name as `worker/w1`.
    which: String,
}

async fn revoke_certificates(State(register): State<Register>, Query(asked): Query<RevokeCertificates>) -> Response {
    let which = match asked.which.split_once('/') {
        Some((role, name)) => Which::Name { role: Some(role.to_owned()), name: name.to_owned() },
        None if register.has(&asked.which) => Which::Serial(asked.which.clone()),
        None => Which::Name { role: None, name: asked.which.clone() },
    };
    match register.revoke(&which).await {
        Ok((revoked, freed)) if freed || !revoked.is_empty() => {
            let items = shown_certificates(&revoked, &register);
            Json(json!({ "items": items, "nameFreed": freed })).into_response()
        }
        Ok(_) => {
            let why = format!("no certificate of `{}` holds: see `sampan certificate list`", asked.which);
            refused(StatusCode::NOT_FOUND, &why)
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

/// The authorities that are trusted now, if there are any here.
fn trusted(register: &Register) -> Option<Vec<TrustedAuthority>> {
    register.authorities().map(|authorities| authorities.list())
}

/// Whether what goes back to an authority is of no use, as that is trusted no more.
fn is_untrusted(authority: Option<&str>, trusted: Option<&[TrustedAuthority]>) -> bool {
    let (Some(authority), Some(trusted)) = (authority, trusted) else { return false };
    !trusted.iter().any(|it| it.fingerprint == authority)
}

fn shown_certificates(certificates: &[IssuedCertificate], register: &Register) -> Vec<serde_json::Value> {
    let trusted = trusted(register);
    certificates.iter().map(|certificate| shown_certificate(certificate, trusted.as_deref())).collect()
}

fn shown_certificate(certificate: &IssuedCertificate, trusted: Option<&[TrustedAuthority]>) -> serde_json::Value {
    let has_one = !certificate.serial.is_empty();
    let ended = certificate.expires <= wall();
    let state = match (certificate.revoked, ended) {
        (Some(_), _) => "revoked",
        (None, true) => "ended",
        (None, false) if is_untrusted(certificate.authority.as_deref(), trusted) => "untrusted",
        (None, false) => "valid",
    };
    json!({
        "serial": has_one.then_some(&certificate.serial),
        "role": certificate.role,
        "name": certificate.name,
        "keySha256": certificate.key,
        "token": certificate.token,
        "issued": has_one.then(|| rfc3339(certificate.issued)),
        "expires": has_one.then(|| rfc3339(certificate.expires)),
        "secondsLeft": certificate.expires.since(wall()).as_secs(),
        "revoked": certificate.revoked.map(rfc3339),
        "state": state,
    })
}

fn shown_authority(authority: &TrustedAuthority) -> serde_json::Value {
    json!({
        "fingerprint": authority.fingerprint,
        "since": rfc3339(authority.since),
        "ends": rfc3339(authority.ends),
    })
}

fn shown(token: &JoinToken, trusted: Option<&[TrustedAuthority]>) -> serde_json::Value {
    let state = match token.uses_left {
        _ if token.ends <= now() => "ended",
        0 => "used up",
        _ if is_untrusted(token.authority.as_deref(), trusted) => "untrusted",
        _ => "valid",
    };
    json!({
        "id": token.id,
        "role": token.role,
        "name": token.name,
        "created": rfc3339(token.created),
        "ends": rfc3339(token.ends),
        "secondsLeft": token.ends.since(now()).as_secs(),
        "usesLeft": token.uses_left,
        "usedBy": token.used_by,
        "state": state,
        "allows": token.allows,
    })
}

fn refused(status: StatusCode, message: &str) -> Response {
    let status_object = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": status.as_u16() });
    (status, Json(status_object)).into_response()
}
