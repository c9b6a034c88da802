"""Builds suites that are written in Go, at the versions that `go/SUITE/go.mod` pins."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent
BUILT = Path("target/conformance").absolute()


def go_program(suite: str, package: str) -> Path:
    """The program of a Go package; a second build takes what Go has kept of the first."""
    program = BUILT / suite
    done = subprocess.run(
        ["go", "build", "-mod=readonly", "-o", str(program), package],
        cwd=HERE / "go" / suite, capture_output=True, text=True, check=False,
    )
    if done.returncode:
        sys.exit(f"conformance: error: {package} cannot be built (is the module proxy reached?):\n{done.stderr}")
    return program


def numbered(names: list[str]) -> list[str]:
    """The same names, with `#2` and so on behind those that came before."""
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name} #{counts[name]}")
    return unique
