//! Who may call whom: NetworkPolicies, for calls between Services and for requests from outside.

use crate::{
    client::Client,
    sampan::{Sampan, free_address, guest, wait_for},
};

/// A Deployment of the probe with its Service, which may call what it is granted.
fn app(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata:
      labels: {{app: {name}{labels}}}
      annotations: {{sampan.dev/key-value: default, sampan.dev/outbound: 'db, db.shop, 127.0.0.1'}}
    spec:
      containers:
      - name: main
        image: probe:test
        ports: [{{name: web, containerPort: 8080}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{port: 80, targetPort: web}}]
---
"
    )
}

struct Shop<'a> {
    sampan: &'a Sampan,
}

impl Shop<'_> {
    fn apply(&self, namespace: &str, text: &str) {
        let manifest = self.sampan.data_dir.join("applied.yaml");
        std::fs::write(&manifest, text).expect("a manifest");
        self.sampan.kubectl_ok(&["apply", "-n", namespace, "-f", manifest.to_str().expect("UTF-8")]);
    }

    fn policy(&self, namespace: &str, name: &str, spec: &str) {
        let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n";
        self.apply(namespace, &format!("{head}metadata: {{name: {name}}}\nspec: {spec}\n"));
    }

    fn outside_gets(&self, service: &str) -> u16 {
        Client::new(&self.sampan.http, Some(&format!("{service}.localhost"))).get("/env").status
    }

    /// What `caller` gets of `url`.
    fn calls(&self, caller: &str, url: &str) -> (u16, String) {
        let answer =
            Client::new(&self.sampan.http, Some(&format!("{caller}.localhost"))).get(&format!("/fetch?url={url}"));
        (answer.status, answer.body)
    }

    /// Waits until a call is allowed, or denied.
    fn wait(&self, what: &str, caller: &str, allowed: bool) {
        wait_for(what, || {
            let (status, body) = self.calls(caller, "http://db.shop/env");
            let denied = status == 502 && body.contains("Denied");
            (if allowed { status == 200 } else { denied }).then_some(())
        });
    }
}

fn policies_hold(sampan: &Sampan) {
    let component = guest("probe");
    sampan.cli_ok(&["build", component.to_str().expect("UTF-8"), "-t", "probe:test"]);
    let shop = Shop { sampan };
    for namespace in ["shop", "ops"] {
        sampan.kubectl_ok(&["create", "namespace", namespace]);
    }
    shop.apply("shop", &[app("db", ""), app("web", ", tier: front"), app("other", "")].concat());
    shop.apply("ops", &app("web", ""));
    for (namespace, name) in [("shop", "db"), ("shop", "web"), ("shop", "other"), ("ops", "web")] {
        sampan.cli_ok(&["rollout", "status", "-n", namespace, &format!("deployment/{name}")]);
    }
    for caller in ["web.shop", "other.shop", "web.ops"] {
        shop.wait("everybody may call while there is no policy", caller, true);
    }

    shop.policy("shop", "deny", "{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}");
    for caller in ["web.shop", "other.shop", "web.ops"] {
        shop.wait("a policy without rules keeps everybody off", caller, false);
    }
    wait_for("so are those outside", || (shop.outside_gets("db.shop") == 403).then_some(()));
    assert_eq!(shop.outside_gets("web.shop"), 200, "who is not selected is not isolated");
    wait_for("the log of the caller names the policy", || {
        let log = sampan.cli_ok(&["logs", "-n", "shop", "deployment/other"]);
        let port = "NetworkPolicy shop/deny (ingress of the callee at pod port 8080) does not allow calls to port 80 of service shop/db";
        log.contains(port).then_some(())
    });

    shop.policy(
        "shop",
        "allow",
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {tier: front}}}], ports: [{port: web}]}]}",
    );
    shop.wait("policies add up", "web.shop", true);
    shop.wait("others are kept off", "other.shop", false);
    shop.wait("a pod selector is of the policy's namespace", "web.ops", false);

    sampan.kubectl_ok(&["label", "namespace", "ops", "team=ops"]);
    let from = |port: &str| {
        format!(
            "{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{team: ops}}}}, \
             podSelector: {{matchExpressions: [{{key: app, operator: In, values: [web]}}]}}}}], ports: [{{port: {port}}}]}}]}}"
        )
    };
    shop.policy("shop", "allow", &from("8080"));
    shop.wait("both selectors together, at the port of the pod", "web.ops", true);
    shop.wait("that rule is gone", "web.shop", false);
    shop.policy("shop", "allow", &from("80"));
    shop.wait("the Service's port is not the pod's", "web.ops", false);

    shop.policy(
        "shop",
        "allow",
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: \
         {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {app.kubernetes.io/name: sampan-gateway}}}]}]}",
    );
    wait_for("the gateway may be named", || (shop.outside_gets("db.shop") == 200).then_some(()));
    shop.wait("which names no other", "web.ops", false);
    let described = sampan.kubectl_ok(&["describe", "networkpolicy", "-n", "shop", "allow"]);
    assert!(described.contains("NamespaceSelector: kubernetes.io/metadata.name=kube-system"), "{described}");
    assert!(sampan.kubectl_ok(&["get", "netpol", "-n", "shop"]).contains("POD-SELECTOR"));

    sampan.kubectl_ok(&["delete", "netpol", "-n", "shop", "--all"]);
    for caller in ["web.shop", "web.ops"] {
        shop.wait("without policies everybody may again", caller, true);
    }
    // The other direction.
    shop.policy("ops", "out", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}");
    shop.wait("egress is denied", "web.ops", false);
    shop.wait("of those who are selected", "web.shop", true);
    let (status, body) = shop.calls("web.ops", "http://127.0.0.1:1/");
    assert!(status == 502 && body.contains("Denied"), "so are granted hosts outside: {status} {body}");
    let log = sampan.cli_ok(&["logs", "-n", "ops", "deployment/web"]);
    assert!(
        log.contains("NetworkPolicy ops/out (egress of the caller) does not allow requests to hosts outside"),
        "{log}"
    );
    assert_eq!(shop.outside_gets("web.ops"), 200, "egress says nothing of ingress");
    shop.policy("ops", "out", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}");
    shop.wait("egress is allowed", "web.ops", true);
}

#[test]
fn calls_go_where_policies_allow_them_and_nowhere_else_in_one_process_and_in_several() {
    let folder = tempfile::tempdir().expect("a folder");
    policies_hold(&Sampan::up(folder.path()));
    let folder = tempfile::tempdir().expect("a folder");
    let offered = free_address();
    let sampan = Sampan::server_with(folder.path(), 1, &["--metrics", &offered]);
    policies_hold(&sampan);
    let metrics = Client::new(&offered, None);
    wait_for("the server counts what was denied in the process of the worker", || {
        let counted = metrics.get("/metrics").body;
        let has = |labels: &str| {
            let name = format!("sampan_policy_denied_calls_total{{{labels}}} ");
            counted.lines().any(|line| line.strip_prefix(&name).is_some_and(|count| count != "0"))
        };
        (has("to=\"service\",name=\"shop/db\"") && has("to=\"outside\",name=\"ops\"")).then_some(())
    });
}

#[test]
fn what_of_a_policy_cannot_be_honoured_is_refused_by_its_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    let manifest = folder.path().join("policy.yaml");
    for (spec, field) in [
        ("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}", "spec.ingress[0].from[0].ipBlock"),
        ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}", "spec.egress[0].to[0].ipBlock"),
        ("{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 79}]}]}", "spec.ingress[0].ports[0].endPort"),
        ("{podSelector: {}, policyTypes: [Sideways]}", "spec.policyTypes[0]"),
    ] {
        let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n";
        std::fs::write(&manifest, format!("{head}spec: {spec}\n")).expect("a manifest");
        let refused = sampan.kubectl(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(field), "{spec}: {said}");
    }
    let udp = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}";
    std::fs::write(
        &manifest,
        format!("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec: {udp}\n"),
    )
    .expect("a manifest");
    let warned = sampan.kubectl(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&warned.stderr);
    assert!(warned.status.success() && said.contains("spec.egress[0].ports[0].protocol"), "{said}");
}
