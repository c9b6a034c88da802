"""CPU time of servers, as the kernel counts it in `/proc/PID/stat`."""

import contextlib
import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(*servers: int) -> float:
    """What these processes, those that they started, and those of them that ended and were waited for have used."""
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The name of the program stands in brackets and may hold anything; what follows it is counted from field 3.
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents[int(entry.name)] = int(fields[1])
        used[int(entry.name)] = sum(int(ticks) for ticks in fields[11:15])
    return sum(ticks for pid, ticks in used.items() if _descends(pid, servers, parents)) / TICKS_PER_SECOND


def descendants(server: int) -> list[int]:
    """The processes that a process started, and those that these did."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return [pid for pid in parents if pid != server and _descends(pid, (server,), parents)]


def _descends(pid: int, servers: tuple[int, ...], parents: dict[int, int]) -> bool:
    while pid:
        if pid in servers:
            return True
        pid = parents.get(pid, 0)
    return False
