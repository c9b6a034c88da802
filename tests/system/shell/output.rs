use super::{refusal, with_hello_and_broken};
use crate::sampan::{Sampan, command};

/// Formats that people and scripts use, each of which kubectl prints in the same way.
const TEMPLATES: [&str; 40] = [
    "jsonpath={.items[*].metadata.name}",
    "jsonpath={.items[0].metadata.name}",
    "jsonpath={.items[-1:].metadata.name}",
    "jsonpath={.items[-1].metadata.name}",
    "jsonpath={.items[0:1].metadata.name}",
    "jsonpath={.items[::2].metadata.name}",
    "jsonpath={.items[*]['metadata.name']}",
    "jsonpath={.items[*]['metadata.name','kind']}",
    "jsonpath={.items[0,1].metadata.name}",
    "jsonpath={.items[0].metadata.labels}",
    "jsonpath={.items[0].spec.containers}",
    "jsonpath={.items[*].spec.containers[*].image}",
    "jsonpath={$.items[*].metadata.name}",
    "jsonpath={@.kind}",
    "jsonpath={..nodeName}",
    "jsonpath={..metadata.name}",
    "jsonpath={.items[*]..nodeName}",
    "jsonpath={.nothing}",
    "jsonpath={.items[0].metadata.nothing.below}",
    "jsonpath={.items[0].status.containerStatuses[0].ready}",
    "jsonpath={.items[0].status.containerStatuses[0].restartCount}",
    "jsonpath={.items[0].metadata.labels.pod-template-hash}",
    "jsonpath={.items[*].metadata.annotations.kubectl\\.kubernetes\\.io/last-applied-configuration}",
    "jsonpath={range .items[*]}{.metadata.name}{\"\\t\"}{.status.phase}{\"\\n\"}{end}",
    "jsonpath={range .items[*]}{.metadata.name}: {range .spec.containers[*]}{.name}={.image} {end}{'\\n'}{end}",
    "jsonpath={range .items[?(@.status.phase==\"Running\")]}{.metadata.name}{\"\\n\"}{end}",
    "jsonpath={range .nothing[*]}{.x}{end}after",
    "jsonpath={.items[?(@.metadata.labels.app==\"broken\")].metadata.name}",
    "jsonpath={.items[?(@.metadata.labels.app!='broken')].metadata.name}",
    "jsonpath={.items[?(@.status.containerStatuses[0].restartCount>=0)].metadata.name}",
    "jsonpath={.items[?(@.spec.nodeName)].metadata.name}",
    "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}",
    "jsonpath=names: {.items[*].metadata.name}, kind {.kind}",
    "jsonpath={.items[0].spec.terminationGracePeriodSeconds}",
    "jsonpath={\"a<b>&c\"}",
    "custom-columns=NAME:.metadata.name,APP:.metadata.labels.app,NODE:.spec.nodeName",
    "custom-columns=Name:metadata.name,IMAGES:{.spec.containers[*].image},NONE:.x.y",
    "custom-columns=LABELS:.metadata.labels,PHASE:.status.phase",
    "custom-columns=READY:.status.containerStatuses[0].ready,RESTARTS:.status.containerStatuses[0].restartCount",
    "name",
];

/// As [`TEMPLATES`], where one object is asked for.
const OF_ONE: [&str; 8] = [
    "jsonpath={.metadata.name}",
    "jsonpath={.spec.template.spec.containers[0].image}{\"\\n\"}",
    "jsonpath={.status.conditions[?(@.type==\"Available\")].reason}",
    "jsonpath={.spec.selector}",
    "jsonpath={.spec.strategy.rollingUpdate.maxSurge}",
    "custom-columns=NAME:.metadata.name,REPLICAS:.spec.replicas",
    "name",
    "yaml",
];

/// What neither takes.
const REFUSED: [&str; 7] = [
    "jsonpath={.items[}",
    "jsonpath={.items",
    "jsonpath={.items[100].x}",
    "jsonpath={.kind[0]}",
    "jsonpath={.items[x]}",
    "custom-columns=NAME",
    "xyz",
];

/// With an image that nobody has the state changes all the time between two words for the same.
fn both(sampan: &Sampan, args: &[&str]) -> (String, String) {
    (sampan.cli_ok(args), sampan.kubectl_ok(args))
}

#[test]
fn what_is_picked_out_of_objects_is_what_kubectl_picks() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    let mut differ = Vec::new();
    let cases = TEMPLATES.iter().map(|format| (["get", "pods"].as_slice(), format));
    let cases = cases.chain(OF_ONE.iter().map(|format| (["get", "deployment", "hello"].as_slice(), format)));
    for (query, format) in cases {
        let args = [query, &["-o", format]].concat();
        let same = (0..10).any(|_| {
            let (ours, theirs) = both(&sampan, &args);
            ours == theirs
        });
        if !same {
            let (ours, theirs) = both(&sampan, &args);
            differ.push(format!("{format}\n  ours:   {ours:?}\n  theirs: {theirs:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    for format in REFUSED {
        assert!(!sampan.cli(&["get", "pods", "-o", format]).status.success(), "{format}");
        assert!(!sampan.kubectl(&["get", "pods", "-o", format]).status.success(), "{format}: kubectl");
    }
}

#[test]
fn objects_are_named_with_their_kinds_as_kubectl_takes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    let named = ["get", "deployment/hello", "deployment/broken", "service/hello", "-o", "name"];
    let (ours, theirs) = both(&sampan, &named);
    assert_eq!(ours, theirs);
    let table = sampan.cli_ok(&["get", "deployment/hello", "deployment/broken"]);
    let at = table.find("READY").expect("a header");
    assert!(table.lines().all(|line| line[..at].ends_with("   ") && !line[at..].starts_with(' ')), "{table}");
    let pods = sampan.cli_ok(&["get", "pods", "-l", "app=hello", "-o", "name"]);
    let deleted =
        sampan.cli_ok(&[&["delete"], pods.lines().chain(["service/hello"]).collect::<Vec<_>>().as_slice()].concat());
    assert_eq!(
        deleted,
        pods.lines().chain(["service/hello"]).map(|one| format!("{one} deleted\n")).collect::<String>()
    );
    let mixed = refusal(&sampan.cli(&["get", "pods", "deployment/hello"]));
    assert!(mixed.contains("`pods` is no KIND/NAME"), "{mixed}");
}

#[test]
fn every_command_that_shows_something_takes_every_format_that_fits() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    sampan.cli_ok(&["token", "create", "--name", "w9", "--role", "worker"]);
    let commands: [(&[&str], bool, bool, &str); 9] = [
        (&["get", "deployments"], true, true, "{.items[0].metadata.name}"),
        (&["describe", "deployment", "hello"], true, false, "{.object.metadata.name}"),
        (&["events"], true, true, "{.items[0].reason}"),
        (&["status"], false, false, "{.server.address}"),
        (&["images"], true, true, "{.items[0].reference}"),
        (&["token", "list"], true, true, "{.items[0].id}"),
        (&["version"], false, false, "{.client.version}"),
        (&["rollout", "history", "deployment/hello"], true, true, "{.items[0].revision}"),
        (&["inspect", "hello:dev"], false, false, "{.imports[0]}"),
    ];
    for (command, has_names, is_wide, path) in commands {
        let with = |format: &str| -> Vec<String> {
            command.iter().copied().chain(["-o", format]).map(str::to_owned).collect()
        };
        let ok = |format: &str| sampan.cli_ok(&with(format).iter().map(String::as_str).collect::<Vec<_>>());
        let run = |format: &str| sampan.cli(&with(format).iter().map(String::as_str).collect::<Vec<_>>());
        let json: serde_json::Value = serde_json::from_str(&ok("json")).expect("JSON");
        assert!(json.is_object(), "{command:?}");
        let yaml = ok("yaml");
        assert!(yaml.contains(": ") || yaml.contains(":\n"), "{command:?}: {yaml}");
        let picked = ok(&format!("jsonpath={path}"));
        assert!(!picked.is_empty() && !picked.ends_with('\n'), "{command:?}: {picked:?}");
        assert!(ok("custom-columns=A:.x,KIND:.kind").starts_with("A"), "{command:?}");
        assert_eq!(run("name").status.success(), has_names, "{command:?} -o name");
        let wide = run("wide");
        assert_eq!(wide.status.success(), is_wide, "{command:?} -o wide");
        if !is_wide {
            assert!(refusal(&wide).contains("has no further columns"), "{command:?}");
        }
        let unknown = refusal(&run("jsn"));
        assert!(unknown.contains("`jsn` is no format: use json, yaml"), "{command:?}: {unknown}");
    }
}

#[test]
fn certificates_and_their_authorities_are_shown_in_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 1);
    for list in ["list", "authorities"] {
        let shown = |format: &str| sampan.cli_ok(&["certificate", list, "-o", format]);
        assert_eq!(shown("jsonpath={.kind}"), "List");
        assert!(serde_json::from_str::<serde_json::Value>(&shown("json")).expect("JSON")["items"].is_array());
        assert!(shown("yaml").contains("items:") && shown("wide").contains("STATE"));
        assert!(shown("custom-columns=A:.name").starts_with("A\n"));
        shown("name");
    }
}

#[test]
fn a_namespace_is_not_taken_where_nothing_is_in_one() {
    for words in [
        &["token", "list"][..],
        &["token", "create"],
        &["token", "revoke", "x"],
        &["certificate", "list"],
        &["certificate", "authorities"],
        &["certificate", "rotate"],
        &["cordon", "w1"],
        &["uncordon", "w1"],
        &["drain", "w1"],
        &["images"],
        &["images", "prune"],
        &["version"],
        &["status"],
    ] {
        let output = command(words).args(["-n", "shop"]).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{words:?} -n: {output:?}");
    }
}
