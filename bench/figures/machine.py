"""What machine the figures are from."""

import os
import platform
import shutil
import subprocess


def describe() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    wasmtime = "no wasmtime"
    if shutil.which("wasmtime"):
        wasmtime = subprocess.run(["wasmtime", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    sampan = subprocess.run([os.environ["SAMPAN"], "version"], capture_output=True, text=True, check=False).stdout
    return (
        f"machine: {os.cpu_count()} cores of {model}, {memory_gib:.0f} GiB, Linux {platform.release()}\n"
        f"peer: {wasmtime}\nunder test: {sampan.splitlines()[0] if sampan else 'sampan'}"
    )
