use futures::future::try_join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList};

use super::connection::Connection;

/// A kind of object as discovery lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
}

impl Kind {
    /// `apps/v1`, or `v1` for the core group.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of all objects of this kind, in one namespace or in all.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let version = self.api_version();
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{version}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{version}/{}", self.plural),
        }
    }

    /// `deployment.apps/name`, as kubectl writes it.
    pub(crate) fn label(&self, name: &str) -> String {
        if self.group.is_empty() {
            format!("{}/{name}", self.singular)
        } else {
            format!("{}.{}/{name}", self.singular, self.group)
        }
    }

    /// Whether a client may do this with it.
    pub(crate) fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    fn answers_to(&self, word: &str) -> bool {
        let (name, group) = word.split_once('.').map_or((word, None), |(name, group)| (name, Some(group)));
        group.is_none_or(|group| group == self.group) && self.names().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        [self.plural.as_str(), &self.singular, &self.kind]
            .into_iter()
            .chain(self.short_names.iter().map(String::as_str))
    }
}

/// Every kind that the server serves, preferred versions first.
#[derive(Debug, Clone)]
pub(crate) struct Kinds(Vec<Kind>);

impl Kinds {
    /// Asks the server.
    pub(crate) async fn discover(connection: &Connection) -> anyhow::Result<Self> {
        let groups: APIGroupList = connection.get("/apis").await?;
        let mut paths = vec!["/api/v1".to_owned()];
        for group in groups.groups {
            let preferred = group.preferred_version.map(|version| version.group_version);
            let mut versions: Vec<_> = group.versions.into_iter().map(|version| version.group_version).collect();
            versions.sort_by_key(|version| Some(version) != preferred.as_ref());
            paths.extend(versions.into_iter().map(|version| format!("/apis/{version}")));
        }
        let lists = try_join_all(paths.iter().map(|path| connection.get::<APIResourceList>(path))).await?;
        Ok(Self(lists.into_iter().flat_map(kinds_of).collect()))
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.0.iter()
    }

    /// The kind that a user names on the command line: `pods`, `po`, `Deployment`, `deployments.apps`.
    pub(crate) fn named(&self, word: &str) -> anyhow::Result<&Kind> {
        self.0.iter().find(|kind| kind.answers_to(word)).ok_or_else(|| {
            let known = self.0.iter().flat_map(Kind::names);
            let suggestion = closest(word, known).map(|name| format!("did you mean `{name}`?"));
            let suggestion = suggestion.unwrap_or_else(|| "a kind comes before a name, as in `deployment/shop`".into());
            anyhow::anyhow!("the server has no kind `{word}`: {suggestion}")
        })
    }

    /// The kind of an object in a manifest, whose `apiVersion` and `kind` must be exact; else what is wrong.
    pub(crate) fn of_manifest(&self, api_version: &str, kind: &str) -> Result<&Kind, String> {
        if let Some(found) = self.0.iter().find(|k| k.kind == kind && k.api_version() == api_version) {
            return Ok(found);
        }
        let same_kind: Vec<String> = self.0.iter().filter(|k| k.kind == kind).map(Kind::api_version).collect();
        if !same_kind.is_empty() {
            return Err(format!(
                "kind {kind} is not in apiVersion `{api_version}`: write `{}`",
                same_kind.join("` or `")
            ));
        }
        Err(match closest(kind, self.0.iter().map(|k| k.kind.as_str())) {
            Some(name) => format!("unknown kind `{kind}`: did you mean `{name}`?"),
            None => {
                let mut known: Vec<_> = self.0.iter().filter(|k| k.allows("create")).map(|k| k.kind.as_str()).collect();
                known.sort_unstable();
                known.dedup();
                format!("unknown kind `{kind}`: this server has {}", known.join(", "))
            }
        })
    }
}

#[cfg(test)]
impl From<Vec<Kind>> for Kinds {
    fn from(kinds: Vec<Kind>) -> Self {
        Self(kinds)
    }
}

fn kinds_of(list: APIResourceList) -> Vec<Kind> {
    let (group, version) = list.group_version.split_once('/').unwrap_or(("", &list.group_version));
    let resources = list.resources.into_iter().filter(|resource| !resource.name.contains('/'));
    resources
        .map(|resource| Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            singular: match resource.singular_name.as_str() {
                "" => resource.kind.to_lowercase(),
                name => name.to_owned(),
            },
            kind: resource.kind,
            plural: resource.name,
            short_names: resource.short_names.unwrap_or_default(),
            namespaced: resource.namespaced,
            verbs: resource.verbs,
        })
        .collect()
}

/// Below this likeness a suggestion confuses more than it helps.
const LIKE_ENOUGH: f64 = 0.75;

/// The known word that is most like this one, if one is like it at all.
pub(crate) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .map(|name| (name, strsim::jaro_winkler(&word, &name.to_lowercase())))
        .filter(|(_, likeness)| *likeness >= LIKE_ENOUGH)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(name, _)| name)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn kind(group: &str, version: &str, kind: &str, short: &str) -> Kind {
        Kind {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: format!("{}s", kind.to_lowercase()),
            singular: kind.to_lowercase(),
            short_names: vec![short.into()],
            namespaced: kind != "Namespace",
            verbs: ["create", "list", "get"].map(String::from).to_vec(),
        }
    }

    fn kinds() -> Kinds {
        Kinds::from(vec![
            kind("", "v1", "Service", "svc"),
            kind("", "v1", "Namespace", "ns"),
            kind("apps", "v1", "Deployment", "deploy"),
        ])
    }

    #[test]
    fn kinds_are_found_by_every_name_that_kubectl_knows() {
        for word in ["deployments", "deployment", "Deployment", "deploy", "deployments.apps"] {
            assert_eq!(kinds().named(word).unwrap().kind, "Deployment", "{word}");
        }
    }

    #[test]
    fn a_mistyped_kind_gets_a_suggestion() {
        let error = kinds().named("deploymnets").unwrap_err().to_string();
        assert_eq!(error, "the server has no kind `deploymnets`: did you mean `deployments`?");
        let error = kinds().of_manifest("apps/v1", "deployment").unwrap_err();
        assert_eq!(error, "unknown kind `deployment`: did you mean `Deployment`?");
    }

    #[test]
    fn a_wrong_api_version_is_put_right() {
        let error = kinds().of_manifest("v1", "Deployment").unwrap_err();
        assert_eq!(error, "kind Deployment is not in apiVersion `v1`: write `apps/v1`");
    }

    #[test]
    fn a_kind_like_no_other_gets_the_list() {
        let error = kinds().of_manifest("x/v1", "Zebra").unwrap_err();
        assert_eq!(error, "unknown kind `Zebra`: this server has Deployment, Namespace, Service");
    }

    #[test]
    fn paths_follow_group_and_scope() {
        let kinds = kinds();
        assert_eq!(kinds.named("deploy").unwrap().path(Some("a")), "/apis/apps/v1/namespaces/a/deployments");
        assert_eq!(kinds.named("svc").unwrap().path(None), "/api/v1/services");
        assert_eq!(kinds.named("ns").unwrap().path(Some("a")), "/api/v1/namespaces");
    }
}
