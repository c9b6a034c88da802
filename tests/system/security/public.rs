//! What those see of a gateway who are not on its machine: what was asked for.

use std::{
    net::{IpAddr, UdpSocket},
    process::Stdio,
};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{Role, Sampan, command, free_address, wait_for},
};

const NAME: &str = "probe.default.localhost";

/// An address of this machine that is not loopback, if it has one.
fn own_address() -> Option<IpAddr> {
    // Nothing is sent: the system says which address it would send from.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

/// A gateway beside a server, on all addresses of this machine. Answers it and its port.
fn gateway(sampan: &Sampan, name: &str, flags: &[&str]) -> (Role, String) {
    let port = free_address().rsplit_once(':').expect("a port").1.to_owned();
    let join = format!("unix:{}", sampan.data_dir.join("run/control.sock").display());
    let data = sampan.data_dir.join(name);
    let mut gateway = command(&["gateway", "--join", &join, "--name", name, "--http", &format!("0.0.0.0:{port}")]);
    gateway.args(flags).arg("--data-dir").arg(data).stderr(Stdio::piped());
    let gateway = Role::start(gateway);
    gateway.wait_for_output("is up");
    (gateway, port)
}

#[test]
fn strangers_reach_what_an_ingress_or_a_load_balancer_names_and_those_of_the_machine_every_service() {
    let Some(own) = own_address() else { return eprintln!("this machine has loopback alone: there is nothing to see") };
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 1);
    deploy_probe(&sampan);
    let (_shut, shut) = gateway(&sampan, "shut", &["--load-balancer-ip", &own.to_string()]);
    let (_open, open) = gateway(&sampan, "open", &["--publish-services", "--load-balancer-ip", "127.99.0.1"]);
    let asked = |ip: &str, port: &str, host: &str| Client::new(&format!("{ip}:{port}"), Some(host)).get("/env");
    let outside = own.to_string();
    wait_for("names answer on loopback", || (asked("127.0.0.1", &shut, NAME).status == 200).then_some(()));
    wait_for("and where they are published", || (asked(&outside, &open, NAME).status == 200).then_some(()));
    let refused = asked(&outside, &shut, NAME);
    assert_eq!((refused.status, &refused.json()["error"]["reason"]), (404, &"UnknownHost".into()), "{refused:?}");
    assert!(refused.body.contains("Ingress") && !refused.body.contains("--publish-services"), "{refused:?}");
    let nobody = asked(&outside, &shut, "nobody.default.localhost");
    let but_its_name = |body: &str| {
        let mut answer: serde_json::Value = serde_json::from_str(body).expect("JSON");
        answer["error"]["request"].take();
        answer
    };
    let same = but_its_name(&nobody.body.replace("nobody", "probe"));
    assert_eq!(same, but_its_name(&refused.body), "nothing tells which services there are");

    let manifest = folder.path().join("public.yaml");
    let port = free_address().rsplit_once(':').expect("a port").1.to_owned();
    std::fs::write(&manifest, PUBLIC.replace("PORT", &port)).expect("a manifest");
    sampan.kubectl_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    wait_for("the Ingress is public", || (asked(&outside, &shut, "shop.test").status == 200).then_some(()));
    let balanced =
        || Client::new(&format!("{outside}:{port}"), None).try_get("/env").is_ok_and(|seen| seen.status == 200);
    wait_for("so is the port of a LoadBalancer Service", || balanced().then_some(()));
    assert_eq!(asked(&outside, &shut, "balanced.default.localhost").status, 404, "it is asked for by its port");
}

const PUBLIC: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: public}
spec:
  rules:
  - host: shop.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: probe, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec:
  type: LoadBalancer
  selector: {app: probe}
  ports: [{port: PORT, targetPort: 80}]
";

fn ingress(name: &str, host: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}}}\nspec:\n  rules:\n  - host: {host}\n    \
         http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: probe, port: {{number: 80}}}}}}}}]}}\n"
    )
}

#[test]
fn a_host_is_had_by_one_namespace_and_the_next_one_is_told_and_gets_it_when_it_is_free() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    let apply = |namespace: &str, name: &str, host: &str| {
        let manifest = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&manifest, ingress(name, host)).expect("a manifest");
        sampan.kubectl(&["apply", "-n", namespace, "-f", manifest.to_str().expect("UTF-8")])
    };
    let seen = |host: &str| Client::new(&sampan.http, Some(host)).get("/env");
    assert!(apply("default", "first", "taken.test").status.success());
    wait_for("the first one has the host", || (seen("taken.test").status == 200).then_some(()));
    sampan.kubectl_ok(&["create", "namespace", "evil"]);
    let applied = apply("evil", "a-thief", "taken.test");
    assert!(applied.status.success(), "{applied:?}");
    assert!(String::from_utf8_lossy(&applied.stderr).contains("Ingress default/first"), "{applied:?}");
    let reason = |name: &str| {
        let path = "jsonpath={.status.conditions[0].reason} {.status.loadBalancer.ingress[0].ip}";
        sampan.kubectl_ok(&["get", "ingress", "-n", "evil", name, "-o", path])
    };
    wait_for("its status says so, without an address", || (reason("a-thief").trim() == "HostTaken").then_some(()));
    let described = sampan.kubectl_ok(&["describe", "ingress", "-n", "evil", "a-thief"]);
    assert!(described.contains("HostTaken") && described.contains("default/first"), "{described}");
    // Names of Services of others are nobody's.
    apply("evil", "names", "probe.default.localhost");
    wait_for("so does that of names", || (reason("names").trim() == "HostReserved").then_some(()));
    for host in ["taken.test", "probe.default.localhost"] {
        assert_eq!(seen(host).status, 200, "{host} leads where it did");
    }
    // Who sends back what he got is not told that it is wrong.
    let got = sampan.kubectl_ok(&["get", "ingress", "-n", "evil", "a-thief", "-o", "yaml"]);
    let manifest = folder.path().join("got.yaml");
    std::fs::write(&manifest, got).expect("a manifest");
    sampan.kubectl_ok(&["replace", "-f", manifest.to_str().expect("UTF-8")]);

    sampan.kubectl_ok(&["delete", "ingress", "first"]);
    wait_for("the host is the second one's", || reason("a-thief").trim().starts_with("127.0.0.1").then_some(()));
    // There is no such Service in that namespace.
    wait_for("and leads there", || (seen("taken.test").status == 503).then_some(()));
}
