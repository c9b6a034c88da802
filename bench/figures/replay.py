"""What the policies would have done with traffic of the past: each trace, with Poisson and with bursty seconds.

No server runs: `sampan autoscale replay` is a simulation in virtual time, the same wherever it runs.
"""

import json
import os
import subprocess
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
TRACES, PLOTS = BENCH / "traces", BENCH / "plots"
SECONDS = ("poisson", "bursty")
# What a replica of Sampan takes at a time by default; and one, as function services have it.
CONCURRENCY = (100, 1)
GOAL = 1 / 3
HEADER = (
    "| trace | seconds | at a time | policy | instance-seconds | of kpa | of functions <= 1 s, of kpa | starts "
    "| wait p50 | p99 | max | refused | functions with a worse p99 than kpa (by more than a start) |"
)


def measure() -> None:
    PLOTS.mkdir(exist_ok=True)
    print(HEADER + "\n|" + " --- |" * HEADER.count(" | ") + " --- |")
    verdicts = []
    for trace in sorted(TRACES.glob("*.csv")):
        if trace.stem.endswith(("-run", "-mem")):
            continue
        for seconds in SECONDS:
            for concurrency in CONCURRENCY:
                policies = _replay(trace, seconds, concurrency)
                for one in policies:
                    print(_row(trace.stem, seconds, concurrency, one), flush=True)
                verdicts.append(_verdict(f"{trace.stem}, {seconds}, {concurrency} at a time", policies))
    print("\nsqrt-staffing beside kpa:\n")
    print("\n".join(verdicts))


def _replay(trace: Path, seconds: str, concurrency: int) -> list[dict]:
    command = [os.environ["SAMPAN"], "autoscale", "replay", trace, "--seconds", seconds, "--concurrency", str(concurrency)]
    if concurrency == CONCURRENCY[0]:
        command += ["--plot", PLOTS / f"{trace.stem}-{seconds}.svg"]
    done = subprocess.run([*command, "-o", "json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _row(trace: str, seconds: str, concurrency: int, one: dict) -> str:
    every = one["all"]
    waits = " | ".join(_span(every[key]) for key in ("waitP50", "waitP99", "waitMax"))
    worse = f"{one['functionsWithP99WorseThanKpa']} ({one['functionsWithP99WorseThanKpaByMoreThanAStart']})"
    return (
        f"| {trace} | {seconds} | {concurrency} | {one['policy']} | {every['instanceSeconds']:.0f} "
        f"| {_ratio(one['instanceSecondsOfKpa'])} | {_ratio(one['shortInstanceSecondsOfKpa'])} | {every['starts']} "
        f"| {waits} | {every['refused']} | {worse} of {one['functions']} |"
    )


def _verdict(title: str, policies: list[dict]) -> str:
    own, kpa = (next(one for one in policies if one["policy"] == name) for name in ("sqrt-staffing", "kpa"))
    ratio = own["shortInstanceSecondsOfKpa"]
    p99, its = own["all"]["waitP99"], kpa["all"]["waitP99"]
    cost = "no short function" if ratio is None else f"{ratio:.3f} ({'reached' if ratio <= GOAL else 'missed'}, goal 0.333)"
    return (
        f"- {title}: short functions {cost}; p99 {_span(p99)} beside {_span(its)}"
        f" ({'no worse' if p99 <= its else 'worse'}); worse in {own['functionsWithP99WorseThanKpa']}"
        f" of {own['functions']}, by more than a start in {own['functionsWithP99WorseThanKpaByMoreThanAStart']}"
    )


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _span(seconds: float) -> str:
    if seconds == 0:
        return "0"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
