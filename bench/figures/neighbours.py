"""What guests and clients that misbehave do to the latency of others, in an open loop."""

import contextlib
import socket
import statistics
import threading
import time

from .servers import GUESTS, Sampan
from .wake import ask

ROUNDS = 9
PER_SECOND = 300
REQUESTS = 1200
SLOW_CLIENTS = 1000


def measure() -> None:
    with Sampan("server", "--workers", "2") as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        sampan.cli("build", str(GUESTS / "probe.wasm"), "-t", "probe:bench")
        sampan.deploy("hello", "hello:bench", replicas=2)
        sampan.deploy("bad", "probe:bench", replicas=2, request_deadline="1s", key_value="default")
        sampan.wait_until_served("hello")
        sampan.wait_until_served("bad", "/env")
        disturbers = {
            "a guest that traps in a tenth of its requests": lambda: _asking(sampan, ["/trap"] + ["/env"] * 9),
            "a guest that computes for ever": lambda: _asking(sampan, ["/loop"]),
            "a guest that hoards memory": lambda: _asking(sampan, ["/alloc?mb=1024"]),
            f"{SLOW_CLIENTS} slow clients": lambda: _slow_clients(sampan),
        }
        rounds = {name: [_round(sampan, disturb) for _ in range(ROUNDS)] for name, disturb in disturbers.items()}
    print(f"hello's p99 at {PER_SECOND} requests per second, medians of {ROUNDS} rounds; none failed")
    for name, measured in rounds.items():
        alone, beside = (statistics.median(p99) / 1000 for p99 in zip(*measured))
        ratio = statistics.median(beside / alone for alone, beside in measured)
        print(f"beside {name}: {beside:.2f} ms, alone {alone:.2f} ms: {ratio:.2f} times (goal 1.5)")


def _round(sampan: Sampan, disturb) -> tuple[float, float]:
    alone = _p99(sampan)
    with disturb():
        return alone, _p99(sampan)


def _p99(sampan: Sampan) -> float:
    return ask(sampan, sampan.host("hello"), REQUESTS, 8, PER_SECOND)["p99"]


@contextlib.contextmanager
def _asking(sampan: Sampan, paths: list[str]):
    """Asks the bad guest for one path after the other, a hundred times a second unless it keeps its caller waiting."""
    over = threading.Event()

    def calls() -> None:
        number = 0
        while not over.is_set():
            # However it ends.
            with contextlib.suppress(OSError, IndexError):
                sampan.request("bad", paths[number % len(paths)])
            number += 1
            time.sleep(0.01)

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def _slow_clients(sampan: Sampan):
    """Clients that send the beginning of a request and then nothing."""
    with contextlib.ExitStack() as open_ones:
        for _ in range(SLOW_CLIENTS):
            client = open_ones.enter_context(socket.create_connection(("127.0.0.1", sampan.http_port)))
            client.sendall(f"POST /echo HTTP/1.1\r\nHost: {sampan.host('bad')}\r\n".encode())
        yield
