use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, anyhow};
use base64::{Engine, prelude::BASE64_STANDARD};
use http_server::{Token, digest};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::config::Kubeconfig;
use kube_api::access::{TOKEN_TYPE, USERS_NAMESPACE};
use serde_json::{Value, json};

use super::{certificate::time_left, print_line, token::can_be_replaced};
use crate::{
    client::{
        connection::{ClientArgs, Connection, ConnectionArgs, refusal_code},
        query::percent_encode,
        table::Table,
    },
    errors::HintExt,
    output::{OutputArgs, Shown},
};

const RBAC: &str = "rbac.authorization.k8s.io";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1";
/// Whose an object is: in the labels of tokens and of bindings.
const USER: &str = "sampan.dev/user";
/// The longest name, as of any label.
const MAX_NAME_BYTES: usize = 63;
/// The longest that a kubeconfig may hold.
const MAX_TTL: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Give people and programs access to the API, each with a kubeconfig and rights of their own
#[derive(Debug, clap::Args)]
pub(crate) struct User {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, clap::Subcommand)]
enum UserCommand {
    Add(Add),
    List(List),
    Remove(Remove),
}

/// Make a user, or a further kubeconfig of one, and print it or write it to a file: it is shown this once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan user add ann --role view --namespace shop --out ann.kubeconfig    Who may look at one namespace
  sampan user add ann --role edit --namespace shop --out ann.kubeconfig    Who may change what runs there
  sampan user add bob --role view --all-namespaces --out bob.kubeconfig    Who may look at all of them
  sampan user add ci --role edit --namespace shop --ttl 90d --out ci.kubeconfig
  kubectl --kubeconfig ann.kubeconfig auth can-i --list -n shop")]
struct Add {
    /// What the user is called
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,

    /// What they may do: view, edit, admin, cluster-admin, or another ClusterRole, or a Role of the namespace [default: what
    /// bindings give to their name or groups]
    #[arg(long, env = "SAMPAN_USER_ROLE", value_name = "ROLE")]
    role: Option<String>,

    /// In all namespaces, and with what is in none
    #[arg(short = 'A', long, env = "SAMPAN_USER_ALL_NAMESPACES", requires = "role", conflicts_with = "namespace")]
    all_namespaces: bool,

    /// Group that they belong to, for bindings; may be given again
    #[arg(long = "group", env = "SAMPAN_USER_GROUPS", value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,

    /// How long the kubeconfig holds
    #[arg(long, env = "SAMPAN_USER_TTL", default_value = "365d", value_name = "SPAN", value_parser = ttl)]
    ttl: Duration,

    /// File for the kubeconfig, which only this user may read; one that is there is replaced [default: standard output]
    #[arg(short, long, env = "SAMPAN_USER_OUT", value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    client: ClientArgs,
}

/// Show the users that were made: their groups, their roles, and until when their kubeconfigs hold
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan user list
  sampan user list -o json")]
struct List {
    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    client: ConnectionArgs,
}

/// Take users away: their kubeconfigs hold no longer, and what `sampan user add` bound to them is bound no longer
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan user remove ann")]
struct Remove {
    /// As `sampan user list` shows them
    #[arg(required = true, value_name = "NAME", value_parser = name)]
    names: Vec<String>,

    #[command(flatten)]
    client: ConnectionArgs,
}

fn name(text: &str) -> Result<String, String> {
    match kube_api::fields::is_label_value(text) && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "a user's name has at most {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit"
        )),
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    let span = api::parse_span(text).map_err(|error| error.to_string())?;
    match (Duration::from_secs(60)..=MAX_TTL).contains(&span) {
        true => Ok(span),
        false => Err("a kubeconfig holds 1m to 10 years (3660d)".to_owned()),
    }
}

impl User {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            UserCommand::Add(add) => add.run().await,
            UserCommand::List(list) => list.run().await,
            UserCommand::Remove(remove) => remove.run().await,
        }
    }
}

/// Whose objects a label names, in a query.
fn of(user: &str) -> String {
    percent_encode(&format!("{USER}={user}"))
}

fn secrets() -> String {
    format!("/api/v1/namespaces/{USERS_NAMESPACE}/secrets")
}

async fn post(connection: &Connection, path: &str, object: &Value) -> anyhow::Result<Value> {
    let request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json");
    connection.send(request.body(serde_json::to_vec(object)?)?).await
}

impl Add {
    async fn run(self) -> anyhow::Result<()> {
        // Known before anything is made that nobody would see.
        self.out.as_deref().map_or(Ok(()), can_be_replaced)?;
        let kubeconfig = self.client.connection.find_kubeconfig()?;
        let connection = self.client.connect().await?;
        let binding = match &self.role {
            Some(role) => Some(self.binding(&connection, role).await?),
            None => None,
        };
        let token = Token::random().context("the system gives no random bytes")?;
        let until = Timestamp::now() + SignedDuration::try_from(self.ttl).context("--ttl is too long")?;
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let sha256 = sha256(&token);
        let encode = |text: &str| json!(BASE64_STANDARD.encode(text));
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": TOKEN_TYPE,
            "metadata": { "name": format!("user-token-{}", &sha256[..16]), "labels": { USER: self.name } },
            "data": { "user": encode(&self.name), "groups": encode(&self.groups.join(",")), "sha256": encode(&sha256),
                "until": encode(&until) },
        });
        post(&connection, &secrets(), &secret).await?;
        if let Some((path, binding)) = &binding {
            match post(&connection, path, binding).await {
                Err(error) if refusal_code(&error) != Some(409) => return Err(error.context("the user has no role")),
                _ => {}
            }
        }
        let text = self.kubeconfig(&kubeconfig, &token, &connection.namespace)?;
        let Some(out) = &self.out else {
            print_line(text.trim_end());
            return Ok(());
        };
        private_files::write(out, text.as_bytes())
            .with_context(|| format!("{} cannot be written: `sampan user remove {}`", out.display(), self.name))?;
        let may = match &self.role {
            None => "may do what is bound to their name and groups".to_owned(),
            Some(role) if self.all_namespaces => format!("has the role {role} in all namespaces"),
            Some(role) => format!("has the role {role} in namespace {}", connection.namespace),
        };
        print_line(format_args!("{}  {} {may}, until {until}", out.display(), self.name));
        Ok(())
    }

    /// Where the binding goes that gives the role, and what it is.
    async fn binding(&self, connection: &Connection, role: &str) -> anyhow::Result<(String, Value)> {
        let get =
            async |path: String| connection.send_optional::<Value>(http::Request::get(path).body(Vec::new())?).await;
        let encoded = percent_encode(role);
        let namespace = &connection.namespace;
        let kind = if get(format!("{BINDINGS}/clusterroles/{encoded}")).await?.is_some() {
            "ClusterRole"
        } else if !self.all_namespaces
            && get(format!("{BINDINGS}/namespaces/{namespace}/roles/{encoded}")).await?.is_some()
        {
            "Role"
        } else {
            return Err(anyhow!("--role: there is no ClusterRole {role}, nor a Role of that name in the namespace"))
                .hint("there are view, edit, admin and cluster-admin, and what `kubectl get clusterroles` lists");
        };
        let (kind_of_binding, path) = match self.all_namespaces {
            true => ("ClusterRoleBinding", format!("{BINDINGS}/clusterrolebindings")),
            false => ("RoleBinding", format!("{BINDINGS}/namespaces/{namespace}/rolebindings")),
        };
        let binding = json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": kind_of_binding,
            "metadata": { "name": format!("user:{}:{role}", self.name), "labels": { USER: self.name } },
            "subjects": [{ "kind": "User", "apiGroup": RBAC, "name": self.name }],
            "roleRef": { "kind": kind, "apiGroup": RBAC, "name": role },
        });
        Ok((path, binding))
    }

    /// What leads to the same server, with the user's token.
    fn kubeconfig(&self, ours: &Kubeconfig, token: &Token, namespace: &str) -> anyhow::Result<String> {
        let current = ours.current_context.as_deref().unwrap_or_default();
        let context = ours.contexts.iter().find(|context| context.name == current).and_then(|it| it.context.as_ref());
        let cluster = context.map(|context| context.cluster.as_str()).context("the kubeconfig names no cluster")?;
        let named = ours.clusters.iter().find(|named| named.name == cluster).and_then(|named| named.cluster.as_ref());
        let named = named.with_context(|| format!("the kubeconfig has no cluster {cluster}"))?;
        let mut context = json!({ "cluster": "sampan", "user": self.name });
        if !self.all_namespaces {
            context["namespace"] = json!(namespace);
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{ "name": "sampan", "cluster": named }],
            "users": [{ "name": self.name, "user": { "token": token.as_str() } }],
            "contexts": [{ "name": "sampan", "context": context }],
            "current-context": "sampan",
        });
        Ok(kube_api::notation::yaml_text(&config))
    }
}

fn sha256(token: &Token) -> String {
    use std::fmt::Write;
    digest(token.as_str()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        let tokens: Value = connection.get(&format!("{}?labelSelector={}", secrets(), percent_encode(USER))).await?;
        let mut users: BTreeMap<String, Made> = BTreeMap::new();
        for secret in tokens["items"].as_array().into_iter().flatten().filter(|secret| secret["type"] == TOKEN_TYPE) {
            let field = |name: &str| {
                let bytes = BASE64_STANDARD.decode(secret["data"][name].as_str()?).ok()?;
                String::from_utf8(bytes).ok()
            };
            let Some(name) = field("user") else { continue };
            let made = users.entry(name).or_default();
            let groups = field("groups").unwrap_or_default();
            made.groups.extend(groups.split(',').filter(|group| !group.is_empty()).map(str::to_owned));
            made.until = made.until.clone().max(field("until"));
        }
        for kind in ["clusterrolebindings", "rolebindings"] {
            let path = format!("{BINDINGS}/{kind}?labelSelector={}", percent_encode(USER));
            let bindings: Value = connection.get(&path).await?;
            for binding in bindings["items"].as_array().into_iter().flatten() {
                let role = binding["roleRef"]["name"].as_str().unwrap_or_default();
                let role = match binding["metadata"]["namespace"].as_str() {
                    Some(namespace) => format!("{role} in {namespace}"),
                    None => format!("{role} in all"),
                };
                if let Some(made) = users.get_mut(binding["metadata"]["labels"][USER].as_str().unwrap_or_default()) {
                    made.roles.insert(role);
                }
            }
        }
        let whole = json!({ "items": users.iter().map(|(name, made)| made.shown(name)).collect::<Vec<_>>() });
        let names = Some(users.keys().cloned().collect());
        self.output.show_list(&Shown { what: "a list of users", whole: &whole, names }, || table(&users))
    }
}

/// What was made for a user.
#[derive(Debug, Default)]
struct Made {
    groups: BTreeSet<String>,
    roles: BTreeSet<String>,
    /// The last of its kubeconfigs; as text, which is in the order of time.
    until: Option<String>,
}

impl Made {
    fn shown(&self, name: &str) -> Value {
        json!({ "name": name, "groups": self.groups, "roles": self.roles, "until": self.until })
    }
}

fn table(users: &BTreeMap<String, Made>) -> Table {
    let now = Timestamp::now();
    let or_none = |all: &BTreeSet<String>| match all.is_empty() {
        true => "-".to_owned(),
        false => all.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let row = |(name, made): (&String, &Made)| {
        let until = made.until.as_deref().and_then(|until| until.parse::<Timestamp>().ok());
        let left = until.map(|until| u64::try_from(until.duration_since(now).as_secs()).unwrap_or_default());
        let ends = match left {
            None => "never".to_owned(),
            Some(0) => "ended".to_owned(),
            Some(seconds) => time_left(seconds),
        };
        vec![name.clone(), or_none(&made.roles), or_none(&made.groups), ends]
    };
    Table::new(&[("Name", 0), ("Roles", 0), ("Groups", 0), ("Ends in", 0)], users.iter().map(row))
}

impl Remove {
    async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        for name in &self.names {
            let mut removed = 0;
            // The tokens first: who has none may do nothing, whatever is bound.
            let listed = [secrets(), format!("{BINDINGS}/clusterrolebindings"), format!("{BINDINGS}/rolebindings")];
            for path in listed {
                let found: Value = connection.get(&format!("{path}?labelSelector={}", of(name))).await?;
                for object in found["items"].as_array().into_iter().flatten() {
                    let object_name = percent_encode(object["metadata"]["name"].as_str().unwrap_or_default());
                    let path = match (object["metadata"]["namespace"].as_str(), path.ends_with("/rolebindings")) {
                        (Some(namespace), true) => {
                            format!("{BINDINGS}/namespaces/{namespace}/rolebindings/{object_name}")
                        }
                        _ => format!("{path}/{object_name}"),
                    };
                    connection.send_optional::<Value>(http::Request::delete(path).body(Vec::new())?).await?;
                    removed += 1;
                }
            }
            if removed == 0 {
                return Err(anyhow!("there is no user {name}")).hint("`sampan user list` shows those that were made");
            }
            print_line(format_args!("{name}  removed"));
        }
        Ok(())
    }
}
