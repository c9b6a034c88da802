use axum::response::Response;
use http::{StatusCode, Uri, header};
use registry_client::hosted::Repositories;
use serde_json::json;

use super::{Call, blobs::parse, blocking, error::RegistryError, json, query, set};

/// Names in one answer, if the client does not ask for fewer.
const MAX_LISTED: usize = 1000;

impl Call {
    /// `GET tags/list`: sorted, in pages if the client asks for them.
    pub(super) async fn tags(&self) -> Result<Response, RegistryError> {
        let tags = self.blocking(|repository| Ok(repository.exists()?.then_some(repository.tags()?))).await?;
        let tags = tags.ok_or_else(|| RegistryError::NameUnknown(self.repository.name().to_owned()))?;
        let page = Page::of(&self.uri, tags.into_keys().collect())?;
        let body = json!({ "name": self.repository.name(), "tags": page.names });
        Ok(page.answer(&self.uri, &body))
    }

    /// `GET referrers`: never 404, since nothing may refer to something that will come.
    pub(super) async fn referrers(&self, digest: String) -> Result<Response, RegistryError> {
        let subject = parse(&digest)?;
        let mut found = self.blocking(move |repository| Ok(repository.referrers(&subject)?)).await?;
        let filter = self.query("artifactType");
        if let Some(wanted) = &filter {
            found.retain(|descriptor| descriptor.artifact_type.as_ref() == Some(wanted));
        }
        const INDEX: &str = "application/vnd.oci.image.index.v1+json";
        let body = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": found });
        let mut response = json(StatusCode::OK, INDEX, body.to_string().into());
        if filter.is_some() {
            set(&mut response, "oci-filters-applied", "artifactType");
        }
        Ok(response)
    }
}

/// `GET _catalog`: the repositories.
pub(super) async fn catalog(repositories: Repositories, uri: &Uri) -> Result<Response, RegistryError> {
    let names = blocking(move || Ok(repositories.names()?)).await?;
    let page = Page::of(uri, names)?;
    let body = json!({ "repositories": page.names });
    Ok(page.answer(uri, &body))
}

/// Some of the names, and whether there are more.
struct Page {
    names: Vec<String>,
    limit: usize,
    more: bool,
}

impl Page {
    fn of(uri: &Uri, mut names: Vec<String>) -> Result<Self, RegistryError> {
        let limit = match query(uri, "n") {
            None => MAX_LISTED,
            Some(n) => n.parse().map_err(|_| RegistryError::Unsupported(format!("n={n} is no number")))?,
        };
        if let Some(last) = query(uri, "last") {
            names.retain(|name| *name > last);
        }
        let more = limit > 0 && names.len() > limit;
        names.truncate(limit);
        Ok(Self { names, limit, more })
    }

    fn answer(&self, uri: &Uri, body: &serde_json::Value) -> Response {
        let mut response = json(StatusCode::OK, "application/json", body.to_string().into());
        if let Some(last) = self.names.last().filter(|_| self.more) {
            let (path, limit) = (uri.path(), self.limit);
            set(&mut response, header::LINK, &format!("<{path}?n={limit}&last={last}>; rel=\"next\""));
        }
        response
    }
}
