"""SIGSTOP of one of four workers under load: how long callers notice it, and how soon its replicas are replaced."""

import os
import signal
import threading
import time

from .kills import REPLICAS, nodes_of_ready, process_of, settled
from .load import percentiles
from .servers import GUESTS, PATIENCE_S, Sampan
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

    def ask_all() -> None:
        count, began = PER_SECOND * LOAD_S, time.perf_counter()
        # A step that changes nothing, so that it says when each request was due.
        answers.update(ask(sampan, sampan.host("hello"), count, 32, PER_SECOND, str(count), "1"))
        # The program's own start and end are in no request's time.
        answers["began"] = time.perf_counter() - answers["seconds"]

    load = threading.Thread(target=ask_all)
    load.start()
    time.sleep(STOP_AFTER_S)
    os.kill(process, signal.SIGSTOP)
    stopped = time.perf_counter()
    try:
        while len([on for on in nodes_of_ready(sampan).values() if on != node]) < REPLICAS:
            if time.perf_counter() - stopped > PATIENCE_S:
                raise RuntimeError("the replicas of a stopped worker are not replaced")
        replaced = time.perf_counter() - stopped
        load.join()
    finally:
        os.kill(process, signal.SIGCONT)
    if not answers:
        raise RuntimeError("requests failed while a worker was stopped")
    ends = [answers["began"] + (due + took) / 1e6 for due, took in answers["each"] if took > SLOW_US]
    noticed = max(ends, default=stopped) - stopped
    return max(noticed, 0.0) * 1000, replaced * 1000
