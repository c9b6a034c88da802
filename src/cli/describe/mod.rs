//! Everything about one object that helps to understand it.

mod fields;
mod kinds;
mod page;

use anyhow::Context;
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::LabelSelector, jiff::Timestamp};
use serde_json::{Value, json};

use super::print_line;
use crate::{
    client::{
        age::since,
        connection::{ClientArgs, Connection},
        events::{self, Subject},
        image::short_image,
        kinds::{Kind, Kinds},
        query::Query,
        replicas,
        revisions::REVISION,
        selector,
        table::{Columns, Table},
        target::{Targets, targets},
    },
    output::{Output, OutputArgs, Shown},
    terminal::print_error,
};
use fields::{items, pairs, text};
use page::Page;

/// Events that are shown: the last ones.
const MAX_EVENTS: usize = 20;
/// Annotations that programs write for themselves.
const OWN_ANNOTATIONS: [&str; 2] = ["kubectl.kubernetes.io/last-applied-configuration", REVISION];

/// Show all about an object: what was asked for, how it stands, its replicas and why they are not ready, and what happened
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan describe deployment shop
  sampan describe pod/shop-7d4b9-x2x4q
  sampan describe node                     All workers
  sampan describe service -l app=shop      Some
  sampan describe deployment shop -o json  For programs: the object, its replicas, its events")]
pub(crate) struct Describe {
    /// KIND and NAMES, or KIND/NAME, also several; without a name, all of the kind
    #[arg(required = true, value_name = "KIND [NAME...]")]
    target: Vec<String>,

    /// Objects of every namespace
    #[arg(short = 'A', long, env = "SAMPAN_ALL_NAMESPACES", conflicts_with = "namespace")]
    all_namespaces: bool,

    /// Only objects with these labels
    #[arg(short = 'l', long, env = "SAMPAN_SELECTOR", value_name = "SELECTOR")]
    selector: Option<String>,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    client: ClientArgs,
}

/// An object with what belongs to it.
struct Described<'a> {
    kind: &'a Kind,
    object: Value,
    /// Of what runs replicas, or sends requests to them.
    replicas: Option<Table>,
    /// The revisions of a Deployment.
    revisions: Vec<Value>,
    /// In the order in which they happened.
    events: Vec<Value>,
}

impl Describe {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.output.refuse_wide("a description")?;
        let connection = self.client.connect().await?;
        let kinds = Kinds::discover(&connection).await?;
        let mut all = Vec::new();
        for query in self.queries(&kinds, &connection)? {
            for object in query.objects(&connection).await? {
                all.push(Described::gather(&connection, &kinds, query.kind, object).await?);
            }
        }
        if let Output::Whole(whole) = self.output.format() {
            let names = all.iter().map(|one| one.kind.label(&one.name())).collect();
            let mut values: Vec<Value> = all.iter().map(Described::value).collect();
            let shown = if values.len() == 1 { values.remove(0) } else { json!({ "items": values }) };
            return Shown { what: "a description", whole: &shown, names: Some(names) }.print(&whole);
        }
        if all.is_empty() {
            print_error("There is none.");
        }
        for (at, one) in all.iter().enumerate() {
            if at > 0 {
                print_line("\n");
            }
            one.page().into_lines().into_iter().for_each(print_line);
        }
        Ok(())
    }

    fn queries<'a>(&self, kinds: &'a Kinds, connection: &Connection) -> anyhow::Result<Vec<Query<'a>>> {
        let mut queries = Vec::new();
        for Targets { kinds: word, names } in targets(&self.target)? {
            if !names.is_empty() && (self.selector.is_some() || self.all_namespaces) {
                anyhow::bail!("a name and -l or -A do not go together");
            }
            let kind = kinds.named(&word)?;
            let namespace = (!self.all_namespaces).then_some(&*connection.namespace);
            let selectors = self.selector.iter().map(|selector| ("labelSelector", selector.clone())).collect();
            queries.extend(Query::of(kind, namespace, &names, selectors));
        }
        Ok(queries)
    }
}

impl<'a> Described<'a> {
    async fn gather(connection: &Connection, kinds: &Kinds, kind: &'a Kind, mut object: Value) -> anyhow::Result<Self> {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let name = text(&object, "/metadata/name").context("the object has no name")?;
        let namespace = text(&object, "/metadata/namespace");
        let subject = Subject { kind: kind.kind.clone(), name: name.clone() };
        let (mut events, _) = events::list(connection, Some(namespace.as_deref().unwrap_or("default"))).await?;
        events.retain(|event| subject.has(event));
        let revisions = match kind.kind.as_str() {
            "Deployment" => revisions(connection, &object).await?,
            _ => Vec::new(),
        };
        let chosen = chosen(&kind.kind, &object);
        let replicas = match chosen {
            Some(Chosen::Nothing) => Some(Table::new(&[], [])),
            Some(Chosen::By(selector)) => {
                let within = namespace.as_deref().filter(|_| kind.namespaced);
                let path = kinds.named("pods")?.path(within);
                Some(replicas::list(connection, kinds, path, Some(selector)).await?)
            }
            None => None,
        };
        let mut described = Self { kind, object, replicas, revisions, events };
        described.keep_own_replicas();
        Ok(described)
    }

    /// Labels choose those of others, too.
    fn keep_own_replicas(&mut self) {
        let owners: Vec<Value> = match self.kind.kind.as_str() {
            "ReplicaSet" => vec![self.object["metadata"]["uid"].clone()],
            "Deployment" => self.revisions.iter().map(|set| set["metadata"]["uid"].clone()).collect(),
            _ => return,
        };
        let is_owned =
            |pod: &Value| items(pod, "/metadata/ownerReferences").any(|owner| owners.contains(&owner["uid"]));
        if let Some(replicas) = &mut self.replicas {
            replicas.rows.retain(|row| is_owned(&row.object));
        }
    }

    fn name(&self) -> String {
        text(&self.object, "/metadata/name").unwrap_or_default()
    }

    fn pods(&self) -> impl Iterator<Item = &Value> {
        self.replicas.iter().flat_map(|table| table.rows.iter().map(|row| &row.object))
    }

    /// All of it, for programs.
    fn value(&self) -> Value {
        let mut value = json!({ "object": self.object, "events": self.events });
        if self.replicas.is_some() {
            let not_ready = self.pods().filter_map(|pod| Some((pod, self.why(pod)?)));
            let not_ready = not_ready.map(|(pod, why)| json!({ "name": pod["metadata"]["name"], "why": why }));
            value["replicas"] = self.pods().cloned().collect();
            value["notReady"] = not_ready.collect();
        }
        if self.kind.kind == "Deployment" {
            value["revisions"] = self.revisions.clone().into();
        }
        value
    }

    fn why(&self, pod: &Value) -> Option<String> {
        replicas::why_not_ready(pod, &self.events)
    }

    fn page(&self) -> Page {
        let (mut page, object) = (Page::new(), &self.object);
        page.field("Name", self.name());
        page.field("Namespace", text(object, "/metadata/namespace"));
        page.field("Kind", format!("{} ({})", self.kind.kind, self.kind.api_version()));
        let created = &object["metadata"]["creationTimestamp"];
        let age = created.as_str().map(|at| format!("{at} ({} ago)", since(created, Timestamp::now())));
        page.field("Created", age);
        page.field("Being deleted", text(object, "/metadata/deletionTimestamp").map(|by| format!("until {by}")));
        page.values("Labels", pairs(object, "/metadata/labels"));
        let annotations = pairs(object, "/metadata/annotations");
        let own = |pair: &String| OWN_ANNOTATIONS.iter().any(|own| pair.starts_with(&format!("{own}=")));
        page.values("Annotations", annotations.into_iter().filter(|pair| !own(pair)));
        if !kinds::show(&mut page, &self.kind.kind, object) {
            self.show_as_it_is(&mut page);
        }
        self.show_conditions(&mut page);
        self.show_revisions(&mut page);
        self.show_replicas(&mut page);
        if self.kind.kind != "Event" {
            let last = &self.events[self.events.len().saturating_sub(MAX_EVENTS)..];
            let of = match self.events.len() - last.len() {
                0 => "Events".to_owned(),
                more => format!("Events (the last {MAX_EVENTS}; {more} more: `sampan events`)"),
            };
            let table = events::table(last).only(&["Last Seen", "Count", "Type", "Reason", "Object", "Message"]);
            page.table(&of, &table, Columns::Narrow);
        }
        page
    }

    fn show_as_it_is(&self, page: &mut Page) {
        let known = ["apiVersion", "kind", "metadata"];
        for (field, value) in self.object.as_object().into_iter().flatten() {
            let mut value = value.clone();
            if let Some(status) = value.as_object_mut().filter(|_| field == "status") {
                status.remove("conditions");
            }
            let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty) || value.is_null();
            if !known.contains(&field.as_str()) && !is_empty {
                page.heading(&capitalised(field));
                page.yaml(&value, 2);
            }
        }
    }

    fn show_conditions(&self, page: &mut Page) {
        let now = Timestamp::now();
        let row = |condition: &Value| {
            let of = |field: &str| text(condition, &format!("/{field}")).unwrap_or_default();
            vec![of("type"), of("status"), since(&condition["lastTransitionTime"], now), of("reason"), of("message")]
        };
        let rows: Vec<_> = items(&self.object, "/status/conditions").map(row).collect();
        if !rows.is_empty() {
            let columns = [("Type", 0), ("Status", 0), ("For", 0), ("Reason", 0), ("Message", 0)];
            page.table("Conditions", &Table::new(&columns, rows), Columns::Narrow);
        }
    }

    fn show_revisions(&self, page: &mut Page) {
        let now = Timestamp::now();
        let row = |set: &Value| {
            let of = |pointer: &str| text(set, pointer).unwrap_or_default();
            vec![
                of("/metadata/annotations/deployment.kubernetes.io~1revision"),
                of("/metadata/name"),
                of("/spec/replicas"),
                text(set, "/status/readyReplicas").unwrap_or_else(|| "0".to_owned()),
                short_image(&of("/spec/template/spec/containers/0/image")),
                since(&set["metadata"]["creationTimestamp"], now),
            ]
        };
        if !self.revisions.is_empty() {
            let columns = [("Revision", 0), ("ReplicaSet", 0), ("Desired", 0), ("Ready", 0), ("Image", 0), ("Age", 0)];
            page.table("Revisions", &Table::new(&columns, self.revisions.iter().map(row)), Columns::Narrow);
        }
    }

    fn show_replicas(&self, page: &mut Page) {
        let own = if self.kind.kind == "Pod" { Some(&self.object) } else { None };
        if let Some(table) = &self.replicas {
            page.table("Replicas", &replicas::shown(table), Columns::Narrow);
        }
        let not_ready = self.pods().chain(own).filter_map(|pod| Some((text(pod, "/metadata/name")?, self.why(pod)?)));
        // Most often all lack the same.
        let mut whys: Vec<(String, Vec<String>)> = Vec::new();
        for (name, why) in not_ready {
            match whys.iter_mut().find(|(known, _)| *known == why) {
                Some((_, names)) => names.push(name),
                None => whys.push((why, vec![name])),
            }
        }
        if !whys.is_empty() {
            page.heading("Not ready");
        }
        for (why, names) in whys {
            let whose = match names.as_slice() {
                _ if own.is_some() => String::new(),
                [one] => format!("{one}: "),
                [first, others @ ..] => format!("{first} and {} more: ", others.len()),
                [] => continue,
            };
            page.below(&format!("{whose}{why}"));
        }
    }
}

/// How the replicas are found that belong to an object.
enum Chosen {
    By((&'static str, String)),
    /// It chooses none.
    Nothing,
}

fn chosen(kind: &str, object: &Value) -> Option<Chosen> {
    match kind {
        "Deployment" | "ReplicaSet" => {
            let selector: LabelSelector = serde_json::from_value(object["spec"]["selector"].clone()).ok()?;
            Some(Chosen::By(("labelSelector", selector::text(&selector))))
        }
        "Service" => {
            let labels = pairs(object, "/spec/selector").join(",");
            Some(if labels.is_empty() { Chosen::Nothing } else { Chosen::By(("labelSelector", labels)) })
        }
        "Node" => {
            text(object, "/metadata/name").map(|name| Chosen::By(("fieldSelector", format!("spec.nodeName={name}"))))
        }
        _ => None,
    }
}

/// The ReplicaSets of a Deployment that are of use, the latest last.
async fn revisions(connection: &Connection, deployment: &Value) -> anyhow::Result<Vec<Value>> {
    let namespace = text(deployment, "/metadata/namespace").unwrap_or_default();
    let mut answer: Value = connection.get(&format!("/apis/apps/v1/namespaces/{namespace}/replicasets")).await?;
    let Value::Array(sets) = answer["items"].take() else { return Ok(Vec::new()) };
    let uid = &deployment["metadata"]["uid"];
    let is_owned = |set: &Value| items(set, "/metadata/ownerReferences").any(|owner| owner["uid"] == *uid);
    let mut sets: Vec<Value> = sets.into_iter().filter(is_owned).collect();
    let number = |set: &Value| {
        text(set, "/metadata/annotations/deployment.kubernetes.io~1revision")
            .and_then(|number| number.parse::<u64>().ok())
    };
    sets.sort_by_key(number);
    Ok(sets)
}

/// `binaryData` as a heading: `Binary data`.
fn capitalised(field: &str) -> String {
    let mut heading = String::new();
    for character in field.chars() {
        match character {
            upper if upper.is_uppercase() && !heading.is_empty() => {
                heading.push(' ');
                heading.extend(upper.to_lowercase());
            }
            first if heading.is_empty() => heading.extend(first.to_uppercase()),
            other => heading.push(other),
        }
    }
    heading
}
