use std::collections::BTreeSet;

use http::{HeaderMap, header};

use super::{error::ApiError, protobuf};

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

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    Json,
    Yaml,
    Protobuf,
}

/// What a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) form: Form,
    pub(super) notation: Notation,
    /// Whether it takes the same in JSON, too.
    pub(super) or_json: bool,
}

impl Accepted {
    /// The first of the `Accept` header that can be given.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let accept = accept.collect::<Vec<_>>().join(",");
        if accept.trim().is_empty() {
            return Ok(Self { form: Form::Object, notation: Notation::Json, or_json: true });
        }
        let mut given = accept.split(',').filter_map(of_media_type);
        let Some((notation, form)) = given.next() else { return Err(ApiError::NotAcceptable { accept }) };
        let or_json = notation == Notation::Json || given.any(|other| other == (Notation::Json, form));
        Ok(Self { form, notation, or_json })
    }
}

fn of_media_type(text: &str) -> Option<(Notation, Form)> {
    let mut parts = text.split(';').map(str::trim);
    let notation = match parts.next()? {
        "application/json" | "application/*" | "*/*" => Notation::Json,
        "application/yaml" => return Some((Notation::Yaml, Form::Object)),
        protobuf::MEDIA_TYPE => Notation::Protobuf,
        _ => return None,
    };
    let parameter = |name: &str| {
        let mut parts = text.split(';').skip(1).map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let of_v1 = parameter("g") == "meta.k8s.io" && parameter("v") == "v1";
    let form = match parameter("as") {
        "" => Form::Object,
        // Tables have no numbers in protobuf.
        "Table" if of_v1 && notation == Notation::Json => Form::Table,
        "PartialObjectMetadata" | "PartialObjectMetadataList" if of_v1 => Form::Metadata,
        _ => return None,
    };
    Some((notation, form))
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

    fn accepted(accept: &'static str) -> Option<(Notation, Form, bool)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, http::HeaderValue::from_static(accept));
        Accepted::of(&headers).ok().map(|accepted| (accepted.notation, accepted.form, accepted.or_json))
    }

    #[test]
    fn the_first_that_can_be_given_is_given() {
        use Form::*;
        use Notation::*;
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accepted(kubectl), Some((Json, Table, true)));
        let older = "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accepted(older), Some((Json, Object, true)));
        assert_eq!(accepted("application/vnd.kubernetes.protobuf, */*"), Some((Protobuf, Object, true)));
        assert_eq!(accepted("application/vnd.kubernetes.protobuf"), Some((Protobuf, Object, false)));
        assert_eq!(accepted("application/vnd.kubernetes.protobuf;stream=watch"), Some((Protobuf, Object, false)));
        let table = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(accepted(table), Some((Json, Table, true)));
        assert_eq!(accepted("application/yaml"), Some((Yaml, Object, false)));
        assert_eq!(accepted("application/cbor"), None);
        let any = Accepted { form: Object, notation: Json, or_json: true };
        assert_eq!(Accepted::of(&HeaderMap::new()).ok(), Some(any));
    }
}
