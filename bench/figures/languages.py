"""Requests per second of hello in several languages, against `wasmtime serve` of the same component, in turn."""

import statistics
from pathlib import Path

from .components import hello
from .load import Load, median_line, wrk
from .servers import GUESTS, Sampan, wasmtime_serve

ROUNDS = 3
CONNECTIONS = 8
POOL = ("-O", "pooling-allocator=y", "-O", "pooling-table-keep-resident=65536")
KEPT = {"2 MiB": 2 << 20, "32 MiB": 32 << 20}
REUSED = 128


def measure() -> None:
    # The engine of JavaScript answers one request for each instance, so that nothing is reused there.
    _language("Rust", GUESTS / "hello.wasm", ("request", "replica"))
    _others("Python", hello("python", "app.py"), ("request", "replica"))
    _others("Go", hello("go", "app.go"), ("request", "replica"))
    _others("JavaScript (hono)", hello("javascript", "app.js"), ("request",))


def _others(language: str, component: Path | None, isolations: tuple[str, ...]) -> None:
    if component is None:
        print(f"{language}: left out, since it cannot be built here")
    else:
        _language(language, component, isolations)


def _language(language: str, component: Path, isolations: tuple[str, ...]) -> None:
    name = component.stem
    for isolation in isolations:
        with Sampan() as sampan:
            sampan.cli("build", str(component), "-t", f"{name}:bench")
            sampan.deploy(name, f"{name}:bench", isolation=isolation)
            sampan.wait_until_served(name)
            rounds = [_round(sampan, name, component, isolation) for _ in range(ROUNDS)]
            resident = sampan.resident_kib() / 1024
        for server in rounds[0]:
            print(median_line(f"{language}, {server}", [loads[server] for loads in rounds]))
        ours, *peers = rounds[0]
        for peer in peers:
            ratios = [loads[ours].requests_per_second / loads[peer].requests_per_second for loads in rounds]
            print(f"{language}, {ours} / {peer}: {statistics.median(ratios):.2f} (rounds {[round(ratio, 2) for ratio in ratios]})")
        print(f"{language}, {ours}: {resident:.0f} MiB resident after it", flush=True)


def _round(sampan: Sampan, name: str, component: Path, isolation: str) -> dict[str, Load]:
    title, reuse = ("fresh", ()) if isolation == "request" else ("reused", ("--max-instance-reuse-count", str(REUSED)))
    loads = {title: wrk(sampan.http_port, sampan.host(name), connections=CONNECTIONS, servers=(sampan.process.pid,))}
    settings = {"peer": ()} | {
        f"peer keeping {kept}": (*POOL, "-O", f"pooling-memory-keep-resident={bytes_kept}") for kept, bytes_kept in KEPT.items()
    }
    for peer, options in settings.items():
        with wasmtime_serve(component, *reuse, *options) as server:
            loads[peer] = wrk(server.port, connections=CONNECTIONS, servers=(server.pid,))
    return loads
