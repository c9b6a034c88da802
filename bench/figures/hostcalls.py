"""How long each call of the host takes a guest, with parameters at their bounds."""

import json
import urllib.request

from .servers import GUESTS, Sampan

TIMES = 200
GOAL_MS = 2
# What the probe calls, with parameters at their bounds, and how often if not so many times.
CALLS = [
    ("wasi:logging log", "log?bytes=1048576&count=60000", 20),
    ("stdout write", "stdout?piece=%0A&bytes=65536", TIMES),
    ("get-random-bytes", "random?bytes=65536", TIMES),
    ("get-insecure-random-bytes", "insecure?bytes=65536", TIMES),
    ("get-environment", "environment?", TIMES),
    ("config get", "config?bytes=1000000", TIMES),
    ("config get-all", "config-all?", TIMES),
    ("poll", "poll?count=450&bytes=2", TIMES),
    ("fields from-list", "fields-of-list?count=1400&bytes=1", TIMES),
    ("fields set", "fields-set?count=1700&bytes=30", TIMES),
    ("fields clone, and append to it", "fields-copy?count=1000&bytes=40", 100),
    ("fields entries", "fields-entries?count=1000&bytes=40", TIMES),
    ("set-path-with-query", "path?piece=/&bytes=65000", 100),
    ("a body, and write", "write?bytes=131072", TIMES),
    ("a body, and write-zeroes", "write-zeroes?bytes=131072", TIMES),
    ("keyvalue get", "kv-get?bytes=4194304", 50),
    ("keyvalue get-many", "kv-get-many?count=512&bytes=8000", 100),
    ("keyvalue list-keys", "kv-list?bytes=0", 50),
]
# Of those that write, nearly all is the wait for the disk, in which the thread is free.
WAITING = [
    ("keyvalue set", "kv-set?bytes=4194304", 10),
    ("keyvalue set-many", "kv-set-many?count=512&bytes=8000", 10),
    ("keyvalue delete-many", "kv-delete-many?count=512", 10),
]


def measure() -> None:
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "probe.wasm"), "-t", "probe:bench")
        sampan.deploy("probe", "probe:bench", key_value="carts")
        sampan.wait_until_served("probe", "/env")
        print(f"| call | mean, ms (goal: below {GOAL_MS}) | longest |")
        print("| --- | --- | --- |")
        slow = [name for name, call, times in CALLS if _row(sampan, name, call, times) >= GOAL_MS]
        for name, call, times in WAITING:
            _row(sampan, f"{name}, until it is on disk", call, times)
    print(f"above the goal: {', '.join(slow) or 'none'}")


def _row(sampan: Sampan, name: str, call: str, times: int) -> float:
    url = f"http://127.0.0.1:{sampan.http_port}/call/{call}&times={times}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": sampan.host("probe")})) as response:
        answer = json.load(response)
    if answer["failed"]:
        raise RuntimeError(f"{name}: {answer['failed']}")
    mean = answer["micros"] / answer["times"] / 1000
    print(f"| {name} | {mean:.3f} | {answer['longest'] / 1000:.3f} |", flush=True)
    return mean
