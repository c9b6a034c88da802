"""How long until a new Deployment answers, and what the first request costs."""

import time

from .load import percentiles
from .servers import GUESTS, Sampan

RUNS = 100


def measure() -> None:
    applied, first, warm = [], [], []
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        sampan.deploy("compiles-it", "hello:bench")
        sampan.wait_until_served("compiles-it")
        for run in range(RUNS):
            applied.append(_timed_ms(lambda name=f"applied-{run}": _apply_and_ask(sampan, name)))
        for run in range(RUNS):
            name = f"unused-{run}"
            sampan.deploy(name, "hello:bench", isolation="replica")
            _wait_until_ready(sampan, name)
            first.append(_timed_ms(lambda name=name: sampan.request(name)))
            warm.append(_timed_ms(lambda name=name: sampan.request(name)))
    print(f"from apply of a cached image to the first answer: {percentiles(applied)}")
    print(f"first request, no warm instance:                  {percentiles(first)}")
    print(f"second request, warm instance:                    {percentiles(warm)}")


def _apply_and_ask(sampan: Sampan, name: str) -> None:
    sampan.deploy(name, "hello:bench")
    while sampan.request(name) != 200:
        pass


def _wait_until_ready(sampan: Sampan, name: str) -> None:
    path = f"/apis/apps/v1/namespaces/default/deployments/{name}"
    while not sampan.api("GET", path).get("status", {}).get("readyReplicas"):
        time.sleep(0.005)


def _timed_ms(action) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000
