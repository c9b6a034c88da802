use std::collections::BTreeSet;

use http::{HeaderMap, header};

use super::error::ApiError;

/// In which form objects are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Object,
    /// As the rows of a `Table`.
    Table,
    /// Their metadata alone.
    Metadata,
}

impl Form {
    /// The first form of the `Accept` header that can be given.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let accept = accept.collect::<Vec<_>>().join(",");
        if accept.trim().is_empty() {
            return Ok(Self::Object);
        }
        accept.split(',').find_map(Self::of_media_type).ok_or(ApiError::NotAcceptable { accept })
    }

    fn of_media_type(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        match parts.next()? {
            "application/json" | "application/*" | "*/*" => {}
            // Written anew from JSON, which is never a table.
            "application/yaml" => return Some(Self::Object),
            _ => return None,
        }
        let parameter = |name: &str| {
            let mut parts = text.split(';').skip(1).map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
        };
        let of_v1 = parameter("g") == "meta.k8s.io" && parameter("v") == "v1";
        match parameter("as") {
            "" => Some(Self::Object),
            "Table" if of_v1 => Some(Self::Table),
            "PartialObjectMetadata" | "PartialObjectMetadataList" if of_v1 => Some(Self::Metadata),
            _ => None,
        }
    }
}

/// The media types of a list of all groups with all of their kinds.
const AGGREGATED: [(&str, &str); 2] = [
    ("v2", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
    ("v2beta1", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"),
];

/// Of these the version and the media type that the client would have before plain JSON, if it would.
pub(super) fn aggregated(headers: &HeaderMap) -> Option<(&'static str, &'static str)> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accept.flat_map(|value| value.split(','));
    types.find_map(|one| {
        let parameters = |text: &str| text.split(';').map(|part| part.trim().to_owned()).collect::<BTreeSet<_>>();
        let wanted = parameters(one);
        let list = AGGREGATED.into_iter().find(|(_, list)| parameters(list).is_subset(&wanted));
        let plain = matches!(one.split(';').next().unwrap_or_default().trim(), "application/json" | "*/*");
        list.map(Some).or_else(|| (plain && !one.contains("as=")).then_some(None))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &'static str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, http::HeaderValue::from_static(accept));
        Form::of(&headers).ok()
    }

    #[test]
    fn the_first_form_that_can_be_given_is_given() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Some(Form::Table));
        assert_eq!(form("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"), Some(Form::Object));
        assert_eq!(form("application/vnd.kubernetes.protobuf, */*"), Some(Form::Object));
        assert_eq!(form("application/yaml"), Some(Form::Object));
        assert_eq!(form("application/vnd.kubernetes.protobuf"), None);
        assert_eq!(Form::of(&HeaderMap::new()).ok(), Some(Form::Object));
    }
}
