"""Load by wrk, and what it printed."""

import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .cpu import cpu_seconds

CONNECTIONS = 16
SECONDS = 6


@dataclass
class Load:
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: float
    """CPU time of the servers for each request, in microseconds; 0 where none were named."""


def wrk(
    port: int, host: str | None = None, path: str = "/", seconds: int = SECONDS, connections: int = CONNECTIONS,
    servers: tuple[int, ...] = (), script: Path | None = None,
) -> Load:
    """`servers` are the process ids whose CPU time is counted, with that of the processes that they started; `script` says in
    Lua what is sent."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if script:
        command += ["-s", str(script)]
    if host:
        command += ["-H", f"Host: {host}"]
    before = cpu_seconds(*servers)
    text = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(*servers) - before
    requests = int(re.search(r"(\d+) requests in", text)[1])
    errors = sum(int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    errors += sum(int(count) for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    return Load(
        float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        _milliseconds(re.search(r"^ +50% +(\S+)$", text, re.MULTILINE)[1]),
        _milliseconds(re.search(r"^ +99% +(\S+)$", text, re.MULTILINE)[1]),
        errors,
        used * 1e6 / max(requests, 1),
    )


def median_line(name: str, loads: list[Load]) -> str:
    rate, p99, cpu = (
        statistics.median(getattr(load, field) for load in loads) for field in ("requests_per_second", "p99_ms", "cpu_us")
    )
    errors = sum(load.errors for load in loads)
    return f"{name:48} {rate:9.0f} req/s  p99 {p99:6.2f} ms  CPU {cpu:6.1f} us/req  errors {errors}"


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def percentiles(samples_ms: list[float]) -> str:
    cuts = statistics.quantiles(samples_ms, n=100, method="inclusive")
    return f"p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms, max {max(samples_ms):.2f} ms over {len(samples_ms)}"
