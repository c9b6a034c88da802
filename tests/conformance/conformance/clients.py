"""Typical operations of client libraries: the Python clients `kubernetes` and `lightkube` (the scripts in `clients/`), and Kubernetes' own in Go, in
protobuf alone (the program in `go/client`)."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from figures.servers import GUESTS, Sampan

from .built import HERE, go_program
from .expected import Cases

PYTHON = Path("target/tools/python-clients/bin/python").absolute()
CLIENTS = {"Python kubernetes": "kubernetes_client.py", "Python lightkube": "lightkube_client.py"}
WHOLE_S = 300


def run_python() -> Iterator[tuple[str, Cases]]:
    for name, script in CLIENTS.items():
        yield name, _tried(str(PYTHON), str(HERE / "clients" / script))


def run_go() -> Iterator[tuple[str, Cases]]:
    yield "Go client", _tried(str(go_program("client", ".")))


def _tried(*command: str) -> Cases:
    """What a client, which prints it as JSON, makes of a new server."""
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:conformance")
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=WHOLE_S, check=False,
            env={**os.environ, "KUBECONFIG": str(Path(sampan.data_dir, "kubeconfig"))},
        )
        if done.returncode:
            raise RuntimeError(f"{command[-1]} failed: {done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])
