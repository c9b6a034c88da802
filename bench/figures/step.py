"""A load that steps up tenfold in the real program: how long until nothing waits, by policy; and from the last request to zero."""

import statistics
import time

from .servers import GUESTS, Sampan
from .wake import ask

ROUNDS = 3
POLICIES = ("sqrt-staffing", "kpa", "hpa")
SERVICE_MS = 50
PER_SECOND = 40
SECONDS_BEFORE, STEP = 5, 10
# What takes longer than its service time and this has waited: starting, being scheduled on a busy machine.
SLACK_MS = 10
IDLE = "500ms"


def measure() -> None:
    times: dict[str, list[float]] = {policy: [] for policy in POLICIES}
    longest: dict[str, list[float]] = {policy: [] for policy in POLICIES}
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "probe.wasm"), "-t", "probe:bench")
        for number in range(ROUNDS):
            for policy in POLICIES:
                name = f"{policy}-{number}"
                sampan.deploy(name, "probe:bench", scale="1..100", policy=policy, concurrency="1")
                sampan.wait_until_served(name)
                step, most = _step(sampan, name)
                times[policy].append(step)
                longest[policy].append(most)
                sampan.cli("delete", "deployment", name)
        print(f"{PER_SECOND}/s, then {STEP} times as many, {SERVICE_MS} ms each, one at a time in a replica; medians of {ROUNDS}\n")
        print("| policy | from the step until nothing waits | longest answer |\n| --- | --- | --- |")
        for policy in POLICIES:
            print(f"| {policy} | {statistics.median(times[policy]):.3f} s | {statistics.median(longest[policy]):.3f} s |")
        ours, kpa = statistics.median(times["sqrt-staffing"]), statistics.median(times["kpa"])
        print(f"\nkpa / sqrt-staffing: {kpa / ours:.0f} (goal 20)")
        print(f"from the last answer to zero replicas, where {IDLE} are set: {_idle(sampan):.2f} s (goal 1 s)")


def _step(sampan: Sampan, name: str) -> tuple[float, float]:
    count = PER_SECOND * SECONDS_BEFORE * 2
    # As many requests after the step would last a tenth of the time: so the slow half is sent before, by itself.
    ask(sampan, f"{sampan.host(name)}/sleep?ms={SERVICE_MS}", count // 2, 64, PER_SECOND)
    count = PER_SECOND * STEP * 20
    run = ask(sampan, f"{sampan.host(name)}/sleep?ms={SERVICE_MS}", count, 4000, PER_SECOND * STEP, "1")
    waited = [(due, took) for due, took in run["each"] if took > (SERVICE_MS + SLACK_MS) * 1000]
    # The last that waited before a second in which nothing did.
    over = 0
    for due, took in sorted(waited):
        if due > over + 1_000_000 and over > 0:
            break
        over = max(over, due + took - SERVICE_MS * 1000)
    return over / 1e6, run["max"] / 1e6


def _idle(sampan: Sampan) -> float:
    sampan.deploy("idle", "probe:bench", scale="0..10", idle=IDLE)
    times = []
    for _ in range(5):
        sampan.wait_until_served("idle")
        sampan.request("idle", "/env")
        began = time.monotonic()
        while any(pod["metadata"]["name"].startswith("idle-")
                  for pod in sampan.api("GET", "/api/v1/namespaces/default/pods")["items"]):
            time.sleep(0.01)
        times.append(time.monotonic() - began)
    return max(times)
