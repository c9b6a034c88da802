"""A load that steps up tenfold in the real program: how long until nothing waits, against Knative's policy; and from the last request to zero."""

import statistics
import time

from .servers import GUESTS, Sampan
from .wake import ask

ROUNDS = 3
POLICIES = ("sqrt-staffing", "kpa")
SERVICE_MS = 50
PER_SECOND = 40
SECONDS_BEFORE, SECONDS_AFTER, STEP = 5, 15, 10
# Replicas that there are at least, enough for the load before the step: neither policy is still busy with an earlier burst.
BEFORE = 4
# What takes longer than its service time and this has waited.
SLACK_MS = 3
# Nothing waits any more when nothing has waited for so long.
QUIET_MS = 50
IDLE = "500ms"


def measure() -> None:
    times: dict[str, list[float]] = {policy: [] for policy in POLICIES}
    longest: dict[str, list[float]] = {policy: [] for policy in POLICIES}
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "probe.wasm"), "-t", "probe:bench")
        for number in range(ROUNDS):
            for policy in POLICIES:
                name = f"{policy}-{number}"
                sampan.deploy(name, "probe:bench", scale=f"{BEFORE}..100", policy=policy, concurrency="1", key_value="default")
                sampan.wait_until_served(name, "/env")
                step, most = _step(sampan, name)
                times[policy].append(step)
                longest[policy].append(most)
                sampan.cli("delete", "deployment", name)
        print(f"{PER_SECOND}/s, then {STEP} times as many, {SERVICE_MS} ms each, one at a time in a replica; medians of {ROUNDS}\n")
        print("| policy | from the step until nothing waits | longest answer |\n| --- | --- | --- |")
        for policy in POLICIES:
            print(f"| {policy} | {statistics.median(times[policy]):.3f} s | {statistics.median(longest[policy]):.3f} s |")
        ours, kpa = statistics.median(times["sqrt-staffing"]), statistics.median(times["kpa"])
        print(f"\nkpa / sqrt-staffing: {kpa / max(ours, 0.001):.0f} (goal 20)")
        print(f"from the last answer to zero replicas, where {IDLE} are set: {_idle(sampan):.2f} s (goal 1 s)")


def _step(sampan: Sampan, name: str) -> tuple[float, float]:
    before = PER_SECOND * SECONDS_BEFORE
    count = before + PER_SECOND * STEP * SECONDS_AFTER
    run = ask(sampan, f"{sampan.host(name)}/sleep?ms={SERVICE_MS}", count, 1000, PER_SECOND, str(before), str(STEP))
    step = SECONDS_BEFORE * 1_000_000
    waited = [due for due, took in run["each"] if due >= step and took > (SERVICE_MS + SLACK_MS) * 1000]
    # Requests are served in order: where for a while none that comes waits, the queue is empty.
    ends = [due for due, after in zip(waited, [*waited[1:], float("inf")]) if after - due > QUIET_MS * 1000]
    return (ends[0] - step if ends else 0) / 1e6, run["max"] / 1e6


def _idle(sampan: Sampan) -> float:
    sampan.deploy("idle", "probe:bench", scale="0..10", idle=IDLE, key_value="default")
    times = []
    for _ in range(5):
        sampan.wait_until_served("idle", "/env")
        sampan.request("idle", "/env")
        began = time.monotonic()
        while any(pod["metadata"]["name"].startswith("idle-")
                  for pod in sampan.api("GET", "/api/v1/namespaces/default/pods")["items"]):
            time.sleep(0.01)
        times.append(time.monotonic() - began)
    return max(times)
