use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use http_server::{Access, Token, not_noted};

use super::error::ApiError;

/// Lets requests through that show the token.
pub async fn require_token(State(token): State<Token>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let access = match shown {
        Some((_, shown)) => Access::of(request.extensions(), token.is(shown.trim())),
        None => Access::Refused,
    };
    match access {
        // What it may do is not what the named user may: done all the same, it would say otherwise.
        Access::Given if impersonates(request.headers()) => ApiError::Impersonation.into_response(),
        Access::Given => next.run(request).await,
        Access::Refused => ApiError::Unauthorized.into_response(),
        Access::Later(why) => not_noted(ApiError::TooManyRequests { why }.into_response()),
    }
}

fn impersonates(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("impersonate-"))
}
