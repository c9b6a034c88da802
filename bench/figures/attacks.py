"""What attacks do to the latency of a neighbour in an open loop at half of its load, and the memory that is held after them."""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from .attackers import ATTACKS
from .servers import GUESTS, Sampan, free_port
from .wake import ask

ROUNDS = 9
# A round in which a virtual machine was without its processors for longer than this says nothing; so many are tried anew.
STOLEN = 0.01
DISTURBED_ROUNDS = 9
# What the neighbour is asked without a pause, to know what half of its load is; and for how long it is asked.
FULL_REQUESTS = 20_000
SECONDS = 2
CONNECTIONS = 16
# An attack is under way, and what it brought is given back.
BEGUN_S, OVER_S = 1, 5


def measure() -> None:
    sessions = free_port()
    with Sampan("server", "--workers", "1", "--sessions", f"127.0.0.1:{sessions}") as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        sampan.cli("build", str(GUESTS / "probe.wasm"), "-t", "probe:bench")
        sampan.deploy("hello", "hello:bench", replicas=2)
        sampan.api("POST", "/api/v1/namespaces", {"metadata": {"name": "attacker"}})
        sampan.deploy("bad", "probe:bench", namespace="attacker", request_deadline="10s", key_value="default")
        sampan.wait_until_served("hello")
        sampan.wait_until_served("bad.attacker", "/env")
        host = sampan.host("hello")
        full = FULL_REQUESTS / ask(sampan, host, FULL_REQUESTS, CONNECTIONS, 0)["seconds"]
        rate = full / 2
        print(f"a neighbour at {rate:.0f} requests per second, half of {full:.0f}; medians of {ROUNDS} rounds\n")
        print("| attack | p99 without | beside | times (goal 1.5) | failed | rounds disturbed | memory before | held after |")
        print("|" + " --- |" * 8)
        for name in ATTACKS:
            _measure(name, sampan, sessions, host, rate)


def _measure(name: str, sampan: Sampan, sessions: int, host: str, rate: float) -> None:
    without, beside, disturbed, failed = [], [], 0, 0
    before = resident_mib(sampan)
    while len(beside) < ROUNDS:
        began, stolen = time.monotonic(), stolen_seconds()
        alone = ask(sampan, host, int(rate * SECONDS), CONNECTIONS, rate)
        with _attacking(name, sampan, sessions):
            time.sleep(BEGUN_S)
            attacked = ask(sampan, host, int(rate * SECONDS), CONNECTIONS, rate, failing=True)
            failed += attacked["failed"]
        lost = (stolen_seconds() - stolen) / os.cpu_count() / (time.monotonic() - began)
        if lost > STOLEN and disturbed < DISTURBED_ROUNDS:
            disturbed += 1
            continue
        without.append(alone["p99"] / 1000)
        beside.append(attacked["p99"] / 1000)
    time.sleep(OVER_S)
    without, beside = statistics.median(without), statistics.median(beside)
    print(
        f"| {name} | {without:.2f} ms | {beside:.2f} ms | {beside / without:.2f} | {failed} | {disturbed} | "
        f"{before:.0f} MiB | {resident_mib(sampan):.0f} MiB |", flush=True,
    )


def stolen_seconds() -> float:
    """For how long processors of this machine were with others of its host, all of them together, since it was started."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / os.sysconf("SC_CLK_TCK")


def resident_mib(sampan: Sampan) -> float:
    """Of the server and the processes that it started."""
    return sum(sampan.resident_kib(pid) for pid in sampan.processes()) / 1024


@contextlib.contextmanager
def _attacking(name: str, sampan: Sampan, sessions: int):
    arguments = [name, str(sampan.http_port), str(sampan.api_port), str(sessions), sampan.token()]
    attacker = subprocess.Popen(
        [sys.executable, "-m", "figures.attackers", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    try:
        yield
    finally:
        attacker.stdin.close()
        try:
            attacker.wait(5)
        except subprocess.TimeoutExpired:
            attacker.kill()
            attacker.wait()
