"""From a saved source to its answer in `sampan dev`, in Rust, JavaScript and Python: medians and minima, and what of it is Sampan's."""

import contextlib
import http.client
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .components import BUILT, SOURCES, hello
from .cpu import cpu_seconds
from .servers import free_port, stop

EDITS = int(os.environ.get("EDITS", "9"))
PATIENCE_S = 600
ASKED_EVERY_S = 0.004

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: hello}
spec:
  replicas: 1
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec: {containers: [{name: hello, image: "hello:dev"}]}
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {selector: {app: hello}, ports: [{port: 80}]}
"""
BY_COMMAND = """[app]
name = "hello"
manifests = ["deploy.yaml"]
[component.hello]
image = "hello:dev"
path = "."
command = "%s"
artifact = "hello.wasm"
watch = ["%s", "wit"]
"""


@dataclass
class Edit:
    """Seconds of one edit, but for the CPU time of Sampan itself with what it started."""

    served: float
    build: float
    cpu: float


def measure() -> None:
    for language, project in PROJECTS.items():
        if language not in os.environ.get("LANGUAGES", language):
            continue
        with tempfile.TemporaryDirectory(prefix="sampan-edit-") as folder:
            source = project(Path(folder))
            if source is None:
                print(f"{language}: left out, since it cannot be built here")
                continue
            edits = _edits(Path(folder), source)
        print(f"{language}, from saved to served:  {_summary([edit.served for edit in edits])}")
        print(f"{language}, of which the build:    {_summary([edit.build for edit in edits])}")
        print(f"{language}, of which Sampan's own: {_summary([edit.served - edit.build for edit in edits])}")
        print(f"{language}, CPU time of it all:    {_summary([edit.cpu for edit in edits])}", flush=True)


def _summary(seconds: list[float]) -> str:
    return f"median {statistics.median(seconds):6.2f} s, least {min(seconds):6.2f} s"


def _rust(folder: Path) -> Path:
    shutil.copytree("samples/hello", folder, dirs_exist_ok=True)
    return folder / "src" / "lib.rs"


def _javascript(folder: Path) -> Path | None:
    command = "npx jco componentize --bundle -w wit -n hello app.js -o hello.wasm"
    return _by_command(folder, "javascript", "app.js", command, "node_modules")


def _python(folder: Path) -> Path | None:
    command = "venv/bin/componentize-py -d wit -w hello componentize app -o hello.wasm"
    return _by_command(folder, "python", "app.py", command, "venv")


def _by_command(folder: Path, language: str, source: str, command: str, tools: str) -> Path | None:
    if hello(language, source) is None:
        return None
    made = (BUILT / language).absolute()
    shutil.copytree(made / "apps" / "app" / "wit", folder / "wit")
    shutil.copy(SOURCES / source, folder)
    (folder / tools).symlink_to(made / tools)
    (folder / "deploy.yaml").write_text(DEPLOYMENT, encoding="utf-8")
    (folder / "sampan.toml").write_text(BY_COMMAND % (command, source), encoding="utf-8")
    return folder / source


PROJECTS = {"Rust": _rust, "JavaScript": _javascript, "Python": _python}


def _edits(folder: Path, source: Path) -> list[Edit]:
    port, text = free_port(), source.read_text(encoding="utf-8")
    with _dev(folder, port) as (process, log):
        _wait(port, "Hello from", process, log)
        _quiet(process)
        edits = []
        for number in range(EDITS):
            cpu, lines = cpu_seconds(process.pid), len(log.read_text(encoding="utf-8"))
            began = time.perf_counter()
            _save(source, text.replace("Hello from", f"Hello {number} from"))
            _wait(port, f"Hello {number} from", process, log)
            served = time.perf_counter() - began
            _quiet(process)
            said = log.read_text(encoding="utf-8")[lines:]
            # Before it said what is its own, it said the other to a tenth.
            build = re.search(r"\(build ([\d.]+) s", said) or re.search(r"built .* in ([\d.]+) s", said)
            edits.append(Edit(served, float(build[1]), cpu_seconds(process.pid) - cpu))
        return edits


def _save(source: Path, text: str) -> None:
    """At once, as editors do."""
    new = source.with_name(".edited")
    new.write_text(text, encoding="utf-8")
    new.rename(source)


@contextlib.contextmanager
def _dev(folder: Path, port: int):
    log = folder.parent / f"{folder.name}.log"
    arguments = ["--data-dir", str(folder) + ".data", "--api", f"127.0.0.1:{free_port()}", "--http", f"127.0.0.1:{port}"]
    arguments += ["--build-cache", "target/edit"]
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen([os.environ["SAMPAN"], "dev", str(folder), *arguments], stdout=out, stderr=out)
        try:
            yield process, log
        finally:
            stop(process)
            shutil.rmtree(str(folder) + ".data", ignore_errors=True)
    log.unlink()


def _wait(port: int, said: str, process: subprocess.Popen, log: Path) -> None:
    """Until the service says that."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/", headers={"Host": "hello.default.localhost"})
            if said in connection.getresponse().read().decode():
                return
        time.sleep(ASKED_EVERY_S)
    raise RuntimeError(f"never said {said!r}: {log.read_text(encoding='utf-8')[-2000:]}")


def _quiet(process: subprocess.Popen) -> None:
    """Until it has nothing left to do of the last edit."""
    used = cpu_seconds(process.pid)
    while True:
        time.sleep(0.5)
        now = cpu_seconds(process.pid)
        if now - used < 0.03:
            return
        used = now
