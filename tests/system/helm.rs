//! A chart as `helm create` makes it, with the real Helm 3 and 4.

use std::{
    path::Path,
    process::{Command, Output},
};

use crate::{
    client::Client,
    sampan::{Sampan, guest, root, succeed, wait_for},
};

const CHART_HOST: &str = "chart-example.local";
/// How long Helm waits for what it installs.
const WAIT: [&str; 3] = ["--wait", "--timeout", "200s"];

/// One version of Helm, with a chart that it made.
struct Helm<'a> {
    sampan: &'a Sampan,
    version: u8,
    folder: &'a Path,
}

impl<'a> Helm<'a> {
    fn with_a_new_chart(sampan: &'a Sampan, version: u8, folder: &'a Path) -> Self {
        let helm = Self { sampan, version, folder };
        helm.ok(&["create", "demo"]);
        sampan.cli_ok(&["build", guest("hello").to_str().expect("UTF-8"), "-t", "hello:dev"]);
        helm
    }

    fn run(&self, args: &[&str]) -> Output {
        let program = root().join(format!("target/tools/helm-{}", self.version));
        assert!(program.exists(), "{} is missing: run `scripts/setup test`", program.display());
        let mut command = Command::new(program);
        for (variable, folder) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, self.folder.join(folder));
        }
        command.env("KUBECONFIG", self.sampan.kubeconfig()).current_dir(self.folder).args(args);
        command.output().expect("helm starts")
    }

    fn ok(&self, args: &[&str]) -> String {
        succeed(&format!("helm{} {}", self.version, args.join(" ")), self.run(args))
    }

    /// What every installation and upgrade here says: our image, and an Ingress.
    fn values() -> [&'static str; 8] {
        let set = "--set";
        [
            set,
            "image.repository=hello",
            set,
            "image.tag=dev",
            set,
            "ingress.enabled=true",
            set,
            "ingress.className=nginx",
        ]
    }

    fn roll_back(&self) -> &'static str {
        if self.version == 3 { "--atomic" } else { "--rollback-on-failure" }
    }
}

fn goes_through_the_life_of_a_release(sampan: &Sampan, version: u8) {
    let folder = tempfile::tempdir().expect("a folder");
    let helm = Helm::with_a_new_chart(sampan, version, folder.path());
    let values = Helm::values();

    helm.ok(&[&["install", "demo", "./demo"][..], &values, &WAIT].concat());
    let services = sampan.kubectl_ok(&["get", "services,serviceaccounts,ingresses"]);
    assert_eq!(services.matches("/demo ").count(), 3, "{services}");
    for host in ["demo.default.localhost", CHART_HOST] {
        assert_eq!(Client::new(&sampan.http, Some(host)).get("/").status, 200, "{host}");
    }
    assert!(helm.ok(&["list"]).contains("deployed"));

    // The chart's own test is a Pod that asks the Service with `wget`.
    let tested = helm.ok(&["test", "demo"]);
    assert!(tested.contains("Phase:          Succeeded"), "{tested}");
    assert!(sampan.kubectl_ok(&["logs", "demo-test-connection"]).contains("the answer is 200"));

    let host = sampan.http.rsplit_once(':').expect("a port").0;
    wait_for("the Ingress shows the gateway's address", || {
        let path = "jsonpath={.status.loadBalancer.ingress[0].ip}";
        (sampan.kubectl_ok(&["get", "ingress", "demo", "-o", path]) == host).then_some(())
    });

    // Commented-out values that people fill in: what changes nothing for a guest is taken.
    let more = "replicaCount=2,service.type=NodePort,volumes[0].name=tmp,volumes[0].emptyDir.medium=Memory,\
        volumeMounts[0].name=tmp,volumeMounts[0].mountPath=/tmp,podSecurityContext.fsGroup=2000,\
        securityContext.runAsUser=1000,ingress.tls[0].secretName=demo-tls,ingress.tls[0].hosts[0]=chart-example.local";
    helm.ok(&[&["upgrade", "demo", "./demo", "--set", more][..], &values, &WAIT].concat());
    let ready = sampan.kubectl_ok(&["get", "deployment", "demo"]);
    assert!(ready.contains("2/2"), "{ready}");

    let broken = ["upgrade", "demo", "./demo", helm.roll_back(), "--timeout", "5s", "--set", "image.tag=none"];
    let failed = helm.run(&[&broken[..], &values[..2]].concat());
    assert!(!failed.status.success(), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("rolled back"), "{failed:?}");
    let history = helm.ok(&["history", "demo"]);
    assert!(history.lines().last().is_some_and(|line| line.contains("Rollback to 2")), "{history}");
    assert_eq!(Client::new(&sampan.http, Some("demo.default.localhost")).get("/").status, 200);

    sampan.kubectl_ok(&["delete", "pod", "demo-test-connection"]);
    helm.ok(&["uninstall", "demo", "--cascade", "foreground", "--wait", "--timeout", "200s"]);
    assert!(!helm.ok(&["list", "--all-namespaces"]).contains("demo"));
    wait_for("nothing of the release is left", || {
        let kinds = "deployments,replicasets,pods,services,serviceaccounts,ingresses,secrets";
        // The account that each namespace has is not the release's.
        (sampan.kubectl_ok(&["get", kinds, "-o", "name"]) == "serviceaccount/default\n").then_some(())
    });
    helm.ok(&[&["install", "demo", "./demo"][..], &values, &WAIT].concat());
}

#[test]
fn a_chart_of_helm_3_installs_is_tested_upgrades_rolls_back_and_is_uninstalled_in_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    goes_through_the_life_of_a_release(&Sampan::up(folder.path()), 3);
}

#[test]
fn a_chart_of_helm_4_installs_is_tested_upgrades_rolls_back_and_is_uninstalled_with_workers_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    goes_through_the_life_of_a_release(&Sampan::server(folder.path(), 2), 4);
}

#[test]
fn the_chart_of_the_samples_is_installed_by_both_helms_and_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    sampan.cli_ok(&["build", guest("hello").to_str().expect("UTF-8"), "-t", "hello:dev"]);
    let chart = root().join("samples/kubernetes/chart");
    let chart = chart.to_str().expect("UTF-8");
    for version in [3, 4] {
        let folder = tempfile::tempdir().expect("a folder");
        let helm = Helm { sampan: &sampan, version, folder: folder.path() };
        let (release, host) = (format!("demo{version}"), format!("greeter{version}.local"));
        let set = format!("ingress.host={host}");
        helm.ok(&[&["install", &release, chart, "--set", &set][..], &WAIT].concat());
        let client = Client::new(&sampan.http, Some(&host));
        wait_for("it answers", || (client.get("/").status == 200).then_some(()));
        helm.ok(&["uninstall", &release, "--wait"]);
    }
}
