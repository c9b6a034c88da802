"""Load by wrk, and what it printed."""

import re
import statistics
import subprocess
from dataclasses import dataclass

CONNECTIONS = 16
SECONDS = 6


@dataclass
class Load:
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def wrk(port: int, host: str | None = None, path: str = "/", seconds: int = SECONDS, connections: int = CONNECTIONS) -> Load:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if host:
        command += ["-H", f"Host: {host}"]
    text = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    errors = sum(int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    errors += sum(int(count) for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    return Load(
        float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        _milliseconds(re.search(r"^ +50% +(\S+)$", text, re.MULTILINE)[1]),
        _milliseconds(re.search(r"^ +99% +(\S+)$", text, re.MULTILINE)[1]),
        errors,
    )


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def percentiles(samples_ms: list[float]) -> str:
    cuts = statistics.quantiles(samples_ms, n=100, method="inclusive")
    return f"p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms, max {max(samples_ms):.2f} ms over {len(samples_ms)}"
