"""From `kill -9` of one of four workers to as many ready replicas as before."""

import os
import signal
import time
from pathlib import Path

from .load import percentiles
from .servers import GUESTS, Sampan

KILLS = 50
REPLICAS = 8
PODS = "/api/v1/namespaces/default/pods"


def measure() -> None:
    with Sampan("server", "--workers", "4") as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        sampan.deploy("hello", "hello:bench", replicas=REPLICAS)
        back, asked = [], []
        for _ in range(KILLS):
            before = settled(sampan)
            node = sorted(before.values())[0]
            asked.append(_timed_ms(lambda: ready_pods(sampan)))
            os.kill(process_of(sampan, node), signal.SIGKILL)
            began = time.perf_counter()
            lost = {name for name, on in before.items() if on == node}
            while len(ready_pods(sampan).keys() - lost) < REPLICAS:
                pass
            back.append((time.perf_counter() - began) * 1000)
    print(f"from kill -9 to full capacity:          {percentiles(back)} (goal p99 100)")
    print(f"of that, asking once takes:             {percentiles(asked)}")


def ready_pods(sampan: Sampan) -> dict[str, str]:
    """The node of each pod that is ready."""
    ready = {}
    for pod in sampan.api("GET", PODS)["items"]:
        states = pod["status"].get("containerStatuses", [])
        if states and all(state["ready"] for state in states):
            ready[pod["metadata"]["name"]] = pod["spec"]["nodeName"]
    return ready


def settled(sampan: Sampan) -> dict[str, str]:
    """Waits until all replicas are ready and all workers are there."""
    while True:
        ready, nodes = ready_pods(sampan), sampan.api("GET", "/api/v1/nodes")["items"]
        up = [node for node in nodes if node["status"]["conditions"][0]["status"] == "True"]
        if len(ready) == REPLICAS and len(up) == 4:
            return ready
        time.sleep(0.02)


def process_of(sampan: Sampan, node: str) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--supervised" in line and node.encode() in line and sampan.data_dir.encode() in line:
                return int(entry.name)
    raise RuntimeError(f"no process of {node}")


def _timed_ms(action) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000
