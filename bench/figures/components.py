"""Builds hello in other languages, with their own toolchains at pinned versions, once, below `target/languages`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path("bench/languages").absolute()
BUILT = Path("target/languages").absolute()
WIT = Path("wit/deps").absolute()

NPM = ("@bytecodealliance/jco@1.35.0", "@bytecodealliance/componentize-js@0.22.0",
       # A later one ends each command of jco with "os error 44".
       "@bytecodealliance/preview2-shim@0.26.0", "hono@4.9.9")
PIP = "componentize-py==0.25.1"
# The version of wasi:http that the JavaScript engine was built with; another is a missing export to it.
JAVASCRIPT_WASI, PYTHON_WASI = "0.2.10", "0.2.12"
OUR_WASI = "0.2.12"


def javascript() -> Path | None:
    """A component with hono, or None where there is no npm."""
    component, folder = BUILT / "javascript.wasm", BUILT / "javascript"
    if component.exists():
        return component
    if not shutil.which("npm"):
        return None
    _say(f"building {component.name} with {', '.join(NPM)} from npm")
    _wit(folder, JAVASCRIPT_WASI)
    shutil.copy(SOURCES / "app.js", folder)
    _run(folder, "npm", "init", "-y")
    _run(folder, "npm", "install", "--no-audit", "--no-fund", *NPM)
    _run(folder, "npx", "jco", "componentize", "--bundle", "-w", "wit", "-n", "hello", "app.js", "-o", str(component))
    return component


def python() -> Path:
    component, folder = BUILT / "python.wasm", BUILT / "python"
    if component.exists():
        return component
    _say(f"building {component.name} with {PIP} from PyPI")
    _wit(folder, PYTHON_WASI)
    shutil.copy(SOURCES / "app.py", folder)
    _run(folder, sys.executable, "-m", "venv", "venv")
    _run(folder, "venv/bin/pip", "install", "-q", "--disable-pip-version-check", PIP)
    _run(folder, "venv/bin/componentize-py", "-d", "wit", "-w", "hello", "componentize", "app", "-o", str(component))
    return component


def _wit(folder: Path, version: str) -> None:
    """The world of a hello, from our own WIT without its worlds, which name more than a hello needs."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "wit" / "deps").mkdir(parents=True)
    for package in ("http", "io", "clocks"):
        text = (WIT / f"{package}.wit").read_text(encoding="utf-8").replace(OUR_WASI, version)
        text = re.sub(r"^(@[a-z]+\([^)]*\)\n)*world [^{]*\{.*?^\}\n", "", text, flags=re.MULTILINE | re.DOTALL)
        (folder / "wit" / "deps" / f"{package}.wit").write_text(text, encoding="utf-8")
    world = f"package bench:hello;\nworld hello {{\n  export wasi:http/incoming-handler@{version};\n}}\n"
    (folder / "wit" / "world.wit").write_text(world, encoding="utf-8")


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-2000:]} {done.stderr[-2000:]}")


def _say(what: str) -> None:
    print(f"languages: {what}", flush=True)
