"""The program that is packed, and what goes with it."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

SHELLS = {"bash": "sampan.bash", "zsh": "_sampan", "fish": "sampan.fish"}
UNITS = ["sampan.service", "sampan-worker.service", "sampan-gateway.service"]


@dataclass
class Release:
    version: str
    # Such as `x86_64-unknown-linux-gnu`.
    target: str
    # The program without its symbols.
    program: Path
    # Completions by shell and man pages by file name, as the program writes them.
    completions: dict[str, bytes]
    pages: dict[str, bytes]
    out: Path
    # Seconds since 1970 that every file is as old as.
    epoch: int
    fast: bool

    @staticmethod
    def of(binary: Path, work: Path, out: Path, fast: bool) -> "Release":
        program = work / "sampan"
        subprocess.run(["strip", "--strip-all", "-o", program, binary], check=True)
        os.chmod(program, 0o755)
        version = tomllib.loads(Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
        says = said(program, "version")
        if version not in says:
            sys.exit(f"dist: error: {binary} is another version than {version}: {says.strip()}")
        # A program that is older than these commands is packed without what they write.
        commands = said(program, "help")
        completions = {shell: said(program, "completion", shell).encode() for shell in SHELLS if "\n  completion " in commands}
        folder = work / "man"
        folder.mkdir()
        if "\n  man " in commands:
            said(program, "man", "--out", str(folder))
        pages = {page.name: page.read_bytes() for page in sorted(folder.iterdir())}
        epoch = max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800)
        return Release(version, target_of(program), program, completions, pages, out, epoch, fast)

    @property
    def machine(self) -> str:
        return self.target.split("-")[0]


def said(program: Path, *arguments: str) -> str:
    """What the program prints. It is asked without anything of who builds."""
    bare = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NO_COLOR": "1"}
    asked = subprocess.run([program, *arguments], env=bare, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        sys.exit(f"dist: error: `sampan {' '.join(arguments)}`: {asked.stderr.strip()}")
    return asked.stdout


def target_of(program: Path) -> str:
    header = subprocess.run(["readelf", "-h", program], capture_output=True, text=True, check=True, env=c()).stdout
    machines = {"X86-64": "x86_64", "AArch64": "aarch64"}
    found = next((machine for name, machine in machines.items() if re.search(rf"Machine:.*{name}", header)), None)
    if found is None:
        sys.exit("dist: error: the program is for neither x86-64 nor AArch64")
    return f"{found}-unknown-linux-gnu"


def glibc_of(program: Path) -> tuple[int, int]:
    """The oldest glibc that has all that the program asks of it."""
    symbols = subprocess.run(["readelf", "--version-info", program], capture_output=True, text=True, check=True, env=c())
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", symbols.stdout)
    return max((int(major), int(minor)) for major, minor in versions)


def c() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}
