"""Typical operations of Helm 3 and 4 on a chart as `helm create` makes it, with an image that runs here."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from figures.servers import GUESTS, Sampan

from .expected import Cases
from .operations import Operation, operation, try_all

TOOLS = Path("target/tools").absolute()
VERSIONS = {"3": "helm-3", "4": "helm-4"}
# What waits, waits for this long; a release that cannot come up must be given up within it.
TIMEOUT = "--timeout=20s"
IMAGE = "--set image.repository=hello --set image.tag=conformance"


def run() -> Iterator[tuple[str, Cases]]:
    for version, program in VERSIONS.items():
        with Sampan() as sampan, tempfile.TemporaryDirectory(prefix="helm-") as folder:
            sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:conformance")
            atomic = "--atomic" if version == "3" else "--rollback-on-failure"
            plain = Path(folder, "plain", "templates")
            plain.mkdir(parents=True)
            (plain.parent / "Chart.yaml").write_text("apiVersion: v2\nname: plain\nversion: 0.1.0\n", encoding="utf-8")
            (plain / "web.yaml").write_text(PLAIN, encoding="utf-8")
            yield f"Helm {version}", try_all(
                str(TOOLS / program), list(_operations(atomic)), folder,
                KUBECONFIG=str(Path(sampan.data_dir, "kubeconfig")), HOME=folder,
            )


def _operations(atomic: str) -> Iterator[Operation]:
    yield operation("create", "create web")
    yield operation("lint", "lint web", "0 chart\\(s\\) failed")
    yield operation("template", f"template web web {IMAGE}", "kind: Deployment")
    yield operation("install --dry-run=server", f"install web web {IMAGE} --dry-run=server", "pending-install")
    yield operation("install --wait", f"install web web {IMAGE} --wait {TIMEOUT}", "STATUS: deployed")
    yield operation("list", "list", "^web\\s.*deployed")
    yield operation("status", "status web", "STATUS: deployed")
    yield operation("get values", "get values web", "repository: hello")
    yield operation("get manifest", "get manifest web", "kind: Deployment")
    yield operation("upgrade --wait", f"upgrade web web {IMAGE} --set replicaCount=2 --wait {TIMEOUT}", "STATUS: deployed")
    yield operation("history", "history web", "^2\\s")
    yield operation("upgrade that is undone", f"upgrade web web {atomic} {TIMEOUT} --set image.repository=hello --set image.tag=none",
                    "rolled back|rollback", fails=True)
    yield operation("status after it", "status web", "STATUS: deployed")
    yield operation("rollback --wait", f"rollback web 1 --wait {TIMEOUT}", "Rollback was a success")
    yield operation("test", f"test web {TIMEOUT}", "Phase:\\s+Succeeded")
    yield operation("uninstall --wait", f"uninstall web --wait {TIMEOUT}", "uninstalled")
    yield operation("install an upgrade", f"upgrade --install again web {IMAGE} {atomic} {TIMEOUT}", "STATUS: deployed")
    yield operation("uninstall", "uninstall again", "uninstalled")
    yield operation("install a plain chart", "install plain plain", "STATUS: deployed")
    yield operation("install a plain chart with --wait", f"install waited plain --wait {TIMEOUT} --set name=waited", "STATUS: deployed")
    yield operation("upgrade a plain chart", "upgrade plain plain --set replicas=2", "STATUS: deployed")
    yield operation("rollback of a plain chart", "rollback plain 1", "Rollback was a success")
    yield operation("uninstall a plain chart", "uninstall plain", "uninstalled")


PLAIN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Values.name | default "plain" }}}
spec:
  replicas: {{ .Values.replicas | default 1 }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: web, image: hello:conformance}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.name | default "plain" }}}
spec: {selector: {app: {{ .Release.Name }}}, ports: [{port: 80}]}
"""
