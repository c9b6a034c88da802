use axum::extract::Query;
use http::Uri;
use serde::Deserialize;

use super::error::ApiError;

/// The query parameters that are honoured. Others, such as `pretty`, change nothing that matters.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Params {
    label_selector: String,
    field_selector: String,
    limit: String,
    r#continue: String,
    watch: String,
    resource_version: String,
    resource_version_match: String,
    allow_watch_bookmarks: String,
    send_initial_events: String,
    timeout_seconds: String,
    include_object: String,
    dry_run: String,
    field_manager: String,
    force: String,
    field_validation: String,
    propagation_policy: String,
    orphan_dependents: String,
    container: String,
    follow: String,
    previous: String,
    tail_lines: String,
    since_seconds: String,
    since_time: String,
    timestamps: String,
    limit_bytes: String,
}

macro_rules! texts {
    ($($name:ident),* $(,)?) => { $(pub(super) fn $name(&self) -> &str { &self.$name })* };
}

macro_rules! flags {
    ($($name:ident),* $(,)?) => { $(pub(super) fn $name(&self) -> bool { is_true(&self.$name) })* };
}

macro_rules! numbers {
    ($($name:ident = $key:literal),* $(,)?) => {
        $(pub(super) fn $name(&self) -> Result<Option<u64>, ApiError> { number($key, &self.$name) })*
    };
}

impl Params {
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        match Query::try_from_uri(uri) {
            Ok(Query(params)) => Ok(params),
            Err(error) => Err(ApiError::BadRequest(format!("the query cannot be read: {error}"))),
        }
    }

    texts!(label_selector, field_selector, r#continue, resource_version, include_object, field_manager);
    texts!(field_validation);
    texts!(propagation_policy, container, since_time);
    flags!(watch, allow_watch_bookmarks, follow, previous, timestamps);
    numbers!(limit = "limit", timeout_seconds = "timeoutSeconds", tail_lines = "tailLines");
    numbers!(since_seconds = "sinceSeconds", limit_bytes = "limitBytes");

    /// `None`: not asked for either way.
    pub(super) fn orphan_dependents(&self) -> Option<bool> {
        (!self.orphan_dependents.is_empty()).then(|| is_true(&self.orphan_dependents))
    }

    /// `None`: not asked for either way.
    pub(super) fn force(&self) -> Option<bool> {
        (!self.force.is_empty()).then(|| is_true(&self.force))
    }

    /// `None`: not asked for either way.
    pub(super) fn send_initial_events(&self) -> Option<bool> {
        (!self.send_initial_events.is_empty()).then(|| is_true(&self.send_initial_events))
    }

    /// From which version a list may be, and must be.
    pub(super) fn list_version(&self) -> Result<ListVersion, ApiError> {
        let bad = |why: &str| Err(ApiError::BadRequest(why.to_owned()));
        let version = match self.resource_version.as_str() {
            "" | "0" => 0,
            text => text
                .parse()
                .map_err(|_| ApiError::BadRequest(format!("resourceVersion `{text}` is not one of this server")))?,
        };
        if version != 0 && !self.r#continue.is_empty() {
            return bad("specifying resource version is not allowed when using continue");
        }
        match self.resource_version_match.as_str() {
            "" => Ok(ListVersion::NotOlderThan(version)),
            _ if !self.r#continue.is_empty() => bad("resourceVersionMatch is forbidden when continue is provided"),
            "NotOlderThan" | "Exact" if self.resource_version.is_empty() => {
                bad("resourceVersionMatch is forbidden unless resourceVersion is provided")
            }
            "NotOlderThan" => Ok(ListVersion::NotOlderThan(version)),
            "Exact" if version == 0 => bad("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\""),
            "Exact" => Ok(ListVersion::Exact(version)),
            other => Err(unknown_match(other)),
        }
    }

    /// Refuses what a watch cannot be asked for: a match of versions, but where it begins with what there is.
    pub(super) fn check_watch_version(&self) -> Result<(), ApiError> {
        match (self.resource_version_match.as_str(), self.send_initial_events()) {
            ("", None) | ("NotOlderThan", Some(_)) => Ok(()),
            ("", Some(_)) => Err(ApiError::BadRequest(
                "sendInitialEvents is forbidden without resourceVersionMatch: write `NotOlderThan`".to_owned(),
            )),
            ("NotOlderThan" | "Exact", None) => Err(ApiError::BadRequest(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided".to_owned(),
            )),
            (other, _) => Err(unknown_match(other)),
        }
    }

    /// Whether nothing is to be written.
    pub(super) fn dry_run(&self) -> Result<DryRun, ApiError> {
        DryRun::parse(&self.dry_run)
    }
}

fn unknown_match(text: &str) -> ApiError {
    ApiError::BadRequest(format!("resourceVersionMatch `{text}` is not supported here: write `NotOlderThan`"))
}

/// The version that is asked for in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListVersion {
    /// This one or a later one; 0: any.
    NotOlderThan(u64),
    /// This one.
    Exact(u64),
}

/// Whether a write is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DryRun {
    /// Only checked and answered.
    All,
    /// Carried out.
    No,
}

impl DryRun {
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "" => Ok(Self::No),
            "All" => Ok(Self::All),
            other => Err(ApiError::BadRequest(format!("dryRun `{other}` is not known: write `All`"))),
        }
    }
}

/// Clients write truth in their languages' ways.
fn is_true(text: &str) -> bool {
    text == "1" || text.eq_ignore_ascii_case("true")
}

fn number(key: &str, text: &str) -> Result<Option<u64>, ApiError> {
    match text {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ApiError::BadRequest(format!("{key} `{text}` is not a number"))),
        },
    }
}
