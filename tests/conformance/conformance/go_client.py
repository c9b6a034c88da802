"""Typical operations of controllers with Kubernetes' client library, in protobuf alone: the program in `go/client`."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from figures.servers import GUESTS, Sampan

from .built import go_program
from .expected import Cases

WHOLE_S = 300


def run() -> Iterator[tuple[str, Cases]]:
    program = go_program("client", ".")
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:conformance")
        done = subprocess.run(
            [str(program)], capture_output=True, text=True, timeout=WHOLE_S, check=False,
            env={**os.environ, "KUBECONFIG": str(Path(sampan.data_dir, "kubeconfig"))},
        )
        if done.returncode:
            raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
        yield "Go client", json.loads(done.stdout.splitlines()[-1])
