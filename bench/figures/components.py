"""Builds hello in other languages, with their own toolchains at pinned versions, once, below `target/languages`."""

import subprocess
from pathlib import Path

SOURCES = Path("bench/languages")
BUILT = Path("target/languages")
# What the script ends with where this machine lacks what a language takes.
LACKING = 3


def hello(language: str, source: str) -> Path | None:
    """The component, or None where it cannot be built here, which was said."""
    component = BUILT / f"{language}.wasm"
    if not component.exists():
        built = subprocess.run(["scripts/language-guest", language, str(SOURCES / source), str(component)], check=False)
        if built.returncode == LACKING:
            return None
        built.check_returncode()
    return component
