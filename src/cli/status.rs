//! One screen that says whether all is well.

use k8s_openapi::{apimachinery::pkg::version::Info, jiff::Timestamp};
use serde_json::{Value, json};

use super::print_line;
use crate::{
    client::{
        connection::{Connection, ConnectionArgs},
        events,
        image::short_image,
        replicas,
        table::{Columns, Table},
    },
    output::{Output, OutputArgs, Shown},
    screen::Screen,
};

/// Things that are wrong, of which more are only counted.
const MAX_TOLD: usize = 8;
/// An event tells of now if it happened within this time.
const LATELY_MICROS: i64 = 10 * 60 * 1_000_000;

/// Show on one screen whether all is well: the server, its workers, what runs, and what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan status                                   All namespaces
  sampan status -o json
  sampan status -o jsonpath='{.problems[*].next}'   What to do now")]
pub(crate) struct Status {
    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What does not work, and which command says more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    about: String,
    what: String,
    next: String,
}

/// All that is asked.
struct Asked {
    server: String,
    version: String,
    nodes: Vec<Value>,
    deployments: Vec<Value>,
    services: Vec<Value>,
    autoscalers: Vec<Value>,
    pods: Vec<Value>,
    events: Vec<Value>,
}

impl Asked {
    async fn of(connection: &Connection) -> anyhow::Result<Self> {
        // First alone: if nobody answers, that is the one thing to say.
        let version: Info = connection.get("/version").await?;
        let (nodes, deployments, services, autoscalers, pods, (events, _)) = tokio::try_join!(
            items(connection, "/api/v1/nodes"),
            items(connection, "/apis/apps/v1/deployments"),
            items(connection, "/api/v1/services"),
            items(connection, "/apis/autoscaling/v2/horizontalpodautoscalers"),
            items(connection, "/api/v1/pods"),
            events::list(connection, None),
        )?;
        let server = connection.server.clone();
        // `v1.35.0+sampan-0.1.0`: which Kubernetes it is like, and which Sampan it is.
        let version = version.git_version.rsplit_once("sampan-").map_or(version.git_version.as_str(), |(_, own)| own);
        Ok(Self { server, version: version.to_owned(), nodes, deployments, services, autoscalers, pods, events })
    }
}

async fn items(connection: &Connection, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut answer: Value = connection.get(path).await?;
    Ok(match answer["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    })
}

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.output.refuse_wide("a status")?;
        let connection = self.connection.connect().await?;
        let asked = Asked::of(&connection).await?;
        let (workers, apps, problems) = (workers(&asked), apps(&asked), problems(&asked));
        if let Output::Whole(whole) = self.output.format() {
            let problems = problems.iter();
            let told = problems.map(|it| json!({ "about": it.about, "what": it.what, "next": it.next }));
            let value = json!({
                "server": { "address": asked.server, "version": asked.version },
                "client": { "version": env!("CARGO_PKG_VERSION") },
                "workers": workers, "apps": apps, "problems": told.collect::<Vec<_>>(),
            });
            return Shown { what: "a status", whole: &value, names: None }.print(&whole);
        }
        print_line(format_args!("Server {} at {}", asked.version, asked.server));
        if asked.version != env!("CARGO_PKG_VERSION") {
            print_line(format_args!("This program is {}", env!("CARGO_PKG_VERSION")));
        }
        print_table("Workers", "none has joined", workers_table(&workers));
        print_table("Apps", "none yet: `sampan apply -f FILE`, or `sampan dev FOLDER`", apps_table(&apps));
        print_problems(&problems);
        Ok(())
    }
}

fn print_table(heading: &str, nothing: &str, table: Table) {
    print_line("");
    if table.rows.is_empty() {
        print_line(format_args!("{heading}: {nothing}"));
        return;
    }
    print_line(heading);
    table.indented(Columns::Narrow, 2).into_iter().for_each(print_line);
}

fn print_problems(problems: &[Problem]) {
    let screen = Screen::new();
    print_line("");
    if problems.is_empty() {
        screen.good("All is well.");
        return;
    }
    for Problem { about, what, next } in problems.iter().take(MAX_TOLD) {
        screen.bad(about, what);
        print_line(format_args!("  next: {next}"));
    }
    if problems.len() > MAX_TOLD {
        print_line(format_args!("and {} more: `sampan status -o yaml` has all", problems.len() - MAX_TOLD));
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn is(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == status)
}

fn workers(asked: &Asked) -> Vec<Value> {
    let of = |node: &Value| {
        let name = text(node, "/metadata/name");
        let count = asked.pods.iter().filter(|pod| text(pod, "/spec/nodeName") == name).count();
        let mut status = vec![if is(node, "Ready", "True") { "Ready" } else { "NotReady" }];
        if node["spec"]["unschedulable"] == true {
            status.push("Cordoned");
        }
        if is(node, "NetworkUnavailable", "True") {
            status.push("NotReached");
        }
        json!({ "name": name, "status": status.join(","), "replicas": count })
    };
    asked.nodes.iter().map(of).collect()
}

fn workers_table(workers: &[Value]) -> Table {
    let row = |worker: &Value| {
        vec![text(worker, "/name").to_owned(), text(worker, "/status").to_owned(), worker["replicas"].to_string()]
    };
    Table::new(&[("Name", 0), ("Status", 0), ("Replicas", 0)], workers.iter().map(row))
}

/// Requests each second to all replicas of a Deployment, where its autoscaler measures them.
fn requests_per_second(asked: &Asked, deployment: &Value) -> Option<f64> {
    let metadata = &deployment["metadata"];
    let scales = |autoscaler: &&Value| {
        let target = &autoscaler["spec"]["scaleTargetRef"];
        autoscaler["metadata"]["namespace"] == metadata["namespace"]
            && target["kind"] == "Deployment"
            && target["name"] == metadata["name"]
    };
    let status = &asked.autoscalers.iter().find(scales)?["status"];
    let of = |metric: &&Value| metric["pods"]["metric"]["name"] == "http_requests_per_second";
    let measured = status["currentMetrics"].as_array()?.iter().find(of)?;
    let average: api::Quantity = measured["pods"]["current"]["averageValue"].as_str()?.parse().ok()?;
    Some(average.as_millis() as f64 / 1e3 * status["currentReplicas"].as_f64()?)
}

fn apps(asked: &Asked) -> Vec<Value> {
    let of = |deployment: &Value| {
        let status = &deployment["status"];
        json!({
            "namespace": deployment["metadata"]["namespace"],
            "name": deployment["metadata"]["name"],
            "ready": status["readyReplicas"].as_u64().unwrap_or(0),
            "desired": deployment["spec"]["replicas"].as_u64().unwrap_or(1),
            "requestsPerSecond": requests_per_second(asked, deployment),
            "image": deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        })
    };
    asked.deployments.iter().map(of).collect()
}

fn apps_table(apps: &[Value]) -> Table {
    let row = |app: &Value| {
        let rate = app["requestsPerSecond"].as_f64().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
        vec![
            text(app, "/namespace").to_owned(),
            text(app, "/name").to_owned(),
            format!("{}/{}", app["ready"], app["desired"]),
            rate,
            short_image(text(app, "/image")),
        ]
    };
    let columns = [("Namespace", 0), ("Name", 0), ("Ready", 0), ("Req/s", 0), ("Image", 0)];
    Table::new(&columns, apps.iter().map(row))
}

/// The most serious first: where nothing can run, then what does not, then what only warns.
fn problems(asked: &Asked) -> Vec<Problem> {
    let mut problems = Vec::new();
    if asked.nodes.is_empty() {
        let next = "sampan worker --help".to_owned();
        problems.push(Problem { about: "workers".into(), what: "there is none: nothing runs".into(), next });
    }
    problems.extend(asked.nodes.iter().filter_map(of_node));
    problems.extend(asked.deployments.iter().filter_map(|deployment| of_deployment(asked, deployment)));
    problems.extend(asked.services.iter().filter_map(|service| of_service(asked, service)));
    problems.extend(asked.autoscalers.iter().filter_map(of_autoscaler));
    let since = Timestamp::now().as_microsecond() - LATELY_MICROS;
    let is_late = |event: &&Value| event["type"] == "Warning" && events::last_time(event).0 >= since;
    let late: Vec<&Value> = asked.events.iter().filter(is_late).collect();
    if let (Some(last), true) = (late.last(), problems.is_empty()) {
        let about = format!("{} warnings in 10m", late.len());
        let what = format!("the last: {}: {}", text(last, "/reason"), text(last, "/message"));
        problems.push(Problem { about, what, next: "sampan events -A --type warning".to_owned() });
    }
    problems
}

fn of_node(node: &Value) -> Option<Problem> {
    let name = text(node, "/metadata/name");
    let bad = |condition: &Value| text(condition, "/message").to_owned();
    let what = match (condition(node, "Ready"), condition(node, "NetworkUnavailable")) {
        (Some(ready), _) if ready["status"] != "True" => bad(ready),
        (_, Some(unreached)) if unreached["status"] == "True" => bad(unreached),
        _ if node["spec"]["unschedulable"] == true => {
            let next = format!("sampan uncordon {name}");
            let what = "it is cordoned: it gets no new replicas".to_owned();
            return Some(Problem { about: format!("node/{name}"), what, next });
        }
        _ => return None,
    };
    Some(Problem { about: format!("node/{name}"), what, next: format!("sampan describe node {name}") })
}

/// `-n NAMESPACE` where it is needed.
fn within(object: &Value) -> String {
    match text(object, "/metadata/namespace") {
        "default" | "" => String::new(),
        namespace => format!(" -n {namespace}"),
    }
}

fn of_deployment(asked: &Asked, deployment: &Value) -> Option<Problem> {
    let (name, namespace) = (text(deployment, "/metadata/name"), text(deployment, "/metadata/namespace"));
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let ready = deployment["status"]["readyReplicas"].as_u64().unwrap_or(0);
    if ready >= wanted && !is(deployment, "Progressing", "False") && !is(deployment, "ReplicaFailure", "True") {
        return None;
    }
    let subject = events::Subject { kind: "Deployment".to_owned(), name: name.to_owned() };
    // What its replicas are called says whose they are, as with events.
    let is_its = |pod: &&Value| {
        text(pod, "/metadata/namespace") == namespace && subject.covers("Pod", text(pod, "/metadata/name"))
    };
    let mut whys = asked.pods.iter().filter(is_its).filter_map(|pod| {
        let of_it = asked.events.iter().filter(|event| text(event, "/metadata/namespace") == namespace);
        replicas::why_not_ready(pod, of_it)
    });
    let failure = condition(deployment, "ReplicaFailure").filter(|it| it["status"] == "True");
    let why = whys.next().or_else(|| failure.map(|it| format!("{}: {}", text(it, "/reason"), text(it, "/message"))));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some(Problem {
        about: format!("{namespace}/{name}"),
        what: format!("{ready} of {wanted} replicas ready{why}"),
        next: format!("sampan describe deployment {name}{}", within(deployment)),
    })
}

/// A Service whose port cannot be had.
fn of_service(asked: &Asked, service: &Value) -> Option<Problem> {
    let addresses = service["status"]["loadBalancer"]["ingress"].as_array();
    if service["spec"]["type"] != "LoadBalancer" || addresses.is_some_and(|addresses| !addresses.is_empty()) {
        return None;
    }
    let (name, namespace) = (text(service, "/metadata/name"), text(service, "/metadata/namespace"));
    let subject = events::Subject { kind: "Service".to_owned(), name: name.to_owned() };
    let is_why = |event: &&Value| {
        event["type"] == "Warning" && text(event, "/metadata/namespace") == namespace && subject.has(event)
    };
    let why = asked.events.iter().rfind(is_why).map(|event| format!(": {}", text(event, "/message")));
    Some(Problem {
        about: format!("{namespace}/{name}"),
        what: format!("no gateway listens at its ports{}", why.unwrap_or_default()),
        next: format!("sampan describe service {name}{}", within(service)),
    })
}

fn of_autoscaler(autoscaler: &Value) -> Option<Problem> {
    let (name, namespace) = (text(autoscaler, "/metadata/name"), text(autoscaler, "/metadata/namespace"));
    let failed = ["AbleToScale", "ScalingActive"].into_iter().filter_map(|kind| condition(autoscaler, kind));
    let failed = failed
        .into_iter()
        .find(|condition| condition["status"] == "False" && text(condition, "/reason") != "ScalingDisabled")?;
    Some(Problem {
        about: format!("{namespace}/{name}"),
        what: format!("it does not scale: {}", text(failed, "/message")),
        next: format!("sampan describe hpa {name}{}", within(autoscaler)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(deployments: Value, pods: Value) -> Asked {
        let list = |value: Value| value.as_array().cloned().unwrap_or_default();
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        let nodes = json!([{ "metadata": { "name": "w1" }, "status": { "conditions": ready } }]);
        Asked {
            server: String::new(),
            version: String::new(),
            nodes: list(nodes),
            deployments: list(deployments),
            services: Vec::new(),
            autoscalers: Vec::new(),
            pods: list(pods),
            events: Vec::new(),
        }
    }

    #[test]
    fn an_app_that_wants_nothing_and_one_that_is_ready_are_well() {
        let app = |wanted: u64, ready: u64| {
            json!({ "metadata": { "name": "shop", "namespace": "default" }, "spec": { "replicas": wanted },
                "status": { "readyReplicas": ready } })
        };
        assert_eq!(problems(&asked(json!([app(0, 0), app(2, 2)]), json!([]))), []);
    }

    #[test]
    fn what_is_not_ready_says_why_and_which_command_says_more() {
        let app =
            json!({ "metadata": { "name": "shop", "namespace": "web" }, "spec": { "replicas": 2 }, "status": {} });
        let pod = json!({ "metadata": { "name": "shop-abc-1", "namespace": "web" }, "status": { "containerStatuses": [
            { "state": { "waiting": { "reason": "ErrImagePull", "message": "there is none" } } } ] } });
        let expected = Problem {
            about: "web/shop".into(),
            what: "0 of 2 replicas ready: ErrImagePull: there is none".into(),
            next: "sampan describe deployment shop -n web".into(),
        };
        assert_eq!(problems(&asked(json!([app]), json!([pod]))), [expected]);
    }

    #[test]
    fn a_worker_that_is_silent_or_cordoned_is_told_of() {
        let mut asked = asked(json!([]), json!([]));
        asked.nodes[0]["status"]["conditions"] =
            json!([{ "type": "Ready", "status": "Unknown", "message": "not heard of" }]);
        assert_eq!(problems(&asked)[0].what, "not heard of");
        asked.nodes[0] = json!({ "metadata": { "name": "w1" }, "spec": { "unschedulable": true } });
        assert_eq!(problems(&asked)[0].next, "sampan uncordon w1");
        asked.nodes.clear();
        assert_eq!(problems(&asked)[0].what, "there is none: nothing runs");
    }
}
