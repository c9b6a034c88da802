"""What a guest that computes for ever does to its neighbours' latency."""

import contextlib
import statistics
import threading

from .load import wrk
from .servers import GUESTS, Sampan

ROUNDS = 3
LOOPING_REQUESTS = 2


def measure() -> None:
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        sampan.cli("build", str(GUESTS / "probe.wasm"), "-t", "probe:bench")
        sampan.deploy("hello", "hello:bench", concurrency="1000")
        sampan.deploy("looper", "probe:bench", request_deadline="5s", key_value="default")
        sampan.wait_until_served("hello")
        sampan.wait_until_served("looper")
        ratios = []
        for _ in range(ROUNDS):
            alone = wrk(sampan.http_port, sampan.host("hello"))
            with _looping(sampan):
                beside = wrk(sampan.http_port, sampan.host("hello"))
            ratios.append(beside.p99_ms / alone.p99_ms)
            print(
                f"alone p99 {alone.p99_ms:.2f} ms at {alone.requests_per_second:.0f} req/s, "
                f"beside {LOOPING_REQUESTS} endless loops p99 {beside.p99_ms:.2f} ms "
                f"at {beside.requests_per_second:.0f} req/s"
            )
        print(f"p99 beside / alone: {statistics.median(ratios):.2f} (goal at most 1.5)")


@contextlib.contextmanager
def _looping(sampan: Sampan):
    """Keeps requests to a guest that never stops computing in flight."""
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            sampan.request("looper", "/loop")

    threads = [threading.Thread(target=loop) for _ in range(LOOPING_REQUESTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
