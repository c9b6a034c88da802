use anyhow::bail;
use serde_json::{Value, json};

use super::print_line;
use crate::{
    client::{
        connection::{ClientArgs, Connection},
        events,
        kinds::{Kind, Kinds},
        query::Query,
        table::{Columns, Table, TablePrinter},
        target::{Targets, targets},
    },
    output::{Output, OutputArgs, Shown, Whole},
    terminal::print_error,
};

/// Of these, the latest matters most.
const EVENT: &str = "Event";

/// What `get all` shows.
const ALL: [&str; 5] = ["pods", "services", "deployments", "replicasets", "horizontalpodautoscalers"];

/// Show objects, as `kubectl get` does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan get pods                        The replicas of this namespace
  sampan get deployments,services -A     Two kinds in all namespaces
  sampan get pods -l app=shop -o wide    More columns, of some
  sampan get deployment/shop -o yaml     One object, whole
  sampan get pods -o custom-columns=NAME:.metadata.name,WORKER:.spec.nodeName
  sampan get pods -o jsonpath='{.items[*].metadata.name}'
  sampan get pods -w                     Go on with every change
  sampan get all                         What matters most")]
pub(crate) struct Get {
    /// Kind, or kinds joined by commas, then names; or KIND/NAME, also several
    #[arg(required = true, value_name = "KIND [NAME...]")]
    target: Vec<String>,

    /// Objects of every namespace
    #[arg(short = 'A', long, env = "SAMPAN_ALL_NAMESPACES")]
    all_namespaces: bool,

    /// Only objects with these labels, such as `app=shop,tier!=test`
    #[arg(short = 'l', long, env = "SAMPAN_SELECTOR", value_name = "SELECTOR")]
    selector: Option<String>,

    /// Only objects with these fields, such as `metadata.name=shop`
    #[arg(long, env = "SAMPAN_FIELD_SELECTOR", value_name = "SELECTOR")]
    field_selector: Option<String>,

    #[command(flatten)]
    output: OutputArgs,

    /// After that, show every change as it comes
    #[arg(short, long, env = "SAMPAN_WATCH")]
    watch: bool,

    #[command(flatten)]
    client: ClientArgs,
}

impl Get {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        let kinds = Kinds::discover(&connection).await?;
        let queries = self.queries(&kinds, &connection)?;
        if self.watch && queries.len() != 1 {
            bail!("-w watches one kind at a time");
        }
        match self.output.format() {
            Output::Whole(_) if self.watch => bail!("-w goes with tables, not with -o"),
            Output::Whole(whole) => print_objects(&connection, &queries, &whole).await,
            Output::Table(columns) => self.print_tables(&connection, &queries, columns).await,
        }
    }

    fn queries<'a>(&self, kinds: &'a Kinds, connection: &Connection) -> anyhow::Result<Vec<Query<'a>>> {
        let mut queries = Vec::new();
        for Targets { kinds: words, names } in targets(&self.target)? {
            if !names.is_empty() && (self.selector.is_some() || self.all_namespaces) {
                bail!("a name and -l or -A do not go together");
            }
            let words = if words == "all" { ALL.join(",") } else { words };
            for word in words.split(',') {
                let kind = kinds.named(word)?;
                let namespace = (!self.all_namespaces).then_some(&*connection.namespace);
                queries.extend(Query::of(kind, namespace, &names, self.selectors()));
            }
        }
        Ok(queries)
    }

    fn selectors(&self) -> Vec<(&'static str, String)> {
        let labels = self.selector.clone().map(|selector| ("labelSelector", selector));
        let fields = self.field_selector.clone().map(|selector| ("fieldSelector", selector));
        labels.into_iter().chain(fields).collect()
    }

    async fn print_tables(
        &self,
        connection: &Connection,
        queries: &[Query<'_>],
        columns: Columns,
    ) -> anyhow::Result<()> {
        let several_kinds = queries.iter().any(|query| query.kind != queries[0].kind);
        let mut printed = false;
        let mut printer: Option<(&Kind, TablePrinter)> = None;
        for of_kind in queries.chunk_by(|one, next| one.kind == next.kind) {
            let query = &of_kind[0];
            let mut table = table_of(query, connection).await?;
            // Those that were named one by one are aligned with each other.
            for further in &of_kind[1..] {
                table.rows.extend(table_of(further, connection).await?.rows);
            }
            if table.rows.is_empty() {
                continue;
            }
            if printer.as_ref().is_none_or(|(kind, _)| *kind != query.kind) {
                if printed {
                    print_line("");
                }
                printer = Some((query.kind, self.printer(query.kind, columns, several_kinds)));
            }
            if let Some((_, printer)) = &mut printer {
                printer.lines(&table).into_iter().for_each(print_line);
                printed = true;
            }
            if self.watch {
                let printer =
                    printer.take().map_or_else(|| self.printer(query.kind, columns, false), |(_, printer)| printer);
                return query.watch(connection, &table.metadata.resource_version, printer, print_line).await;
            }
        }
        if self.watch {
            let printer = self.printer(queries[0].kind, columns, false);
            return queries[0].watch(connection, "", printer, print_line).await;
        }
        if !printed {
            let place = if self.all_namespaces || !queries[0].kind.namespaced {
                String::new()
            } else {
                format!(" in namespace {}", connection.namespace)
            };
            print_error(format_args!("No resources found{place}."));
        }
        Ok(())
    }

    fn printer(&self, kind: &Kind, columns: Columns, several_kinds: bool) -> TablePrinter {
        let mut printer = TablePrinter::new(columns);
        if self.all_namespaces && kind.namespaced {
            printer = printer.with_namespace();
        }
        if several_kinds { printer.with_name_prefix(kind.label("")) } else { printer }
    }
}

/// Events stand in the order in which they last happened; of others, the server's order is as good as any.
async fn table_of(query: &Query<'_>, connection: &Connection) -> anyhow::Result<Table> {
    if query.kind.kind != EVENT {
        return query.table(connection).await;
    }
    let mut table = query.table_with_objects(connection).await?;
    table.rows.sort_by_key(|row| events::last_time(&row.object));
    Ok(table)
}

/// As kubectl: who owns which field is longer than the object, and for few to read. A template that names it has it.
fn hide_owners(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
}

async fn print_objects(connection: &Connection, queries: &[Query<'_>], whole: &Whole) -> anyhow::Result<()> {
    let mut objects = Vec::new();
    for query in queries {
        let mut found = query.objects(connection).await?;
        if query.kind.kind == EVENT {
            events::sort(&mut found);
        }
        if matches!(whole, Whole::Json | Whole::Yaml) {
            found.iter_mut().for_each(hide_owners);
        }
        objects.extend(found.into_iter().map(|object| (query.kind, object)));
    }
    let label = |(kind, object): &(&Kind, Value)| kind.label(object["metadata"]["name"].as_str().unwrap_or_default());
    let names = Some(objects.iter().map(label).collect());
    let one = queries.len() == 1 && queries[0].names_one();
    let shown = match objects.pop() {
        Some((_, object)) if one => object,
        last => {
            let items: Vec<Value> = objects.into_iter().chain(last).map(|(_, object)| object).collect();
            json!({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {"resourceVersion": ""}})
        }
    };
    Shown { what: "an object", whole: &shown, names }.print(whole)
}
