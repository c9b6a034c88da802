"""What it takes to start what runs nothing: the first request of a service at zero, beside one of a service that runs."""

import contextlib
import json
import os
import statistics
import subprocess
import time

from .cpu import cpu_seconds
from .servers import GUESTS, Sampan, example

SERVICES = 1000
IDLE = "500ms"
PER_SECOND = 200
ROUNDS = 9


def measure() -> None:
    print(f"{SERVICES} services, open loop of {PER_SECOND}/s, medians of {ROUNDS} rounds")
    for title, command in [("one process", ("up",)), ("worker process", ("server", "--workers", "1"))]:
        with Sampan(*command) as sampan:
            deploy(sampan, SERVICES)
            sampan.deploy("warm", "hello:bench")
            sampan.wait_until_served("warm")
            _first_requests(title, sampan)


def deploy(sampan: Sampan, services: int) -> None:
    sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
    for number in range(services):
        sampan.deploy(f"s{number}", "hello:bench", replicas=0, scale="0..10", idle=IDLE)
    wait_until_asleep(sampan, services)


def _first_requests(title: str, sampan: Sampan) -> None:
    cold, warm, rates, warm_rates = [], [], [], []
    cpu: dict[str, list[float]] = {"warm": [], "from zero": []}
    for _ in range(ROUNDS):
        warm.append(ask(sampan, "warm.default.localhost", SERVICES, 8, PER_SECOND))
        cold.append(ask(sampan, "s{}.default.localhost", SERVICES, 8, PER_SECOND))
        wait_until_asleep(sampan, SERVICES)
        for hosts, count, into, name in [
            ("warm.default.localhost", SERVICES * 10, warm_rates, "warm"), ("s{}.default.localhost", SERVICES, rates, "from zero"),
        ]:
            before = cpu_seconds(sampan.process.pid)
            into.append(count / ask(sampan, hosts, count, 16, 0)["seconds"])
            cpu[name].append((cpu_seconds(sampan.process.pid) - before) * 1e6 / count)
        wait_until_asleep(sampan, SERVICES)
    p99 = [statistics.median(run["p99"] for run in runs) / 1000 for runs in (warm, cold)]
    p50 = [statistics.median(run["p50"] for run in runs) / 1000 for runs in (warm, cold)]
    rate, warm_rate = statistics.median(rates), statistics.median(warm_rates)
    print(f"{title}: warm p50 {p50[0]:.2f} ms p99 {p99[0]:.2f} ms, from zero p50 {p50[1]:.2f} ms p99 {p99[1]:.2f} ms: "
          f"{p99[1] - p99[0]:.2f} ms more, {p99[1] / p99[0]:.2f} times")
    print(f"{title}: {rate:.0f} cold starts per second, {warm_rate:.0f} warm requests per second: {rate / warm_rate:.2f}")
    used = ", ".join(f"{name} {statistics.median(each):.1f} us" for name, each in cpu.items())
    print(f"{title}: CPU time of the server for each request: {used}")


def ask(
    sampan: Sampan, hosts: str, count: int, connections: int, per_second: float, *step: str, failing: bool = False,
) -> dict:
    """Asks one after the other; it is an error where a request fails, unless they are counted by who calls."""
    done = subprocess.run(
        [example("ask"), f"127.0.0.1:{sampan.http_port}", hosts, str(count), str(connections), str(per_second), *step],
        capture_output=True, text=True, check=True, preexec_fn=_as_from_elsewhere,
    )
    answer = json.loads(done.stdout)
    if answer["failed"] and not failing:
        raise RuntimeError(f"{answer['failed']} of {count} requests to {hosts} failed")
    return answer


def _as_from_elsewhere() -> None:
    """Clients are taken for other machines: they do not wait for a processor of this one, where that may be asked for."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def wait_until_asleep(sampan: Sampan, services: int) -> None:
    """No Pod of a service that scales, and each is ready to be started."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        pods = sampan.api("GET", "/api/v1/namespaces/default/pods?limit=50")["items"]
        if all(pod["metadata"]["name"].startswith("warm-") for pod in pods):
            time.sleep(1)
            return
        time.sleep(0.1)
    raise RuntimeError(f"the {services} services are not at zero")
