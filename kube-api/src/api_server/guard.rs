//! In front of everything at the API's address that is no image: who asks, and whether they may.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use http_server::{AUTHENTICATED, Access, Account, Impersonated, Reference, User, Users, bearer, not_noted};

use crate::access::{Attributes, Granted, Index, Roles};

use super::error::ApiError;

const IMPERSONATE: &str = "impersonate-";

/// Knows users, and what they may do. Clones share it.
#[derive(Debug, Clone)]
pub struct Guard {
    pub(super) users: Users,
    pub(super) roles: Roles,
}

impl Guard {
    /// By these users' tokens, and by the roles that are stored once the API is served.
    pub fn new(users: Users) -> Self {
        Self { users, roles: Roles::default() }
    }
}

/// Who asks, in the extensions of a request, with the roles as they were when it came.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) user: Arc<User>,
    pub(super) index: Arc<Index>,
}

impl Asker {
    pub(super) fn may(&self, asked: &Attributes) -> Result<(), ApiError> {
        match self.index.decide(&self.user, asked) {
            Granted::Yes(_) => Ok(()),
            Granted::No(missing) => {
                Err(ApiError::NotAllowed { user: self.user.name.clone(), asked: Box::new(asked.clone()), missing })
            }
        }
    }

    /// As whom the request is to be carried out, if the headers name somebody; each is to be allowed.
    fn instead(&self, headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        if !headers.keys().any(|name| name.as_str().starts_with(IMPERSONATE)) {
            return Ok(None);
        }
        let values = |name: &str| -> Result<Vec<String>, ApiError> {
            let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned);
            let all: Result<_, _> = headers.get_all(format!("{IMPERSONATE}{name}")).iter().map(text).collect();
            all.map_err(|_| ApiError::BadRequest(format!("Impersonate-{name}: it is no text")))
        };
        let (names, groups, uids) = (values("user")?, values("group")?, values("uid")?);
        let [name] = names.as_slice() else {
            return Err(ApiError::BadRequest("Impersonate-User: name one user to ask as (`--as`)".to_owned()));
        };
        self.may_be(name, &groups)?;
        let of = |resource: &str, name: &str| Reference {
            group: "authentication.k8s.io".to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            ..Reference::default()
        };
        for uid in &uids {
            self.may(&Attributes::object("impersonate", of("uids", uid)))?;
        }
        for (header, value) in headers {
            if let Some(key) = header.as_str().strip_prefix("impersonate-extra-") {
                let extra =
                    Reference { subresource: key.to_owned(), ..of("userextras", value.to_str().unwrap_or_default()) };
                self.may(&Attributes::object("impersonate", extra))?;
            }
        }
        let mut groups = groups;
        if let Some(account) = Account::of_user(name).filter(|_| groups.is_empty()) {
            groups = account.groups();
        }
        let user = match name.as_str() {
            "system:anonymous" => User::anonymous(),
            name => User { uid: uids.first().cloned().unwrap_or_default(), ..User::authenticated(name, groups) },
        };
        Ok(Some(Self { user: Arc::new(user), index: self.index.clone() }))
    }

    /// Whether they may ask as somebody.
    pub(super) fn may_be(&self, name: &str, groups: &[String]) -> Result<(), ApiError> {
        let of = |resource: &str, namespace: &str, name: &str| {
            let (resource, namespace, name) = (resource.to_owned(), namespace.to_owned(), name.to_owned());
            Attributes::object("impersonate", Reference { resource, namespace, name, ..Reference::default() })
        };
        match Account::of_user(name) {
            Some(Account { namespace, name }) => self.may(&of("serviceaccounts", &namespace, &name))?,
            None => self.may(&of("users", "", name))?,
        }
        groups.iter().filter(|group| *group != AUTHENTICATED).try_for_each(|group| self.may(&of("groups", "", group)))
    }
}

/// Lets requests through of users who may do what they ask for.
pub async fn authorized(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let user = bearer(request.headers()).map(|shown| guard.users.of(shown));
    let access = match &user {
        Some(user) => Access::of(request.extensions(), user.is_some()),
        None => Access::Refused,
    };
    let user = match (access, user.flatten()) {
        (Access::Given, Some(user)) => user,
        (Access::Later(why), _) => return not_noted(ApiError::TooManyRequests { why }.into_response()),
        (Access::Given | Access::Refused, _) => return ApiError::Unauthorized.into_response(),
    };
    let asker = Asker { user, index: guard.roles.index() };
    let instead = match asker.instead(request.headers()) {
        Ok(instead) => instead,
        Err(error) => return error.into_response(),
    };
    let impersonated = instead.as_ref().map(|asker| Impersonated(asker.user.clone()));
    let asker = instead.unwrap_or(asker);
    let asked = Attributes::of(request.method(), request.uri());
    let mut response = match asker.may(&asked) {
        Ok(()) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    impersonated.map(|user| response.extensions_mut().insert(user));
    response
}
