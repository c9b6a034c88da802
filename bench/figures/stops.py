"""SIGSTOP of one of four workers under load: how long callers notice it, and how soon its replicas are replaced."""

import os
import signal
import threading
import time

from .kills import REPLICAS, process_of, ready_pods, settled
from .load import percentiles
from .servers import GUESTS, Sampan
from .wake import ask

ROUNDS = 10
PER_SECOND = 200
LOAD_S = 4
STOP_AFTER_S = 1
# What is slower than this waited for the worker that was stopped.
SLOW_US = 50_000


def measure() -> None:
    with Sampan("server", "--workers", "4") as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        sampan.deploy("hello", "hello:bench", replicas=REPLICAS)
        rounds = [_round(sampan) for _ in range(ROUNDS)]
    noticed, replaced = zip(*rounds)
    print(f"from SIGSTOP until no request waits for it:  {percentiles(noticed)} (goal 250)")
    print(f"from SIGSTOP to full capacity without it:    {percentiles(replaced)} (goal 1000)")
    print(f"failed: 0 of {ROUNDS * PER_SECOND * LOAD_S} requests")


def _round(sampan: Sampan) -> tuple[float, float]:
    before = settled(sampan)
    node = sorted(before.values())[0]
    process, answers = process_of(sampan, node), {}
    count = PER_SECOND * LOAD_S
    began = time.perf_counter()
    # A step that changes nothing, so that it says when each request was due.
    load = threading.Thread(target=lambda: answers.update(
        ask(sampan, sampan.host("hello"), count, 32, PER_SECOND, str(count), "1")
    ))
    load.start()
    time.sleep(STOP_AFTER_S)
    os.kill(process, signal.SIGSTOP)
    stopped = time.perf_counter()
    try:
        while len([on for on in ready_pods(sampan).values() if on != node]) < REPLICAS:
            pass
        replaced = time.perf_counter() - stopped
        load.join()
    finally:
        os.kill(process, signal.SIGCONT)
    if not answers:
        raise RuntimeError("requests failed while a worker was stopped")
    ends = [due + took for due, took in answers["each"] if took > SLOW_US]
    noticed = max(ends, default=0) / 1000 - (stopped - began) * 1000
    return max(noticed, 0.0), replaced * 1000
