"""From `kill -9` of one of four workers to as many ready replicas as before."""

import os
import signal
import time
from pathlib import Path

from .load import percentiles
from .servers import GUESTS, Sampan

KILLS = 50
REPLICAS = 8


def measure() -> None:
    with Sampan("server", "--workers", "4") as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        sampan.deploy("hello", "hello:bench", replicas=REPLICAS)
        back, asked = [], []
        for _ in range(KILLS):
            before = settled(sampan)
            node = sorted(before.values())[0]
            asked.append(_timed_ms(lambda: nodes_of_ready(sampan)))
            os.kill(process_of(sampan, node), signal.SIGKILL)
            began = time.perf_counter()
            lost = {name for name, on in before.items() if on == node}
            while len(nodes_of_ready(sampan).keys() - lost) < REPLICAS:
                pass
            back.append((time.perf_counter() - began) * 1000)
    print(f"from kill -9 to full capacity:          {percentiles(back)} (goal p99 100)")
    print(f"of that, asking once takes:             {percentiles(asked)}")


def nodes_of_ready(sampan: Sampan) -> dict[str, str]:
    """The node of each pod that is ready."""
    return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in sampan.ready_pods()}


def settled(sampan: Sampan) -> dict[str, str]:
    """Waits until all replicas are ready and all workers are there."""
    while True:
        nodes = nodes_of_ready(sampan)
        if len(nodes) == REPLICAS and sampan.ready_nodes() == 4:
            return nodes
        time.sleep(0.02)


def process_of(sampan: Sampan, node: str) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"broker:" in line and node.encode() in line and sampan.data_dir.encode() in line:
                return int(entry.name)
    raise RuntimeError(f"no process of {node}")


def _timed_ms(action) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000
