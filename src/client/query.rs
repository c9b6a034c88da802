//! Asks the API for objects, as Tables or whole, once or for as long as they change.

use anyhow::{Context, bail};
use futures::{AsyncBufReadExt, TryStreamExt};
use http::{Request, header::ACCEPT};
use serde_json::{Value, json};

use super::{
    connection::Connection,
    kinds::Kind,
    table::{ACCEPT_TABLE, Table, TablePrinter},
};

/// Objects asked for at a time.
const PAGE: usize = 500;

/// What is asked for of one kind.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) kind: &'a Kind,
    /// Of the collection, or of one object.
    pub(crate) path: String,
    /// `labelSelector` and `fieldSelector`.
    pub(crate) selectors: Vec<(&'static str, String)>,
}

impl<'a> Query<'a> {
    /// Objects of a kind by their names, or, without names, all that are chosen: in a namespace, or in all.
    pub(crate) fn of(
        kind: &'a Kind,
        namespace: Option<&str>,
        names: &[String],
        selectors: Vec<(&'static str, String)>,
    ) -> Vec<Self> {
        let path = kind.path(namespace);
        if names.is_empty() {
            return vec![Self { kind, path, selectors }];
        }
        let one = |name| Self { kind, path: format!("{path}/{}", percent_encode(name)), selectors: Vec::new() };
        names.iter().map(|name| one(name)).collect()
    }

    /// Whether it asks for one object by its name.
    pub(crate) fn names_one(&self) -> bool {
        !self.path.ends_with(&format!("/{}", self.kind.plural))
    }

    fn uri(&self, more: &[(&str, &str)]) -> String {
        let own = self.selectors.iter().map(|(key, value)| (*key, value.as_str()));
        let query: Vec<String> =
            own.chain(more.iter().copied()).map(|(key, value)| format!("{key}={}", percent_encode(value))).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }

    /// All pages in one Table, whose rows have the whole objects.
    pub(crate) async fn table_with_objects(&self, connection: &Connection) -> anyhow::Result<Table> {
        let mut own = Query { kind: self.kind, path: self.path.clone(), selectors: self.selectors.clone() };
        own.selectors.push(("includeObject", "Object".to_owned()));
        own.table(connection).await
    }

    fn request(&self, accept: &str, more: &[(&str, &str)]) -> anyhow::Result<Request<Vec<u8>>> {
        Request::get(self.uri(more)).header(ACCEPT, accept).body(Vec::new()).context("the name cannot be used")
    }

    /// All pages in one Table.
    pub(crate) async fn table(&self, connection: &Connection) -> anyhow::Result<Table> {
        let limit = PAGE.to_string();
        let first = if self.names_one() { vec![] } else { vec![("limit", limit.as_str())] };
        let mut table: Table = connection.send(self.request(ACCEPT_TABLE, &first)?).await?;
        while let Some(token) = table.metadata.continue_token.take().filter(|token| !token.is_empty()) {
            let more = [("limit", limit.as_str()), ("continue", token.as_str())];
            let next: Table = connection.send(self.request(ACCEPT_TABLE, &more)?).await?;
            table.rows.extend(next.rows);
            table.metadata = next.metadata;
        }
        Ok(table)
    }

    /// All objects, whole.
    pub(crate) async fn objects(&self, connection: &Connection) -> anyhow::Result<Vec<Value>> {
        let answer: Value = connection.send(self.request("application/json", &[])?).await?;
        if self.names_one() {
            return Ok(vec![answer]);
        }
        let mut items = answer["items"].as_array().cloned().unwrap_or_default();
        for item in &mut items {
            // Lists leave out what they say once for all; on its own, an object says it itself.
            if item["kind"].is_null() {
                item["apiVersion"] = json!(self.kind.api_version());
                item["kind"] = json!(self.kind.kind);
            }
        }
        Ok(items)
    }

    /// Prints the lines of each change until the server ends the stream.
    pub(crate) async fn watch(
        &self,
        connection: &Connection,
        from: &str,
        mut printer: TablePrinter,
        print: impl Fn(String),
    ) -> anyhow::Result<()> {
        let mut collection = Query { kind: self.kind, path: self.path.clone(), selectors: self.selectors.clone() };
        if self.names_one()
            && let Some((path, name)) = self.path.rsplit_once('/')
        {
            collection.path = path.to_owned();
            collection.selectors.push(("fieldSelector", format!("metadata.name={name}")));
        }
        let request = collection.request(ACCEPT_TABLE, &[("watch", "true"), ("resourceVersion", from)])?;
        let mut lines = connection.stream(request).await?.lines();
        while let Some(line) = lines.try_next().await.context("the watch broke off")? {
            let mut event: Value =
                serde_json::from_str(&line).context("the server sent something else than an event")?;
            match event["type"].as_str() {
                Some("BOOKMARK") => {}
                Some("ERROR") => {
                    bail!("the watch ended: {}", event["object"]["message"].as_str().unwrap_or("no reason given"))
                }
                _ => {
                    let table: Table = serde_json::from_value(event["object"].take())?;
                    printer.lines(&table).into_iter().for_each(&print);
                }
            }
        }
        Ok(())
    }
}

/// A query value as it may stand in a URI.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_encoded() {
        assert_eq!(percent_encode("app=shop,tier in (a b)"), "app%3Dshop%2Ctier%20in%20%28a%20b%29");
    }
}
