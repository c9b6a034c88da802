"""Decisions of the scheduler at 5000 nodes, and how well it packs beside best-fit-decreasing."""

import subprocess

from .servers import example

COMMAND = [example("decisions")]


def measure() -> None:
    lines = [line.split() for line in subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout.splitlines()]
    for _, median, least, most in (line for line in lines if line[0] == "decisions_per_second"):
        print(f"{median} decisions per second, from {least} to {most} (goal 100000)\n")
    print("| sizes of replicas | nodes | least of five seeds (goal 0.98) | mean |\n| --- | --- | --- | --- |")
    for _, sizes, nodes, least, mean in (line for line in lines if line[0] == "packing"):
        print(f"| {sizes.replace('_', ' ')} | {nodes} | {least} | {mean} |")
