"""Ten thousand services at zero: what each costs, and how fast the first request to any of them is answered."""

import random
import time

from .servers import GUESTS, Sampan
from .wake import IDLE, ask, wait_until_asleep

SERVICES = 10_000
FIRST = 100
ASKED = 2000
PER_SECOND = 200
SETTLE_S = 20


def measure() -> None:
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        _deploy(sampan, 0, FIRST)
        for number in range(FIRST):
            sampan.wait_until_served(f"s{number}")
        before = _resident(sampan, FIRST)
        began = time.monotonic()
        _deploy(sampan, FIRST, SERVICES)
        print(f"{SERVICES - FIRST} further services deployed in {time.monotonic() - began:.0f} s", flush=True)
        after = _resident(sampan, SERVICES)
        each = (after - before) / (SERVICES - FIRST)
        print(f"resident with {FIRST}: {before / 1024:.1f} MiB, with {SERVICES}: {after / 1024:.1f} MiB: "
              f"{each:.1f} kB each (goal 20)")
        number = random.Random(7).randrange(FIRST, SERVICES)
        first = ask(sampan, f"s{number}.default.localhost", 1, 1, 0)
        run = ask(sampan, "s{}.default.localhost", ASKED, 8, PER_SECOND)
        print(f"first requests to {ASKED} of them, {PER_SECOND}/s: p50 {run['p50'] / 1000:.2f} ms, "
              f"p99 {run['p99'] / 1000:.2f} ms (goal 5), max {run['max'] / 1000:.2f} ms; the very first {first['p50'] / 1000:.2f} ms")


def _deploy(sampan: Sampan, begin: int, end: int) -> None:
    for number in range(begin, end):
        sampan.deploy(f"s{number}", "hello:bench", replicas=0, scale="0..10", idle=IDLE)


def _resident(sampan: Sampan, services: int) -> int:
    wait_until_asleep(sampan, services)
    time.sleep(SETTLE_S)
    return sampan.resident_kib()
