"""Decisions of the scheduler at 5000 nodes, and how well it packs beside best-fit-decreasing."""

import subprocess

GOALS = {"decisions_per_second": "goal 100000", "packing_ratio": "goal 0.98"}


def measure() -> None:
    command = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "sampan-scheduler", "--example", "decisions"]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        name, value = line.split()
        print(f"{name} {value} ({GOALS[name]})")
