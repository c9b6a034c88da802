//! Tokens of ServiceAccounts: `kubectl create token` asks for them, and who is shown one may ask whose it is.

use http_server::{Account, ISSUER, Users};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::resources::{FieldError, TOKEN_REQUEST};

use super::{
    Api,
    error::ApiError,
    metadata::{check_kind, rfc3339_now},
    params::DryRun,
    path::Target,
    reviews,
    strictness::Strictness,
};

/// For how long a token holds whose request does not say, in seconds, as in Kubernetes.
const USUAL_SECONDS: i64 = 3600;
/// The shortest and the longest, as in Kubernetes.
const SECONDS: std::ops::RangeInclusive<i64> = 600..=1 << 32;

impl Api {
    /// Answers a TokenRequest with a token of a ServiceAccount.
    pub(super) async fn request_token(
        &self,
        target: &Target,
        mut request: Value,
        dry_run: DryRun,
        strictness: &Strictness,
    ) -> Result<Value, ApiError> {
        check_kind(&TOKEN_REQUEST, &mut request)?;
        // Clients send it as it is before there is an answer, which is none.
        request.as_object_mut().map(|request| request.remove("status"));
        strictness.prune(&TOKEN_REQUEST, &mut request)?;
        let stored = self.objects.get(&Target { subresource: None, ..target.clone() }).await?.object;
        let spec = &mut request["spec"];
        let seconds = match spec.get("expirationSeconds") {
            None | Some(Value::Null) => USUAL_SECONDS,
            Some(seconds) => seconds.as_i64().unwrap_or_default(),
        };
        let wrong = |field: &str, why: String| {
            let errors = vec![FieldError::invalid(field, why)];
            ApiError::Invalid { resource: &TOKEN_REQUEST, name: target.name().to_owned(), errors }
        };
        if !SECONDS.contains(&seconds) {
            let why = format!("must be between {} and {}", SECONDS.start(), SECONDS.end());
            return Err(wrong("spec.expirationSeconds", why));
        }
        if spec.get("boundObjectRef").is_some_and(|bound| !bound.is_null()) {
            let why =
                "tokens go with their ServiceAccount alone: leave it out, and delete the ServiceAccount to end them";
            return Err(wrong("spec.boundObjectRef", why.to_owned()));
        }
        let audiences = audiences(spec);
        spec["expirationSeconds"] = json!(seconds);
        spec["audiences"] = json!(audiences);
        let account =
            Account { namespace: target.namespace.clone().unwrap_or_default(), name: target.name().to_owned() };
        let uid = stored["metadata"]["uid"].as_str().unwrap_or_default();
        let users = &self.guard.users;
        if !users.accounts().knows(&account, uid) {
            // It was made a moment ago.
            self.guard.roles.read(&*self.objects.durable, users).await?;
        }
        if dry_run == DryRun::All {
            return Ok(request);
        }
        let signed = users.accounts().sign(&account, &audiences, Timestamp::now(), seconds);
        let Some((token, until)) = signed else {
            return Err(target.conflict("the ServiceAccount is being deleted: it is given no tokens any more"));
        };
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        request["status"] = json!({ "token": token, "expirationTimestamp": until });
        request["metadata"] =
            json!({ "name": account.name, "namespace": account.namespace, "creationTimestamp": rfc3339_now() });
        Ok(request)
    }
}

/// Whose the token of a TokenReview is.
pub(super) fn whose(spec: &Value, users: &Users) -> Result<Value, ApiError> {
    let Some(token) = spec["token"].as_str().filter(|token| !token.is_empty()) else {
        return Err(ApiError::BadRequest("spec.token: is missing: say which token is asked about".to_owned()));
    };
    let Some((user, audiences)) = users.for_audiences(token, &audiences(spec)) else {
        let why = "it is no token of this server, it is over, or it is for others than those in spec.audiences";
        return Ok(json!({ "authenticated": false, "user": {}, "error": why }));
    };
    Ok(json!({ "authenticated": true, "user": reviews::shown(&user), "audiences": audiences }))
}

/// Who is to take a token: the API, if nobody is named.
fn audiences(spec: &Value) -> Vec<String> {
    let named = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let named: Vec<_> = named.filter(|audience| !audience.is_empty()).map(str::to_owned).collect();
    if named.is_empty() { vec![ISSUER.to_owned()] } else { named }
}
