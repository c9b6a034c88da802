"""Measures what is named on the command line, or everything: `bench/run [throughput|processes|...]...`"""

import sys

from . import (
    asleep, attacks, edit, hop, hostcalls, images, kills, languages, memory, neighbour, neighbours, processes, replay, replicas, restarts,
    scheduler, start, step, stops, throughput, wake,
)
from .machine import describe

FIGURES = {
    "throughput": throughput.measure,
    "languages": languages.measure,
    "neighbour": neighbour.measure,
    "start": start.measure,
    "edit": edit.measure,
    "memory": memory.measure,
    "images": images.measure,
    "processes": processes.measure,
    "hop": hop.measure,
    "kills": kills.measure,
    "stops": stops.measure,
    "restarts": restarts.measure,
    "neighbours": neighbours.measure,
    "attacks": attacks.measure,
    "scheduler": scheduler.measure,
    "replicas": replicas.measure,
    "wake": wake.measure,
    "step": step.measure,
    "asleep": asleep.measure,
    "replay": replay.measure,
    "hostcalls": hostcalls.measure,
}


def main() -> None:
    names = sys.argv[1:] or list(FIGURES)
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        sys.exit(f"unknown figure {unknown[0]!r}: choose from {', '.join(FIGURES)}")
    print(describe(), flush=True)
    for name in names:
        print(f"\n## {name}", flush=True)
        FIGURES[name]()


main()
