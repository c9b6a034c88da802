"""Requests per second of `hello`, against `wasmtime serve` of the same component, in turn."""

import statistics

from .load import Load, median_line, wrk
from .servers import GUESTS, Sampan, wasmtime_serve

ROUNDS = 3
HELLO = GUESTS / "hello.wasm"

KEEP_RESIDENT = (
    "-O", "pooling-allocator=y",
    "-O", "pooling-memory-keep-resident=2097152",
    "-O", "pooling-table-keep-resident=65536",
)
REUSE = ("--max-instance-reuse-count", "128", *KEEP_RESIDENT)


def measure() -> None:
    with Sampan() as sampan:
        sampan.cli("build", str(HELLO), "-t", "hello:bench")
        sampan.deploy("fresh", "hello:bench", concurrency="1000", isolation="request")
        sampan.deploy("reused", "hello:bench", concurrency="1000", isolation="replica")
        sampan.wait_until_served("fresh")
        sampan.wait_until_served("reused")
        rounds = [_round(sampan) for _ in range(ROUNDS)]
    for name in rounds[0]:
        print(median_line(name, [loads[name] for loads in rounds]))
    _ratio(rounds, "sampan, fresh instances", "wasmtime serve, defaults", 4.0)
    _ratio(rounds, "sampan, fresh instances", "wasmtime serve, keep-resident", 1.5)
    _ratio(rounds, "sampan, reused instances", "wasmtime serve, reuse 128, keep-resident", 1.2)


def _round(sampan: Sampan) -> dict[str, Load]:
    loads = {
        "sampan, fresh instances": wrk(sampan.http_port, sampan.host("fresh"), servers=(sampan.process.pid,)),
        "sampan, reused instances": wrk(sampan.http_port, sampan.host("reused"), servers=(sampan.process.pid,)),
    }
    for name, options in {
        "wasmtime serve, defaults": (),
        "wasmtime serve, keep-resident": KEEP_RESIDENT,
        "wasmtime serve, reuse 128, keep-resident": REUSE,
    }.items():
        with wasmtime_serve(HELLO, *options) as peer:
            loads[name] = wrk(peer.port, servers=(peer.pid,))
    return loads


def _ratio(rounds: list[dict[str, Load]], ours: str, theirs: str, goal: float) -> None:
    ratios = [loads[ours].requests_per_second / loads[theirs].requests_per_second for loads in rounds]
    print(f"{ours} / {theirs}: {statistics.median(ratios):.2f} (goal {goal}; rounds {[round(r, 2) for r in ratios]})")
