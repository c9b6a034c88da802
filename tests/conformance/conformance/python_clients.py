"""Typical operations of the Python clients `kubernetes` and `lightkube`: the scripts in `clients/`."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from figures.servers import GUESTS, Sampan

from .built import HERE
from .expected import Cases

PYTHON = Path("target/tools/python-clients/bin/python").absolute()
CLIENTS = {"Python kubernetes": "kubernetes_client.py", "Python lightkube": "lightkube_client.py"}
WHOLE_S = 300


def run() -> Iterator[tuple[str, Cases]]:
    for name, script in CLIENTS.items():
        with Sampan() as sampan:
            sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:conformance")
            done = subprocess.run(
                [str(PYTHON), str(HERE / "clients" / script)], capture_output=True, text=True, timeout=WHOLE_S, check=False,
                env={**os.environ, "KUBECONFIG": str(Path(sampan.data_dir, "kubeconfig"))},
            )
            if done.returncode:
                raise RuntimeError(f"{script} failed: {done.stderr[-2000:]}")
            yield name, json.loads(done.stdout.splitlines()[-1])
