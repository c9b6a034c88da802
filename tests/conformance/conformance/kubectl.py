"""Typical operations of kubectl, by the oldest and the newest that are easily had and the one that the tests use."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from figures.servers import GUESTS, Sampan

from .expected import Cases
from .operations import Operation, operation, try_all

TOOLS = Path("target/tools").absolute()
VERSIONS = {"1.29": "kubectl-1.29", "1.33": "kubectl", "1.37": "kubectl-1.37"}

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: hello:conformance
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, labels: {app: web}}
spec:
  rules:
  - host: web.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: blue}\n"
MANAGED = SETTINGS.replace("settings", "managed")


def run() -> Iterator[tuple[str, Cases]]:
    for version, program in VERSIONS.items():
        with Sampan() as sampan, tempfile.TemporaryDirectory(prefix="kubectl-") as folder:
            sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:conformance")
            Path(folder, "web.yaml").write_text(WEB, encoding="utf-8")
            Path(folder, "settings.yaml").write_text(SETTINGS, encoding="utf-8")
            Path(folder, "kustomization.yaml").write_text("resources: [settings.yaml]\nnamePrefix: my-\n", encoding="utf-8")
            kubeconfig = str(Path(sampan.data_dir, "kubeconfig"))
            yield f"kubectl {version}", try_all(
                str(TOOLS / program), list(_operations()), folder, KUBECONFIG=kubeconfig, HOME=folder, KUBE_EDITOR="sed -i s/blue/red/",
            )


def _operations() -> Iterator[Operation]:
    yield operation("version", "version", "Server Version")
    yield operation("cluster-info", "cluster-info", "running at")
    yield operation("api-resources", "api-resources", "deployments")
    yield operation("api-versions", "api-versions", "^apps/v1$")
    yield operation("get --raw /readyz", "get --raw /readyz", "ok")
    yield operation("explain", "explain deployment.spec.replicas", "replicas")
    yield operation("get namespaces", "get namespaces", "default")
    yield operation("create namespace", "create namespace team")
    yield operation("apply --dry-run=server", "apply --dry-run=server -f web.yaml", "deployment.apps/web created")
    yield operation("apply", "apply -f web.yaml", "ingress.networking.k8s.io/web created")
    yield operation("rollout status", "rollout status deployment/web --timeout=60s", "successfully rolled out")
    yield operation("apply again", "apply -f web.yaml", "deployment.apps/web unchanged")
    yield operation("diff of nothing", "diff -f web.yaml")
    yield operation("wait --for=condition", "wait --for=condition=Available deployment/web --timeout=60s", "condition met")
    yield operation("wait --for=jsonpath", "wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=60s", "condition met")
    yield operation("get all", "get all", "replicaset.apps/web-")
    yield operation("get -o wide", "get deployments -o wide", "hello:conformance")
    yield operation("get -o yaml", "get deployment web -o yaml", "kind: Deployment")
    yield operation("get -o jsonpath", "get deployment web -o jsonpath={.status.readyReplicas}", "^2$")
    yield operation("get -o custom-columns", "get pods -o custom-columns=NAME:.metadata.name", "^web-")
    yield operation("get -l", "get pods -l app=web", "Running")
    yield operation("get --field-selector", "get pods --field-selector=status.phase=Running", "Running")
    yield operation("get --sort-by", "get pods --sort-by=.metadata.creationTimestamp", "Running")
    yield operation("get --watch", "get deployment web --watch --request-timeout=2s", "2/2")
    yield operation("get -A", "get pods -A", "default")
    yield operation("describe deployment", "describe deployment web", "Replicas:")
    yield operation("describe pods", "describe pods", "Containers:")
    yield operation("describe service", "describe service web", "Selector:")
    yield operation("describe ingress", "describe ingress web", "web.example")
    yield operation("describe node", "describe nodes", "Capacity:")
    yield operation("logs", "logs deployment/web")
    yield operation("events", "events", "ScalingReplicaSet|Scheduled")
    yield operation("get events", "get events", "ScalingReplicaSet|Scheduled")
    yield operation("scale", "scale deployment/web --replicas=3", "scaled")
    yield operation("autoscale", "autoscale deployment web --min=1 --max=4 --cpu-percent=80", "autoscaled")
    yield operation("delete autoscaler", "delete hpa web", "deleted")
    yield operation("set env", "set env deployment/web COLOUR=blue", "updated")
    yield operation("set env --list", "set env deployment/web --list", "COLOUR=blue")
    yield operation("set image", "set image deployment/web web=hello:conformance")
    yield operation("set resources", "set resources deployment/web --limits=memory=64Mi", "updated")
    yield operation("rollout restart", "rollout restart deployment/web", "restarted")
    yield operation("rollout pause", "rollout pause deployment/web", "paused")
    yield operation("rollout resume", "rollout resume deployment/web", "resumed")
    yield operation("rollout status of a restart", "rollout status deployment/web --timeout=60s", "successfully rolled out")
    yield operation("rollout history", "rollout history deployment/web", "REVISION")
    yield operation("rollout undo", "rollout undo deployment/web", "rolled back")
    yield operation("label", "label deployment web tier=front", "labeled")
    yield operation("annotate", "annotate deployment web note=yes", "annotated")
    yield Operation("patch, strategic", ["patch", "deployment", "web", "-p", '{"spec":{"replicas":1}}'], "patched")
    yield Operation("patch, merge", ["patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":2}}'], "patched")
    yield Operation(
        "patch, JSON",
        ["patch", "deployment", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":1}]'], "patched",
    )
    yield Operation(
        "patch --subresource=scale", ["patch", "deployment", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":2}}'],
        "patched",
    )
    yield operation("apply a file of settings", "apply -f settings.yaml", "created")
    yield operation("edit", "edit configmap settings", "edited")
    yield operation("replace", "replace -f settings.yaml", "replaced")
    yield operation("replace --force", "replace --force -f settings.yaml", "replaced")
    yield operation("apply -k", "apply -k .", "my-settings created")
    yield operation("apply --server-side", "apply --server-side -f -", "serverside-applied", MANAGED)
    yield operation("get --show-managed-fields", "get configmap managed -o yaml --show-managed-fields", "managedFields")
    yield operation(
        "apply --server-side, conflict", "apply --server-side --field-manager=other --force-conflicts -f -", "serverside-applied",
        MANAGED.replace("blue", "green"),
    )
    yield operation("apply view-last-applied", "apply view-last-applied deployment/web", "kind: Deployment")
    yield operation("create configmap", "create configmap one --from-literal=a=b", "created")
    yield operation("create secret", "create secret generic one --from-literal=a=b", "created")
    yield operation("create secret docker-registry", "create secret docker-registry pull --docker-server=r.example --docker-username=u --docker-password=p", "created")
    yield operation("create deployment", "create deployment second --image=hello:conformance", "created")
    yield operation("expose", "expose deployment second --port=80", "exposed")
    yield operation("create ingress", "create ingress second --rule=second.example/*=second:80", "created")
    yield operation("create service clusterip", "create service clusterip third --tcp=80", "created")
    yield operation("create serviceaccount", "create serviceaccount builder", "created")
    yield operation("create token", "create token builder --duration=20m", "^ey")
    yield operation("create role", "create role reader --verb=get --resource=pods", "created")
    yield operation("create rolebinding", "create rolebinding reader --role=reader --user=someone", "created")
    yield operation("create poddisruptionbudget", "create poddisruptionbudget web --selector=app=web --min-available=1", "created")
    yield operation("create quota", "create quota small --hard=pods=10", "created")
    yield operation("create priorityclass", "create priorityclass high --value=1000", "created")
    yield operation("auth can-i", "auth can-i create deployments", "yes")
    yield operation("auth whoami", "auth whoami", "Username")
    yield operation("top pods", "top pods", "CPU")
    yield operation("top nodes", "top nodes", "CPU")
    yield operation("exec", "exec deployment/web -- true")
    yield operation("run", "run once --image=hello:conformance", "created")
    yield operation("delete pod", "delete pod -l app=second --wait=false", "deleted")
    yield operation("delete --cascade=foreground", "delete deployment second --cascade=foreground --timeout=30s", "deleted")
    yield operation("delete -f", "delete -f web.yaml --timeout=60s", "deleted")
    yield operation("wait --for=delete", "wait --for=delete pod -l app=web --timeout=60s")
    yield operation("delete namespace", "delete namespace team --timeout=60s", "deleted")
    yield operation("config view", "config view", "server: https")
