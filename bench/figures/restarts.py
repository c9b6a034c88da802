"""`kill -9` of the control plane under load, with the gateway and the workers in processes of their own."""

import contextlib
import subprocess
import tempfile
import threading
import time

from .kills import REPLICAS
from .load import percentiles
from .servers import GUESTS, PATIENCE_S, Sampan, free_port, stop, wait_for_port
from .wake import ask

ROUNDS = 5
WORKERS = 2
PER_SECOND = 200
LOAD_S = 10
GONE_S = 4


def measure() -> None:
    with Sampan("server", "--no-gateway", gateway=False) as sampan, _joined(sampan) as sampan.http_port:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        sampan.deploy("hello", "hello:bench", replicas=REPLICAS)
        sampan.wait_until_served("hello")
        while len(_ready(sampan)) < REPLICAS:
            time.sleep(0.02)
        rounds = [_round(sampan) for _ in range(ROUNDS)]
    converged, started = zip(*rounds)
    print(f"from the last worker's return to all known:  {percentiles(converged)} (goal 1000)")
    print(f"from the start of the process to all known:  {percentiles(started)}")
    print(f"failed: 0 of {ROUNDS * PER_SECOND * LOAD_S} requests; no replica was restarted")


@contextlib.contextmanager
def _joined(sampan: Sampan):
    """Workers and a gateway in processes of their own; yields the gateway's port."""
    port, join = free_port(), f"unix:{sampan.data_dir}/run/control.sock"
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, contextlib.ExitStack() as running:
        commands = [("worker", "--name", f"w{number}") for number in range(WORKERS)]
        commands.append(("gateway", "--name", "g", "--http", f"127.0.0.1:{port}"))
        for command in commands:
            process = subprocess.Popen(
                [sampan.program, *command, "--join", join, "--data-dir", f"{folder}/{command[2]}"],
                stdout=sampan.log, stderr=sampan.log,
            )
            running.callback(stop, process)
        wait_for_port(port)
        yield port


def _round(sampan: Sampan) -> tuple[float, float]:
    before, answers = _ready(sampan), {}
    load = threading.Thread(target=lambda: answers.update(
        ask(sampan, sampan.host("hello"), PER_SECOND * LOAD_S, 16, PER_SECOND)
    ))
    load.start()
    time.sleep(1)
    sampan.process.kill()
    sampan.process.wait()
    time.sleep(GONE_S)
    began = time.perf_counter()
    sampan.start()
    back = None
    while True:
        if back is None and sampan.ready_nodes() == WORKERS:
            back = time.perf_counter()
        known = _ready(sampan)
        if back is not None and len(known) == REPLICAS:
            break
        if time.perf_counter() - began > PATIENCE_S:
            raise RuntimeError(f"after a restart {len(known)} of {REPLICAS} replicas are known")
    now = time.perf_counter()
    load.join()
    if not answers:
        raise RuntimeError("requests failed while the control plane was gone")
    if known != before:
        raise RuntimeError(f"replicas were restarted: {before} became {known}")
    return (now - back) * 1000, (now - began) * 1000


def _ready(sampan: Sampan) -> dict[str, int]:
    """The restarts of each pod that is ready."""
    return {
        pod["metadata"]["name"]: sum(state["restartCount"] for state in pod["status"]["containerStatuses"])
        for pod in sampan.ready_pods()
    }
